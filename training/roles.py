"""Learn what tagged work does with a capability: enables it, counters it, studies it.

Per tag and role a linear model over the n-grams of the records that have the tag; classes weigh alike, or the usual
role would swallow the others. Out-of-fold margins are then turned into probabilities by a slope and a constant per
role, which know again how common each role is. With these labels n-grams scaled by their log-count ratio, as for tags,
found unusual roles less well, and so did smaller or larger tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from classifier.features import Int64Array
from classifier.modelfolder import Arrays
from classifier.results import ROLES, TAGS
from classifier.scoring import FloatArray
from training.featurestore import Features
from training.fit import SEED, folds, near_duplicate_groups, unit_vectors
from training.labels import Label

MIN_TAGGED = 10
"""Tagged records in which an n-gram must occur: a table of a seventh of the n-grams does as well as all."""
C = 64.0
_LARGEST_WEIGHT = 32767
_FEWEST = 2  # examples without which a role is not learned
_NEVER = -4.0  # margin of a role that was not learned
_USUAL_SLOPE, _SLOPE_PULL, _CONSTANT_PULL = 0.7, 0.3, 0.03  # a small prior: some roles have a dozen examples


@dataclass(frozen=True, slots=True)
class RoleModel:
    """What goes into a model folder, and the out-of-fold logits: array (records, tags, roles), 0 without any tag."""

    section: dict[str, Any]
    arrays: Arrays
    logits: FloatArray


def fit_roles(labels: Sequence[Label], features: Features, idf: npt.NDArray[np.uint16]) -> RoleModel:
    """Fit the roles of every tag on the records that have it."""
    numbers = role_numbers(labels)
    rows = np.flatnonzero((numbers >= 0).any(axis=1))
    counts = features.counts[rows]
    kept = np.bincount(counts.indices, minlength=counts.shape[1]) >= MIN_TAGGED
    groups = near_duplicate_groups(unit_vectors(counts, idf))
    unit = unit_vectors(sp.csr_array(counts[:, kept]), idf[kept])
    weights = np.zeros((unit.shape[1], len(TAGS), len(ROLES)))
    scale, intercept = np.zeros(weights.shape[1:]), np.zeros(weights.shape[1:])
    logits = np.zeros((len(labels), *weights.shape[1:]))
    for k in range(len(TAGS)):
        own = numbers[rows, k] >= 0
        roles = numbers[rows, k][own]
        margins = _out_of_fold(unit[own], roles, groups[own])
        slopes, constant = fit_logits([margins], roles)
        logits[rows[own], k] = slopes[0] * margins + constant
        fitted, bias = _fit(unit[own], roles)
        weights[:, k], intercept[k] = fitted * slopes[0], bias * slopes[0] + constant
    largest = np.abs(weights).max(axis=0)
    scale = np.array([float(f"{s:.6g}") for s in np.maximum(largest, 1e-9).ravel() / _LARGEST_WEIGHT])
    whole = np.clip(np.rint(weights.reshape(len(weights), -1) / scale), -_LARGEST_WEIGHT, _LARGEST_WEIGHT)
    section = {"scale": _named(scale.reshape(intercept.shape)), "intercept": _named(intercept.round(6))}
    arrays = {
        "role_ngrams": features.ngrams[kept],
        "role_idf": idf[kept],
        "role_weights": whole.astype(np.int16),
    }
    return RoleModel(section, arrays, logits)


def join_readings(first: FloatArray, second: FloatArray, labels: Sequence[Label]) -> dict[str, Any]:
    """Weigh two readings' role logits (records, tags, roles) per tag; return the model's section."""
    numbers = role_numbers(labels)
    section = {}
    for k, tag in enumerate(TAGS):
        own = numbers[:, k] >= 0
        slopes, constant = fit_logits([first[own, k], second[own, k]], numbers[own, k])
        named = dict(zip(ROLES, constant.tolist(), strict=True))
        section[tag] = {"first": float(slopes[0]), "second": float(slopes[1]), "constant": named}
    return section


def fit_logits(parts: Sequence[FloatArray], roles: Int64Array) -> tuple[FloatArray, FloatArray]:
    """Return a slope per part and a constant per role that make the likeliest probabilities, to four decimals.

    `parts`: arrays (records, roles) of logits; `roles`: the role of each record.
    """
    count = len(parts)

    def loss(x: FloatArray) -> float:
        constant = np.concatenate([[0.0], x[count:]])
        logits = np.tensordot(x[:count], np.stack(parts), axes=1) + constant
        missed = -log_softmax(logits, axis=1)[np.arange(len(roles)), roles].sum()
        pull = _SLOPE_PULL * ((x[:count] - _USUAL_SLOPE) ** 2).sum() + _CONSTANT_PULL * (x[count:] ** 2).sum()
        return float(missed + pull)

    start = np.concatenate([np.full(count, _USUAL_SLOPE), np.zeros(len(ROLES) - 1)])
    found = minimize(loss, start, method="BFGS", options={"gtol": 1e-4}).x.round(4)
    return found[:count], np.concatenate([[0.0], found[count:]])


def role_numbers(labels: Sequence[Label]) -> Int64Array:
    """Return the place in `ROLES` of each record's role in each tag, -1 without the tag: array (records, tags)."""
    return np.array([[ROLES.index(x.roles[tag]) if tag in x.roles else -1 for tag in TAGS] for x in labels])


def _out_of_fold(unit: sp.csr_array, roles: Int64Array, groups: Int64Array) -> FloatArray:
    margins = np.zeros((len(roles), len(ROLES)))
    for train, test in folds(groups):
        weights, intercept = _fit(unit[train], roles[train])
        margins[test] = unit[test] @ weights + intercept
    return margins


def _fit(unit: sp.csr_array, roles: Int64Array) -> tuple[FloatArray, FloatArray]:
    weights, intercept = np.zeros((unit.shape[1], len(ROLES))), np.full(len(ROLES), _NEVER)
    for role in range(len(ROLES)):
        own = roles == role
        if min(own.sum(), (~own).sum()) >= _FEWEST:
            model = LogisticRegression(
                C=C, solver="liblinear", dual=True, tol=1e-3, max_iter=2000, random_state=SEED, class_weight="balanced"
            )
            model.fit(unit, own)
            weights[:, role], intercept[role] = model.coef_[0], model.intercept_[0]
    return weights, intercept


def _named(values: FloatArray) -> dict[str, dict[str, float]]:
    return {tag: dict(zip(ROLES, row.tolist(), strict=True)) for tag, row in zip(TAGS, values, strict=True)}
