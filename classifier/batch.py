"""Classify a whole dump: read, judge, write, and account for every row.

A row of the source ends up in exactly one of two places, the output or the list of refused rows; `classify_dump`
returns the count of both. Output is written whole or not at all (see `writers`).
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from classifier.model import BATCH, Model
from classifier.readers import read
from classifier.records import BY_ALIAS, Columns, Record, Refusal, in_batches
from classifier.results import RESULT_COLUMNS, Result
from classifier.writers import open_writer

KEEP = ("all", "id")
"""What of the source goes into the output: every column, or the id alone."""


@dataclass(slots=True)
class Summary:
    """Counts of one run: rows read, tagged (judged), refused; flags per tag; seconds."""

    tagged: int = 0
    refused: int = 0
    flagged: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def rows(self) -> int:
        """Rows read: each was either tagged or refused."""
        return self.tagged + self.refused


def classify_dump(
    source: str | Path | BinaryIO,
    target: str | Path,
    model: Model,
    *,
    format: str | None = None,
    output_format: str | None = None,
    columns: Columns = BY_ALIAS,
    keep: str = "all",
    profile: str = "balanced",
    rejects: Path | None = None,
    on_refusal: Callable[[Refusal], None] = lambda refusal: None,
    on_batch: Callable[[Summary], None] = lambda summary: None,
) -> Summary:
    """Judge every record of a source and write one row each to a target, in the source's order.

    `rejects` names the file for refused rows; it exists afterwards only if some were refused. `on_refusal` and
    `on_batch` are told of each refused row and of the counts after each batch.

    Raises InputError where the source as a whole cannot be used; then no target is written.
    """
    summary = Summary()
    started = time.perf_counter()
    own_id = columns.id is None or columns.id == "id"
    with ExitStack() as stack:
        out = stack.enter_context(open_writer(target, output_format))
        refused = None
        for batch in in_batches(read(source, format=format, columns=columns), BATCH):
            records = [item for item in batch if isinstance(item, Record)]
            results = model.judge(records, profile=profile)
            out.write([output_row(r, result, keep, own_id) for r, result in zip(records, results, strict=True)])
            for item in batch:
                if isinstance(item, Refusal):
                    on_refusal(item)
                    summary.refused += 1
                    if rejects is not None:
                        refused = refused or stack.enter_context(open_writer(rejects, "jsonl"))
                        refused.write([_reject_row(item)])
            summary.tagged += len(records)
            summary.flagged.update(tag for result in results for tag in result.tags)
            on_batch(summary)
    if rejects is not None and summary.refused == 0:
        rejects.unlink(missing_ok=True)  # left by an earlier run: it would tell of rows that are fine now
    summary.seconds = time.perf_counter() - started
    return summary


def output_row(record: Record, result: Result, keep: str = "all", own_id: bool = True) -> dict[str, Any]:
    """Join a record's source columns and its result under the names every output shares.

    A source column that bears one of our names becomes `source_{name}`; its `id` is our `id`, unless another column
    was chosen for that (`own_id` False).
    """
    if keep == "id":
        return result.as_row()
    judged = result.as_row()
    row = {"id": judged.pop("id")}
    for name, value in record.source.items():
        if name == "id" and own_id:
            continue
        row[_free_name(name, record.source)] = value
    return row | judged


def _free_name(name: str, source: Mapping[str, Any]) -> str:
    if name != "id" and name not in RESULT_COLUMNS:
        return name
    name = f"source_{name}"
    while name in source:
        name = f"source_{name}"
    return name


def _reject_row(refusal: Refusal) -> dict[str, Any]:
    return {
        "row": refusal.row,
        "id": refusal.id,
        "field": refusal.field,
        "reason": refusal.reason,
        "mend": refusal.mend,
    }
