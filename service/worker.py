"""The thread that works off the queue, one job at a time, with the very engine of the command line.

After a stop or a kill the next start queues the job again, and the engine goes on from its last finished segment, so
that a kill at any moment changes nothing of the result. An upload that cannot be used ends the job, with the engine's
words; a database that does not answer is asked until it does; where our own files cannot be written the job is tried
again later, MAX_TRIES times in all.
"""

import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from classifier import Model
from classifier.errors import DualuseError, ResumeError
from classifier.run import Options, Summary, classify_dump
from service import log
from service.datafolder import DataFolder
from service.jobs import MAX_TRIES, Job, Jobs, State
from service.records import Recorder
from service.settings import Settings

_SWEEP_SECONDS = 600.0
_DATABASE_SECONDS = 1.0
_AGAIN_SECONDS = 300.0  # time for whoever runs the service to make room
_DAY = 86_400.0
_PASSING = (OperationalError, InterfaceError, PoolTimeoutError)

ENDED = (
    f"The service was ended {MAX_TRIES} times while it worked on this job, which got no further each time: it may take "
    "more memory than there is. Split the file, or ask who runs the service."
)
UNWRITTEN = (
    f"The service could not write this job's files, tried {MAX_TRIES} times; its log tells why, under the job's id. "
    "Ask who runs it, then send the file again."
)
FAILED = "The service failed on this job; its log tells where, under the job's id."

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the running job is: rows so far, how many of them refused, the share of the upload if known."""

    id: str
    rows: int
    refused: int
    share: float | None


class _Stopped(Exception):  # noqa: N818 - nothing is wrong
    """The service stops, or the job was cancelled."""


class _Unwritten(Exception):  # noqa: N818 - told apart from what is wrong with an upload
    """The files of a job cannot be written now, for a reason that is not the caller's."""


class Worker:
    """Works off the queue until it is stopped. `progress` is that of the running job; `rows` counts all rows done."""

    def __init__(
        self, jobs: Jobs, folder: DataFolder, model: Model, settings: Settings, recorder: Recorder | None = None
    ) -> None:
        self._jobs, self._folder, self._model, self._settings = jobs, folder, model, settings
        self._recorder = recorder
        self._thread = threading.Thread(target=self._run, name="dualuse-jobs", daemon=True)
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._cancelled: set[str] = set()
        self.progress: Progress | None = None
        self.rows = 0

    def start(self) -> None:
        """Put in order what the last process left, and begin."""
        self._requeue()
        self._folder.remove_others(self._jobs.ids(), self._kept_since(time.time()))
        for id in self._jobs.ids((State.FAILED, State.CANCELLED)):
            self._folder.remove(id)
        for id in self._jobs.ids((State.DONE,)):
            self._folder.remove_upload(id)
        self._thread.start()

    def stop(self) -> None:
        """Stop after the batch under way; the job goes on at the next start."""
        self._stop.set()
        self._wake.set()
        self._thread.join()

    def wake(self) -> None:
        """Look into the queue now."""
        self._wake.set()

    def cancel(self, id: str) -> bool:
        """Cancel a job and remove its files; return False where it was finished before."""
        if not self._jobs.cancel(id):
            return False
        self._cancelled.add(id)
        if (progress := self.progress) is None or progress.id != id:
            self._cancelled.discard(id)
            self._folder.remove(id)
        return True

    def sweep(self, now: float) -> None:
        """Delete the jobs that were finished longer ago than results are kept."""
        for id in self._jobs.finished_before(self._kept_since(now)):
            self.remove(id)

    def remove(self, id: str) -> bool:
        """Delete a finished job with its result; return False where it is not finished."""
        if not self._jobs.remove(id):
            return False
        self._folder.remove(id)
        return True

    def _kept_since(self, now: float) -> float:
        return now - self._settings.result_days * _DAY

    def _run(self) -> None:
        swept = -_SWEEP_SECONDS
        in_order = True
        while not self._stop.is_set():
            self._wake.clear()
            try:
                if not in_order:  # a job may count as running that nobody works on
                    self._requeue()
                    in_order = True
                if time.monotonic() - swept >= _SWEEP_SECONDS:
                    self.sweep(time.time())
                    swept = time.monotonic()
                if job := self._jobs.take():
                    if self._work(job):
                        self._stop.wait(_AGAIN_SECONDS)
                    continue
            except _Stopped:
                return
            except Exception as error:  # a thread that ended would leave jobs waiting for ever
                log.write(logging.ERROR, "failure", **log.describe(error))
                in_order = False
                self._stop.wait(_DATABASE_SECONDS)
                continue
            self._wake.wait(_SWEEP_SECONDS)

    def _requeue(self) -> None:
        for id in self._jobs.requeue(ENDED):
            self._folder.remove(id)
            log.write(logging.ERROR, "job failed", id=id, tries=MAX_TRIES)

    def _work(self, job: Job) -> bool:
        """Do a job or note why not; return True where it is to be tried again later."""
        put_back = False
        self.progress = Progress(job.id, 0, 0, None)
        try:
            self._finish(job)
        except _Stopped:
            if job.id not in self._cancelled:
                self._jobs.put_back(job.id, in_vain=False)
        except _Unwritten:
            put_back = self._insist(lambda: self._jobs.put_back(job.id, in_vain=True))
            if not put_back:
                self._fail(job, UNWRITTEN)
        except DualuseError as error:
            self._fail(job, self._told(error, job))
        except Exception as error:
            log.write(logging.ERROR, "failure", id=job.id, **log.describe(error))
            self._fail(job, FAILED)
        finally:
            self.progress = None
        if job.id in self._cancelled:
            self._cancelled.discard(job.id)
            self._folder.remove(job.id)
        return put_back

    def _finish(self, job: Job) -> None:
        """Do a job.

        Raises DualuseError where the upload cannot be used, _Unwritten where a file cannot be written, _Stopped.
        """
        started = time.perf_counter()
        try:
            summary = self._classify(job)
            if self._recorder is not None:  # before the job counts as done: after a kill in between there are two
                target = self._folder.result(job.id, job.order.output)
                self._recorder.record_job(job.id, job.order.caller, target, self._model, job.order.profile)
        except (DualuseError, OSError) as error:
            if not self._is_ours(error, job):
                raise
            # Our own words: of files, disks and records, which hold nothing of a text.
            log.write(logging.ERROR, "job not written", id=job.id, detail=str(error))
            raise _Unwritten from error
        rows, refused, model = summary.rows, summary.refused, self._model.id
        if self._insist(lambda: self._jobs.finish(job.id, rows=rows, refused=refused, model=model)):
            self._folder.remove_upload(job.id)
            seconds = round(time.perf_counter() - started, 3)
            log.write(logging.INFO, "job", id=job.id, rows=rows, seconds=seconds)

    def _insist(self, change: Callable[[], T]) -> T:
        """Change something in the database, as often as it takes for it to answer; what is done must not be lost.

        Raises _Stopped where the service is to stop meanwhile: the next start finds the job running, and goes on.
        """
        while True:
            try:
                return change()
            except _PASSING as error:
                log.write(logging.ERROR, "database does not answer", **log.describe(error))
                if self._stop.wait(_DATABASE_SECONDS):
                    raise _Stopped from error

    def _classify(self, job: Job) -> Summary:
        order = job.order
        options = Options(
            format=order.format,
            output_format=order.output,
            columns=order.columns,
            keep=order.keep,
            profile=order.profile,
            segment_rows=self._settings.job_segment_rows,
            threads=self._settings.job_threads,
        )
        source, target = self._folder.upload(job.id, order.format), self._folder.result(job.id, order.output)
        rejects = self._folder.rejects(job.id)

        def run(restart: bool) -> Summary:
            return classify_dump(
                source, target, self._model, options, rejects=rejects, restart=restart, on_batch=self._watch
            )

        try:
            return run(restart=False)
        except ResumeError:  # begun with another model or version of this program: nobody has seen any of it yet
            return run(restart=True)

    def _watch(self, summary: Summary) -> None:
        assert self.progress
        id, known = self.progress.id, self.progress.rows
        if not known:
            self._insist(lambda: self._jobs.get_on(id, summary.resumed))
        self.rows += summary.rows - max(known, summary.resumed)
        self.progress = Progress(id, summary.rows, summary.refused, summary.share)
        if self._stop.is_set() or id in self._cancelled:
            raise _Stopped

    def _fail(self, job: Job, failure: str) -> None:
        if self._insist(lambda: self._jobs.fail(job.id, failure)):
            self._folder.remove(job.id)
            log.write(logging.INFO, "job failed", id=job.id)

    def _told(self, error: Exception, job: Job) -> str:
        """Say "The upload" in place of our path to it, and a query's names in place of the command line's options."""
        told = re.sub("--([a-z]+)-column", r"\1_column", str(error))
        upload = str(self._folder.upload(job.id, job.order.format))
        for ours, theirs in ((upload, "the upload"), ("--format", "format"), ("--keep id", "keep=id")):
            told = told.replace(ours, theirs)
        # Names of columns come from the upload; what cannot be shown, PostgreSQL does not hold either.
        told = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in told)
        return told[:1].upper() + told[1:]

    def _is_ours(self, error: DualuseError | OSError, job: Job) -> bool:
        """Tell whether an error is about our own files: then the system gave it, or it names a place in our folder."""
        cause = error if isinstance(error, OSError) else error.__cause__
        is_of_system = isinstance(cause, OSError) and cause.errno is not None  # a damaged upload's has no number
        return is_of_system or str(self._folder.path) in self._told(error, job)
