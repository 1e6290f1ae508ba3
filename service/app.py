"""The service, put together. `service.app:app` takes its settings from the environment.

Scoring, and reading and writing its JSON, happen in threads behind `Slots`, so that health answers at once
under load. FastAPI's docs pages and its telemetry are off: the first run other people's scripts in a page
into which texts are pasted, the second would send queries and error messages where the environment says.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import Any

from anyio import to_thread
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from classifier import NOTICE, Model, load
from classifier.records import MAX_CHARS
from service import about, classify, flat, jobroutes, page
from service.access import HEADER, Access, check_quarantine
from service.database import hold_database, keep_id, open_database
from service.datafolder import DataFolder
from service.jobs import Jobs
from service.keys import REFRESH_SECONDS, KeyRing
from service.limits import BodyLimit, Places, Slots
from service.metrics import Metrics
from service.problems import from_http_exception, from_validation
from service.records import FILE_NAME, Recorder
from service.requestlog import RequestLog
from service.schemas import SCHEMAS
from service.settings import Settings
from service.together import Together
from service.worker import Worker

_AUTOMATIC = "HTTPValidationError"  # the shape of errors that FastAPI would have
ROUTERS = (jobroutes.router, about.router)


class Service(FastAPI):
    """FastAPI with our schemas in its OpenAPI document, and the key that every path but health may ask for."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, `SCHEMAS` among its components."""
        if self.openapi_schema is None:
            document = super().openapi()
            components = document.setdefault("components", {})
            components.setdefault("schemas", {}).update(SCHEMAS | flat.SCHEMAS)
            for name in (_AUTOMATIC, "ValidationError"):
                components["schemas"].pop(name, None)
            components["securitySchemes"] = {"key": {"type": "apiKey", "in": "header", "name": HEADER}}
            for path, operations in document["paths"].items():
                for operation in operations.values():
                    if _AUTOMATIC in str(operation["responses"].get("422")):
                        del operation["responses"]["422"]  # of an id in the path, which is answered 404
                    # Also without: while no key is defined, this machine needs none.
                    operation["security"] = [] if path.startswith("/health/") else [{"key": []}, {}]
        assert self.openapi_schema is not None
        return self.openapi_schema


def create_app(settings: Settings | None = None, model: Model | None = None) -> FastAPI:
    """Build the service.

    Settings come from the environment unless given; a model that is not given is loaded at the start. At the start the
    data folder and the database are taken, and the jobs that the last process left go on.

    Raises pydantic's ValidationError where an environment variable holds what the setting cannot be. At the start
    DualuseError is raised where the data folder, the database or the model cannot be used.
    """
    settings = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        logging.getLogger("uvicorn.access").disabled = True  # it logs queries, and a query may hold a text
        state = app.state
        with ExitStack() as stack:
            state.folder = DataFolder(settings.data_dir)
            stack.callback(state.folder.close)
            engine = open_database(settings)
            stack.callback(engine.dispose)
            if held := hold_database(engine):
                stack.callback(held.close)
            keep_id(engine, state.folder.path)
            ring = KeyRing(engine)
            check_quarantine(settings, ring.is_open)
            state.slots = Slots(settings.max_concurrent, settings.max_waiting)
            state.places = Places(settings.max_jobs)
            state.model = model or load(settings.model)
            # Now, as else some request would wait for it; the first time on a machine it takes seconds.
            await to_thread.run_sync(state.model.prepare)
            state.together = Together(state.slots, state.model)
            state.jobs = Jobs(engine)
            if settings.records:
                state.recorder = Recorder(state.folder.path / FILE_NAME)
                stack.callback(state.recorder.close)
            state.worker = Worker(state.jobs, state.folder, state.model, settings, state.recorder)
            state.worker.start()
            state.ring = ring
            refreshing = asyncio.create_task(_refresh(ring))
            try:
                yield
            finally:
                refreshing.cancel()
                with suppress(asyncio.CancelledError):
                    await refreshing
                await to_thread.run_sync(state.worker.stop)
                state.model = state.ring = state.jobs = state.recorder = None

    app = Service(
        title="dualuse",
        version="1.0.0",  # of this interface, not of the package or the model
        description=(
            f"Finds dual-use research in titles and abstracts. {NOTICE}\n\n"
            f"Limits: {settings.max_body_bytes:,} bytes and {settings.max_documents:,} documents a request, "
            f"{MAX_CHARS:,} characters a title or abstract; {settings.max_upload_bytes:,} bytes an upload to a job. "
            "Texts are never logged. Stored is what becomes a job: the upload until the job is finished; the result, "
            "which with keep=all (the default) holds all columns of the upload, titles and abstracts among them, until "
            f"it is deleted, or {settings.result_days} days."
        ),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    state = app.state
    state.settings = settings
    state.draining = False
    state.model = state.ring = state.jobs = state.recorder = None
    state.metrics = Metrics(lambda: about.look_up(app))
    app.add_middleware(
        BodyLimit,
        max_bytes=settings.max_body_bytes,
        max_upload_bytes=settings.max_upload_bytes,
        seconds=settings.read_timeout,
    )
    app.add_middleware(Access, hosts=settings.hosts)
    page.add_to(app)
    app.add_middleware(RequestLog, count=state.metrics.count)  # added last, so outermost
    app.add_exception_handler(HTTPException, from_http_exception)
    app.add_exception_handler(RequestValidationError, from_validation)
    for router in ROUTERS:
        app.include_router(router)
    # In front and not behind an included router, as what is asked most should be found first.
    app.router.routes[:0] = [*classify.router.routes, *flat.router.routes]
    return app


async def _refresh(ring: KeyRing) -> None:
    while True:
        await asyncio.sleep(REFRESH_SECONDS)
        await to_thread.run_sync(ring.refresh)


app = create_app()
