"""How many tags a model loses when a text comes damaged or disguised: `python -m training.robustness LABELLED`.

Measured on the dev records that carry a tag: recall at the shipped thresholds, and of the tags found on the clean text
the share that is lost. Deterministic: the disguise of a text depends on the seed and its id alone.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from classifier import assets
from classifier.model import Model, load
from classifier.records import Record
from classifier.results import TAGS
from training.disguises import DISGUISES, disguise
from training.evaluate import LABELS_NOTE, LabelledRecords, read_labelled
from training.featurestore import tag_matrix
from training.measured import decide, stamp, wilson, write_report

ROBUSTNESS = "robustness.json"
MAY_LOSE = {name: 0.05 if name == "OCR noise 1 %" else 0.02 for name in DISGUISES if name[-3:] not in ("3 %", "5 %")}
"""Of the tags found on clean text, the share that may be lost; heavier OCR noise is measured without a bound."""


@click.command()
@click.argument("labelled", type=click.Path(path_type=Path))
@click.option("--model", "models", multiple=True, metavar="fast|careful|DIR", help="Which model; default: both.")
@click.option("--split", default="dev", show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Default: robustness.json in the model folder.")
def main(labelled: Path, models: tuple[str, ...], split: str, seed: int, output: Path | None) -> None:
    """Measure models on LABELLED's tagged records, clean and under each disguise."""
    records = read_labelled(labelled, split)
    for model in map(load, models or tuple(assets.SHIPPED)):
        report = measure(model, records, seed)
        click.echo(table(report))
        write_report(output or model.folder / ROBUSTNESS, report)


def measure(model: Model, labelled: LabelledRecords, seed: int = 0) -> dict[str, Any]:
    """Return recall, and tags lost and gained against the clean text, for each disguise."""
    tagged = [row for row, label in enumerate(labelled.labels) if label.tags]
    records = [labelled.records[row] for row in tagged]
    truth = tag_matrix([labelled.labels[row].tags for row in tagged], TAGS)
    clean = decide(model, records).flag
    found = clean & truth
    rows = [{"disguise": "clean", "recall": wilson(int(found.sum()), int(truth.sum())), "gained": 0}]
    for name in DISGUISES:
        flag = decide(model, disguised(records, name, seed)).flag
        rows.append(
            {
                "disguise": name,
                "recall": wilson(int((flag & truth).sum()), int(truth.sum())),
                "lost": wilson(int((found & ~flag).sum()), int(found.sum())),
                "gained": int((flag & ~clean & ~truth).sum()),
                "may_lose": MAY_LOSE.get(name),
            }
        )
    report = stamp(model, [record.id for record in records]) | {"labels": LABELS_NOTE, "seed": seed}
    return report | {"tags": int(truth.sum()), "disguises": rows}


def disguised(records: Sequence[Record], name: str, seed: int) -> list[Record]:
    """Return records whose titles and abstracts are disguised."""
    return [
        replace(
            record,
            title=disguise(name, record.title, f"{seed}|{record.id}|title"),
            abstract=disguise(name, record.abstract, f"{seed}|{record.id}|abstract"),
        )
        for record in records
    ]


def table(report: dict[str, Any]) -> str:
    """Return the report as lines of text."""
    lines = [f"{report['model']['id']}: {report['tags']:,} tags on {report['records']['measured']:,} records"]
    for row in report["disguises"]:
        lost = row.get("lost")
        told = "" if lost is None else f"   lost {lost['hits']:3} of {lost['of']} ({lost['value']:.1%})"
        bound = row.get("may_lose")
        verdict = "" if lost is None or bound is None else "   ok" if lost["value"] <= bound else f"   OVER {bound:.0%}"
        lines.append(
            f"{row['disguise']:24} recall {row['recall']['value']:.3f}{told}   new false {row['gained']}{verdict}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
