"""What `/v1/classify` takes and gives: from a body's bytes to records, and the schemas of both for OpenAPI.

Names are strict, so that a mistyped one is an error and not a text that silently goes unread.
"""

import json
from collections.abc import Iterable
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.json_schema import models_json_schema

from classifier.records import MAX_CHARS, MAX_ID_CHARS, Record, to_record
from classifier.results import DECISIONS, NOTICE, ROLES, TAGS
from service.problems import MEDIA_TYPE, TITLES, FieldError, Problem, invalid

EVIDENCE_DOCUMENTS = 20
"""Documents that one request may ask evidence for: it costs as much as judging hundreds."""

# A length limit also makes pydantic refuse half a surrogate pair, which is no text.
_Id = Annotated[str, Field(max_length=MAX_ID_CHARS)]
_Text = Annotated[str, Field(max_length=MAX_CHARS)]


class Document(BaseModel):
    """One title and abstract (or project description) to judge; at least one of the two is needed."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: _Id | None = Field(default=None, description="Comes back with the result; else row-1, row-2, ...")
    title: _Text | None = None
    abstract: _Text | None = None


class ClassifyRequest(BaseModel):
    """Documents to judge, and which of the model's sets of thresholds decides."""

    model_config = ConfigDict(extra="forbid", strict=True)

    documents: list[Document] = Field(min_length=1)
    profile: str = "balanced"
    evidence: bool = Field(
        default=False,
        description=f"Tell of every tag why it was decided so; for up to {EVIDENCE_DOCUMENTS} documents.",
    )


def schema(name: str, media_type: str = "application/json") -> dict[str, Any]:
    """Return what an answer of one of `SCHEMAS` is in an OpenAPI document."""
    return {"content": {media_type: {"schema": {"$ref": f"#/components/schemas/{name}"}}}}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what answers with these statuses are in an OpenAPI document."""
    return {status: {"description": TITLES[status], **schema("Problem", MEDIA_TYPE)} for status in statuses}


def read_request(body: bytes, max_documents: int) -> tuple[list[Record], ClassifyRequest]:
    """Return a body's documents as records, and the request as a whole.

    Raises Problem: 400 where the body is not JSON, 422 where it is not a ClassifyRequest, has more than
    `max_documents`, or has a document without text.
    """
    content = read_json(body)
    documents = content.get("documents") if isinstance(content, dict) else None
    if isinstance(documents, list) and len(documents) > max_documents:
        count = f"{len(documents):,} documents; at most {max_documents:,} are taken."
        raise invalid([FieldError("/documents", f"{count} Send them in several requests.")])
    try:
        request = ClassifyRequest.model_validate(content)
    except ValidationError as error:
        raise invalid(field_errors(error)) from None
    if request.evidence and len(request.documents) > EVIDENCE_DOCUMENTS:
        count = f"Is asked for {len(request.documents):,} documents; at most {EVIDENCE_DOCUMENTS} get it."
        raise invalid([FieldError("/evidence", f"{count} Ask again for those that are flagged.")])
    records: list[Record] = []
    errors: list[FieldError] = []
    for place, document in enumerate(request.documents):
        record = to_record(vars(document), place + 1)
        if isinstance(record, Record):
            records.append(record)
        else:
            pointer = _pointer("documents", place, *([record.field] if record.field else []))
            errors.append(FieldError(pointer, f"{record.reason} {record.mend}"))
    if errors:
        raise invalid(errors)
    return records, request


def as_lines(records: Iterable[Record]) -> bytes:
    """Return records as JSON lines, which the reader of dumps makes the same records of."""
    rows = ({"id": record.id, "title": record.title, "abstract": record.abstract} for record in records)
    return b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)


def read_json(body: bytes) -> Any:
    """Return what a body holds.

    Raises Problem 400 where it is not JSON in UTF-8.
    """
    # The standard library's parser: as fast as orjson on this, and it lets half a surrogate pair through to
    # where we can tell which field holds it.
    try:
        return json.loads(body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        detail = f"The body is not UTF-8, at byte {error.start}. Encode it as UTF-8."
    except json.JSONDecodeError as error:
        where = f"at line {error.lineno}, column {error.colno}"
        detail = f"The body is not JSON, {where}. Write it with a JSON library."
    except RecursionError:
        detail = "The body's JSON is nested too deep. A list of flat objects is all that is taken."
    except ValueError:
        detail = "The body's JSON holds a number that is too long. Send ids as strings."
    raise Problem(400, detail)


def field_errors(error: ValidationError, fields: Iterable[str] | None = None) -> list[FieldError]:
    """Return pydantic's errors in our words; `fields` are the names known in a body that is one flat object."""
    errors = [
        _explain(found["type"], found["loc"], found.get("ctx", {}), fields)
        for found in error.errors(include_url=False, include_input=False)
    ]
    return list(dict.fromkeys(errors))  # two unknown names in one place are one error in our words


def _explain(
    kind: str, place: tuple[int | str, ...], context: dict[str, Any], fields: Iterable[str] | None
) -> FieldError:
    """Say one of pydantic's errors in our words: its own would name an unknown key, which may be a text."""
    if kind == "extra_forbidden":
        place = place[:-1]
        known = fields or (Document.model_fields if place else ClassifyRequest.model_fields)
        return FieldError(_pointer(*place), f"Has a name that is not known. Known are: {', '.join(known)}.")
    messages = {
        "missing": "Is missing. Give a list of documents.",
        "list_type": "Is not a list. Put the document into [ ], also where it is the only one.",
        "too_short": "Is empty. Give at least one document.",
        "model_type": "Is not a JSON object.",
        "string_type": "Is not a string. Give a string, or leave it out.",
        "string_too_long": f"Is longer than {context.get('max_length', 0):,} characters. Shorten it.",
        "string_unicode": "Holds half of a surrogate pair (\\ud800 to \\udfff), which is no text. Remove it.",
    }
    return FieldError(_pointer(*place), messages.get(kind, "Is not as /openapi.json says."))


def _pointer(*place: int | str) -> str:
    return "".join(f"/{part}" for part in place)


_EXAMPLES = {
    "one document": {
        "value": {
            "documents": [
                {
                    "title": "Formation keeping for small quadrotors under lossy radio links",
                    "abstract": "We design a controller that lets twelve quadrotors hold formation outdoors "
                    "while a third of the position messages between them are lost, and test it in flight.",
                }
            ]
        }
    },
    "several documents": {
        "value": {
            "documents": [
                {"id": "award-17", "title": "Irrigation timing for mint growers"},
                {
                    "id": "award-18",
                    "title": "Telling cloned voices from real ones on the telephone",
                    "abstract": "The project builds a detector for cloned voices in recorded calls and "
                    "measures how well it does on speakers it has not heard before.",
                },
            ],
            "profile": "balanced",
        }
    },
}

REQUEST_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {"$ref": "#/components/schemas/ClassifyRequest"},
            "examples": _EXAMPLES,
        }
    },
}


def _object(description: str, properties: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "description": description,
        "properties": properties | (optional or {}),
        "required": list(properties),
        "additionalProperties": False,
    }


_STRING = {"type": "string"}
_, _REQUEST = models_json_schema(
    [(ClassifyRequest, "validation")],
    ref_template="#/components/schemas/{model}",
)
_JUDGEMENTS = {
    f"{tag}_{part}": schema
    for tag in TAGS
    for part, schema in (
        ("probability", {"type": "number", "minimum": 0, "maximum": 1}),
        ("decision", {"enum": list(DECISIONS)}),
        ("role", {"enum": [*ROLES, None], "description": "What the work does in the tag; null where it is clear."}),
    )
}

SCHEMAS: dict[str, Any] = {
    **_REQUEST["$defs"],
    "Result": _object(
        "The judgements on one document, under the names that every output shares.",
        {
            "id": _STRING,
            "tags": {"type": "array", "items": {"enum": list(TAGS)}, "description": "The flagged ones."},
            **_JUDGEMENTS,
            "notes": {"type": "array", "items": _STRING, "description": "What to know of the text."},
            "model": _STRING,
        },
        optional={
            "evidence": {
                "type": "object",
                "description": "Where it was asked for: by tag, the words and sentences that counted, with their "
                "places in the text as it was sent, and what would change the decision (docs/explain.md).",
                "additionalProperties": {"type": "object"},
            }
        },
    ),
    "ClassifyResponse": _object(
        "One result per document, in the order of the request.",
        {
            "model": _STRING,
            "notice": {"const": NOTICE},
            "results": {"type": "array", "items": {"$ref": "#/components/schemas/Result"}},
        },
    ),
    "FieldError": _object(
        "What is wrong at one place of the body, and how to mend it.",
        {
            "pointer": {"type": "string", "description": "JSON pointer (RFC 6901)."},
            "message": _STRING,
        },
    ),
    "Problem": _object(
        "Every error has this shape (RFC 9457). It never repeats what was sent.",
        {
            "type": _STRING,
            "title": _STRING,
            "status": {"type": "integer"},
            "detail": _STRING,
            "instance": {"type": "string", "description": "The request's id, as in X-Request-ID."},
            "errors": {"type": "array", "items": {"$ref": "#/components/schemas/FieldError"}},
        },
    ),
}
"""Components of the OpenAPI document; FastAPI does not see them, as the endpoint reads and writes bytes."""
