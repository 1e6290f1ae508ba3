"""The stratified sample's out-of-fold probabilities, kept in the model folder: `calibration.csv`, by identifier.

What a model says of records it was not fitted on, each with the number of records of a natural stream that it stands
for. Review thresholds are chosen on it, and `dualuse thresholds` reads it.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from classifier.errors import InputError
from classifier.results import TAGS
from classifier.scoring import BoolArray, FloatArray
from training.featurestore import tag_matrix
from training.labels import Label

CALIBRATION = "calibration.csv"
REVIEW_SHARE = 0.10
"""Of a natural stream, the records that are flagged or for review."""
_FIELDS = ("id", *TAGS, "tags", "weight")


@dataclass(frozen=True, slots=True)
class Sample:
    """Records with what applies, what the model says, and whom they stand for.

    `truth`, `probability`: arrays (records, tags); `weight`: array (records,).
    """

    ids: tuple[str, ...]
    truth: BoolArray
    probability: FloatArray
    weight: FloatArray


def drawn(labels: Sequence[Label], probability: FloatArray) -> Sample:
    """Keep the records of the stratified sample."""
    rows = [row for row, label in enumerate(labels) if label.weight is not None]
    own = [labels[row] for row in rows]
    weight = np.array([label.weight for label in own], dtype=np.float64)
    return Sample(tuple(x.id for x in own), tag_matrix([x.tags for x in own], TAGS), probability[rows], weight)


def review_thresholds(sample: Sample, flag: dict[str, float]) -> dict[str, float]:
    """Return from which probability each tag is for review.

    One cut for all tags, the lowest at which flags and reviews together stay within `REVIEW_SHARE` of a natural stream;
    for a tag that is flagged from less, its flag threshold.
    """
    cut = share_cut(sample.probability.max(axis=1), sample.weight, REVIEW_SHARE)
    return {tag: min(cut, threshold) for tag, threshold in flag.items()}


def share_cut(score: FloatArray, weight: FloatArray, share: float) -> float:
    """Return the lowest score such that records at or above it make up no more than a share of the weight."""
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    reached = np.cumsum(weight[order]) / weight.sum()
    ends = np.flatnonzero(np.append(ranked[1:] < ranked[:-1], True))  # equal scores go together
    within = ends[reached[ends] <= share + 1e-12]
    return float(ranked[within[-1]]) if len(within) else 1.0


def write_sample(sample: Sample, path: Path) -> None:
    """Write a sample, sorted by identifier."""
    rows = sorted(zip(sample.ids, sample.probability, sample.truth, sample.weight, strict=True), key=lambda row: row[0])
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_FIELDS)
        for identifier, probability, truth, weight in rows:
            tags = " ".join(tag for tag, applies in zip(TAGS, truth, strict=True) if applies)
            writer.writerow([identifier, *(f"{p:.6f}" for p in probability), tags, repr(float(weight))])


def read_sample(path: Path) -> Sample:
    """Read a sample.

    Raises InputError where the file is missing or is none.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read ({error}). Train the model again, or give LABELLED records."
        ) from error
    if tuple(header) != _FIELDS:
        raise InputError(f"{path}: columns are {header}, expected {list(_FIELDS)}. Train the model again.")
    *_, tags, weights = zip(*rows, strict=True)
    probability = np.array([[float(cell) for cell in row[1 : 1 + len(TAGS)]] for row in rows])
    truth = tag_matrix([names.split() for names in tags], TAGS)
    return Sample(tuple(row[0] for row in rows), truth, probability, np.array(weights, dtype=np.float64))
