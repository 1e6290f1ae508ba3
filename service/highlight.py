"""Cut a text at the edges of overlapping spans, so that a page can mark each stretch with all it belongs to."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start` to `end` of a text, and whose they are."""

    start: int
    end: int
    name: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of a text and the names of the spans that cover it, sorted; none for plain text."""

    text: str
    names: tuple[str, ...]


def stretches_of(text: str, spans: Iterable[Span]) -> list[Stretch]:
    """Return stretches that make up the text; neighbours differ in their names.

    Spans may overlap, repeat, or reach beyond the text.
    """
    spans = [span for span in spans if span.start < span.end]
    edges = {0, len(text)} | {min(max(edge, 0), len(text)) for span in spans for edge in (span.start, span.end)}
    stretches: list[Stretch] = []
    places = sorted(edges)
    for start, end in pairwise(places):
        names = tuple(sorted({span.name for span in spans if span.start <= start and end <= span.end}))
        if stretches and stretches[-1].names == names:
            start -= len(stretches.pop().text)
        stretches.append(Stretch(text[start:end], names))
    return stretches
