"""What a text is told: five judgements, each a probability and a decision, and notes about the text.

`as_row` gives the flat column names that every output shares: JSONL, CSV, Parquet and the service.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TAGS = ("drones", "guidance", "disinformation", "surveillance", "wargaming")
NOTICE = "A flag is a question, not a verdict: a person decides."
RESULT_COLUMNS = (
    "tags",
    *(f"{tag}_{part}" for tag in TAGS for part in ("probability", "decision")),
    "notes",
    "model",
)
"""Names of the result's columns in every output, in order; the record's `id` stands before them."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One tag's probability (0 to 1, six decimals) and the decision it leads to, `flag` or `clear`."""

    probability: float
    decision: str


@dataclass(frozen=True, slots=True)
class Result:
    """The judgements on one record, by tag, with the model that gave them.

    `notes` says what a reader should know of the text: a missing title, hidden characters.
    """

    id: str
    judgements: Mapping[str, Judgement]
    notes: tuple[str, ...]
    model: str

    @property
    def tags(self) -> tuple[str, ...]:
        """The flagged tags."""
        return tuple(tag for tag, judgement in self.judgements.items() if judgement.decision == "flag")

    def as_row(self) -> dict[str, Any]:
        """Return the result under the flat names of `RESULT_COLUMNS`, `id` first."""
        row: dict[str, Any] = {"id": self.id, "tags": list(self.tags)}
        for tag, judgement in self.judgements.items():
            row[f"{tag}_probability"] = judgement.probability
            row[f"{tag}_decision"] = judgement.decision
        return row | {"notes": list(self.notes), "model": self.model}
