"""What every measuring command shares: how a model judges labelled records, intervals, and the stamp of a report.

A report says with which model, on which records and when it was made, so that a card can tell a figure of this model
from one of an earlier model.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from classifier.model import Model
from classifier.modelfolder import write_beside
from classifier.records import Record
from classifier.results import TAGS

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]

RESAMPLINGS = 1000
_Z = 1.959964  # standard normal, 97.5 %


@dataclass(frozen=True, slots=True)
class Decided:
    """What a model says of records: probabilities and flags, arrays (records, tags)."""

    probability: FloatArray
    flag: BoolArray


def decide(model: Model, records: Sequence[Record]) -> Decided:
    """Judge records the way `dualuse classify` does."""
    results = model.classify(records)
    probability = [[result.judgements[tag].probability for tag in TAGS] for result in results]
    flag = [[tag in result.tags for tag in TAGS] for result in results]
    shape = (len(results), len(TAGS))
    return Decided(np.array(probability, np.float64).reshape(shape), np.array(flag, np.bool_).reshape(shape))


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


def resamplings(size: int, seed: int = 0) -> FloatArray:
    """Return how often each record is drawn: the records as they are, then 1,000 bootstrap draws, one a row."""
    draws = np.random.default_rng(seed).multinomial(size, np.full(size, 1 / max(size, 1)), RESAMPLINGS)
    return np.vstack([np.ones(size), draws])


def with_interval(values: FloatArray, places: int = 4) -> dict[str, float | None]:
    """Return the first value with the 2.5th and 97.5th percentile of the others; NaN becomes None."""
    drawn = values[1:][~np.isnan(values[1:])]
    low, high = np.percentile(drawn, [2.5, 97.5]) if len(drawn) else (np.nan, np.nan)
    named = {"value": float(values[0]), "low": float(low), "high": float(high)}
    return {name: None if np.isnan(value) else round(value, places) for name, value in named.items()}


def f1_with_interval(truth: BoolArray, flag: BoolArray, seed: int = 0) -> dict[str, float | None]:
    """Return F1 over all tags together (micro) with its bootstrap interval."""
    weights = resamplings(len(truth), seed)
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
