"""Rebuild the shipped model from `data/labels` and `data/features`: no text, no network, the same digest.

The way: unit vectors of n-gram counts -> near duplicates grouped -> out-of-fold margins -> calibration and thresholds;
then one fit on all training records, its weights rounded to 16 bits. Roles are learned beside it (`roles`), and the
probabilities of the stratified sample are kept, for review thresholds and for `dualuse thresholds` (`sample`).
"""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from classifier import modelfolder
from classifier.cleaning import CLEANING_VERSION
from classifier.errors import InputError
from classifier.features import FEATURES_VERSION
from classifier.results import TAGS
from classifier.scoring import FloatArray, probabilities
from training.calibrate import best_f1_threshold, fit_curve
from training.featurestore import Features, read_features, tag_matrix
from training.fit import (
    TF_LEVELS,
    Settings,
    fit,
    idf_levels,
    near_duplicate_groups,
    out_of_fold,
    unit_vectors,
)
from training.labels import Label, read_labels
from training.pipeline import build_pipeline
from training.roles import fit_roles
from training.sample import CALIBRATION, drawn, review_thresholds, write_sample

NEAR_DOUBT = ("doubt 2", "doubt 3", "doubt 4", "authored")
"""Records chosen or written for being hard to tell: they teach, but a threshold fitted on them flags too little."""
LIBRARIES = ("numpy", "scipy", "scikit-learn")
_LARGEST_WEIGHT = 32767


def train(labels_folder: Path, features_folder: Path, out: Path) -> dict[str, Any]:
    """Train the n-gram model on every labelled record that has features; write its folder, return its parameters.

    Raises InputError where labels or features are missing, or `out` holds something else than a model.
    """
    check_output(out)
    labels, features = training_records(labels_folder, features_folder)
    first = fit_first(labels, features, labels_folder, features_folder)
    parameters, arrays = first.parameters, first.arrays
    sample = drawn(labels, first_probabilities(parameters, first.margins))
    parameters |= {"id": out.name, "review": review_thresholds(sample, parameters["thresholds"]["balanced"])}
    empty_model_folder(out)
    write_sample(sample, out / CALIBRATION)
    modelfolder.write(out, parameters, arrays)
    joblib.dump(build_pipeline(parameters, arrays), out / "pipeline.joblib", compress=3)
    modelfolder.write_manifest(out)
    return parameters


@dataclass(frozen=True, slots=True)
class First:
    """The n-gram model, with its out-of-fold margins (records, tags) and role logits (records, tags, roles)."""

    parameters: dict[str, Any]
    arrays: modelfolder.Arrays
    margins: FloatArray
    role_logits: FloatArray


def fit_first(
    labels: Sequence[Label],
    features: Features,
    labels_folder: Path,
    features_folder: Path,
) -> First:
    """Fit the n-gram model: tags and roles."""
    settings = Settings()
    tags = tag_matrix([label.tags for label in labels], TAGS)
    idf = idf_levels(features.counts)
    unit = unit_vectors(features.counts, idf)
    margins = out_of_fold(unit, tags, near_duplicate_groups(unit), settings)
    drawn = np.array([label.weight is not None for label in labels])
    weight = np.array([label.weight or 0.0 for label in labels])
    curves = [fit_curve(margins[drawn, k], tags[drawn, k], weight[drawn]) for k in range(len(TAGS))]
    linear = fit(unit, tags, settings)
    roles = fit_roles(labels, features, idf)
    scale = np.array([float(f"{s:.6g}") for s in np.abs(linear.weights).max(axis=0) / _LARGEST_WEIGHT])
    weights = np.clip(np.rint(linear.weights / scale), -_LARGEST_WEIGHT, _LARGEST_WEIGHT).astype(np.int16)
    parameters: dict[str, Any] = {
        "tags": list(TAGS),
        "versions": {"features": FEATURES_VERSION, "cleaning": CLEANING_VERSION},
        "tf_levels": TF_LEVELS.tolist(),
        "scale": dict(zip(TAGS, scale.tolist(), strict=True)),
        "intercept": {tag: round(float(b), 6) for tag, b in zip(TAGS, linear.intercept, strict=True)},
        "slope": {tag: curve.slope for tag, curve in zip(TAGS, curves, strict=True)},
        "offset": {tag: curve.offset for tag, curve in zip(TAGS, curves, strict=True)},
        "roles": roles.section,
        "trained_on": {
            "records": len(labels),
            "positives": dict(zip(TAGS, tags.sum(axis=0).tolist(), strict=True)),
            "labels_sha256": _digest(labels_folder, "*.csv"),
            "features_sha256": _digest(features_folder, "*.*"),
        },
        "libraries": {name: version(name) for name in LIBRARIES},
    }
    probability = first_probabilities(parameters, margins)
    usual = np.array([label.chosen not in NEAR_DOUBT for label in labels])
    parameters["thresholds"] = {
        "balanced": {tag: best_f1_threshold(probability[usual, k], tags[usual, k]) for k, tag in enumerate(TAGS)}
    }
    arrays = {"ngrams": features.ngrams, "idf": idf, "weights": weights, **roles.arrays}
    return First(parameters, arrays, margins, roles.logits)


def first_probabilities(parameters: dict[str, Any], margins: FloatArray) -> FloatArray:
    """Return what the n-gram model's calibration makes of margins: array (records, tags)."""
    slope, offset = (np.array([parameters[part][tag] for tag in TAGS]) for part in ("slope", "offset"))
    return probabilities(margins, slope, offset)


def training_records(labels_folder: Path, features_folder: Path) -> tuple[list[Label], Features]:
    """Return the training labels and features, row by row alike.

    Raises InputError where a stored record has no training label.
    """
    features = read_features(features_folder)
    by_id = {label.id: label for label in read_labels(labels_folder) if label.split == "train"}
    unlabelled = [identifier for identifier in features.ids if identifier not in by_id]
    if unlabelled:
        raise InputError(
            f"{features_folder}: {len(unlabelled)} records have no training label, first {unlabelled[0]!r}. "
            "Run `dualuse data extract` after changing labels."
        )
    return [by_id[identifier] for identifier in features.ids], features


def empty_model_folder(out: Path) -> None:
    """Make `out` an empty folder, where `check_output` let it pass."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)


def check_output(out: Path) -> None:
    """Raise InputError where a folder holds something else than a model: it would be lost."""
    if out.exists() and any(out.iterdir()) and not (out / modelfolder.MANIFEST).exists():
        raise InputError(f"{out}: exists and is not a model folder; choose another one with -o.")


def _digest(folder: Path, pattern: str) -> str:
    total = hashlib.sha256()
    for path in sorted(folder.glob(pattern)):
        total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()
