"""How much the service takes on: bytes in a body, requests scored at once.

What is over a limit is refused at once, with the reason. The counts are of one process.
"""

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.problems import Problem

T = TypeVar("T")


class BodyLimit:
    """ASGI middleware that stops reading a body at `max_bytes`, declared or counted."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app, self.max_bytes = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its body counted.

        Raises Problem 413, also out of `receive`.
        """
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > self.max_bytes:
            raise self._too_large()
        total = 0

        async def counted() -> Message:
            nonlocal total
            message = await receive()
            total += len(message.get("body", b""))
            if total > self.max_bytes:
                raise self._too_large()
            return message

        await self.app(scope, counted, send)

    def _too_large(self) -> Problem:
        return Problem(
            413,
            f"The body is longer than {self.max_bytes:,} bytes. Send the documents in several requests, "
            "or a whole dump to `dualuse classify`.",
        )


class Slots:
    """Room for `running` pieces of work in threads of their own and for `waiting` more in line.

    `free` is how much more work would be taken on.
    """

    def __init__(self, running: int, waiting: int) -> None:
        self._limiter = CapacityLimiter(running)
        self.free = running + waiting

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` in a thread, after those that came before it.

        Raises Problem 429, without waiting, where the line is full.
        """
        if self.free == 0:
            raise Problem(
                429, "Every place in the queue is taken. Try again in a second.", headers={"Retry-After": "1"}
            )
        self.free -= 1
        try:
            return await to_thread.run_sync(work, limiter=self._limiter)
        finally:
            self.free += 1
