"""What every measuring command shares: how a model judges records, shares with intervals, and the stamp of a report.

A report says with which model, on which records and when it was made, so that a card can tell a figure of this model
from one of an earlier model.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from classifier.model import Model
from classifier.modelfolder import write_beside
from classifier.records import Record
from classifier.results import TAGS, Result
from classifier.scoring import BoolArray
from training.metrics import Judged, resampled, with_interval

_Z = 1.959964  # standard normal, 97.5 %


def decide(model: Model, records: Sequence[Record]) -> Judged:
    """Judge records the way `dualuse classify` does."""
    return judged_of(model.classify(records))


def judged_of(results: Sequence[Result]) -> Judged:
    """Return the probabilities and flags of results."""
    rows = [list(result.judgements.values()) for result in results]
    shape = (len(rows), len(TAGS))
    score = np.array([[judgement.probability for judgement in row] for row in rows], np.float64).reshape(shape)
    flag = np.array([[judgement.decision == "flag" for judgement in row] for row in rows], np.bool_).reshape(shape)
    return Judged(score, flag)


def wilson(hits: int, total: int) -> dict[str, float | int | None]:
    """Return a share with its 95 % Wilson interval, and the two counts; no share of nothing."""
    if total == 0:
        return {"value": None, "low": None, "high": None, "hits": 0, "of": 0}
    share = hits / total
    return {"value": round(share, 4), **wilson_bounds(share, total), "hits": hits, "of": total}


def wilson_bounds(share: float, total: float) -> dict[str, float]:
    """Return the 95 % Wilson interval of a share of `total` records, which may be an effective number."""
    z2 = _Z * _Z
    middle = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = _Z * math.sqrt(share * (1 - share) / total + z2 / (4 * total * total)) / (1 + z2 / total)
    return {"low": round(max(0.0, middle - half), 4), "high": round(min(1.0, middle + half), 4)}


def f1_with_interval(truth: BoolArray, flag: BoolArray) -> dict[str, float | int | None]:
    """Return F1 over all tags together (micro) with its bootstrap interval."""
    weights = resampled(np.ones(len(truth)))
    hits, flagged, positives = (weights @ part.sum(axis=1).astype(np.float64) for part in (truth & flag, flag, truth))
    with np.errstate(invalid="ignore", divide="ignore"):
        return with_interval(np.where(positives > 0, 2 * hits / (flagged + positives), np.nan))


def macro_f1(truth: BoolArray, flag: BoolArray) -> float:
    """Return the mean of the tags' F1."""
    both = flag.sum(axis=0) + truth.sum(axis=0)
    return float(np.mean(2 * (truth & flag).sum(axis=0) / np.maximum(both, 1)))


def stamp(model: Model, ids: Sequence[str]) -> dict[str, Any]:
    """Return what a report must say of itself: when, which model, which records."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "model": {"id": model.id, "digest": model.digest},
        "records": {"measured": len(ids), "sha256_of_ids": hashlib.sha256("\n".join(ids).encode()).hexdigest()},
    }


def write_report(path: Path, report: dict[str, Any]) -> None:
    """Write a report as JSON; in a model folder, list it in the manifest."""
    write_beside(path, json.dumps(report, indent=1, ensure_ascii=False) + "\n")
