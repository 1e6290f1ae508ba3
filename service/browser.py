"""Rules for the paths that people open in a browser: headers, foreign forms, and the key.

A browser cannot send `X-API-Key` by itself. It asks for a name and a password once and sends them as HTTP Basic, so
here the password of such a header counts as the key; the name is free. As a browser then sends it with any request to
this address, forms that other sites post are refused.
"""

import base64
import binascii
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.problems import Problem

CARD = "/card"
PAGE_PATHS = ("/", "/file", CARD)
FILES = ("/static/", f"{CARD}/")

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # Not no-referrer: with that, a browser gives its own page's forms the origin "null".
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class BrowserRules:
    """ASGI middleware; must stand outside the check of keys. `refuse` renders a problem as a page."""

    def __init__(self, app: ASGIApp, refuse: Callable[[Problem, str], Response]) -> None:
        self.app, self.refuse = app, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with its key where a browser has one, and dress the answer."""
        page = scope["type"] == "http" and scope["path"] in PAGE_PATHS
        if not page and not (scope["type"] == "http" and scope["path"].startswith(FILES)):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer.update(SECURITY_HEADERS)
                answer["Cache-Control"] = "no-store" if page else "no-cache"
            await send(message)

        try:
            if scope["method"] not in ("GET", "HEAD") and _is_foreign(headers):
                raise Problem(403, "The form was sent by another site. Open this page itself and send it from there.")
            if key := _basic_key(headers.get("authorization", "")):
                scope["headers"] = [*scope["headers"], (b"x-api-key", key)]
            await self.app(scope, receive, dressed)
        except Problem as problem:
            if "text/html" not in headers.get("accept", ""):
                raise  # no browser: a problem in the shape of all others
            answer = self.refuse(problem, scope["state"]["request_id"])
            answer.headers.update(problem.headers or {})
            if problem.status == 401:
                answer.headers["WWW-Authenticate"] = 'Basic realm="dualuse: any name, your key as the password"'
            await answer(scope, receive, dressed)


def _is_foreign(headers: Headers) -> bool:
    """Tell whether a browser says that another site sent this. A program that is no browser says nothing."""
    if site := headers.get("sec-fetch-site"):
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


def _basic_key(authorization: str) -> bytes:
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(credentials, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""
