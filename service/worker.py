"""The thread that works off the queue, one job at a time, with the very engine of the command line.

A stop leaves the job as it is, "running": the next start queues it again, and the engine goes on from its last finished
segment, so that a kill at any moment changes nothing of the result.
"""

import logging
import re
import threading
import time
from dataclasses import dataclass

import orjson

from classifier import Model
from classifier.errors import DualuseError, ResumeError
from classifier.run import Options, Summary, classify_dump
from service.datafolder import DataFolder
from service.jobs import FINISHED, Job, Jobs
from service.records import Recorder
from service.requestlog import describe
from service.settings import Settings

_SWEEP_SECONDS = 600.0
_DAY = 86_400.0

log = logging.getLogger("dualuse.service")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the running job is: rows so far, how many of them refused, the share of the upload if known."""

    id: str
    rows: int
    refused: int
    share: float | None


class _Stopped(Exception):  # noqa: N818 - nothing is wrong
    """The service stops, or the job was cancelled."""


class Worker:
    """Works off the queue until it is stopped. `progress` is that of the running job; `rows` counts all rows done."""

    def __init__(
        self, jobs: Jobs, folder: DataFolder, model: Model, settings: Settings, recorder: Recorder | None = None
    ) -> None:
        self._jobs, self._folder, self._model, self._settings = jobs, folder, model, settings
        self._recorder = recorder
        self._thread = threading.Thread(target=self._run, name="dualuse-jobs", daemon=True)
        self._wake = threading.Event()
        self._stopping = False
        self._cancelled: set[str] = set()
        self.progress: Progress | None = None
        self.rows = 0

    def start(self) -> None:
        """Put in order what the last process left, and begin."""
        self._jobs.requeue()
        self._folder.remove_others(self._jobs.ids())
        for id in self._jobs.ids(FINISHED):
            self._folder.remove_upload(id)
        self._thread.start()

    def stop(self) -> None:
        """Stop after the batch under way; the job goes on at the next start."""
        self._stopping = True
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
        for id in self._jobs.finished_before(now - self._settings.result_days * _DAY):
            self.remove(id)

    def remove(self, id: str) -> bool:
        """Delete a finished job with its result; return False where it is not finished."""
        if not self._jobs.remove(id):
            return False
        self._folder.remove(id)
        return True

    def _run(self) -> None:
        swept = -_SWEEP_SECONDS
        while not self._stopping:
            self._wake.clear()
            try:
                if time.monotonic() - swept >= _SWEEP_SECONDS:
                    self.sweep(time.time())
                    swept = time.monotonic()
                job = self._jobs.take()
                if job:
                    self._work(job)
                    continue
            except Exception as error:  # of the database: a thread that ended would leave jobs waiting for ever
                self._log("failure", **describe(error))
                time.sleep(1)
            self._wake.wait(_SWEEP_SECONDS)

    def _work(self, job: Job) -> None:
        self.progress = Progress(job.id, 0, 0, None)
        started = time.perf_counter()
        try:
            summary = self._classify(job)
            if self._recorder is not None:  # before the job counts as done: after a kill in between there are two
                target = self._folder.result(job.id, job.order.output)
                self._recorder.record_job(job.id, job.order.caller, target, self._model, job.order.profile)
            finished = self._jobs.finish(job.id, rows=summary.rows, refused=summary.refused, model=self._model.id)
            if finished:
                self._folder.remove_upload(job.id)
                self._log("job", id=job.id, rows=summary.rows, seconds=round(time.perf_counter() - started, 3))
        except _Stopped:
            if self._stopping and job.id not in self._cancelled:
                return
        except DualuseError as error:
            self._fail(job, _for_callers(str(error), str(self._folder.upload(job.id, job.order.format))))
        except Exception as error:
            self._log("failure", id=job.id, **describe(error))
            self._fail(job, "The service failed on this job; its log tells where, under the job's id.")
        finally:
            self.progress = None
        if job.id in self._cancelled:
            self._cancelled.discard(job.id)
            self._folder.remove(job.id)

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
        id, before = self.progress.id, max(self.progress.rows, summary.resumed)
        self.rows += summary.rows - before
        self.progress = Progress(id, summary.rows, summary.refused, summary.share)
        if self._stopping or id in self._cancelled:
            raise _Stopped

    def _fail(self, job: Job, failure: str) -> None:
        self._jobs.fail(job.id, failure)
        self._folder.remove(job.id)
        self._log("job failed", id=job.id)

    def _log(self, event: str, **facts: object) -> None:
        log.info("%s", orjson.dumps({"event": event, **facts}).decode())


def _for_callers(message: str, path: str) -> str:
    """Say "The upload" in place of our path to it, and a query's names in place of the command line's options."""
    return re.sub("--([a-z]+)-column", r"\1_column", message.replace(path, "The upload")).replace("--format", "format")
