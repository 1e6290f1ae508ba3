"""From out-of-fold margins to probabilities and decision thresholds.

Probabilities are made true for a natural stream, so the logistic curve is fitted on the stratified sample with its
weights; thresholds are chosen unweighted on every training record, since F1 is compared that way. Both see
out-of-fold margins alone: a model is never asked about a record it was fitted on.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression

from classifier.scoring import BoolArray, FloatArray


@dataclass(frozen=True, slots=True)
class Curve:
    """probability = 1 / (1 + exp(-(slope * margin + offset)))."""

    slope: float
    offset: float


def fit_curve(margin: FloatArray, tag: BoolArray, weight: FloatArray) -> Curve:
    """Fit a logistic curve to margins (Platt 1999), each record counting `weight` times."""
    model = LogisticRegression(C=1e6, tol=1e-10, max_iter=1000)
    model.fit(margin[:, None], tag, sample_weight=weight / weight.mean())
    # Four decimals: finer than the data can tell, coarse enough to hide a processor's last bits.
    return Curve(round(float(model.coef_[0, 0]), 4), round(float(model.intercept_[0]), 4))


def best_f1_threshold(probability: FloatArray, tag: BoolArray) -> float:
    """Return the probability at and above which flagging gives the highest F1, to six decimals.

    Taken half-way between two neighbouring probabilities, so that neither sits on the edge.
    """
    order = np.argsort(-probability, kind="stable")
    ranked, hits = probability[order], np.cumsum(tag[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + tag.sum())
    last = np.flatnonzero(np.append(ranked[1:] < ranked[:-1], True))  # cut only between different probabilities
    cut = last[np.argmax(f1[last])]
    below = ranked[cut + 1] if cut + 1 < len(ranked) else 0.0
    return round(float(ranked[cut] + below) / 2, 6)


def expected_f1_threshold(probability: FloatArray) -> float:
    """Return the probability at and above which flagging gives the highest expected F1, where probabilities are true.

    It asks the probabilities instead of counting hits (Lipton et al. 2014, "Optimal thresholding of classifiers to
    maximize F1"), which is steadier than `best_f1_threshold` on some two thousand records.
    """
    ranked = np.sort(probability)[::-1]
    f1 = 2 * np.cumsum(ranked) / (np.arange(1, len(ranked) + 1) + ranked.sum())
    cut = int(np.argmax(f1))
    below = ranked[cut + 1] if cut + 1 < len(ranked) else 0.0
    return float(ranked[cut] + below) / 2
