"""How much the service takes on: bytes in a body and the time for them, requests scored at once.

What is over a limit is refused at once, with the reason. The counts are of one process.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.problems import Problem

UPLOADS = "/v1/jobs"
BYTES_A_SECOND = 10_000

T = TypeVar("T")


class BodyLimit:
    """ASGI middleware that stops reading a body at a limit of bytes, declared or counted, and of time.

    A body has `seconds`, and one more for each BYTES_A_SECOND of it that came: who sends slower holds a place that
    others need. The longest body is `max_bytes`, of an upload to a job `max_upload_bytes`.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, max_upload_bytes: int, seconds: float) -> None:
        self.app, self._seconds = app, seconds
        self._max_bytes, self._max_upload_bytes = max_bytes, max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its body counted.

        Raises Problem 413 and 408, also out of `receive`.
        """
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        is_upload = scope["path"] == UPLOADS
        limit = self._max_upload_bytes if is_upload else self._max_bytes
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            raise _too_large(limit, is_upload)
        total = 0
        is_whole = False
        started = time.monotonic()

        async def counted() -> Message:
            nonlocal total, is_whole
            if is_whole:  # what may still come is that the caller leaves
                return await receive()
            left = started + self._seconds + total / BYTES_A_SECOND - time.monotonic()
            try:
                async with asyncio.timeout(max(left, 0)):
                    message = await receive()
            except TimeoutError:
                detail = f"The body did not come within {self._seconds:g} seconds. Send it again."
                raise Problem(408, detail) from None
            total += len(message.get("body", b""))
            is_whole = not message.get("more_body", False)
            if total > limit:
                raise _too_large(limit, is_upload)
            return message

        await self.app(scope, counted, send)


def _too_large(limit: int, is_upload: bool) -> Problem:
    mend = "Split the file" if is_upload else f"Send the documents in several requests, or as a file to {UPLOADS}"
    return Problem(413, f"The body is longer than {limit:,} bytes. {mend}, or use `dualuse classify`.")


class Slots:
    """Room for `running` pieces of work in threads of their own and for `waiting` more in line.

    `free` is how much more work would be taken on; who brings threads of his own holds a `place` and uses `limiter`.
    """

    def __init__(self, running: int, waiting: int) -> None:
        self.limiter, self.running = CapacityLimiter(running), running
        self.free = running + waiting

    def check(self) -> None:
        """Raise Problem 429 where the line is full: before a body is read that could not be worked on."""
        if self.free == 0:
            raise Problem(
                429, "Every place in the queue is taken. Try again in a second.", headers={"Retry-After": "1"}
            )

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` in a thread, after those that came before it.

        Raises Problem 429, without waiting, where the line is full.
        """
        with self.place():
            return await to_thread.run_sync(work, limiter=self.limiter)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place.

        Raises Problem 429 where there is none.
        """
        self.check()
        self.free -= 1
        try:
            yield
        finally:
            self.free += 1


class Places:
    """Room for `most` jobs: those that wait or are under way, and uploads that are being received."""

    def __init__(self, most: int) -> None:
        self._most, self._receiving = most, 0

    @contextmanager
    def take(self, unfinished: int) -> Iterator[None]:
        """Hold a place for an upload while it is received; the database knows of `unfinished` jobs.

        Raises Problem 429 where there is none.
        """
        if unfinished + self._receiving >= self._most:
            detail = f"As many jobs wait as may, {self._most:,}. Try again when one is done."
            raise Problem(429, detail, headers={"Retry-After": "30"})
        self._receiving += 1
        try:
            yield
        finally:
            self._receiving -= 1
