"""The one shape of every error: RFC 9457 problem+json.

A problem says what to mend and where (`errors`, by JSON pointer into the request), and never repeats a value
or a name that was sent: answers end up in other people's logs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
"""Titles by status; `http.HTTPStatus` changes some of its phrases from one Python to the next."""

MAX_ERRORS = 100


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong at one place of the request body, and how to mend it."""

    pointer: str  # JSON pointer (RFC 6901); "" is the whole body
    message: str


class Problem(Exception):  # noqa: N818 - the RFC's word
    """A request that cannot be answered; raise it anywhere below `RequestLog`, which sends it."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors, self.headers = status, detail, errors, headers

    def response(self, request_id: str) -> Response:
        """Return the answer that tells a client of this problem; lists the first MAX_ERRORS errors."""
        body = {
            "type": "about:blank",
            "title": TITLES.get(self.status, "Error"),
            "status": self.status,
            "detail": self.detail,
            "instance": request_id,
            "errors": self.errors[:MAX_ERRORS],
        }
        return Response(orjson.dumps(body), self.status, self.headers, MEDIA_TYPE)


def invalid(errors: Sequence[FieldError]) -> Problem:
    """Return the problem of a body that is JSON but not what it should be."""
    count = "One error" if len(errors) == 1 else f"{len(errors):,} errors"
    shown = f"; the first {MAX_ERRORS} are listed" if len(errors) > MAX_ERRORS else ""
    return Problem(422, f"{count} in the request body{shown}. Nothing was classified.", errors=errors)


def wrong_query(errors: Sequence[FieldError]) -> Problem:
    """Return the problem of a query or header that is not as described."""
    return Problem(422, "The request is not as /openapi.json says. Nothing was done.", errors=errors)


def not_there() -> Problem:
    """Return the problem of an address at which there is nothing, or nothing that this caller may know of."""
    return Problem(404, "There is nothing at this address; /openapi.json lists what there is.")


async def from_validation(request: Request, error: Exception) -> Response:
    """Answer what FastAPI finds wrong with a query, a header or a path, without the value that was sent."""
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(one["loc"][0] == "path" for one in found):
        return not_there().response(request.state.request_id)
    errors = [FieldError("", f"{one['loc'][0]} {one['loc'][1]}: {_explain(one)}") for one in found]
    return wrong_query(errors).response(request.state.request_id)


def _explain(error: Mapping[str, Any]) -> str:
    context = error.get("ctx", {})
    if "expected" in context:
        return f"is none of these: {context['expected']}."
    if "pattern" in context:
        return f"does not match {context['pattern']}."
    return "is missing." if error["type"] == "missing" else "is not as /openapi.json says."


async def from_http_exception(request: Request, error: Exception) -> Response:
    """Answer what the router raises (404, 405) in our shape."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return not_there().response(request.state.request_id)
    if error.status_code == 405:
        detail = f"This address takes {(error.headers or {}).get('Allow', 'another method')}."
    else:
        detail = TITLES.get(error.status_code, "Error")
    return Problem(error.status_code, detail, headers=error.headers).response(request.state.request_id)
