"""`POST /v1/classify/flat`: one document in, one flat object out, for systems that map answers into a form.

Such systems fill a template and pick fields by name; lists, nested objects and nulls are beyond most of them. So every
value is a text, a number or a boolean, every name is always there, and what does not apply is "".
"""

from collections.abc import Sequence
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from classifier.model import Model
from classifier.records import MAX_CHARS, MAX_ID_CHARS, Record, Refusal, to_record
from classifier.results import NOTICE, TAGS, Result
from service.classify import is_quarantined, require_json
from service.deps import Bare, loaded_model
from service.jobroutes import ACCEPTED, add_ticket
from service.judging import check_profile
from service.problems import FieldError, invalid
from service.schemas import field_errors, problems, read_json, schema
from service.together import Ask, Wanted

router = APIRouter(route_class=Bare)

_Text = Annotated[str, Field(max_length=MAX_CHARS)]


class FlatDocument(BaseModel):
    """A title and an abstract, also called description; at least one of them is needed."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Annotated[str, Field(max_length=MAX_ID_CHARS)] | None = Field(default=None, description="Comes back.")
    title: _Text | None = None
    abstract: _Text | None = None
    description: _Text | None = Field(default=None, description="The abstract, by the name that grant systems use.")
    profile: str = Field(default="balanced", description="Which of the model's sets of thresholds decides.")


_EXAMPLE = {
    "id": "award-17",
    "title": "Formation keeping for small quadrotors",
    "description": "We design a controller that lets twelve quadrotors hold formation outdoors.",
}
_TEXT = {"type": "string"}
_PER_TAG: dict[str, dict[str, Any]] = {
    "probability": {"type": "number", "minimum": 0, "maximum": 1},
    "decision": _TEXT | {"description": "As in /v1/classify: flag, review, clear or abstain."},
    "role": _TEXT | {"description": "enables, counters or studies; empty where the tag does not apply."},
}
_PROPERTIES: dict[str, Any] = {
    "id": _TEXT,
    "flagged": {"type": "boolean", "description": "Whether any tag is flagged."},
    "tags": _TEXT | {"description": "The flagged ones, joined by commas; empty for none."},
    **{f"{tag}_{part}": about for tag in TAGS for part, about in _PER_TAG.items()},
    "notes": _TEXT | {"description": "What to know of the text, joined by semicolons."},
    "model": _TEXT,
    "notice": {"const": NOTICE},
}

SCHEMAS: dict[str, Any] = {
    "FlatDocument": FlatDocument.model_json_schema(),
    "FlatResult": {
        "type": "object",
        "description": "The judgement on one document, without lists, objects or nulls.",
        "properties": _PROPERTIES,
        "required": list(_PROPERTIES),
        "additionalProperties": False,
    },
}
"""Components of the OpenAPI document."""


@router.post(
    "/v1/classify/flat",
    summary="Judge one document, answered as one flat object",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/FlatDocument"},
                    "examples": {"a project": {"value": _EXAMPLE}},
                }
            },
        }
    },
    responses={
        200: {"description": "The judgement", **schema("FlatResult")},
        202: {**ACCEPTED[202], "description": "In quarantine: a ticket, the job that whoever may read finds"},
        **problems(400, 401, 403, 408, 413, 415, 422, 429, 500, 503),
    },
)
async def classify_flat(request: Request) -> Response:
    """Give the probabilities and decisions that /v1/classify gives, for form-filling systems."""
    await loaded_model(request)
    require_json(request.headers)
    state = request.app.state
    state.slots.check()
    body = await request.body()
    if is_quarantined(request):
        record, profile = await state.slots.run(lambda: _read_known(body, state.model))
        return await add_ticket(request, [record], profile)
    return Response(await state.together.answer(Ask(request, body, _want)), media_type="application/json")


def flat_row(result: Result) -> dict[str, Any]:
    """Return a result as one flat object."""
    row = result.as_row()
    return {
        "id": result.id,
        "flagged": bool(result.tags),
        "tags": ",".join(result.tags),
        **{f"{tag}_{part}": row.get(f"{tag}_{part}") or "" for tag in TAGS for part in ("decision", "role")},
        **{f"{tag}_probability": row[f"{tag}_probability"] for tag in TAGS},
        "notes": "; ".join(result.notes),
        "model": result.model,
        "notice": NOTICE,
    }


def _write(results: Sequence[Result]) -> bytes:
    row = flat_row(results[0])
    return orjson.dumps({name: row[name] for name in _PROPERTIES})


def _want(body: bytes) -> Wanted:
    record, profile = _read(body)
    return Wanted([record], profile, _write)


def _read_known(body: bytes, model: Model) -> tuple[Record, str]:
    record, profile = _read(body)
    check_profile(model, profile)
    return record, profile


def _read(body: bytes) -> tuple[Record, str]:
    content = read_json(body)
    try:
        document = FlatDocument.model_validate(content)
    except ValidationError as error:
        raise invalid(field_errors(error, FlatDocument.model_fields)) from None
    if document.abstract and document.description:
        raise invalid([FieldError("/description", "Is given beside abstract. Give one of the two.")])
    name = "description" if document.description else "abstract"
    text = document.description or document.abstract
    record = to_record({"id": document.id, "title": document.title, "abstract": text}, 1)
    if isinstance(record, Refusal):
        pointer = f"/{name if record.field == 'abstract' else record.field}" if record.field else ""
        raise invalid([FieldError(pointer, f"{record.reason} {record.mend}")])
    return record, document.profile
