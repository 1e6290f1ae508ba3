"""What a reader should know of a text, for a batch: a missing title or abstract, and what cleaning found.

Most documents of a batch have none, or the same as many others, so a batch holds each different list once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from classifier import abstain, cleaning

MISSING = ((), ("no title",), ("no abstract",), ("no title", "no abstract"))
"""By number: 1 for no title, plus 2 for no abstract."""
COUNTED = (*MISSING[-1], *abstain.REASONS, abstain.PARTLY_ENGLISH)
"""Notes of which a run tells how many records have them."""


@dataclass(frozen=True, slots=True)
class Notes:
    """The notes of a batch: document i has `kinds[kind[i]]`."""

    kind: npt.NDArray[np.integer[Any]]
    kinds: list[tuple[str, ...]]

    @classmethod
    def build(cls, missing: npt.NDArray[np.integer[Any]], found: Mapping[int, tuple[str, ...]]) -> Self:
        """Join the number of each document in `MISSING` with what cleaning found in some of them, by place."""
        kind = missing.astype(np.int32)
        kinds = {notes: number for number, notes in enumerate(MISSING)}
        for place, notes in found.items():
            if notes:
                kind[place] = kinds.setdefault((*MISSING[missing[place]], *notes), len(kinds))
        return cls(kind, list(kinds))

    def with_more(self, more: Mapping[int, tuple[str, ...]]) -> Self:
        """Return these notes, with further ones behind those of some documents, by place."""
        if not more:
            return self
        kind = self.kind.astype(np.int32)
        kinds = {notes: number for number, notes in enumerate(self.kinds)}
        for place, notes in more.items():
            kind[place] = kinds.setdefault((*self.kinds[kind[place]], *notes), len(kinds))
        return type(self)(kind, list(kinds))

    def tolist(self) -> list[tuple[str, ...]]:
        """Return one tuple per document."""
        return [self.kinds[kind] for kind in self.kind.tolist()]


def missing(title: str, abstract: str) -> int:
    """Return the number in `MISSING` of a document; white space alone is no text."""
    return (not title.strip()) + 2 * (not abstract.strip())


def together(found: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Join the notes of a document's fields, each note once."""
    return tuple(dict.fromkeys(note for notes in found for note in notes))


def of_texts(documents: list[tuple[str, str]]) -> Notes:
    """Read the notes of (title, abstract) pairs."""
    numbers = np.fromiter((missing(*document) for document in documents), np.int32, count=len(documents))
    return Notes.build(numbers, {i: together(map(cleaning.notes, texts)) for i, texts in enumerate(documents)})
