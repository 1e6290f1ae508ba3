"""Join the n-gram model and the second reading into one calibrated model.

Per tag a logistic regression weighs the two margins; it is fitted on the held-out fold alone, where the n-gram margins
are out-of-fold and the encoder has not seen the records. The constant is then moved so that, over the stratified sample
with its weights, both readings expect as many positives as the first, whose curve was fitted on five times as many
records: true for a natural stream. Roles are joined likewise, by `roles`. A record is read a second time where any
tag's first probability reaches `READ_FROM`.
"""

import csv
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit
from scipy.special import logit as logit_of
from sklearn.linear_model import LogisticRegression

from classifier import modelfolder
from classifier.errors import InputError
from classifier.identifiers import canonical_id
from classifier.modelfolder import ENCODER, TOKENIZER
from classifier.results import ROLES, TAGS
from classifier.scoring import BoolArray, FloatArray
from classifier.second import Second
from training.calibrate import expected_f1_threshold
from training.featurestore import tag_matrix
from training.roles import join_readings
from training.sample import CALIBRATION, drawn, review_thresholds, write_sample
from training.train import check_output, empty_model_folder, first_probabilities, fit_first, training_records

HELD_OUT = "held_out.csv"
READ_FROM = 0.05
"""From which first probability a text is read again: the best F1 on the held-out fold among .005 to .5."""
MAX_TOKENS, TITLE_TOKENS = 160, 48


@dataclass(frozen=True, slots=True)
class Combination:
    """How a tag's two readings add up: first x margin + second x logit + constant."""

    first: float
    second: float
    constant: float


def train_careful(encoder: Path, labels_folder: Path, features_folder: Path, out: Path) -> dict[str, Any]:
    """Train the n-gram model and join it with an encoder (ONNX, tokenizer, held-out readings); write `out`.

    Raises InputError where the encoder's files are missing, or a held-out record has no features.
    """
    check_output(out)
    for name in (ENCODER, TOKENIZER, HELD_OUT):
        if not (encoder / name).is_file():
            raise InputError(f"{encoder / name} is missing. Give the folder that `python -m training.teacher` wrote.")
    ids, logits, role_logits = read_held_out(encoder / HELD_OUT)
    labels, features = training_records(labels_folder, features_folder)
    place = {identifier: row for row, identifier in enumerate(features.ids)}
    missing = [identifier for identifier in ids if identifier not in place]
    if missing:
        raise InputError(f"{encoder / HELD_OUT}: {len(missing)} records have no features, first {missing[0]!r}.")
    with TemporaryDirectory() as kept:  # `out` may be the very folder that the encoder is taken from
        for name in (ENCODER, TOKENIZER, HELD_OUT):
            shutil.copyfile(encoder / name, Path(kept) / name)
        fitted = fit_first(labels, features, labels_folder, features_folder)
        parameters, margins = fitted.parameters, fitted.margins
        rows = [place[identifier] for identifier in ids]
        held_out = [labels[row] for row in rows]
        tags = tag_matrix([label.tags for label in held_out], TAGS)
        first = first_probabilities(parameters, margins[rows])
        read: BoolArray = np.asarray((first >= READ_FROM).any(axis=1))
        weight = np.array([label.weight or 0.0 for label in held_out]) * read
        joined = {
            tag: combine(margins[rows, k], logits[:, k], tags[:, k], first[:, k], weight, read)
            for k, tag in enumerate(TAGS)
        }
        parameters |= {
            "id": out.name,
            "second": {
                "max_tokens": MAX_TOKENS,
                "title_tokens": TITLE_TOKENS,
                "read_from": READ_FROM,
                "combination": {tag: asdict(parts) for tag, (parts, _) in joined.items()},
                "roles": join_readings(fitted.role_logits[rows], role_logits, held_out),
            },
            "thresholds": {"balanced": {tag: threshold for tag, (_, threshold) in joined.items()}},
        }
        second = Second(encoder, parameters["second"])
        both = second.join(first, margins[rows], np.flatnonzero(read).tolist(), logits[read])
        sample = drawn(held_out, both)
        parameters["review"] = review_thresholds(sample, parameters["thresholds"]["balanced"])
        empty_model_folder(out)
        for name in (ENCODER, TOKENIZER, HELD_OUT):
            shutil.copyfile(Path(kept) / name, out / name)
    write_sample(sample, out / CALIBRATION)
    modelfolder.write(out, parameters, fitted.arrays)
    return parameters


def combine(
    margin: FloatArray, logit: FloatArray, tag: BoolArray, first: FloatArray, weight: FloatArray, read: BoolArray
) -> tuple[Combination, float]:
    """Weigh two readings of a tag, and return with it the threshold of the best expected F1.

    `first`: what the first reading alone says; `read`: which records are read a second time; `weight`: how many records
    of a natural stream each stands for, 0 where that is not known.
    """
    both = np.column_stack([margin, logit])
    fitted = LogisticRegression(C=1.0, tol=1e-10, max_iter=1000).fit(both, tag)
    a, b = (round(float(x), 4) for x in fitted.coef_[0])
    raw = a * margin + b * logit
    expected = float(weight @ first)
    constant = round(float(brentq(lambda c: float(weight @ expit(raw + c)) - expected, -40.0, 40.0)), 4)
    intercept = float(fitted.intercept_[0])
    cut = expected_f1_threshold(expit(raw + intercept)[read])
    return Combination(a, b, constant), round(float(expit(logit_of(cut) - intercept + constant)), 4)


def read_held_out(path: Path) -> tuple[list[str], FloatArray, FloatArray]:
    """Return identifiers, tag logits (records, tags) and role logits (records, tags, roles) of the held-out fold."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    figures = np.array([[float(cell) for cell in row[1:]] for row in rows])
    count = len(TAGS)
    return [canonical_id(row[0]) for row in rows], figures[:, :count], figures[:, count:].reshape(-1, count, len(ROLES))
