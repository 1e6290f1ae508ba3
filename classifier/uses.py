"""Find the sentences that tell what else the work might be good for, and leave them out of a text.

"Applications such as robotics, games or surveillance" is a mention and no contribution. Every judgement needs this for
the few texts that are flagged, so it cuts sentences by a pattern of its own and needs no spaCy; explanations show the
same stretches. What it does to flags: `python -m benchmarks.background`, figures in docs/explain.md.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

from classifier.background import lists_uses, may_list_uses
from classifier.cleaning import clean, clean_with_map
from classifier.sentences import GOES_ON

_END = re.compile(r"[.!?][\"'\u2019\u201d)\]]*\s+(?=\W*[^\W_a-z])")
_BEFORE = 12  # characters: enough for any abbreviation


def uses_in(abstract: str) -> list[tuple[int, int]]:
    """Return where an abstract, as given, tells of possible uses: (start, end) of each such sentence, in order."""
    text = clean(abstract)
    if not may_list_uses(text):
        return []
    spans = _sentences(text)
    found = [
        (start, end) for number, (start, end) in enumerate(spans, 1) if lists_uses(text[start:end], number, len(spans))
    ]
    if not found:
        return []
    places = clean_with_map(abstract)
    return [places.original_span(start, end) for start, end in found]


def without_uses(document: tuple[str, str]) -> tuple[str, str] | None:
    """Return a (title, abstract) pair without its sentences on possible uses, or None where it has none."""
    title, abstract = document
    spans = uses_in(abstract)
    return (title, _without(abstract, spans)) if spans else None


def _without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    edges = [0, *(edge for span in spans for edge in span), len(text)]
    return "".join(text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True))


def _sentences(text: str) -> list[tuple[int, int]]:
    """Return the spans of the sentences of a cleaned text, without the white space between them."""
    ends = [
        match.end()
        for match in _END.finditer(text)
        if not GOES_ON.search(text[max(0, match.end() - _BEFORE) : match.end()].rstrip())
    ]
    edges = [0, *ends, len(text)]
    spans = []
    for start, end in pairwise(edges):
        whole = text[start:end]
        if whole.strip():
            start += len(whole) - len(whole.lstrip())
            spans.append((start, start + len(whole.strip())))
    return spans
