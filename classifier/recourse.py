"""Say what would change a decision, by trying it: every statement is the model's judgement on the edited text.

Sentences are taken out of the text as it was given and the rest is judged again, as if someone had sent it. Nothing
is concluded from contributions, which say what counted and not what would happen without it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from classifier.cleaning import clean
from classifier.evidence import Evidence, Phrase
from classifier.precedents import Precedent
from classifier.results import DECISIONS, TAGS, Judgement
from classifier.rules import Rule, nearest_rules
from classifier.scoring import FloatArray
from classifier.sentences import Sentence
from classifier.terms import FoundTerm, load_lexicon

if TYPE_CHECKING:
    from classifier.model import Model

WORDS = 5
"""Phrases, and replacements, tried for a tag."""
LIKELIEST = 3
"""Sentences tried in each step of a search for a set of them but the first: those that alone lowered the probability
most. Trying all of them finds hardly a smaller set, and each may be a second reading."""
NEAR = 0.02
"""A clear tag below this probability is not near; nothing is tried for it."""
PRECEDENTS = 3
"""Labelled records named with the tag, and as many without."""
RANK = {"abstain": 0, "clear": 0, "review": 1, "flag": 2}
"""A decision falls when its rank does."""

Place = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Without:
    """What the decision on a tag would be with one sentence taken out."""

    unit: str
    number: int
    probability: float
    decision: str


@dataclass(frozen=True, slots=True)
class Support:
    """Sentences without which a decision falls; none of them can be spared. 0 is the title.

    `exact`: no smaller set does it. A larger set than two is found step by step, and a smaller one may exist.
    """

    units: tuple[int, ...]
    names: str
    exact: bool
    probability: float
    decision: str


@dataclass(frozen=True, slots=True)
class OtherWords:
    """What the decision would be with some words taken out, or with `instead` in their place, wherever they stand."""

    words: str
    places: int
    instead: str | None
    probability: float
    decision: str


@dataclass(frozen=True, slots=True)
class Recourse:
    """What would change the decision on a tag. `text` says it in plain sentences; the rest is what they rest on.

    `support` is None for a clear tag, and where nothing short of the whole text would do. `without` is empty for a
    tag that is not near, `words` for one that is clear. `included` and `excluded`: the nearest codebook rules.
    `precedents`: the labelled records most like the text, with and without the tag.
    """

    text: tuple[str, ...]
    support: Support | None
    without: tuple[Without, ...]
    words: tuple[OtherWords, ...]
    included: Rule | None
    excluded: Rule | None
    precedents: tuple[Precedent, ...]


@dataclass(frozen=True, slots=True)
class Edited:
    """A text, whole or edited, as it was judged; `second` is what reading it again added to the logits, if it was."""

    margins: Sequence[float]
    first: Sequence[float]
    second: FloatArray | None
    judgements: Mapping[str, Judgement]


class Rescorer:
    """Judges a text, whole and with parts taken out or replaced; what several tags ask for is judged once."""

    def __init__(self, model: "Model", title: str, abstract: str, units: Sequence[Sentence], profile: str) -> None:
        """Take a text as it was given, with its units in reading order."""
        self._model, self._given, self._profile = model, {"title": title, "abstract": abstract}, profile
        self.units = tuple(units)
        self._known: dict[tuple[str, str], Edited] = {}

    def whole(self) -> Edited:
        """Judge the text as it was given, and in the same go without each unit, which every explanation asks for."""
        text = self._given["title"], self._given["abstract"]
        self._examine([text, *(self._without([place]) for place in range(len(self.units)))])
        return self._known[text]

    def without(self, sets: Iterable[Iterable[int]]) -> list[Mapping[str, Judgement] | None]:
        """Judge the text without each set of units (places in `units`); None where no text is left."""
        return self._judged([self._without(places) for places in sets])

    def second_without_each(self) -> FloatArray:
        """Return what reading again adds to the logits without each unit: array (units, tags), for a text read twice.

        An edit that leaves no doubt was not read again; it is now, to compare.
        """
        texts = [self._without([place]) for place in range(len(self.units))]
        seconds = [self._known[text].second if text in self._known else None for text in texts]
        unread = [text for text, second in zip(texts, seconds, strict=True) if second is None]
        more = iter(self._model.second_logits(unread) if unread else ())
        return np.array([next(more) if second is None else second for second in seconds])

    def shown(self, place: Place) -> str:
        """Return a stretch of the given text without markup, in lower case and on one line."""
        field, start, end = place
        return " ".join(clean(self._given[field][start:end]).lower().split())

    def edited(self, edits: Sequence[Sequence[tuple[str, int, int, str]]]) -> list[Mapping[str, Judgement] | None]:
        """Judge the text after each list of (field, start, end, new text) replacements; None where no text is left."""
        return self._judged([edit(self._given, replacements) for replacements in edits])

    def _without(self, places: Iterable[int]) -> tuple[str, str]:
        units = (self.units[place] for place in places)
        return edit(self._given, [(unit.field, unit.start, unit.end, "") for unit in units])

    def _judged(self, texts: Sequence[tuple[str, str]]) -> list[Mapping[str, Judgement] | None]:
        self._examine(texts)
        return [self._known[text].judgements if text in self._known else None for text in texts]

    def _examine(self, texts: Sequence[tuple[str, str]]) -> None:
        new = [(t, a) for t, a in dict.fromkeys(texts) if (t, a) not in self._known and (t.strip() or a.strip())]
        if not new:
            return
        found = self._model.examine(new, profile=self._profile)
        margins, first, probability = found.margins.tolist(), found.first.tolist(), found.probability.tolist()
        for row, (text, codes) in enumerate(zip(new, found.decision.tolist(), strict=True)):
            judged = zip(TAGS, probability[row], codes, strict=True)
            judgements = {tag: Judgement(p, DECISIONS[code]) for tag, p, code in judged}
            self._known[text] = Edited(margins[row], first[row], found.second.get(row), judgements)


def edit(given: Mapping[str, str], replacements: Iterable[tuple[str, int, int, str]]) -> tuple[str, str]:
    """Return title and abstract with stretches replaced; they must not overlap."""
    fields = dict(given)
    for field, start, end, new in sorted(replacements, key=lambda item: item[:3], reverse=True):
        fields[field] = fields[field][:start] + new + fields[field][end:]
    return fields["title"], fields["abstract"]


def each_alone(rescorer: Rescorer, tag: str) -> list[Without]:
    """Take out each unit by itself; a text of one unit has nothing to be taken out."""
    judged = rescorer.without([place] for place in range(len(rescorer.units)))
    return [
        Without(unit.name, unit.number, left[tag].probability, left[tag].decision)
        for unit, left in zip(rescorer.units, judged, strict=True)
        if left is not None
    ]


def support(rescorer: Rescorer, tag: str, decision: str) -> Support | None:
    """Find a smallest set of units without which the decision falls; None where only the whole text would do."""
    every = range(len(rescorer.units))
    alone = rescorer.without([place] for place in every)
    order = sorted(every, key=lambda place: (1.0 if (left := alone[place]) is None else left[tag].probability, place))
    removed: list[int] = []
    while True:
        tried = [place for place in order if place not in removed][: LIKELIEST if removed else None]
        left = rescorer.without([*removed, place] for place in tried)
        possible = [(judged[tag], place) for place, judged in zip(tried, left, strict=True) if judged is not None]
        if not possible:
            return None
        _, place = min(possible, key=lambda item: (item[0].probability, item[1]))
        fallen = [item for item in possible if RANK[item[0].decision] < RANK[decision]]
        if fallen:
            place = min(fallen, key=lambda item: (item[0].probability, item[1]))[1]
        removed.append(place)
        if fallen:
            break
    for place in list(removed):  # what an earlier step took out may have become needless
        fewer = [other for other in removed if other != place]
        (judged,) = rescorer.without([fewer])
        if judged is not None and fewer and RANK[judged[tag].decision] < RANK[decision]:
            removed = fewer
    (judged,) = rescorer.without([removed])
    assert judged is not None
    units = [rescorer.units[place] for place in sorted(removed)]
    return Support(
        tuple(unit.number for unit in units),
        name_units(units),
        len(units) <= 2,  # each unit alone was tried
        judged[tag].probability,
        judged[tag].decision,
    )


def name_units(units: Sequence[Sentence]) -> str:
    """Name units as a reader would: "the title and sentences 2 and 4"."""
    numbers = [str(unit.number) for unit in units if unit.number]
    title = ["the title"] if len(numbers) < len(units) else []
    if not numbers:
        return "".join(title)
    plural = "sentences" if len(numbers) > 1 else "sentence"
    listed = " and ".join(filter(None, [", ".join(numbers[:-1]), numbers[-1]]))
    return " and ".join([*title, f"{plural} {listed}"])


def find_recourse(
    rescorer: Rescorer,
    tag: str,
    judgement: Judgement,
    thresholds: Mapping[str, float],
    evidence: Evidence,
    phrases: Sequence[Phrase],
    terms: Sequence[FoundTerm],
    precedents: Sequence[Precedent],
    mentions: Sequence[str],
) -> Recourse:
    """Try what would change the decision on a tag. `thresholds`: decision -> probability from which it is given.

    `mentions`: what `on_uses` and `on_background` say.
    """
    near = judgement.decision != "clear" or judgement.probability >= NEAR
    raised = RANK[judgement.decision] > 0
    without = each_alone(rescorer, tag) if near else []
    held = support(rescorer, tag, judgement.decision) if raised else None
    words = try_words(rescorer, tag, evidence, phrases, terms) if raised else []
    included, excluded = nearest_rules(tag, evidence, terms)
    alike = [one for one in precedents if tag in one.tags][:PRECEDENTS]
    alike += [one for one in precedents if tag not in one.tags][:PRECEDENTS]
    if raised:
        alone = len(rescorer.units) == 1
        text = [*mentions, "The text is one sentence: none can be taken out."] if alone else [*mentions]
        text += [
            *([] if alone else _on_support(tag, judgement, held, without, thresholds)),
            *_on_words(judgement, words, thresholds),
        ]
    else:
        text = _on_clear(judgement, thresholds, without)
    return Recourse(tuple(text), held, tuple(without), tuple(words), included, excluded, tuple(alike))


def on_uses(
    rescorer: Rescorer,
    tag: str,
    judgement: Judgement,
    thresholds: Mapping[str, float],
    uses: Sequence[tuple[int, int]],
) -> list[str]:
    """Say why a tag is only for review that its probability would flag, if it is for its mention of possible uses."""
    if judgement.decision != "review" or judgement.probability < thresholds["flag"]:
        return []
    (left,) = rescorer.edited([[("abstract", start, end, "") for start, end in uses]])
    told = [unit for unit in rescorer.units if unit.number and any(s < unit.end and unit.start < e for s, e in uses)]
    names = name_units(told)
    tells, that = ("tells", "it") if len(told) == 1 else ("tell", "them")
    least = show(left[tag].probability) if left else "no text"
    return [
        f"For review, though {show(judgement.probability)} reaches the flag's {thresholds['flag']:.2f}: {names} only "
        f"{tells} of possible uses, and without {that} {least} would be left."
    ]


def on_background(rescorer: Rescorer, tag: str, judgement: Judgement, background: Sequence[int]) -> list[str]:
    """Say of a flag whose evidence stands in background sentences (places in `units`) that it falls without them."""
    (left,) = rescorer.without([background])
    if left is not None and RANK[left[tag].decision] >= RANK[judgement.decision]:
        return []
    names = name_units([rescorer.units[place] for place in background])
    stand = "which reads" if len(background) == 1 else "which read"
    return [f"Nearly all that speaks for {tag} stands in {names}, {stand} like background or motivation."]


def try_words(
    rescorer: Rescorer, tag: str, evidence: Evidence, phrases: Sequence[Phrase], terms: Sequence[FoundTerm]
) -> list[OtherWords]:
    """Take out each of the strongest phrases, wherever it stands, and put nearby words in place of terms."""
    strongest = list(dict.fromkeys(phrase.words for phrase in phrases if phrase.part > 0))[:WORDS]
    tries: list[tuple[str, str | None, list[Place]]] = []
    for words in strongest:
        places = evidence.places(words)
        tries.append((rescorer.shown(places[0]), None, places))
    nearby = load_lexicon(tag).nearby
    for term in dict.fromkeys(found.term for found in terms if found.term in nearby):
        places = [(found.field, found.start, found.end) for found in terms if found.term == term]
        tries.append((term, nearby[term], places))
    judged = rescorer.edited([[(*place, new or "") for place in places] for _, new, places in tries])
    return [
        OtherWords(words, len(places), new, left[tag].probability, left[tag].decision)
        for (words, new, places), left in zip(tries, judged, strict=True)
        if left is not None
    ]


def _on_support(
    tag: str, judgement: Judgement, held: Support | None, without: Sequence[Without], thresholds: Mapping[str, float]
) -> list[str]:
    if held is None:
        return [f"No part of the text can be taken out so that {tag} would no longer be {judgement.decision!r}."]
    them = "it" if len(held.units) == 1 else "them"
    text = [f"The {tag} {judgement.decision} rests on {held.names}."]
    text.append(f"Without {them}, the decision would be {_outcome(held, thresholds)}.")
    if them == "it":
        return text
    alone = [one for one in without if one.number in held.units and one.decision != judgement.decision]
    text += [f"Without {one.unit} alone, it would be {_outcome(one, thresholds)}." for one in alone]
    if not alone:
        text.append(f"Without any one of them alone, it would still be {judgement.decision!r}.")
    return text


def _on_words(judgement: Judgement, words: Sequence[OtherWords], thresholds: Mapping[str, float]) -> list[str]:
    changed = [one for one in words if RANK[one.decision] < RANK[judgement.decision]]
    if not changed:
        return ["No single phrase decides it: without any one of those tried, the decision stays."] if words else []
    return [f"{_edit_words(one)}, it would be {_outcome(one, thresholds)}." for one in changed]


def _edit_words(one: OtherWords) -> str:
    places = f" ({one.places} places)" if one.places > 1 else ""
    if one.instead is None:
        return f"Without \u201c{one.words}\u201d{places}"
    return f"With \u201c{one.instead}\u201d in place of \u201c{one.words}\u201d{places}"


def _outcome(one: Support | Without | OtherWords, thresholds: Mapping[str, float]) -> str:
    if one.decision == "abstain":
        return "'abstain' (what is left cannot be judged)"
    return f"{one.decision!r} ({show(one.probability, _digits(one.probability, thresholds))})"


def _digits(probability: float, thresholds: Mapping[str, float]) -> int:
    """Return how many digits tell a probability from the thresholds that it is compared with."""
    same = (f"{least:.2f}" == f"{probability:.2f}" for least in thresholds.values())
    return 6 if any(same) else 2


def show(probability: float, digits: int = 2) -> str:
    """Return a probability for reading, never 0 or 1."""
    return "below 0.01" if probability < 0.005 else "above 0.99" if probability > 0.995 else f"{probability:.{digits}f}"


def _on_clear(judgement: Judgement, thresholds: Mapping[str, float], without: Sequence[Without]) -> list[str]:
    if judgement.decision == "abstain":
        return ["Not judged: the notes say why."]
    decision, least = min(thresholds.items(), key=lambda item: item[1])
    digits = _digits(judgement.probability, {decision: least})
    text = [f"Not flagged: {show(judgement.probability, digits)}, and {decision!r} begins at {least:.{digits}f}."]
    if judgement.probability < NEAR:
        return [*text, "Nothing in the text comes near it."]
    nearest = min(without, key=lambda one: one.probability, default=None)
    if nearest and nearest.probability < judgement.probability:
        text.append(f"What came nearest is {nearest.unit}: {show(nearest.probability)} without it.")
    raised = [one for one in without if RANK[one.decision] > RANK["clear"]]
    return text + [f"Without {one.unit}, it would be {_outcome(one, thresholds)}." for one in raised]
