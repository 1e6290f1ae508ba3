"""How far two readings of the same records agree: `python -m training.agreement READINGS` writes agreement.json.

READINGS is a CSV: id, first, second; the tags of each reading joined by spaces. Per tag: F1 of one reading against the
other (it does not matter which), and Cohen's kappa, agreement beyond what chance would give; 95 % bootstrap intervals.
"""

import csv
import warnings
from pathlib import Path
from typing import Any

import click
import numpy as np

from classifier import assets
from classifier.errors import InputError
from classifier.identifiers import canonical_id
from classifier.results import TAGS
from classifier.scoring import BoolArray, FloatArray
from training.evaluate import LABELS_NOTE
from training.featurestore import tag_matrix
from training.measured import write_report
from training.metrics import resampled, shown, with_interval

AGREEMENT = "agreement.json"
READINGS = assets.data_file("readings.csv")
_COLUMNS = ["id", "first", "second"]


@click.command()
@click.argument("readings", type=click.Path(path_type=Path), default=READINGS)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Default: beside the fast model.")
def main(readings: Path, output: Path | None) -> None:
    """Compare two readings of the same records."""
    report = {"labels": LABELS_NOTE} | measure(*read_readings(readings))
    write_report(output or assets.model_folder(assets.SHIPPED["fast"]) / AGREEMENT, report)
    for tag, row in report["tags"].items():
        click.echo(f"{tag:16} F1 {shown(row['f1'])}  kappa {shown(row['kappa'])}")


def read_readings(path: Path) -> tuple[BoolArray, BoolArray]:
    """Return the tags of first and second readings: arrays (records, tags).

    Raises InputError where the file is missing, has other columns, a tag that is not known, or an id twice.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist. Give a CSV with the columns {', '.join(_COLUMNS)}.")
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        if list(reader.fieldnames or ()) != _COLUMNS:
            raise InputError(f"{path}: columns are {reader.fieldnames}, expected {_COLUMNS}.")
        rows = list(reader)
    seen: set[str] = set()
    for line, row in enumerate(rows, start=2):
        unknown = {*row["first"].split(), *row["second"].split()} - {*TAGS}
        identifier = canonical_id(row["id"])
        if unknown or identifier in seen:
            fault = (
                f"tag {min(unknown)!r} is not one of {', '.join(TAGS)}"
                if unknown
                else f"id {identifier!r} stands twice"
            )
            raise InputError(f"{path}, line {line}: {fault}.")
        seen.add(identifier)
    if not rows:
        raise InputError(f"{path}: holds no readings.")
    first, second = (tag_matrix([row[name].split() for row in rows], TAGS) for name in ("first", "second"))
    return first, second


def measure(first: BoolArray, second: BoolArray) -> dict[str, Any]:
    """Return F1 and Cohen's kappa per tag, and their means."""
    weights = resampled(np.ones(len(first)))
    both = np.stack([_tag(first[:, k], second[:, k], weights) for k in range(len(TAGS))])
    tags: dict[str, Any] = {}
    for k, tag in enumerate(TAGS):
        tags[tag] = {"f1": with_interval(both[k, 0]), "kappa": with_interval(both[k, 1])}
        tags[tag]["count"] = {"first": int(first[:, k].sum()), "second": int(second[:, k].sum())}
    with np.errstate(invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a resampling without any reading of a tag has no mean
        mean = np.nanmean(both, axis=0)
    tags["macro"] = {"f1": with_interval(mean[0]), "kappa": with_interval(mean[1])}
    return {"records": len(first), "tags": tags}


def _tag(first: BoolArray, second: BoolArray, weights: FloatArray) -> FloatArray:
    """Return F1 and kappa for each row of weights: array (2, rows)."""
    size = weights.sum(axis=1)
    together, one, two, same = (
        weights @ part.astype(np.float64) / size for part in (first & second, first, second, first == second)
    )
    chance = one * two + (1 - one) * (1 - two)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.stack([2 * together / (one + two), (same - chance) / (1 - chance)])


if __name__ == "__main__":
    main()
