"""`POST /v1/classify`: documents in, judgements out; in quarantine a ticket, for who may not read."""

import re

import orjson
from fastapi import APIRouter, Request, Response
from starlette.datastructures import Headers

from classifier import NOTICE, Model
from classifier.records import Record
from service.deps import LoadedModel
from service.jobroutes import ACCEPTED, add_ticket
from service.judging import check_profile, judge
from service.keys import Role
from service.problems import Problem
from service.schemas import REQUEST_BODY, ClassifyRequest, problems, read_request, schema
from service.uploads import refuse_encoding

_JSON_UTF8 = re.compile(r'application/json\s*(;\s*charset="?utf-?8"?\s*)?', re.IGNORECASE)

router = APIRouter()


@router.post(
    "/v1/classify",
    summary="Judge one or many documents",
    openapi_extra={"requestBody": REQUEST_BODY},
    responses={
        200: {"description": "A result for every document", **schema("ClassifyResponse")},
        202: {**ACCEPTED[202], "description": "In quarantine: a ticket, the job that whoever may read finds"},
        **problems(400, 401, 403, 408, 413, 415, 422, 429, 500, 503),
    },
)
async def classify(request: Request, model: LoadedModel) -> Response:
    """Give every document five probabilities and decisions, as the command line does.

    Either all documents are judged or, where one cannot be, none is.
    """
    require_json(request.headers)
    state = request.app.state
    state.slots.check()
    body = await request.body()
    limit = state.settings.max_documents
    if is_quarantined(request):
        records, asked = await state.slots.run(lambda: _read(body, model, limit))
        return await add_ticket(request, records, asked.profile)
    answer = await state.slots.run(lambda: _judge(request, body, model, limit))
    return Response(answer, media_type="application/json")


def is_quarantined(request: Request) -> bool:
    """Tell whether the caller must not see a score."""
    return request.app.state.settings.quarantine and request.state.caller.role is Role.SUBMIT


def require_json(headers: Headers) -> None:
    """Raise Problem 415 where a body is not plain JSON in UTF-8."""
    if not _JSON_UTF8.fullmatch(headers.get("content-type", "")):
        detail = "Send JSON in UTF-8, with Content-Type: application/json."
        raise Problem(415, detail, headers={"Accept": "application/json"})
    refuse_encoding(headers, "Send it uncompressed.")


def _read(body: bytes, model: Model, max_documents: int) -> tuple[list[Record], ClassifyRequest]:
    records, asked = read_request(body, max_documents)
    check_profile(model, asked.profile)
    return records, asked


def _judge(request: Request, body: bytes, model: Model, max_documents: int) -> bytes:
    records, asked = _read(body, model, max_documents)
    results = [result.as_row() for result in judge(request, model, records, asked.profile)]
    if asked.evidence:
        from classifier.explain import explain  # spaCy takes its time, and most callers never ask

        for record, row in zip(records, results, strict=True):
            row["evidence"] = explain(model, record, profile=asked.profile).as_dict()["tags"]
    return orjson.dumps({"model": model.id, "notice": NOTICE, "results": results})
