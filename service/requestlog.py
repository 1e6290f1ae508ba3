"""Around every request: an id, one line in the log, and an answer even where our own code fails.

The line holds no text: it names the route and not the path (someone will put an abstract into a URL), leaves
the query out, and of an exception tells the type and the place but not the message.
"""

import logging
import re
import time
import uuid
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.log import describe, write
from service.problems import Problem

_CLIENT_GONE = 499  # as nginx logs it; never sent
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestLog:
    """ASGI middleware; sets `request.state.request_id` and reads `request.state.documents` (a count).

    `count` is told of every request: method, route, status, seconds, documents.
    """

    def __init__(self, app: ASGIApp, count: Callable[[str, str | None, int | None, float, int], None]) -> None:
        self.app, self._count = app, count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, send the problem it ends in, and log it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = _request_id(Headers(scope=scope).get("x-request-id", ""))
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        status: int | None = None

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", []), (b"x-request-id", request_id.encode())]
                message = {**message, "headers": headers}
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except Problem as problem:
            await problem.response(request_id)(scope, receive, send_with_id)
        except ClientDisconnect:
            status = _CLIENT_GONE
        except Exception as error:
            # Not raised again: the server would log its message, which may quote the text it failed on.
            write(logging.ERROR, "failure", request_id=request_id, **describe(error))
            if status is None:
                failure = Problem(500, "The service failed; its log tells where, under this request's id.")
                await failure.response(request_id)(scope, receive, send_with_id)
        finally:
            seconds, documents = time.perf_counter() - started, state.get("documents")
            route = getattr(scope.get("route"), "path", None)
            self._count(scope["method"], route, status, seconds, documents or 0)
            write(
                logging.INFO,
                "request",
                request_id=request_id,
                method=scope["method"],
                route=route,
                status=status,
                ms=round(seconds * 1000, 1),
                documents=documents,
            )


def _request_id(given: str) -> str:
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
