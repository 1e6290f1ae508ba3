"""Authored cases that a model should get right, and the list of those it does not: `data/cases/`.

A negative must get no tag at all; a minimal pair is two texts alike but for what matters, one inside the tag and one
outside. `known_failures.jsonl` names what the shipped model gets wrong; the tests hold the list to the model both
ways, so an accidental fix shows as well as a new fault.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classifier.errors import InputError
from classifier.model import Model

KNOWN_FAILURES = "known_failures.jsonl"


@dataclass(frozen=True, slots=True)
class Case:
    """One text and the decision it should get: `tag` (any tag where None) flagged or clear."""

    id: str
    title: str
    abstract: str
    tag: str | None
    expected: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """A case and the decision it got; `seen` names the tags flagged where the case is a negative."""

    case: Case
    seen: str

    @property
    def right(self) -> bool:
        """Whether the decision is the expected one."""
        return self.seen == self.case.expected


def read_cases(folder: Path) -> list[Case]:
    """Read negatives and both sides of the minimal pairs.

    Raises InputError naming the file and line that cannot be used.
    """
    cases = [Case(row["id"], row["title"], row["abstract"], None, "clear") for row in _rows(folder / "negative.jsonl")]
    for pair in _rows(folder / "minimal_pairs.jsonl"):
        for side, expected in (("inside", "flag"), ("outside", "clear")):
            text = pair[side]
            cases.append(Case(f"{pair['id']}/{side}", text["title"], text["abstract"], pair["tag"], expected))
    return cases


def check(model: Model, cases: Iterable[Case]) -> list[Outcome]:
    """Return what the model says of each case."""
    cases = list(cases)
    outcomes = []
    for case, result in zip(cases, model.classify([(c.title, c.abstract) for c in cases]), strict=True):
        flagged = result.tags if case.tag is None else tuple(tag for tag in result.tags if tag == case.tag)
        outcomes.append(Outcome(case, "flag" if flagged else "clear"))
    return outcomes


def known_failures(folder: Path) -> set[str]:
    """Return the ids of the cases that the shipped model is known to get wrong."""
    return {row["case"] for row in _rows(folder / KNOWN_FAILURES)}


def write_known_failures(folder: Path, outcomes: Iterable[Outcome]) -> None:
    """Write the wrong outcomes, one JSON object a line."""
    lines = [
        json.dumps({"case": o.case.id, "tag": o.case.tag, "expected": o.case.expected, "seen": o.seen}) + "\n"
        for o in outcomes
        if not o.right
    ]
    (folder / KNOWN_FAILURES).write_text("".join(lines), encoding="utf-8")


def _rows(path: Path) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise InputError(f"{path}, line {number}: not JSON ({error}).") from error
    return rows
