"""What the work does with a capability: enables it, counters it or studies it, as probabilities.

A second, smaller table of the same hashed n-grams, learned on tagged records alone, with one weight per tag and role.
It is asked only about records that are flagged or under review, so the others cost nothing; the arithmetic is that of
`scoring`, exact on every path.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from classifier import scoring
from classifier.features import Int64Array, UInt64Array, extract
from classifier.results import ROLES, TAGS
from classifier.scoring import FloatArray

if TYPE_CHECKING:
    import pyarrow as pa

    from classifier.kernel import Kernel

SHAPE = (len(TAGS), len(ROLES))


class Roles:
    """A model's table of roles. Holds nothing that a result depends on and that changes: threads may share it."""

    def __init__(self, parameters: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take the `roles` section of a model's parameters, and its arrays."""
        self.ngrams: UInt64Array = arrays["role_ngrams"]
        self._idf, self._weights = arrays["role_idf"], arrays["role_weights"]
        self._tf_levels: Int64Array = np.array(parameters["tf_levels"], dtype=np.int64)
        self._scale, self._intercept = (
            np.array([[parameters["roles"][part][tag][role] for role in ROLES] for tag in TAGS]).ravel()
            for part in ("scale", "intercept")
        )
        self._kernel: Kernel | None = None

    def compile(self, kernel: "type[Kernel]") -> None:
        """Look up by compiled code from now on; ValueError: a table beyond its layout."""
        self._kernel = kernel(self.ngrams, self._idf, self._weights, self._tf_levels)

    def logits(self, documents: list[tuple[str, str]]) -> FloatArray:
        """Return the logits of roles, up to a constant per tag: array (documents, tags, roles)."""
        arrays = self._kernel and as_arrow(documents)
        if self._kernel is not None and arrays:
            scored = self._kernel.score(*arrays)
            dot, norm = scored.dot, scored.norm
        else:
            counts = scoring.look_up(extract(documents), self.ngrams)
            dot, norm = scoring.sums(counts, len(documents), self._idf, self._tf_levels, self._weights)
        return scoring.weighted(dot, norm, self._scale, self._intercept).reshape(len(documents), *SHAPE)


def as_arrow(documents: list[tuple[str, str]]) -> "tuple[pa.Array, pa.Array] | None":
    """Return the texts as two Arrow arrays, or None where they have no UTF-8 (a lone surrogate, from JSON)."""
    import pyarrow as pa

    try:
        titles, abstracts = (pa.array([document[side] for document in documents], pa.string()) for side in (0, 1))
    except UnicodeEncodeError:
        return None
    return (titles, abstracts) if isinstance(titles, pa.Array) and isinstance(abstracts, pa.Array) else None
