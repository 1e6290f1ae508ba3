"""What the endpoints that take JSON have in common: checks before a body is read, and words for OpenAPI."""

import re
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.datastructures import Headers

from classifier import Model
from service.problems import MEDIA_TYPE, TITLES, Problem

_JSON_UTF8 = re.compile(r'application/json\s*(;\s*charset="?utf-?8"?\s*)?', re.IGNORECASE)


async def loaded_model(request: Request) -> Model:
    """Return the model.

    Raises Problem 503 while there is none.
    """
    model: Model | None = request.app.state.model
    if model is None:
        detail = "The model is not loaded. Try again in a second."
        raise Problem(503, detail, headers={"Retry-After": "1"})
    return model


LoadedModel = Annotated[Model, Depends(loaded_model)]


def require_json(headers: Headers) -> None:
    """Raise Problem 415 where a body is not announced as plain JSON in UTF-8."""
    if not _JSON_UTF8.fullmatch(headers.get("content-type", "")):
        detail = "Send JSON in UTF-8, with Content-Type: application/json."
        raise Problem(415, detail, headers={"Accept": "application/json"})
    if headers.get("content-encoding", "identity").lower() != "identity":
        detail = "Send the body uncompressed, without Content-Encoding."
        raise Problem(415, detail, headers={"Accept-Encoding": "identity"})


def schema(name: str, media_type: str = "application/json") -> dict[str, Any]:
    """Return the content of an answer by the name of its schema, for OpenAPI."""
    return {"content": {media_type: {"schema": {"$ref": f"#/components/schemas/{name}"}}}}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the answers that are problems, for OpenAPI."""
    return {status: {"description": TITLES[status], **schema("Problem", MEDIA_TYPE)} for status in statuses}
