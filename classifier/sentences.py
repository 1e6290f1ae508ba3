"""Cut a text into sentences and find lexicon terms in it: the two things that spaCy does for explanations.

A blank English pipeline: rules for tokens and sentence ends, no trained model, nothing to download. It reads the
cleaned text, since markup hides sentence ends, and every span is carried back to the text as it was given.
"""

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from classifier.cleaning import Cleaned
from classifier.errors import DualuseError

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

# A "sentence" that ends so goes on: spaCy knows "e.g." and "Dr.", but not what is abbreviated in abstracts.
GOES_ON = re.compile(
    r"(?:\b(?:al|approx|ca|cf|eq|eqs|fig|figs|no|nos|ref|refs|resp|sec|vs|i\.e|e\.g)\.|\b[A-Z]\.)$", re.I
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """One unit that can be taken out of a text: the title, or a sentence of the abstract.

    `number` counts the abstract's sentences from 1 and is 0 for the title; `of` says how many there are. `start` and
    `end` are characters of the given field; `text` is the sentence as cleaned.
    """

    field: str
    number: int
    of: int
    start: int
    end: int
    text: str

    @property
    def name(self) -> str:
        """What a reader calls it."""
        return f"sentence {self.number}" if self.number else "the title"


@functools.cache
def pipeline() -> "Language":
    """Return the blank English pipeline.

    Raises DualuseError where spaCy is not installed.
    """
    try:
        import spacy
    except ModuleNotFoundError as error:
        raise DualuseError(
            f"Explanations need {error.name}, which is not installed: pip install 'dualuse[explain]'"
        ) from error
    language = spacy.blank("en")
    language.add_pipe("sentencizer")
    language.max_length = 2_000_000  # twice what a field may hold; rules need no more memory for it
    return language


def cut(cleaned: tuple[Cleaned, Cleaned], docs: "tuple[Doc, Doc]") -> list[Sentence]:
    """Return the units of a document, given as (title, abstract): its title, if any, then the abstract's sentences."""
    (title, abstract), units = cleaned, []
    if title.text.strip():
        units.append(_unit("title", title, _trimmed(title.text, 0, len(title.text)), 0, 0))
    spans = _sentence_spans(docs[1])
    return units + [_unit("abstract", abstract, span, i, len(spans)) for i, span in enumerate(spans, start=1)]


def _sentence_spans(doc: "Doc") -> list[tuple[int, int]]:
    """Return trimmed spans of a cleaned text, none empty."""
    text = doc.text
    spans: list[tuple[int, int]] = []
    for sentence in doc.sents:
        start, end = _trimmed(text, sentence.start_char, sentence.end_char)
        if start == end:
            continue
        begins = next((letter for letter in text[start:end] if letter.isalnum()), "")
        if spans and (not begins or begins.islower() or GOES_ON.search(text[slice(*spans[-1])])):
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    whole = text[start:end]
    start += len(whole) - len(whole.lstrip())
    return start, max(start, start + len(whole.strip()))


def _unit(field: str, cleaned: Cleaned, span: tuple[int, int], number: int, of: int) -> Sentence:
    return Sentence(field, number, of, *cleaned.original_span(*span), cleaned.text[slice(*span)])
