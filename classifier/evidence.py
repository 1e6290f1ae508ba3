"""Name the words that carried a tag: each with its own part of the margin, and where it stands in the given text.

The parts and the tag's intercept add up to the margin, so an explanation is the score itself and no second opinion.
An n-gram that occurs several times weighs less than as many different ones; each place has an even share of its part.
The tokens are walked in plain Python: this is for the records that a person looks at.
"""

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from classifier.cleaning import Cleaned, clean_with_map
from classifier.features import extract, fold
from classifier.redaction import names_in
from classifier.results import TAGS
from classifier.scoring import FloatArray

if TYPE_CHECKING:
    from classifier.model import Model

FIELDS = ("title", "abstract")
SEED_SHARE = 0.08
"""An n-gram begins a phrase if its part is at least this share of the strongest one's, for or against the tag."""
SEED_LEAST = 0.03
"""... and at least this much of a margin: where nothing speaks, nothing is named."""

_SMALL = """a about after all also an and any are as at be been before being between both but by can cannot could do
    does each for from had has have how if in into is it its may more most much must no nor not of on one
    only onto or other our out over s should so some such t than that the their them then there these they
    this those through to two under up upon us very via was we were what when where whether which while who
    whose why will with within without would"""
FUNCTION_WORDS = frozenset(_SMALL.split())
"""Words that mean nothing alone; a phrase is shown without those at its edges, and no phrase is made of them alone."""

# What `features.fold` leaves beyond ASCII are letters and digits; case plays no part in where a word ends.
_WORD = re.compile(r"[A-Za-z0-9\x80-\U0010ffff]+")


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one field: word i is `names[i]`, and stands at `spans[i]` of the cleaned text."""

    field: str
    given: str
    cleaned: Cleaned
    spans: list[tuple[int, int]]
    names: list[str]

    def given_span(self, first: int, last: int) -> tuple[int, int]:
        """Return where words `first` to `last` (included) stand in the given text."""
        return self.cleaned.original_span(self.spans[first][0], self.spans[last][1])


@dataclass(frozen=True, slots=True)
class Ngram:
    """One occurrence: `size` words of a field (0 title, 1 abstract) from word `first` on."""

    field: int
    first: int
    size: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """Every n-gram of a text with its parts of the margins: `parts` is (n-grams, tags), 0 for unknown n-grams."""

    words: tuple[Words, Words]
    ngrams: list[Ngram]
    parts: FloatArray

    def places(self, words: str) -> list[tuple[str, int, int]]:
        """Return where neighbouring words stand, as (field, start, end) in the given text."""
        wanted = words.split(" ")
        return [
            (field.field, *field.given_span(i, i + len(wanted) - 1))
            for field in self.words
            for i in range(len(field.names) - len(wanted) + 1)
            if field.names[i : i + len(wanted)] == wanted
        ]

    def name(self, ngram: Ngram) -> str:
        """Return an n-gram as its words, cleaned and lower-cased."""
        return " ".join(self.words[ngram.field].names[ngram.first : ngram.first + ngram.size])


@dataclass(frozen=True, slots=True)
class Phrase:
    """Neighbouring words that spoke together: a stretch of the given text, and the sum of its n-grams' parts.

    `words` are those words cleaned and lower-cased, with one space between.
    """

    field: str
    start: int
    end: int
    words: str
    part: float


def read_evidence(model: "Model", title: str, abstract: str) -> Evidence:
    """Find every n-gram of a text and what it adds to the margin of each tag.

    A word of the title has one part, for both hashes that it counts under.
    """
    words = (_words(FIELDS[0], title), _words(FIELDS[1], abstract))
    sizes = [len(field.names) for field in words]
    singles = [[Ngram(field, i, 1) for i in range(size)] for field, size in enumerate(sizes)]
    pairs = [[Ngram(field, i, 2) for i in range(size - 1)] for field, size in enumerate(sizes)]
    ngrams = [*singles[0], *singles[1], *pairs[0], *pairs[1]]  # the order of `features.extract`
    every = model.parts(extract([(title, abstract)]))
    if len(every) != len(ngrams) + len(singles[0]) + len(pairs[0]):
        raise AssertionError("evidence and features see different words")
    parts = every[: len(ngrams)].copy()
    again = every[len(ngrams) :]
    parts[: len(singles[0])] += again[: len(singles[0])]
    pairs_from = len(singles[0]) + len(singles[1])
    parts[pairs_from : pairs_from + len(pairs[0])] += again[len(singles[0]) :]
    return Evidence(words, ngrams, parts)


def phrases(evidence: Evidence, tag: str) -> tuple[list[Phrase], float]:
    """Join the n-grams that spoke most for or against a tag into phrases, the strongest first, whatever their sign.

    Strong n-grams of one sign that share a word make one phrase; weak ones inside it are added to it. Also returns
    the sum of all that is in no phrase, function words and bare numbers included: with it and the intercept the phrases
    add up to the margin.
    """
    part = evidence.parts[:, TAGS.index(tag)]
    strength: FloatArray = np.abs(part)
    floor = max(SEED_LEAST, SEED_SHARE * float(strength.max(initial=0.0)))
    runs: list[list[float]] = []  # field, first word, word after the last, part
    for sign in (1, -1):
        seeds = sorted(
            (ngram.field, ngram.first, ngram.size, float(part[i]))
            for i, ngram in enumerate(evidence.ngrams)
            if strength[i] >= floor and part[i] * sign > 0
        )
        begun = len(runs)
        for field, first, size, value in seeds:
            last = runs[-1] if len(runs) > begun else None
            if last is not None and last[0] == field and first < last[2]:
                last[2], last[3] = max(last[2], first + size), last[3] + value
            else:
                runs.append([field, first, first + size, value])
    rest = 0.0
    owner = {(run[0], word): run for run in reversed(runs) for word in range(int(run[1]), int(run[2]))}
    for i, ngram in enumerate(evidence.ngrams):
        if strength[i] >= floor or not part[i]:
            continue
        run = owner.get((ngram.field, ngram.first))
        if run is not None and ngram.first + ngram.size <= run[2]:
            run[3] += float(part[i])
        else:
            rest += float(part[i])
    found = []
    for run in runs:
        words = evidence.words[int(run[0])]
        content = [i for i in range(int(run[1]), int(run[2])) if _means(words.names[i])]
        if content:
            named = " ".join(words.names[content[0] : content[-1] + 1])
            found.append(Phrase(words.field, *words.given_span(content[0], content[-1]), named, run[3]))
        else:
            rest += run[3]
    return sorted(found, key=lambda phrase: (-abs(phrase.part), phrase.field != "title", phrase.start)), rest


def _means(word: str) -> bool:
    """Tell whether a word means anything by itself: function words and bare numbers do not."""
    return word not in FUNCTION_WORDS and not word.isdigit()


def carriers(model: "Model", title: str, abstract: str, tag: str, n: int = 5) -> list[tuple[str, float]]:
    """Return the `n` words and word pairs that spoke most for a tag, with their parts of its margin.

    What spoke most comes first; parts below zero spoke against the tag. With `n` large enough the list is complete,
    and its parts and the intercept of the tag add up to the margin. A word that stands in the title has one part,
    for title and abstract together.

    ValueError: no such tag.
    """
    if tag not in TAGS:
        raise ValueError(f"Tag {tag!r} is not known; known: {', '.join(TAGS)}.")
    evidence = read_evidence(model, title, abstract)
    parts: dict[str, float] = {}
    known: npt.NDArray[np.bool_] = np.any(evidence.parts != 0, axis=1)
    for i, part in enumerate(evidence.parts[:, TAGS.index(tag)].tolist()):
        if known[i]:
            name = evidence.name(evidence.ngrams[i])
            parts[name] = parts.get(name, 0.0) + part
    return sorted(parts.items(), key=lambda item: (-item[1], item[0]))[:n]


def ngram_names(title: str, abstract: str) -> list[str]:
    """Return every n-gram of a text as words, in the order of `features.extract`.

    Those of the title stand a second time, under "title: ", for the hash that they have there.
    """
    fields = [_words(field, text).names for field, text in zip(FIELDS, (title, abstract), strict=True)]
    pairs = [[f"{a} {b}" for a, b in pairwise(names)] for names in fields]
    again = [f"title: {name}" for name in (*fields[0], *pairs[0])]
    return [*fields[0], *fields[1], *pairs[0], *pairs[1], *again]


def _words(field: str, text: str) -> Words:
    """Find the words of a field as `features` does, names left out, with their places in the cleaned text."""
    cleaned = clean_with_map(text)
    folded = fold(cleaned.text).decode("utf-8", "replace")
    spans = [match.span() for match in _WORD.finditer(folded)]
    names = [folded[start:end].lower() for start, end in spans]
    if len(folded) != len(cleaned.text):  # a capital that is two characters when lower-cased
        place = [i for i, letter in enumerate(cleaned.text) for _ in letter.lower()]
        spans = [(place[start], place[end - 1] + 1) for start, end in spans]
    kept = _outside(spans, names_in(cleaned.text))
    return Words(field, text, cleaned, [spans[i] for i in kept], [names[i] for i in kept])


def _outside(spans: list[tuple[int, int]], cuts: list[tuple[int, int]]) -> list[int]:
    """Return which spans no cut touches; both are in order."""
    kept, cut = [], 0
    for i, (start, end) in enumerate(spans):
        while cut < len(cuts) and cuts[cut][1] <= start:
            cut += 1
        if cut == len(cuts) or end <= cuts[cut][0]:
            kept.append(i)
    return kept
