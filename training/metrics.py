"""Precision, recall, F1, average precision, reliability and reading order with bootstrap intervals, weighted or not.

Every figure is computed for the data as they are and for 1,000 resamplings of the records (with replacement), all at
once: a resampling is a vector of record weights. Intervals are the 2.5th and 97.5th percentiles.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from classifier.features import Int64Array
from classifier.scoring import BoolArray, FloatArray

RESAMPLINGS, _SEED = 1000, 0
MEASURES = ("precision", "recall", "f1", "average_precision")
LOAD = ("false_alarms_per_1000", "missed_per_1000")
"""What a reader of a natural stream meets: wrong flags and missed records in a thousand records."""
RELIABILITY = ("brier", "brier_skill", "calibration_slope", "calibration_intercept")
"""Mean squared error of a probability, its share of what the base rate alone leaves that is gone, and the line through
logits: slope 1 and intercept 0 would be right, a slope under 1 says too much, an intercept under 0 too often."""
READ = (0.05, 0.10)
_STEEPEST = 20.0  # a calibration line that is steeper has separated tagged from untagged and has no end
Figures = dict[str, dict[str, dict[str, float | int | None]]]


@dataclass(frozen=True, slots=True)
class Judged:
    """What one system said of the records: scores and flags, arrays (records, tags)."""

    score: FloatArray
    flag: BoolArray


def measure(truth: BoolArray, judged: Judged, tags: Sequence[str], weight: FloatArray | None = None) -> Figures:
    """Return figures per tag and `macro`, their unweighted mean over tags.

    `truth`: array (records, tags). `weight`: how many records of a natural stream each record stands for.
    A figure that cannot be had (no positives, nothing flagged) is None and stays out of the macro mean.
    """
    weights = resampled(np.ones(len(truth)) if weight is None else weight)
    table = np.stack(
        [_tag_figures(truth[:, k], judged.score[:, k], judged.flag[:, k], weights) for k in range(len(tags))]
    )
    figures: Figures = {}
    for k, tag in enumerate(tags):
        figures[tag] = {name: with_interval(table[k, m]) for m, name in enumerate((*MEASURES, *LOAD))}
        figures[tag]["count"] = {"positives": int(truth[:, k].sum()), "flagged": int(judged.flag[:, k].sum())}
    with np.errstate(invalid="ignore"):
        known = ~np.isnan(table)
        macro = np.where(known, table, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        macro[known.sum(axis=0) == 0] = np.nan
    figures["macro"] = {name: with_interval(macro[m]) for m, name in enumerate(MEASURES)}
    return figures


def reliability(truth: BoolArray, probability: FloatArray, tags: Sequence[str], weight: FloatArray) -> Figures:
    """Return per tag how far probabilities (records, tags) can be trusted: see `RELIABILITY`.

    `weight`: how many records of a natural stream each record stands for.
    """
    weights = resampled(weight)
    figures: Figures = {}
    for k, tag in enumerate(tags):
        happened, p = truth[:, k].astype(np.float64), probability[:, k]
        total = weights.sum(axis=1)
        brier = weights @ (p - happened) ** 2 / total
        base = weights @ happened / total
        with np.errstate(invalid="ignore", divide="ignore"):
            skill = np.where(base > 0, 1 - brier / (base * (1 - base)), np.nan)
        rows = (brier, skill, *_calibration_line(happened, p, weights))
        figures[tag] = {name: with_interval(row) for name, row in zip(RELIABILITY, rows, strict=True)}
    return figures


def reading_order(truth: BoolArray, probability: FloatArray, weight: FloatArray) -> Figures:
    """Return the share of tagged records found when the top of a natural stream is read, by share read.

    Records are read by their largest probability: of the orders tried (probability over threshold, probability of any
    tag) it found most at 5 % on out-of-fold predictions; at 10 % they found alike.
    """
    order = np.argsort(-probability.max(axis=1), kind="stable")
    weights = resampled(weight)[:, order]
    read = np.cumsum(weights, axis=1) / weights.sum(axis=1)[:, None]
    tagged = weights * np.asarray(truth.any(axis=1))[order]
    with np.errstate(invalid="ignore", divide="ignore"):
        found = {f"top {share:.0%}": (tagged * (read <= share)).sum(axis=1) / tagged.sum(axis=1) for share in READ}
    return {name: {"recall": with_interval(row)} for name, row in found.items()}


def role_figures(roles: Int64Array, judged: Int64Array, tags: Sequence[str]) -> Figures:
    """Return accuracy of roles per tag and `all`, and F1 on the records whose role is not the tag's commonest.

    `roles`, `judged`: numbers of roles, -1 for none, arrays (records, tags). A tag is asked for its role only where it
    applies and a role was given. A hit is an unusual role found; a wrong unusual role misses one and invents another.
    `usual`: what always saying the commonest role would get right.
    """
    weights = resampled(np.ones(len(roles)))
    parts = []
    for k in range(len(tags)):
        known = (roles[:, k] >= 0) & (judged[:, k] >= 0)
        usual = np.bincount(roles[known, k], minlength=1).argmax()
        right, is_usual, said_usual = roles[:, k] == judged[:, k], roles[:, k] == usual, judged[:, k] == usual
        columns = (
            known,
            known & right,
            known & is_usual,
            known & right & ~is_usual,
            known & ~is_usual,
            known & ~said_usual,
        )
        parts.append(np.stack([weights @ column.astype(np.float64) for column in columns]))
    figures: Figures = {}
    for name, part in zip((*tags, "all"), (*parts, np.sum(parts, axis=0)), strict=True):
        known, right, usual_ones, hits, unusual, said = part
        with np.errstate(invalid="ignore", divide="ignore"):
            f1 = np.where(unusual > 0, 2 * hits / (unusual + said), np.nan)
            rows = (right / known, usual_ones / known, f1)
        figures[name] = {
            key: with_interval(row) for key, row in zip(("accuracy", "usual", "unusual_f1"), rows, strict=True)
        }
        figures[name]["count"] = {"records": int(known[0]), "unusual": int(unusual[0])}
    return figures


def resampled(weight: FloatArray) -> FloatArray:
    """Return the records' weights as they are, and in every resampling: array (1 + resamplings, records)."""
    size = len(weight)
    draws = np.random.default_rng(_SEED).multinomial(size, np.full(size, 1 / max(size, 1)), RESAMPLINGS)
    return np.vstack([weight, draws * weight])


def with_interval(values: FloatArray) -> dict[str, float | int | None]:
    """Return the first value with the 2.5th and 97.5th percentile of the others; NaN becomes None."""
    drawn = values[1:][~np.isnan(values[1:])]
    low, high = np.percentile(drawn, [2.5, 97.5]) if len(drawn) else (np.nan, np.nan)
    named: Mapping[str, float] = {"value": float(values[0]), "low": float(low), "high": float(high)}
    return {name: None if np.isnan(value) else round(value, 4) for name, value in named.items()}


def shown(figure: Mapping[str, Any], places: int = 3) -> str:
    """Return a figure as text, with its interval where it has one."""
    if figure["value"] is None:
        return "-"
    low, high = figure["low"], figure["high"]
    interval = "" if low is None else f" ({low:.{places}f}-{high:.{places}f})"
    return f"{figure['value']:.{places}f}{interval}"


def _calibration_line(happened: FloatArray, p: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Fit happened ~ expit(slope * logit(p) + intercept) for every row of weights; nan where it has no answer."""
    x = np.log(p / (1 - p))
    if np.ptp(x) == 0:
        return np.full(len(weights), np.nan), np.full(len(weights), np.nan)
    slope, intercept = np.ones(len(weights)), np.zeros(len(weights))
    with np.errstate(all="ignore"):
        for _ in range(25):  # Newton's method; a slightly shortened step keeps separable draws from overflowing
            z = np.clip(np.outer(slope, x) + intercept[:, None], -40, 40)
            fitted = 1 / (1 + np.exp(-z))
            pull = weights * (happened - fitted)
            spread = weights * fitted * (1 - fitted)
            a, b, c = spread @ (x * x), spread @ x, spread.sum(axis=1)
            u, v = pull @ x, pull.sum(axis=1)
            det = a * c - b * b
            slope = slope + np.clip((c * u - b * v) / det, -1, 1)
            intercept = intercept + np.clip((a * v - b * u) / det, -1, 1)
    known = (weights @ happened > 0) & np.isfinite(slope) & np.isfinite(intercept) & (np.abs(slope) < _STEEPEST)
    return np.where(known, slope, np.nan), np.where(known, intercept, np.nan)


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
