"""`POST /v1/classify`: documents in, judgements out; in quarantine a ticket, for who may not read."""

import re
from collections.abc import Sequence
from functools import partial

import orjson
from fastapi import APIRouter, Request, Response
from starlette.datastructures import Headers

from classifier import NOTICE, Model
from classifier.records import Record
from classifier.results import Result
from service.deps import Bare, loaded_model
from service.jobroutes import ACCEPTED, add_ticket
from service.judging import check_profile
from service.keys import Role
from service.problems import Problem
from service.schemas import REQUEST_BODY, ClassifyRequest, problems, read_request, schema
from service.together import Ask, Wanted
from service.uploads import refuse_encoding

_JSON_UTF8 = re.compile(r'application/json\s*(;\s*charset="?utf-?8"?\s*)?', re.IGNORECASE)
_EVIDENCE = b"evidence"  # in a body, it is probably asked for

router = APIRouter(route_class=Bare)


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
async def classify(request: Request) -> Response:
    """Give every document five probabilities and decisions, as the command line does.

    Either all documents are judged or, where one cannot be, none is.
    """
    model = await loaded_model(request)
    require_json(request.headers)
    state = request.app.state
    state.slots.check()
    body = await request.body()
    limit = state.settings.max_documents
    if is_quarantined(request):
        records, asked = await state.slots.run(lambda: _read(body, model, limit))
        return await add_ticket(request, records, asked.profile)
    ask = Ask(request, body, partial(_want, model=model, limit=limit), alone=_EVIDENCE in body)
    return Response(await state.together.answer(ask), media_type="application/json")


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


def _want(body: bytes, model: Model, limit: int) -> Wanted:
    records, asked = read_request(body, limit)

    def write(results: Sequence[Result]) -> bytes:
        rows = [result.as_row() for result in results]
        if asked.evidence:
            from classifier.explain import explain  # spaCy takes its time, and most callers never ask

            for record, row in zip(records, rows, strict=True):
                row["evidence"] = explain(model, record, profile=asked.profile).as_dict()["tags"]
        return orjson.dumps({"model": model.id, "notice": NOTICE, "results": rows})

    return Wanted(records, asked.profile, write)
