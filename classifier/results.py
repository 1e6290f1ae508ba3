"""What a text is told: five judgements, each a probability and a decision, and notes about the text.

`as_row` gives the flat column names that every output shares: JSONL, CSV, Parquet and the service.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

TAGS = ("drones", "guidance", "disinformation", "surveillance", "wargaming")
DECISIONS = ("clear", "review", "flag", "abstain")
"""A tag's decisions, the first three by rising probability; `abstain` stands for all tags of a text or for none."""
ROLES = ("enables", "counters", "studies")
"""What the work does with a tag's capability: makes or improves it, defends against it, or only looks at it."""
NOTICE = "A flag is a question, not a verdict: a person decides."
RESULT_COLUMNS = (
    "tags",
    *(f"{tag}_{part}" for tag in TAGS for part in ("probability", "decision", "role")),
    "notes",
    "model",
)
"""Names of the result's columns in every output, in order; the record's `id` stands before them."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One tag's probability (0 to 1, six decimals), the decision it leads to, and the role of the work in the tag.

    `decision`: one of `DECISIONS`. `roles` has the probability of each role where the tag is flagged or under review,
    and `role` the most probable; else it is empty and `role` None.
    """

    probability: float
    decision: str
    role: str | None = None
    roles: Mapping[str, float] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Result:
    """The judgements on one record, by tag, with the model that gave them.

    `notes` says what a reader should know of the text: a missing title, hidden characters, why there is no decision.
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
            row[f"{tag}_role"] = judgement.role
        return row | {"notes": list(self.notes), "model": self.model}


def is_output(columns: Collection[str]) -> bool:
    """Tell whether columns are those of a row that `dualuse classify` wrote."""
    return "model" in columns and all(f"{tag}_probability" in columns for tag in TAGS)


def count_notes(results: "pa.RecordBatch", wanted: Collection[str]) -> dict[str, int]:
    """Count the rows of judged records that have each of the `wanted` notes."""
    import pyarrow.compute as pc

    counts = pc.value_counts(results.column("notes").flatten()).to_pylist()
    return {entry["values"]: entry["counts"] for entry in counts if entry["values"] in wanted}


def count_zones(results: "pa.RecordBatch") -> tuple[int, int]:
    """Count the rows of judged records that are for review with no tag flagged, and those without a decision."""
    import numpy as np
    import pyarrow.compute as pc

    decisions = [results.column(f"{tag}_decision") for tag in TAGS]
    in_zone = {
        zone: np.any([pc.equal(column, zone).to_numpy(zero_copy_only=False) for column in decisions], axis=0)
        for zone in ("flag", "review", "abstain")
    }
    return int((in_zone["review"] & ~in_zone["flag"]).sum()), int(in_zone["abstain"].sum())
