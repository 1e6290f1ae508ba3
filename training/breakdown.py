"""Where a model is right and where it is wrong: `python -m training.breakdown LABELLED` writes breakdown.json.

Confusion of tags, by source, source kind, year, text length and role; and how often each probability came true, on the
stratified sample with its weights, since probabilities are meant for a natural stream. The ids of every wrong decision
are listed, no text.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from classifier import assets
from classifier.model import Model, load
from classifier.results import ROLES, TAGS
from classifier.scoring import BoolArray, FloatArray
from training.evaluate import LABELS_NOTE, LabelledRecords, read_labelled
from training.featurestore import tag_matrix
from training.labels import Label, kind_of
from training.measured import decide, f1_with_interval, stamp, wilson, wilson_bounds, write_report
from training.metrics import Judged

BREAKDOWN = "breakdown.json"
BINS = (0.0, 0.01, 0.05, 0.2, 0.4, 0.6, 0.8, 1.0)
NONE = "none"
_TERCILES = ("shortest third", "middle third", "longest third")


@click.command()
@click.argument("labelled", type=click.Path(path_type=Path))
@click.option("--model", "models", multiple=True, metavar="fast|careful|DIR", help="Which model; default: both.")
@click.option("--split", default="dev", show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Default: breakdown.json in the model folder.")
def main(labelled: Path, models: tuple[str, ...], split: str, output: Path | None) -> None:
    """Break a model's decisions on LABELLED down by tag, source, year, length and role."""
    records = read_labelled(labelled, split)
    for model in map(load, models or tuple(assets.SHIPPED)):
        path = output or model.folder / BREAKDOWN
        write_report(path, measure(model, records))
        click.echo(f"{path}: {len(records.records):,} records")


def measure(model: Model, labelled: LabelledRecords) -> dict[str, Any]:
    """Return the whole report."""
    truth = tag_matrix([label.tags for label in labelled.labels], TAGS)
    decided = decide(model, labelled.records)
    weight = np.array([label.weight or 0.0 for label in labelled.labels])
    return stamp(model, [record.id for record in labelled.records]) | {
        "labels": LABELS_NOTE,
        "confusion": confusion(truth, decided.flag),
        "groups": groups(truth, decided.flag, labelled),
        "sources": sources(truth, decided.flag, labelled.labels),
        "roles": roles(truth, decided.flag, labelled.labels),
        "reliability": reliability(truth, decided, weight) if weight.any() else None,
        "wrong": wrong(truth, decided.flag, labelled.labels),
    }


def confusion(truth: BoolArray, flag: BoolArray) -> dict[str, dict[str, int]]:
    """Count, for records labelled with a tag (or none), those flagged with each (or none); a record counts in each."""
    labelled = dict(zip((*TAGS, NONE), [*truth.T, ~truth.any(axis=1)], strict=True))
    flagged = dict(zip((*TAGS, NONE), [*flag.T, ~flag.any(axis=1)], strict=True))
    return {
        row: {"records": int(own.sum())} | {column: int((own & got).sum()) for column, got in flagged.items()}
        for row, own in labelled.items()
    }


def groups(truth: BoolArray, flag: BoolArray, labelled: LabelledRecords) -> list[dict[str, Any]]:
    """Return precision, recall and F1 over all tags together for each part of the records."""
    words = np.array([len(f"{record.title} {record.abstract}".split()) for record in labelled.records])
    cuts = np.quantile(words, [1 / 3, 2 / 3])
    third = np.searchsorted(cuts, words)
    bounds = (f"up to {cuts[0]:.0f}", f"to {cuts[1]:.0f}", f"over {cuts[1]:.0f}")
    parts = {
        "source": [label.source for label in labelled.labels],
        "kind": [kind_of(label.source) for label in labelled.labels],
        "year": [_period(label.year) for label in labelled.labels],
        "text length": [f"{_TERCILES[t]} ({bounds[t]} words)" for t in third],
    }
    first = (*(f"{name} ({words} words)" for name, words in zip(_TERCILES, bounds, strict=True)), "before 2000")
    rows = []
    for name, values in parts.items():
        for value in sorted(set(values), key=lambda seen: (first.index(seen) if seen in first else len(first), seen)):
            own = np.array([seen == value for seen in values])
            rows.append({"part": name, "value": value} | _figures(truth[own], flag[own]))
    return rows


def sources(truth: BoolArray, flag: BoolArray, labels: Sequence[Label]) -> list[dict[str, Any]]:
    """Count hits, false alarms and misses by source and tag."""
    rows = []
    for source in sorted({label.source for label in labels}):
        own = np.array([label.source == source for label in labels])
        row: dict[str, Any] = {"source": source, "records": int(own.sum())}
        for k, tag in enumerate(TAGS):
            t, f = truth[own, k], flag[own, k]
            row[tag] = {"right": int((t & f).sum()), "false": int((f & ~t).sum()), "missed": int((t & ~f).sum())}
        rows.append(row)
    return rows


def roles(truth: BoolArray, flag: BoolArray, labels: Sequence[Label]) -> dict[str, dict[str, Any]]:
    """Return the recall of each tag by the role that the label gives it."""
    return {
        role: {
            tag: wilson(int(flag[rows, k].sum()), len(rows))
            for k, tag in enumerate(TAGS)
            for rows in [[row for row, label in enumerate(labels) if truth[row, k] and label.roles[tag] == role]]
        }
        for role in ROLES
    }


def reliability(truth: BoolArray, decided: Judged, weight: FloatArray) -> dict[str, list[dict[str, Any]]]:
    """Return, per tag and bin of probability, the mean probability and the share that came true.

    Intervals are Wilson's for the effective number of records (Kish: few heavy ones count as few); resampling would
    call a share of 1 among three records certain.
    """
    curves: dict[str, list[dict[str, Any]]] = {}
    for k, tag in enumerate(TAGS):
        place = np.clip(np.searchsorted(BINS, decided.score[:, k], side="right") - 1, 0, len(BINS) - 2)
        curves[tag] = []
        for number in range(len(BINS) - 1):
            own = (place == number) & (weight > 0)
            if own.any():
                w = weight[own]
                observed = float(w @ truth[own, k] / w.sum())
                row = {"from": BINS[number], "to": BINS[number + 1], "records": int(own.sum())}
                row["share_of_stream"] = round(float(w.sum() / weight.sum()), 5)
                row["predicted"] = round(float(w @ decided.score[own, k] / w.sum()), 4)
                effective = float(w.sum() ** 2 / (w @ w))
                curves[tag].append(
                    row | {"observed": {"value": round(observed, 4)} | wilson_bounds(observed, effective)}
                )
    return curves


def wrong(truth: BoolArray, flag: BoolArray, labels: Sequence[Label]) -> dict[str, dict[str, Any]]:
    """Count wrong decisions by tag, and list the ids of the clear ones: openly licensed records not called hard."""
    found: dict[str, dict[str, Any]] = {}
    for k, tag in enumerate(TAGS):
        found[tag] = {}
        for kind, rows in (("false alarms", flag[:, k] & ~truth[:, k]), ("missed", truth[:, k] & ~flag[:, k])):
            own = [labels[row] for row in np.flatnonzero(rows).tolist()]
            clear = [label.id for label in own if label.license and not label.hard]
            found[tag][kind] = {"count": len(own), "hard": sum(label.hard for label in own), "clear ones": clear}
    return found


def _figures(truth: BoolArray, flag: BoolArray) -> dict[str, Any]:
    hits, flagged, positives = int((truth & flag).sum()), int(flag.sum()), int(truth.sum())
    return {
        "records": len(truth),
        "tags": positives,
        "precision": wilson(hits, flagged),
        "recall": wilson(hits, positives),
        "f1": f1_with_interval(truth, flag),
    }


def _period(year: int | None) -> str:
    if year is None:
        return "not stated"
    start = year - year % 5
    return "before 2000" if year < 2000 else f"{start}-{start + 4}"


if __name__ == "__main__":
    main()
