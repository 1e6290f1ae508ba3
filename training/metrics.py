"""Precision, recall, F1 and average precision with bootstrap intervals, weighted or not.

Every figure is computed for the data as they are and for 1,000 resamplings of the records (with replacement), all at
once: a resampling is a vector of record weights. Intervals are the 2.5th and 97.5th percentiles.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

RESAMPLINGS = 1000
MEASURES = ("precision", "recall", "f1", "average_precision")
LOAD = ("false_alarms_per_1000", "missed_per_1000")
"""What a reader of a natural stream meets: wrong flags and missed records in a thousand records."""
Figures = dict[str, dict[str, dict[str, float | int | None]]]


@dataclass(frozen=True, slots=True)
class Judged:
    """What one system said of the records: scores and flags, arrays (records, tags)."""

    score: FloatArray
    flag: BoolArray


def measure(
    truth: BoolArray, judged: Judged, tags: Sequence[str], weight: FloatArray | None = None, seed: int = 0
) -> Figures:
    """Return figures per tag and `macro`, their unweighted mean over tags.

    `truth`: array (records, tags). `weight`: how many records of a natural stream each record stands for.
    A figure that cannot be had (no positives, nothing flagged) is None and stays out of the macro mean.
    """
    size = len(truth)
    base = np.ones(size) if weight is None else weight
    draws = np.random.default_rng(seed).multinomial(size, np.full(size, 1 / max(size, 1)), RESAMPLINGS)
    weights = np.vstack([base, draws * base])
    table = np.stack(
        [_tag_figures(truth[:, k], judged.score[:, k], judged.flag[:, k], weights) for k in range(len(tags))]
    )
    figures: Figures = {}
    for k, tag in enumerate(tags):
        figures[tag] = {name: _with_interval(table[k, m]) for m, name in enumerate((*MEASURES, *LOAD))}
        figures[tag]["count"] = {"positives": int(truth[:, k].sum()), "flagged": int(judged.flag[:, k].sum())}
    with np.errstate(invalid="ignore"):
        known = ~np.isnan(table)
        macro = np.where(known, table, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        macro[known.sum(axis=0) == 0] = np.nan
    figures["macro"] = {name: _with_interval(macro[m]) for m, name in enumerate(MEASURES)}
    return figures


def _tag_figures(truth: BoolArray, score: FloatArray, flag: BoolArray, weights: FloatArray) -> FloatArray:
    """Return the measures for each row of weights: array (measures, rows of weights)."""
    hits, flagged, positives = (weights @ part.astype(np.float64) for part in (truth & flag, flag, truth))
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = np.where(positives > 0, 2 * hits / (flagged + positives), np.nan)
        ranking = _average_precision(truth, score, weights)
        thousands = weights.sum(axis=1) / 1000
        load = [(flagged - hits) / thousands, (positives - hits) / thousands]
        return np.stack([hits / flagged, hits / positives, f1, ranking, *load])


def _average_precision(truth: BoolArray, score: FloatArray, weights: FloatArray) -> FloatArray:
    order = np.argsort(-score, kind="stable")
    # Records of equal score are retrieved together: precision is taken at the end of their run.
    ranked = score[order]
    run_end = np.searchsorted(-ranked, -ranked, side="right") - 1
    in_order = weights[:, order]
    hits = in_order * truth[order]
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.cumsum(hits, axis=1)[:, run_end] / np.cumsum(in_order, axis=1)[:, run_end]
        result: FloatArray = np.where(hits > 0, hits * precision, 0).sum(axis=1) / hits.sum(axis=1)
    return result


def _with_interval(values: FloatArray) -> dict[str, float | int | None]:
    drawn = values[1:][~np.isnan(values[1:])]
    low, high = np.percentile(drawn, [2.5, 97.5]) if len(drawn) else (np.nan, np.nan)
    named: Mapping[str, float] = {"value": float(values[0]), "low": float(low), "high": float(high)}
    return {name: None if np.isnan(value) else round(value, 4) for name, value in named.items()}
