"""The fitted model as a scikit-learn pipeline, for people who want it inside their own scikit-learn code.

It scores (title, abstract) pairs to the same probabilities as `classifier.load()`, up to floating-point rounding.
Only `dualuse train` writes it and nothing of ours opens it: a joblib file runs code when it is loaded.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.pipeline import Pipeline

from classifier.features import UInt64Array
from classifier.modelfolder import Arrays
from classifier.results import TAGS
from classifier.scoring import FloatArray, probabilities
from training.featurestore import count_matrix
from training.fit import unit_vectors


class HashedNgrams(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turn (title, abstract) pairs into unit vectors over a fixed n-gram table."""

    def __init__(self, ngrams: UInt64Array, idf: npt.NDArray[np.uint16]) -> None:
        self.ngrams = ngrams
        self.idf = idf

    def fit(self, documents: Sequence[tuple[str, str]], y: object = None) -> Self:
        """Do nothing: the table came with the model."""
        return self

    def transform(self, documents: Sequence[tuple[str, str]]) -> sp.csr_array:
        """Return a CSR matrix (documents, n-grams) of rows of length 1."""
        return unit_vectors(count_matrix(documents, self.ngrams), self.idf)

    def __sklearn_is_fitted__(self) -> bool:
        return True


class CalibratedTags(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Judge unit vectors: margins, probabilities and flags, one column per tag of `classes_`."""

    def __init__(
        self,
        coef: FloatArray,
        intercept: FloatArray,
        slope: FloatArray,
        offset: FloatArray,
        threshold: FloatArray,
    ) -> None:
        self.coef = coef
        self.intercept = intercept
        self.slope = slope
        self.offset = offset
        self.threshold = threshold

    @property
    def classes_(self) -> npt.NDArray[np.str_]:
        """The tags, in column order."""
        return np.array(TAGS)

    def fit(self, unit: sp.csr_array, y: object = None) -> Self:
        """Do nothing: the weights came with the model; `training.fit.fit` makes new ones."""
        return self

    def decision_function(self, unit: sp.csr_array) -> FloatArray:
        """Return margins: array (documents, tags)."""
        result: FloatArray = unit @ self.coef + self.intercept
        return result

    def predict_proba(self, unit: sp.csr_array) -> FloatArray:
        """Return calibrated probabilities: array (documents, tags)."""
        return probabilities(self.decision_function(unit), self.slope, self.offset)

    def predict(self, unit: sp.csr_array) -> npt.NDArray[np.int64]:
        """Return 1 where a tag is flagged in the balanced profile: array (documents, tags)."""
        return (self.predict_proba(unit) >= self.threshold).astype(np.int64)

    def __sklearn_is_fitted__(self) -> bool:
        return True


def build_pipeline(parameters: Mapping[str, Any], arrays: Arrays) -> Pipeline:
    """Build the pipeline from the parts of a model folder."""
    scale, intercept, slope, offset, threshold = (
        np.array([part[tag] for tag in TAGS])
        for part in (
            *(parameters[name] for name in ("scale", "intercept", "slope", "offset")),
            parameters["thresholds"]["balanced"],
        )
    )
    return Pipeline(
        [
            ("ngrams", HashedNgrams(arrays["ngrams"], arrays["idf"])),
            ("tags", CalibratedTags(arrays["weights"] * scale, intercept, slope, offset, threshold)),
        ]
    )
