"""The service's addresses. `service.app:app` takes its settings from the environment.

Scoring, and reading and writing its JSON, happen in threads behind `Slots`, so that health answers at once
under load. FastAPI's docs pages and its telemetry are off: the first run other people's scripts in a page
into which texts are pasted, the second would send queries and error messages where the environment says.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from fastapi import APIRouter, FastAPI, Request, Response
from starlette.exceptions import HTTPException

from classifier import NOTICE, Model, load
from classifier.records import MAX_CHARS
from service import flat, page
from service.intake import LoadedModel, problems, require_json, schema
from service.judging import judge
from service.limits import BodyLimit, Slots
from service.problems import from_http_exception
from service.records import FILE_NAME, Recorder
from service.requestlog import RequestLog
from service.schemas import REQUEST_BODY, SCHEMAS, read_request
from service.settings import Settings

router = APIRouter()


class Service(FastAPI):
    """FastAPI with our schemas in its OpenAPI document."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, `SCHEMAS` among its components."""
        document = super().openapi()
        document.setdefault("components", {}).setdefault("schemas", {}).update(SCHEMAS | flat.SCHEMAS)
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
        if settings.records:
            settings.data_dir.mkdir(parents=True, exist_ok=True)
            app.state.recorder = Recorder(settings.data_dir / FILE_NAME)
        yield
        app.state.model = None
        if app.state.recorder is not None:
            app.state.recorder.close()

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
    app.state.recorder = None
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    page.add_to(app)
    app.add_middleware(RequestLog)  # added last, so outermost
    app.add_exception_handler(HTTPException, from_http_exception)
    app.include_router(router)
    app.include_router(flat.router)
    return app


@router.post(
    "/v1/classify",
    summary="Judge one or many documents",
    openapi_extra={"requestBody": REQUEST_BODY},
    responses={
        200: {"description": "A result for every document", **schema("ClassifyResponse")},
        **problems(400, 413, 415, 422, 429, 500, 503),
    },
)
async def classify(request: Request, model: LoadedModel) -> Response:
    """Give every document five probabilities and decisions, as the command line does.

    Either all documents are judged or, where one cannot be, none is.
    """
    require_json(request.headers)
    body = await request.body()
    state = request.app.state
    answer = await state.slots.run(lambda: _judge(request, body, model, state.settings.max_documents))
    return Response(answer, media_type="application/json")


@router.get("/health/live", summary="Is the process up?", responses=problems(500))
async def live() -> dict[str, str]:
    """Answer, whatever else goes on."""
    return {"status": "live"}


@router.get("/health/ready", summary="Can it classify?", responses=problems(500, 503))
async def ready(model: LoadedModel) -> dict[str, str]:
    """Answer with the model's id once it is loaded."""
    return {"status": "ready", "model": model.id}


def _judge(request: Request, body: bytes, model: Model, max_documents: int) -> bytes:
    records, asked = read_request(body, max_documents)
    results = [result.as_row() for result in judge(request, model, records, asked.profile)]
    if asked.evidence:
        from classifier.explain import explain  # spaCy takes its time, and most callers never ask

        for record, row in zip(records, results, strict=True):
            row["evidence"] = explain(model, record, profile=asked.profile).as_dict()["tags"]
    return orjson.dumps({"model": model.id, "notice": NOTICE, "results": results})


app = create_app()
