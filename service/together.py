"""Requests that wait at the same time are judged in one pass: it costs little more for ten short texts than for one.

Each is still read, refused, recorded and answered by itself; the numbers are those that it would get alone, as no text
looks at another.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from anyio import to_thread
from starlette.requests import Request

from classifier.model import Model
from classifier.records import Record
from classifier.results import Result
from service.judging import check_profile, record
from service.limits import Slots

BYTES = 200_000
"""Bodies of more bytes than this together are not judged in one pass: the first would wait long for the last."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a body asks for: records to judge, by which profile, and how to write the answer."""

    records: Sequence[Record]
    profile: str
    write: Callable[[Sequence[Result]], bytes]


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, its body, and how to read it, which may raise Problem.

    `alone`: it takes so long that no other should wait for it.
    """

    request: Request
    body: bytes
    read: Callable[[bytes], Wanted]
    alone: bool = False


Outcome = bytes | Exception


class Together:
    """Takes requests, each in a place of `slots`, and judges in threads what waits."""

    def __init__(self, slots: Slots, model: Model) -> None:
        self._slots, self._model = slots, model
        self._waiting: deque[tuple[Ask, asyncio.Future[bytes]]] = deque()
        self._passes: set[asyncio.Task[None]] = set()

    async def answer(self, ask: Ask) -> bytes:
        """Return the body of the answer.

        Raises Problem: 429, without waiting, where the line is full, and what reading and judging raise.
        """
        loop = asyncio.get_running_loop()
        with self._slots.place():
            answered: asyncio.Future[bytes] = loop.create_future()
            self._waiting.append((ask, answered))
            if len(self._passes) < self._slots.running:
                # A task begins after what else is ready by now, so that requests that came together go together.
                begun = loop.create_task(self._work())
                self._passes.add(begun)
                begun.add_done_callback(self._passes.discard)
            return await answered

    async def _work(self) -> None:
        while batch := self._take():
            asks = [ask for ask, _ in batch]
            try:
                outcomes = await to_thread.run_sync(answers, self._model, asks, limiter=self._slots.limiter)
            except BaseException:  # only a stop without grace gets here, and nobody is to wait for ever
                for _, answered in batch:
                    answered.cancel()
                raise
            for (_, answered), outcome in zip(batch, outcomes, strict=True):
                if answered.done():  # the caller was given up meanwhile
                    continue
                if isinstance(outcome, bytes):
                    answered.set_result(outcome)
                else:
                    answered.set_exception(outcome)

    def _take(self) -> list[tuple[Ask, asyncio.Future[bytes]]]:
        taken: list[tuple[Ask, asyncio.Future[bytes]]] = []
        total = 0
        while self._waiting:
            ask, _ = self._waiting[0]
            total += len(ask.body)
            if taken and (ask.alone or total > BYTES):
                break
            taken.append(self._waiting.popleft())
            if ask.alone:
                break
        return taken


def answers(model: Model, asks: Sequence[Ask]) -> list[Outcome]:
    """Return, for each request, its answer or the exception that it ends in. Call it in a thread."""
    outcomes: list[Outcome | None] = [None] * len(asks)
    by_profile: dict[str, list[tuple[int, Wanted]]] = {}
    for place, ask in enumerate(asks):
        try:
            wanted = ask.read(ask.body)
            check_profile(model, wanted.profile)
            by_profile.setdefault(wanted.profile, []).append((place, wanted))
        except Exception as error:
            outcomes[place] = error
    for profile, several in by_profile.items():
        for (place, wanted), results in zip(
            several, _judge(model, [each.records for _, each in several], profile), strict=True
        ):
            outcomes[place] = _finish(model, asks[place].request, wanted, results)
    return [outcome for outcome in outcomes if outcome is not None]


def _judge(model: Model, groups: Sequence[Sequence[Record]], profile: str) -> list[Sequence[Result] | Exception]:
    """Return the results of each group of records, or the exception that judging them ends in."""
    try:
        results = iter(model.classify(chain.from_iterable(groups), profile=profile))
    except Exception as error:
        if len(groups) == 1:
            return [error]
        # Whose text it was is not known: each by itself, so that only the one fails.
        return [outcome for group in groups for outcome in _judge(model, [group], profile)]
    return [list(islice(results, len(group))) for group in groups]


def _finish(model: Model, request: Request, wanted: Wanted, judged: Sequence[Result] | Exception) -> Outcome:
    if isinstance(judged, Exception):
        return judged
    try:
        record(request, model, wanted.records, judged, wanted.profile)
        return wanted.write(judged)
    except Exception as error:
        return error
