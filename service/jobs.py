"""Jobs as the database knows them. Each change of state is one statement that says from which states it may come.

queued -> running -> done | failed, and queued | running -> cancelled. A job that was running when the process ended is
queued again at the next start; the batch engine takes up what is done of it. After MAX_TRIES tries in which it got no
further it is failed: it may be what ends the process.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Engine, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from classifier.records import Columns
from service.database import JobRow, writing

MAX_TRIES = 5


class State(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


UNFINISHED = (State.QUEUED, State.RUNNING)
FINISHED = (State.DONE, State.FAILED, State.CANCELLED)


@dataclass(frozen=True, slots=True)
class Order:
    """What a caller asks for; the same order under the same Idempotency-Key is the same job."""

    caller: str
    format: str | None  # of the upload; None: by its content
    output: str
    keep: str
    profile: str
    columns: Columns
    body_sha256: str
    idempotency: str | None = None  # SHA-256 of the header


@dataclass(frozen=True, slots=True)
class Job:
    """A job; times are seconds since 1970."""

    id: str
    order: Order
    state: State
    created: float
    started: float | None
    finished: float | None
    rows: int | None
    refused: int | None
    failure: str | None
    model: str | None


class Jobs:
    """The table of jobs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, id: str, order: Order) -> Job:
        """Queue a job, or return the one that its caller queued before under the same Idempotency-Key.

        That may be one of another order: it is for the caller of this to compare.
        """
        row = JobRow(
            id=id,
            caller=order.caller,
            state=State.QUEUED.value,
            format=order.format,
            output=order.output,
            keep=order.keep,
            profile=order.profile,
            id_column=order.columns.id,
            title_column=order.columns.title,
            abstract_column=order.columns.abstract,
            body_sha256=order.body_sha256,
            idempotency=order.idempotency,
            created=time.time(),
        )
        try:
            with writing(self._engine) as session:
                session.add(row)
                session.flush()
                return _as_job(row)
        except IntegrityError:
            same = (JobRow.caller == order.caller) & (JobRow.idempotency == order.idempotency)
            with Session(self._engine) as session:
                earlier = session.scalar(select(JobRow).where(same))
                if earlier is None:
                    raise
                return _as_job(earlier)

    def find(self, id: str) -> Job | None:
        """Return a job, or None."""
        with Session(self._engine) as session:
            row = session.get(JobRow, id)
            return None if row is None else _as_job(row)

    def latest(self, limit: int) -> list[Job]:
        """Return the latest jobs."""
        with Session(self._engine) as session:
            rows = session.scalars(select(JobRow).order_by(JobRow.created.desc(), JobRow.id).limit(limit))
            return [_as_job(row) for row in rows]

    def ids(self, states: Sequence[State] = tuple(State)) -> list[str]:
        """Return the ids of the jobs in these states."""
        with Session(self._engine) as session:
            return list(session.scalars(select(JobRow.id).where(JobRow.state.in_(states))))

    def count(self) -> Counter[str]:
        """Count jobs by state."""
        with Session(self._engine) as session:
            found = session.execute(select(JobRow.state, func.count()).group_by(JobRow.state))
            return Counter({str(row[0]): int(row[1]) for row in found})

    def requeue(self, failure: str) -> list[str]:
        """Queue again what was running, and fail with `failure` what was tried too often; return the ids of those."""
        with writing(self._engine) as session:
            rows = list(session.scalars(select(JobRow).where(JobRow.state == State.RUNNING)))
            spent = [row for row in rows if row.tries >= MAX_TRIES]
            for row in rows:
                row.state = State.QUEUED.value
            for row in spent:
                row.state, row.finished, row.failure = State.FAILED.value, time.time(), failure
            return [row.id for row in spent]

    def take(self) -> Job | None:
        """Return the job that waits the longest, now running, or None where none waits.

        One that was tried in vain lets those pass that were tried less.
        """
        with writing(self._engine) as session:
            waiting = select(JobRow).where(JobRow.state == State.QUEUED)
            row = session.scalar(waiting.order_by(JobRow.tries, JobRow.created, JobRow.id).limit(1))
            if row is None:
                return None
            row.state = State.RUNNING.value
            row.started = row.started or time.time()
            row.tries += 1
            return _as_job(row)

    def get_on(self, id: str, kept: int) -> None:
        """Count the tries of a running job anew where this one began with other rows done, `kept`, than the last."""
        self._update((JobRow.id == id) & (JobRow.kept != kept), kept=kept, tries=1)

    def put_back(self, id: str, *, in_vain: bool) -> bool:
        """Queue a running job again; return False where it may not be tried any more, or was cancelled meanwhile.

        A try `in_vain` counts against it.
        """
        chosen = (JobRow.id == id) & (JobRow.state == State.RUNNING)
        if in_vain:
            return self._update(chosen & (JobRow.tries < MAX_TRIES), state=State.QUEUED.value)
        return self._update(chosen, state=State.QUEUED.value, tries=JobRow.tries - 1)

    # What follows may be done twice: whether it was is not known where the connection broke off.

    def finish(self, id: str, *, rows: int, refused: int, model: str) -> bool:
        """Note that a running job is done; return False where it was cancelled meanwhile."""
        return self._end(id, State.DONE, State.RUNNING, State.DONE, rows=rows, refused=refused, model=model)

    def fail(self, id: str, failure: str) -> bool:
        """Note that a running job cannot be done; return False where it was cancelled meanwhile."""
        return self._end(id, State.FAILED, State.RUNNING, State.FAILED, failure=failure)

    def cancel(self, id: str) -> bool:
        """Note that a job shall not be done; return False where it was finished before."""
        return self._end(id, State.CANCELLED, *UNFINISHED)

    def remove(self, id: str) -> bool:
        """Forget a finished job; return False where it is none."""
        with writing(self._engine) as session:
            chosen = (JobRow.id == id) & JobRow.state.in_(FINISHED)
            return bool(session.execute(delete(JobRow).where(chosen)).rowcount)  # type: ignore[attr-defined]

    def finished_before(self, moment: float) -> list[str]:
        """Return the ids of the jobs that were finished before a moment."""
        with Session(self._engine) as session:
            return list(session.scalars(select(JobRow.id).where(JobRow.finished < moment)))

    def _end(self, id: str, state: State, *before: State, **facts: object) -> bool:
        chosen = (JobRow.id == id) & JobRow.state.in_(before)
        return self._update(chosen, state=state.value, finished=time.time(), **facts)

    def _update(self, chosen: object, **facts: object) -> bool:
        with writing(self._engine) as session:
            done = session.execute(update(JobRow).where(chosen).values(**facts))  # type: ignore[arg-type]
            return bool(done.rowcount)  # type: ignore[attr-defined]


def _as_job(row: JobRow) -> Job:
    columns = Columns(row.id_column, row.title_column, row.abstract_column)
    order = Order(row.caller, row.format, row.output, row.keep, row.profile, columns, row.body_sha256, row.idempotency)
    facts = (row.created, row.started, row.finished, row.rows, row.refused, row.failure, row.model)
    return Job(row.id, order, State(row.state), *facts)
