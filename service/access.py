"""Who may ask what, settled before anything of a body is read.

While no key was ever defined, only this machine is answered, and only under a loopback name: a page in a browser here
could otherwise reach the service under a name of its own. What a proxy passes on is not answered then: who asked it is
not known for certain. Once there is a key every path but /health asks for one.
"""

import ipaddress
import re
from functools import lru_cache

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from classifier.errors import DualuseError
from service.keys import LOCAL, Caller, KeyRing, Role
from service.problems import Problem
from service.settings import Settings

HEADER = "X-API-Key"
_CHALLENGE = f'ApiKey realm="dualuse", header="{HEADER}"'
_HEALTH = "/health/"
_ALL = frozenset(Role)
_READERS = frozenset({Role.READ, Role.ADMIN})
_SUBMITTERS = frozenset({Role.SUBMIT, Role.ADMIN})
# What tells nothing of a score; of jobs a submitter sees its own, which the addresses themselves look to.
_FOR_ALL = re.compile(r"/openapi\.json|/v1/taxonomy|/v1/models/current|/v1/jobs/[^/]+(/rejects)?")
_FOR_ADMIN = "/v1/jobs"
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
# Of a Unix socket a server tells no address, and Starlette's test client, which is in the same process, this name.
_NO_NETWORK = ("", "testclient")
# Nothing is handed in at the page, so whoever may read may also ask there; it looks to quarantine itself.
_PAGE = re.compile(r"/|/file|/static/[^/]+|/card(/[^/]+)?")


class Access:
    """ASGI middleware; sets `request.state.caller`. The keys are `app.state.ring`, there from the service's start."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self.app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request that may be made.

        Raises Problem 400 (host), 401, 403, or 503 before the start is over.
        """
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            if not scope["path"].startswith(_HEALTH):
                _check_host(headers, self._hosts)
                scope["state"]["caller"] = self._find(scope, headers)
        await self.app(scope, receive, send)

    def _find(self, scope: Scope, headers: Headers) -> Caller:
        ring: KeyRing | None = scope["app"].state.ring
        if ring is None:
            raise Problem(503, "The service is starting. Try again in a second.", headers={"Retry-After": "1"})
        if ring.is_open:
            self._check_local(scope, headers)
            return LOCAL
        given = headers.get(HEADER)
        caller = ring.find(given) if given else None
        if caller is None:
            what = "is not one in force" if given else "is missing"
            detail = f"The key {what}: send one as {HEADER}. Who runs this service has it from `dualuse keys add`."
            raise Problem(401, detail, headers={"WWW-Authenticate": _CHALLENGE})
        allowed = roles_for(scope["method"], scope["path"])
        if caller.role not in allowed:
            needed = " or ".join(role for role in Role if role in allowed)
            raise Problem(403, f"A key with the role {caller.role} may not do this; it takes one with {needed}.")
        return caller

    def _check_local(self, scope: Scope, headers: Headers) -> None:
        if any(name in headers for name in _FORWARDED):  # they may also have changed what the server says of the client
            detail = "No key is defined, so nothing that comes by a proxy is answered. Add one with `dualuse keys add`."
            raise Problem(403, detail)
        client = (scope.get("client") or ("",))[0]
        if client in _NO_NETWORK:
            return
        address = _address(client)
        if address is None or not address.is_loopback:
            raise Problem(403, "No key is defined, so only this machine is answered. Add one with `dualuse keys add`.")
        host = host_name(headers)
        named = _address(host)
        if not self._hosts and host != "localhost" and not (named and named.is_loopback):
            detail = (
                "No key is defined, so only localhost, 127.0.0.1 and [::1] are answered to. Use one of these names."
            )
            raise Problem(403, detail)


def check_quarantine(settings: Settings, is_open: bool) -> None:
    """Raise DualuseError where quarantine is asked for while no key is defined."""
    if settings.quarantine and is_open:
        raise DualuseError(
            "DUALUSE_QUARANTINE is set but no key is defined: everyone on this machine would read scores. Add keys "
            "first: dualuse keys add NAME --role submit|read|admin."
        )


def roles_for(method: str, path: str) -> frozenset[Role]:
    """Return the roles of which one is needed: to read, or to hand in; what is not known counts as reading."""
    if _PAGE.fullmatch(path):
        return _ALL
    if method not in ("GET", "HEAD", "OPTIONS"):
        return _SUBMITTERS
    if path == _FOR_ADMIN:
        return frozenset({Role.ADMIN})
    return _ALL if _FOR_ALL.fullmatch(path) else _READERS


def host_name(headers: Headers) -> str:
    """Return the name that a request was sent to, without a port, in lower case."""
    host = headers.get("host", "").lower()
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _check_host(headers: Headers, hosts: frozenset[str]) -> None:
    if hosts and host_name(headers) not in hosts:
        raise Problem(400, "The Host header names a machine that this service does not answer to.")


@lru_cache(maxsize=1024)  # the same few callers come again and again
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
