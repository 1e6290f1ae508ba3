"""`/v1/jobs`: hand in a file, see how far it is, fetch what came of it.

Who may do what: `service.access` by role; here, that a submitter finds only jobs of its own.
"""

import errno
import hashlib
import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi import Path as PathPart
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from classifier import NOTICE
from classifier.records import BY_ALIAS, Columns, Record
from service.deps import LoadedModel
from service.jobs import UNFINISHED, Job, Order, State
from service.judging import check_profile
from service.keys import Caller, Role
from service.log import write
from service.problems import Problem, not_there
from service.schemas import as_lines, problems
from service.uploads import FILE_FIELD, MEDIA_TYPES, check_unpacked, receive, write_file

OUTPUTS = {
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "tsv": "text/tab-separated-values; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
RETRY_SECONDS = "2"
_LISTED = 1_000
_PRIVATE = {"Cache-Control": "no-store"}

router = APIRouter()

Format = Literal["jsonl", "json", "csv", "tsv", "parquet", "xlsx", "ris", "wos", "medline", "bibtex", "xml"]
Output = Literal["jsonl", "csv", "tsv", "parquet", "xlsx"]
Keep = Literal["all", "id", "none"]


class JobStatus(BaseModel):
    """Where a job stands. It tells nothing of a score."""

    id: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    created: datetime
    started: datetime | None
    finished: datetime | None
    expires: datetime | None = Field(description="When a finished job is deleted, with its result.")
    output: Output
    profile: str
    rows: int | None = Field(description="Rows read so far, refused ones among them.")
    refused: int | None = Field(description="Rows that cannot be judged; see `rejects` for why.")
    progress: float | None = Field(description="Share of the upload that is read, 0 to 1, where it is known.")
    failure: str | None = Field(description="Why the job failed, and what to do about it.")
    model: str | None
    result: str | None = Field(description="Where the result is, once there is one.")
    rejects: str | None = Field(description="Where the refused rows are, if there are any.")
    notice: str


class JobList(BaseModel):
    """The latest jobs, the newest first."""

    jobs: list[JobStatus]


async def _find(request: Request, job_id: Annotated[str, PathPart(pattern="^[0-9a-f]{32}$")]) -> Job:
    """Return a job that the caller may know of."""
    state = request.app.state
    job: Job | None = await to_thread.run_sync(state.jobs.find, job_id)
    caller: Caller = request.state.caller
    if job is None or (caller.role is Role.SUBMIT and job.order.caller != caller.id):
        raise not_there()
    return job


FoundJob = Annotated[Job, Depends(_find)]

ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {
        "description": "The job is queued, or was before under this Idempotency-Key",
        "model": JobStatus,
        "headers": {
            "Location": {"description": "The job.", "schema": {"type": "string"}},
            "Retry-After": {"description": "Seconds to wait before asking.", "schema": {"type": "string"}},
        },
    }
}
_FILE = {"schema": {"type": "string", "format": "binary"}}
_UPLOAD_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {
                    FILE_FIELD: {"type": "string", "format": "binary", "description": "The file, with its name."}
                },
                "required": [FILE_FIELD],
            }
        },
        **dict.fromkeys(MEDIA_TYPES, _FILE),
        "application/octet-stream": _FILE,
    },
}


@router.post(
    "/v1/jobs",
    status_code=202,
    summary="Hand in a file",
    openapi_extra={"requestBody": _UPLOAD_BODY},
    responses={**ACCEPTED, **problems(400, 401, 403, 408, 413, 415, 422, 429, 500, 503)},
)
async def add(
    request: Request,
    model: LoadedModel,
    format: Annotated[Format | None, Query(description="Of the file; default: by its name or type.")] = None,
    output: Annotated[Output, Query(description="Format of the result.")] = "jsonl",
    keep: Annotated[Keep, Query(description="What of the file's columns the result keeps.")] = "all",
    profile: Annotated[str, Query(max_length=100, description="Which of the model's thresholds.")] = "balanced",
    id_column: Annotated[str | None, Query(max_length=200, description="Holds the identifier.")] = None,
    title_column: Annotated[str | None, Query(max_length=200, description="Holds the title.")] = None,
    abstract_column: Annotated[str | None, Query(max_length=200, description="Holds the abstract.")] = None,
    idempotency_key: Annotated[
        str | None,
        Header(description="The same key with the same file and query is the same job.", pattern="^[!-~]{1,255}$"),
    ] = None,
) -> Response:
    """Queue a file of records: JSONL, JSON, CSV, TSV, Parquet, XLSX, RIS and more, plain or .gz or .zst.

    Either the file is the body, its Content-Type or `format` telling what it is, or it is the one file of a
    multipart/form-data body, its name telling. The result is what `dualuse classify` gives.
    """
    check_profile(model, profile, in_query=True)
    async with _new_job(request) as (id, folder):
        upload, path = await receive(request, format, folder)
        limit = request.app.state.settings.max_unpacked_bytes
        await to_thread.run_sync(check_unpacked, path, upload.format, limit)
        key = idempotency_key and hashlib.sha256(idempotency_key.encode()).hexdigest()
        caller: Caller = request.state.caller
        columns = Columns(id_column or None, title_column or None, abstract_column or None)
        order = Order(caller.id, upload.format, output, keep, profile, columns, upload.sha256, key)
        path.rename(request.app.state.folder.upload(id, upload.format))
        job = await _queue(request, id, order)
    return _accepted(request, job)


async def add_ticket(request: Request, records: list[Record], profile: str) -> Response:
    """Answer a classification in quarantine: queue the documents, give a ticket, never a score."""
    async with _new_job(request) as (id, _):
        lines = as_lines(records)
        path = request.app.state.folder.upload(id, "jsonl")
        sha256 = await to_thread.run_sync(write_file, path, lines)
        order = Order(request.state.caller.id, "jsonl", "jsonl", "id", profile, BY_ALIAS, sha256)
        job = await _queue(request, id, order)
    return _accepted(request, job)


@router.get(
    "/v1/jobs",
    summary="List jobs",
    responses=problems(401, 403, 500, 503),
)
def list_(request: Request) -> JobList:
    """Give the latest thousand jobs; for keys with the role admin."""
    return JobList(jobs=[_status(request, job) for job in request.app.state.jobs.latest(_LISTED)])


@router.get(
    "/v1/jobs/{job_id}",
    summary="See how far a job is",
    responses={200: {"model": JobStatus}, **problems(401, 403, 404, 500, 503)},
)
async def status(request: Request, job: FoundJob) -> Response:
    """Tell state and progress; while the job is not finished, Retry-After says when to ask again."""
    headers = {"Retry-After": RETRY_SECONDS} if job.state in UNFINISHED else {}
    return _answer(request, job, 200, headers)


@router.get(
    "/v1/jobs/{job_id}/result",
    summary="Fetch the result",
    responses={
        200: {
            "description": "The result, in the format asked for",
            "content": {media_type.partition(";")[0]: _FILE for media_type in OUTPUTS.values()},
        },
        **problems(401, 403, 404, 409, 500, 503),
    },
    response_class=FileResponse,
)
async def result(request: Request, job: FoundJob) -> Response:
    """Give the rows with their judgements, as a file."""
    if job.state is not State.DONE:
        raise _not_done(job)
    output = job.order.output
    return _file(request.app.state.folder.result(job.id, output), OUTPUTS[output], f"dualuse-{job.id}.{output}")


@router.get(
    "/v1/jobs/{job_id}/rejects",
    summary="Fetch the refused rows",
    responses={
        200: {
            "description": "A JSON object a line: row, id, field, reason, mend",
            "content": {OUTPUTS["jsonl"]: _FILE},
        },
        **problems(401, 403, 404, 409, 500, 503),
    },
    response_class=FileResponse,
)
async def rejects(request: Request, job: FoundJob) -> Response:
    """Give the rows that could not be judged, each with the reason and the mend; nothing where there are none."""
    if job.state is not State.DONE:
        raise _not_done(job)
    path = request.app.state.folder.rejects(job.id)
    if not job.refused:
        return Response(b"", media_type=OUTPUTS["jsonl"], headers=_PRIVATE)
    return _file(path, OUTPUTS["jsonl"], f"dualuse-{job.id}.rejects.jsonl")


@router.post(
    "/v1/jobs/{job_id}/cancel",
    summary="Cancel a job",
    responses={200: {"model": JobStatus}, **problems(401, 403, 404, 409, 500, 503)},
)
async def cancel(request: Request, job: FoundJob) -> Response:
    """Stop a job that waits or runs; its upload is deleted."""
    state = request.app.state
    if not await to_thread.run_sync(state.worker.cancel, job.id):
        raise Problem(409, "The job is finished, so it cannot be cancelled. DELETE it to remove its result.")
    job = await _find(request, job.id)
    return _answer(request, job, 200, {})


@router.delete(
    "/v1/jobs/{job_id}",
    status_code=204,
    summary="Delete a finished job",
    responses=problems(401, 403, 404, 409, 500, 503),
)
async def delete(request: Request, job: FoundJob) -> Response:
    """Delete a finished job and its result before they expire."""
    if not await to_thread.run_sync(request.app.state.worker.remove, job.id):
        raise Problem(409, "The job is not finished. Cancel it first, at its address and /cancel.")
    return Response(status_code=204)


@asynccontextmanager
async def _new_job(request: Request) -> AsyncIterator[tuple[str, Path]]:
    """Give a new job's id and folder, which is removed where no job comes of it.

    Raises Problem 429, before anything of the body is read, where too many wait, 503 where the disk is full.
    """
    state = request.app.state
    waiting = await to_thread.run_sync(state.jobs.ids, UNFINISHED)
    with state.places.take(len(waiting)):
        id = uuid.uuid4().hex
        folder = state.folder.make_job(id)
        try:
            yield id, folder
        except BaseException as error:
            state.folder.remove(id)
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                write(logging.ERROR, "no room for an upload", request_id=request.state.request_id)
                raise Problem(
                    503, "There is no room for the file at present.", headers={"Retry-After": "300"}
                ) from None
            raise


async def _queue(request: Request, id: str, order: Order) -> Job:
    """Queue a job whose upload is in place, unless the same was queued before.

    Raises Problem 422 where the Idempotency-Key was used for another order.
    """
    state = request.app.state
    job: Job = await to_thread.run_sync(state.jobs.add, id, order)
    if job.id != id:
        state.folder.remove(id)
        if job.order != order:
            raise Problem(422, "This Idempotency-Key was used for another file or query. Use a new one.")
    state.worker.wake()
    return job


def _accepted(request: Request, job: Job) -> Response:
    return _answer(request, job, 202, {"Location": f"/v1/jobs/{job.id}", "Retry-After": RETRY_SECONDS})


def _answer(request: Request, job: Job, status: int, headers: dict[str, str]) -> Response:
    content = _status(request, job).model_dump_json()
    return Response(content, status, {**_PRIVATE, **headers}, "application/json")


def _status(request: Request, job: Job) -> JobStatus:
    state = request.app.state
    progress = state.worker.progress
    running = progress if progress and progress.id == job.id and job.state is State.RUNNING else None
    kept = state.settings.result_days * 86_400
    is_done = job.state is State.DONE
    return JobStatus(
        id=job.id,
        state=job.state.value,
        created=_moment(job.created),
        started=_moment(job.started) if job.started else None,
        finished=_moment(job.finished) if job.finished else None,
        expires=_moment(job.finished + kept) if job.finished else None,
        output=cast(Output, job.order.output),
        profile=job.order.profile,
        rows=running.rows if running else job.rows,
        refused=running.refused if running else job.refused,
        progress=1.0 if is_done else running.share if running else None,
        failure=job.failure,
        model=job.model,
        result=f"/v1/jobs/{job.id}/result" if is_done else None,
        rejects=f"/v1/jobs/{job.id}/rejects" if is_done and job.refused else None,
        notice=NOTICE,
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _not_done(job: Job) -> Problem:
    if job.state in UNFINISHED:
        return Problem(409, f"The job is {job.state}. Ask again later.", headers={"Retry-After": RETRY_SECONDS})
    return Problem(409, f"The job is {job.state}, so there is no result.")


def _file(path: Path, media_type: str, name: str) -> Response:
    return FileResponse(path, media_type=media_type, filename=name, headers=_PRIVATE)
