"""Fit one linear model per tag on weighted n-gram counts.

Each n-gram is first scaled by how differently it occurs in records with and without the tag (the log-count ratio of
Wang and Manning 2012, "Baselines and Bigrams"), then logistic regression weighs them; the product of the two is one
weight per n-gram and tag. To it is added part of a second logistic regression, on the n-grams as they are: the first is
bold about words that tell a tag, the second careful with those that occur everywhere, and their sum, which is as linear
and costs scoring nothing, errs less than either. liblinear's dual solver is used on purpose: it is plain sequential
arithmetic without BLAS, so two processors give the same weights.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from classifier.features import Int64Array
from classifier.scoring import BoolArray, Counts, FloatArray, values

FOLDS = 5
SEED = 0
TF_LEVELS = np.rint(64 * (1 + np.log(np.arange(1, 65)))).astype(np.int64)
"""Sublinear term frequency, 1 + ln(count), in 64ths; counts beyond 64 weigh as 64."""

SIMILARITY = 0.6
"""Cosine above which two records are near duplicates."""
_BLOCK = 500  # records compared with all others at a time


@dataclass(frozen=True, slots=True)
class Settings:
    """What is chosen by cross-validation: see `training.choose`.

    `c`: inverse regularisation. `ratio`: scale n-grams by their log-count ratio. `smoothing`: added to the counts
    behind that ratio. `plain`: how much of a model on n-grams as they are is added, and `plain_c` its inverse
    regularisation.
    """

    c: float = 32.0
    ratio: bool = True
    smoothing: float = 1.0
    plain: float = 0.5
    plain_c: float = 16.0


@dataclass(frozen=True, slots=True)
class Linear:
    """Weights (n-grams, tags) and intercepts (tags,) on unit-length vectors."""

    weights: FloatArray
    intercept: FloatArray

    def margins(self, unit: sp.csr_array) -> FloatArray:
        """Return margins: array (records, tags)."""
        result: FloatArray = unit @ self.weights + self.intercept
        return result


def idf_levels(counts: sp.csr_array) -> npt.NDArray[np.uint16]:
    """Return smoothed inverse document frequency, 1 + ln((1 + n) / (1 + df)), in 256ths."""
    in_records = np.bincount(counts.indices, minlength=counts.shape[1])
    idf = 1 + np.log((1 + counts.shape[0]) / (1 + in_records))
    result: npt.NDArray[np.uint16] = np.rint(256 * idf).astype(np.uint16)
    return result


def unit_vectors(counts: sp.csr_array, idf: npt.NDArray[np.uint16]) -> sp.csr_array:
    """Weigh counts as scoring does (the same integers) and divide each row by its length."""
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    value = values(Counts(rows, counts.indices, counts.data), idf, TF_LEVELS)
    squares = np.bincount(rows, weights=(value * value).astype(np.float64), minlength=counts.shape[0])
    data = value / np.sqrt(squares)[rows]
    return sp.csr_array((data, counts.indices, counts.indptr), shape=counts.shape)


def fit(unit: sp.csr_array, tags: BoolArray, settings: Settings) -> Linear:
    """Fit one model per column of `tags` (records, tags)."""
    columns = [_fit_tag(unit, tags[:, k], settings) for k in range(tags.shape[1])]
    return Linear(np.column_stack([w for w, _ in columns]), np.array([b for _, b in columns]))


def folds(groups: Int64Array) -> Iterator[tuple[Int64Array, Int64Array]]:
    """Yield (train, test) row numbers; records of one group stay together."""
    splitter = GroupKFold(FOLDS, shuffle=True, random_state=SEED)
    yield from splitter.split(groups, groups=groups)


def out_of_fold(unit: sp.csr_array, tags: BoolArray, groups: Int64Array, settings: Settings) -> FloatArray:
    """Return each record's margins by a model that has not seen its group: array (records, tags)."""
    result = np.zeros(tags.shape)
    for train, test in folds(groups):
        result[test] = fit(unit[train], tags[train], settings).margins(unit[test])
    return result


def near_duplicate_groups(unit: sp.csr_array) -> Int64Array:
    """Group the records: near duplicates share a number."""
    pairs = []
    for start in range(0, unit.shape[0], _BLOCK):
        alike = (unit[start : start + _BLOCK] @ unit.T).tocoo()
        close = alike.data > SIMILARITY
        pairs.append(np.stack([alike.row[close] + start, alike.col[close]]))
    row, column = np.concatenate(pairs, axis=1)
    graph = sp.coo_array((np.ones(len(row), dtype=np.int8), (row, column)), shape=(unit.shape[0],) * 2)
    groups: Int64Array = sp.csgraph.connected_components(graph, directed=False)[1].astype(np.int64)
    return groups


def _fit_tag(unit: sp.csr_array, tag: BoolArray, settings: Settings) -> tuple[FloatArray, float]:
    ratio = log_count_ratio(unit, tag, settings.smoothing) if settings.ratio else np.ones(unit.shape[1])
    weights, intercept = _logistic(sp.csr_array(unit.multiply(ratio[None, :])), tag, settings.c)
    weights *= ratio
    if settings.plain:
        plain_weights, plain_intercept = _logistic(unit, tag, settings.plain_c)
        weights += settings.plain * plain_weights
        intercept += settings.plain * plain_intercept
    return weights, intercept


def _logistic(scaled: sp.csr_array, tag: BoolArray, c: float) -> tuple[FloatArray, float]:
    model = LogisticRegression(C=c, solver="liblinear", dual=True, tol=1e-3, max_iter=2000, random_state=SEED)
    model.fit(scaled, tag)
    return model.coef_[0], float(model.intercept_[0])


def log_count_ratio(unit: sp.csr_array, tag: BoolArray, smoothing: float) -> FloatArray:
    """Return |ln(share among tagged / share among the others)| of each n-gram, in 256ths.

    Rounded so that a last bit of a processor's logarithm cannot reach the weights.
    """
    inside = np.bincount(unit[tag].indices, minlength=unit.shape[1]) + smoothing
    outside = np.bincount(unit[~tag].indices, minlength=unit.shape[1]) + smoothing
    ratio = np.log((inside / inside.sum()) / (outside / outside.sum()))
    result: FloatArray = np.rint(256 * np.abs(ratio)) / 256
    return result
