"""Name the words that carried a tag: each with its own part of the margin, taken from the model's table.

The parts and the tag's intercept add up to the margin, so an explanation is the score itself and no second opinion.
The tokens are walked in plain Python: this is for the handful of records that a person looks at.
"""

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from classifier import scoring
from classifier.cleaning import clean
from classifier.features import extract, fold
from classifier.redaction import redact
from classifier.results import TAGS

if TYPE_CHECKING:
    from classifier.model import Model

_WORD = re.compile(rb"[a-z0-9\x80-\xff]+")


def carriers(model: "Model", title: str, abstract: str, tag: str, n: int = 5) -> list[tuple[str, float]]:
    """Return the `n` words and word pairs that spoke most for a tag, with their parts of its margin.

    What spoke most comes first; parts below zero spoke against the tag. With `n` large enough the list is complete,
    and its parts and the intercept of the tag add up to the margin. A word that stands in the title has one part,
    for title and abstract together.

    ValueError: no such tag.
    """
    if tag not in TAGS:
        raise ValueError(f"Tag {tag!r} is not known; known: {', '.join(TAGS)}.")
    column = TAGS.index(tag)
    ngrams = extract([(title, abstract)])
    names = dict(zip(ngrams.hash.tolist(), _names(title, abstract), strict=True))
    counts = scoring.look_up(ngrams, model.ngrams)
    values = scoring.values(counts, model._idf, model._tf_levels)
    length = np.sqrt(float((values * values).sum()))
    parts: dict[str, float] = {}
    for entry, value in zip(counts.entry.tolist(), values.tolist(), strict=True):
        name = names[int(model.ngrams[entry])]
        part = value * int(model._weights[entry, column]) / length * float(model._scale[column])
        parts[name] = parts.get(name, 0.0) + part
    return sorted(parts.items(), key=lambda item: (-item[1], item[0]))[:n]


def _names(title: str, abstract: str) -> list[str]:
    """Return the words and pairs in the order of `features.extract`: words, pairs, and those of the title again."""
    fields = [
        [word.decode("utf-8", "replace") for word in _WORD.findall(fold(redact(clean(text))).lower())]
        for text in (title, abstract)
    ]
    pairs = [[f"{a} {b}" for a, b in pairwise(words)] for words in fields]
    return [*fields[0], *fields[1], *pairs[0], *pairs[1], *fields[0], *pairs[0]]
