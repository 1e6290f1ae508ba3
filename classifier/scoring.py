"""From hashed n-grams to margins and probabilities, exactly.

An n-gram weighs (tf level) x (idf), both small integers; a text's margin is an integer sum divided by the length of
its vector, the square root of another integer sum. Integer sums do not depend on order, and the few floating-point
steps left are single, correctly rounded operations: the same text gets the same bits alone, in a batch, on any thread.
An n-gram that is not in the table takes part in neither sum.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from classifier.features import Int64Array, Ngrams, UInt64Array

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_LOG2_E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
_EXP_TERMS = tuple(1.0 / float(np.prod(np.arange(1, k + 1, dtype=np.float64))) for k in range(13, -1, -1))


@dataclass(frozen=True, slots=True)
class Counts:
    """Known n-grams of a batch with their counts, sorted by document, then by place in the table."""

    document: Int64Array
    entry: Int64Array
    count: Int64Array


def look_up(ngrams: Ngrams, table: UInt64Array) -> Counts:
    """Keep the n-grams that stand in a sorted `table` and count them per document."""
    entry = np.searchsorted(table, ngrams.hash)
    entry[entry == len(table)] = 0
    known = table[entry] == ngrams.hash
    keys, counts = np.unique(ngrams.document[known] * len(table) + entry[known], return_counts=True)
    document, entry = np.divmod(keys, len(table))
    return Counts(document, entry, counts)


def values(counts: Counts, idf: npt.NDArray[np.uint16], tf_levels: Int64Array) -> Int64Array:
    """Return the integer weight of each counted n-gram in its own text."""
    result: Int64Array = tf_levels[np.minimum(counts.count, len(tf_levels)) - 1] * idf[counts.entry]
    return result


def sums(
    counts: Counts, size: int, idf: npt.NDArray[np.uint16], tf_levels: Int64Array, weights: npt.NDArray[np.int16]
) -> tuple[Int64Array, Int64Array]:
    """Return the two exact sums of each document: dot products (size, tags) and squared length (size).

    `kernel` computes the same two from text; the length of a text of which nothing is known is 1.
    """
    value = values(counts, idf, tf_levels)
    present, first = np.unique(counts.document, return_index=True)
    dot = np.zeros((size, weights.shape[1]), dtype=np.int64)
    norm = np.ones(size, dtype=np.int64)
    if len(present):
        dot[present] = np.add.reduceat(value[:, None] * weights[counts.entry].astype(np.int64), first, axis=0)
        norm[present] = np.add.reduceat(value * value, first)
    return dot, norm


def weighted(dot: Int64Array, norm: Int64Array, scale: FloatArray, intercept: FloatArray) -> FloatArray:
    """Turn the exact sums into margins: array (documents, tags); where nothing is known, the intercepts."""
    result: FloatArray = dot / np.sqrt(norm.astype(np.float64))[:, None] * scale + intercept
    return result


def probabilities(margin: FloatArray, slope: FloatArray, offset: FloatArray) -> FloatArray:
    """Calibrate margins to probabilities of six decimals, by a logistic curve per tag; none is ever 0 or 1."""
    z = np.clip(margin * slope + offset, -40.0, 40.0)
    result: FloatArray = np.clip(np.rint(1e6 / (1.0 + _exp(-z))), 1, 999_999) / 1e6
    return result


def shares(logits: FloatArray) -> FloatArray:
    """Turn logits into probabilities of six decimals that sum to 1, within rounding, along the last axis."""
    z = np.maximum(logits - logits.max(axis=-1, keepdims=True), -40.0)
    parts = _exp(z)
    total = parts[..., :1].copy()
    for place in range(1, parts.shape[-1]):  # in this order on every processor
        total += parts[..., place : place + 1]
    result: FloatArray = np.rint(1e6 * parts / total) / 1e6
    return result


def _exp(x: FloatArray) -> FloatArray:
    """Return e**x from additions and products alone: libraries' exp differs in the last bit between processors."""
    k = np.rint(x * _LOG2_E)
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    total = np.zeros_like(r)
    for term in _EXP_TERMS:
        total = total * r + term
    result: FloatArray = np.ldexp(total, k.astype(np.int64))
    return result
