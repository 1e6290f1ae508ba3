"""Tell why a text was given its decisions: `explain(load(), (title, abstract))`.

Evidence of the n-grams is exact: phrases, what is left over and the intercept add up to the margin. What the second
reading adds is a line of its own, never shared out among words, because it cannot be. Every "without this" is the
judgement of the same model on the edited text. All spans are characters of the text as it was given.
"""

import functools
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from classifier.background import is_background
from classifier.evidence import Evidence, phrases, read_evidence
from classifier.model import Document, Model, as_record
from classifier.precedents import Precedents
from classifier.recourse import Recourse, Rescorer, find_recourse, on_background, on_uses
from classifier.results import NOTICE, TAGS
from classifier.scoring import FloatArray
from classifier.sentences import Sentence, cut, pipeline
from classifier.taxonomy import load_taxonomy
from classifier.terms import FoundTerm, find_terms
from classifier.uses import uses_in

PHRASES = 12
"""Phrases named for a tag, and as many against it; weaker ones are part of `rest`."""
SENTENCES = 3
"""Sentences named at most for a second reading."""
MOVES = 0.1
"""A sentence is named for a second reading if leaving it out moves the logit by at least this much."""
ELSEWHERE = 0.2
"""A flag stands in background if less than this share of what spoke for it stands in other sentences."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the given text.

    `part`: what it adds to the margin; for sentences of a second reading, what leaving it out takes from the logit.
    `background`: it stands in a sentence of background or motivation.
    """

    field: str
    start: int
    end: int
    text: str
    part: float
    background: bool


@dataclass(frozen=True, slots=True)
class First:
    """What the n-grams say: `intercept` + parts of the phrases for and against + `rest` = `margin`.

    `probability` is the margin's after calibration, 1 / (1 + exp(-(slope * margin + offset))).
    """

    intercept: float
    rest: float
    margin: float
    slope: float
    offset: float
    probability: float


@dataclass(frozen=True, slots=True)
class SecondReading:
    """What reading again changed: `shift`, in logits, leads from the first probability to `probability`.

    `sentences` are those without which the second reading alone would say most differently; no exact parts.
    """

    shift: float
    probability: float
    sentences: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class TagExplanation:
    """Why one tag was decided as it was; `meaning` is the tag's in one sentence."""

    probability: float
    decision: str
    role: str | None
    roles: Mapping[str, float]
    threshold: float
    review_threshold: float | None
    meaning: str
    first: First
    second: SecondReading | None
    phrases: tuple[Span, ...]
    against: tuple[Span, ...]
    sentence: Span | None
    terms: tuple[FoundTerm, ...]
    recourse: Recourse

    @property
    def begins(self) -> str:
        """From which probabilities it is flagged and for review, in words."""
        review = "" if self.review_threshold is None else f", 'review' at {self.review_threshold:.2f}"
        return f"'flag' begins at {self.threshold:.2f}{review}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a text was tagged as it was, tag by tag; title and abstract as they were given."""

    id: str
    model: str
    notice: str
    title: str
    abstract: str
    notes: tuple[str, ...]
    tags: Mapping[str, TagExplanation]

    def as_dict(self) -> dict[str, Any]:
        """Return dicts and lists, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Read:
    """One text with all that is known of it before a tag is looked at."""

    given: Mapping[str, str]
    evidence: Evidence
    sentences: Sequence[Sentence]
    in_background: Sequence[bool]  # by sentence
    terms: Mapping[str, tuple[FoundTerm, ...]]  # by tag
    home: Sequence[int]  # by n-gram: the sentence in which it begins


def explain(
    model: Model,
    document: Document,
    *,
    profile: str = "balanced",
    tags: Sequence[str] = TAGS,
    precedents: Precedents | None = None,
) -> Explanation:
    """Explain the decisions of a model on one document.

    `tags`: those to explain. `precedents`: labelled records to compare the text with; see `precedents.load_precedents`.

    Raises DualuseError where the document has no text, the profile is not known, or spaCy is not installed.
    """
    record = as_record(document)
    (result,) = model.judge([record], profile=profile)
    text = (record.title, record.abstract)
    read = _read(model, *text)
    rescorer = Rescorer(model, *text, read.sentences, profile)
    whole = rescorer.whole()
    taken = None if whole.second is None else whole.second - rescorer.second_without_each()
    uses = uses_in(record.abstract)
    alike = precedents.nearest(model, *text) if precedents else ()
    explained = {}
    for tag in tags:
        place = TAGS.index(tag)
        judgement = result.judgements[tag]
        found, rest = phrases(read.evidence, tag)
        spans = [_span(read, p.field, p.start, p.end, p.part) for p in found]
        named = [*[s for s in spans if s.part > 0][:PHRASES], *[s for s in spans if s.part <= 0][:PHRASES]]
        rest += sum(span.part for span in spans) - sum(span.part for span in named)
        begins = {"flag": model.thresholds[profile][tag], "review": model.review_thresholds[tag]}
        second = None
        if taken is not None:
            shift = _logit(judgement.probability) - _logit(whole.first[place])
            second = SecondReading(round(shift, 4), judgement.probability, _moving(read, taken[:, place]))
        mentions = on_uses(rescorer, tag, judgement, begins, uses)
        if judgement.decision == "flag" and _in_background(read, place):
            mentions = on_background(rescorer, tag, judgement, np.flatnonzero(read.in_background).tolist())
        explained[tag] = TagExplanation(
            probability=judgement.probability,
            decision=judgement.decision,
            role=judgement.role,
            roles=judgement.roles,
            threshold=begins["flag"],
            review_threshold=begins["review"],
            meaning=_meanings()[tag],
            first=First(
                intercept=model.parameters["intercept"][tag],
                rest=rest,
                margin=whole.margins[place],
                slope=model.parameters["slope"][tag],
                offset=model.parameters["offset"][tag],
                probability=whole.first[place],
            ),
            second=second,
            phrases=tuple(span for span in named if span.part > 0),
            against=tuple(span for span in named if span.part <= 0),
            sentence=_strongest(read, place),
            terms=read.terms[tag],
            recourse=find_recourse(
                rescorer, tag, judgement, begins, read.evidence, found, read.terms[tag], alike, mentions
            ),
        )
    return Explanation(record.id, model.id, NOTICE, *text, result.notes, explained)


@functools.cache
def _meanings() -> dict[str, str]:
    return {tag.id: tag.definition for tag in load_taxonomy().tags}


def _read(model: Model, title: str, abstract: str) -> _Read:
    evidence = read_evidence(model, title, abstract)
    fields = evidence.words
    cleaned = (fields[0].cleaned, fields[1].cleaned)
    docs = (pipeline()(cleaned[0].text), pipeline()(cleaned[1].text))
    sentences = cut(cleaned, docs)
    background = [is_background(sentence) for sentence in sentences]
    home = []
    for words in fields:
        own = [(sentence.start, i) for i, sentence in enumerate(sentences) if sentence.field == words.field]
        begins = [start for start, _ in own]
        starts = [words.cleaned.starts[start] for start, _ in words.spans]
        home.append([own[max(0, bisect_right(begins, start) - 1)][1] for start in starts])
    of_ngrams = [home[ngram.field][ngram.first] for ngram in evidence.ngrams]
    terms = find_terms(cleaned, docs)
    return _Read({"title": title, "abstract": abstract}, evidence, sentences, background, terms, of_ngrams)


def _span(read: _Read, field: str, start: int, end: int, part: float) -> Span:
    own = [i for i, s in enumerate(read.sentences) if s.field == field and s.start <= start < s.end]
    return Span(field, start, end, read.given[field][start:end], part, any(read.in_background[i] for i in own))


def _sums(read: _Read, place: int) -> list[float]:
    """Add up each sentence's n-grams."""
    sums = [0.0] * len(read.sentences)
    for home, part in zip(read.home, read.evidence.parts[:, place].tolist(), strict=True):
        sums[home] += part
    return sums


def _strongest(read: _Read, place: int) -> Span | None:
    """Return the sentence or title whose n-grams spoke most for a tag, if any did."""
    sums = _sums(read, place)
    best = max(range(len(sums)), key=lambda i: sums[i], default=None)
    if best is None or sums[best] <= 0:
        return None
    sentence = read.sentences[best]
    return _span(read, sentence.field, sentence.start, sentence.end, sums[best])


def _moving(read: _Read, taken: FloatArray) -> tuple[Span, ...]:
    order = sorted(range(len(taken)), key=lambda i: -abs(taken[i]))
    return tuple(
        _span(read, s.field, s.start, s.end, round(float(taken[i]), 4))
        for i, s in ((i, read.sentences[i]) for i in order[:SENTENCES])
        if abs(taken[i]) >= MOVES
    )


def _in_background(read: _Read, place: int) -> bool:
    """Tell that nearly all that spoke for a tag stands in background sentences."""
    part = np.maximum(read.evidence.parts[:, place], 0)
    elsewhere = sum(p for p, i in zip(part.tolist(), read.home, strict=True) if not read.in_background[i])
    return bool(elsewhere < ELSEWHERE * float(part.sum()))


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))
