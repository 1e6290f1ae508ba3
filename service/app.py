"""The service's addresses. `service.app:app` takes its settings from the environment.

Scoring, and reading and writing its JSON, happen in threads behind `Slots`, so that health answers at once
under load. FastAPI's docs pages and its telemetry are off: the first run other people's scripts in a page
into which texts are pasted, the second would send queries and error messages where the environment says.
"""

import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from classifier import NOTICE, Model, load
from classifier.records import MAX_CHARS
from service.limits import BodyLimit, Slots
from service.problems import MEDIA_TYPE, TITLES, FieldError, Problem, from_http_exception, invalid
from service.requestlog import RequestLog
from service.schemas import REQUEST_BODY, SCHEMAS, read_request
from service.settings import Settings

_JSON_UTF8 = re.compile(r'application/json\s*(;\s*charset="?utf-?8"?\s*)?', re.IGNORECASE)

router = APIRouter()


def _schema(name: str, media_type: str = "application/json") -> dict[str, Any]:
    return {"content": {media_type: {"schema": {"$ref": f"#/components/schemas/{name}"}}}}


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"description": TITLES[status], **_schema("Problem", MEDIA_TYPE)} for status in statuses}


class Service(FastAPI):
    """FastAPI with our schemas in its OpenAPI document."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, `SCHEMAS` among its components."""
        document = super().openapi()
        document.setdefault("components", {}).setdefault("schemas", {}).update(SCHEMAS)
        return document


def create_app(settings: Settings | None = None, model: Model | None = None) -> FastAPI:
    """Build the service.

    Settings come from the environment unless given; a model that is not given is loaded at the start.

    Raises pydantic's ValidationError where an environment variable holds what the setting cannot be.
    """
    settings = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        logging.getLogger("uvicorn.access").disabled = True  # it logs queries, and a query may hold a text
        app.state.slots = Slots(settings.max_concurrent, settings.max_waiting)
        app.state.model = model or load(settings.model)
        yield
        app.state.model = None

    app = Service(
        title="dualuse",
        version="1.0.0",  # of this interface, not of the package or the model
        description=(
            f"Finds dual-use research in titles and abstracts. {NOTICE}\n\n"
            f"Limits: {settings.max_body_bytes:,} bytes and {settings.max_documents:,} documents a request, "
            f"{MAX_CHARS:,} characters a title or abstract. Texts are neither stored nor logged."
        ),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.settings = settings
    app.state.model = None
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    app.add_middleware(RequestLog)  # added last, so outermost
    app.add_exception_handler(HTTPException, from_http_exception)
    app.include_router(router)
    return app


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


@router.post(
    "/v1/classify",
    summary="Judge one or many documents",
    openapi_extra={"requestBody": REQUEST_BODY},
    responses={
        200: {"description": "A result for every document", **_schema("ClassifyResponse")},
        **_problems(400, 413, 415, 422, 429, 500, 503),
    },
)
async def classify(request: Request, model: LoadedModel) -> Response:
    """Give every document five probabilities and decisions, as the command line does.

    Either all documents are judged or, where one cannot be, none is.
    """
    _require_json(request.headers)
    body = await request.body()
    state = request.app.state
    answer, count = await state.slots.run(lambda: _judge(body, model, state.settings.max_documents))
    request.state.documents = count
    return Response(answer, media_type="application/json")


@router.get("/health/live", summary="Is the process up?", responses=_problems(500))
async def live() -> dict[str, str]:
    """Answer, whatever else goes on."""
    return {"status": "live"}


@router.get("/health/ready", summary="Can it classify?", responses=_problems(500, 503))
async def ready(model: LoadedModel) -> dict[str, str]:
    """Answer with the model's id once it is loaded."""
    return {"status": "ready", "model": model.id}


def _require_json(headers: Headers) -> None:
    if not _JSON_UTF8.fullmatch(headers.get("content-type", "")):
        detail = "Send JSON in UTF-8, with Content-Type: application/json."
        raise Problem(415, detail, headers={"Accept": "application/json"})
    if headers.get("content-encoding", "identity").lower() != "identity":
        detail = "Send the body uncompressed, without Content-Encoding."
        raise Problem(415, detail, headers={"Accept-Encoding": "identity"})


def _judge(body: bytes, model: Model, max_documents: int) -> tuple[bytes, int]:
    records, profile = read_request(body, max_documents)
    if profile not in model.thresholds:
        known = ", ".join(sorted(model.thresholds))
        raise invalid([FieldError("/profile", f"Is not a profile of {model.id}. Known are: {known}.")])
    results = [result.as_row() for result in model.classify(records, profile=profile)]
    return orjson.dumps({"model": model.id, "notice": NOTICE, "results": results}), len(results)


app = create_app()
