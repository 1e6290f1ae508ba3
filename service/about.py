"""What the service says of itself: health, figures, the model with its limits, the taxonomy."""

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from pydantic import BaseModel, Field

from classifier import NOTICE, TAGS
from classifier.records import MAX_CHARS
from classifier.taxonomy import load_taxonomy
from service import card, metrics
from service.deps import LoadedModel
from service.jobs import State
from service.problems import Problem
from service.schemas import problems

router = APIRouter()


class Limits(BaseModel):
    """What a request may be at most."""

    body_bytes: int
    documents: int
    characters: int = Field(description="Of a title or an abstract.")
    upload_bytes: int
    unpacked_bytes: int
    jobs: int = Field(description="That may wait or be under way.")
    result_days: int = Field(description="After which a finished job is deleted.")


class CurrentModel(BaseModel):
    """The model that judges, and the service's limits."""

    id: str
    digest: str = Field(description="Of all its files; the same digest gives the same scores.")
    tags: list[str]
    thresholds: dict[str, dict[str, float]] = Field(description="By profile and tag, the probability that flags.")
    review_thresholds: dict[str, float] = Field(description="By tag, the probability from which a person should look.")
    card: str | None = Field(description="Where its model card is, a page to read.")
    quarantine: bool = Field(description="Whether submit keys get tickets instead of scores.")
    limits: Limits
    notice: str


@router.get("/health/live", summary="Is the process up?", responses=problems(500))
async def live() -> dict[str, str]:
    """Answer, whatever else goes on."""
    return {"status": "live"}


@router.get("/health/ready", summary="Can it classify?", responses=problems(500, 503))
async def ready(request: Request, model: LoadedModel) -> dict[str, str]:
    """Answer with the model's id once it is loaded, until the service begins to stop."""
    if request.app.state.draining:
        raise Problem(503, "The service is stopping. Send requests elsewhere.", headers={"Retry-After": "5"})
    return {"status": "ready", "model": model.id}


@router.get("/v1/models/current", summary="What judges, and the limits", responses=problems(401, 403, 500, 503))
async def current(request: Request, model: LoadedModel) -> CurrentModel:
    """Give the model's id, digest and thresholds, and what a request may be at most."""
    settings = request.app.state.settings
    return CurrentModel(
        id=model.id,
        digest=model.digest,
        tags=list(TAGS),
        thresholds={profile: dict(thresholds) for profile, thresholds in model.thresholds.items()},
        review_thresholds=dict(model.review_thresholds),
        card=card.address(model.folder),
        quarantine=settings.quarantine,
        limits=Limits(
            body_bytes=settings.max_body_bytes,
            documents=settings.max_documents,
            characters=MAX_CHARS,
            upload_bytes=settings.max_upload_bytes,
            unpacked_bytes=settings.max_unpacked_bytes,
            jobs=settings.max_jobs,
            result_days=settings.result_days,
        ),
        notice=NOTICE,
    )


@router.get("/v1/taxonomy", summary="What the tags mean", responses=problems(401, 403, 500, 503))
def taxonomy() -> dict[str, Any]:
    """Give every tag's meaning and the control-list entries it touches, as `dualuse taxonomy --json` does."""
    return load_taxonomy().as_dict()


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    responses={
        200: {"description": "Prometheus' text format", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **problems(401, 403, 500, 503),
    },
    response_class=Response,
)
def figures(request: Request) -> Response:
    """Give counts and times of requests and jobs; no text, no id, no score."""
    return Response(request.app.state.metrics.render(), headers={"Content-Type": metrics.MEDIA_TYPE})


def look_up(app: FastAPI) -> Iterable[metrics.Figure]:
    """Return the figures of this moment."""
    state = app.state
    if state.model is not None:
        yield "dualuse_model", "The model that judges.", "id", {state.model.id: 1}
    yield (
        "dualuse_ready",
        "Whether requests should come here.",
        "",
        {"": state.model is not None and not state.draining},
    )
    if state.jobs is not None:
        count = state.jobs.count()
        yield "dualuse_jobs", "Jobs by state.", "state", {name.value: count[name] for name in State}
        yield "dualuse_job_rows_total", "Rows done by jobs.", "", {"": state.worker.rows}
        yield "dualuse_free_places", "How many more requests would be taken on.", "", {"": state.slots.free}
