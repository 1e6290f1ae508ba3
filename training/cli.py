"""The commands that build and measure: `dualuse train`, `evaluate`, `data ...`. They need the `train` extra."""

import json
from pathlib import Path

import click

from classifier import assets
from classifier.errors import DualuseError, InputError
from classifier.model import Model, load
from classifier.modelfolder import write_beside
from classifier.readers import read
from classifier.records import Record
from classifier.writers import open_writer
from training.careful import train_careful
from training.cases import check, read_cases, write_known_failures
from training.dumps import find_records, hydrate
from training.evaluate import evaluate as measure_model
from training.evaluate import read_labelled, summary, table
from training.featurestore import extract_features, write_features
from training.labels import label_of, open_license, read_labels, write_labels
from training.swap import swap_names, swap_table
from training.train import train as train_model

LABELS, FEATURES, CASES = (assets.data_file(name) for name in ("labels", "features", "cases"))
_PATH = click.Path(path_type=Path)
_labels_option = click.option("--labels", type=_PATH, default=LABELS, show_default=True, help="Labels folder.")
_features_option = click.option("--features", type=_PATH, default=FEATURES, show_default=True, help="Features folder.")


@click.command()
@click.option("-o", "--output", type=_PATH, required=True, help="Folder for the model; its name is the model's id.")
@click.option("--model", "kind", type=click.Choice([*assets.SHIPPED]), default=assets.DEFAULT, show_default=True)
@click.option("--encoder", type=_PATH, help="Careful: folder with encoder and held-out readings; default: as shipped.")
@_labels_option
@_features_option
def train(output: Path, kind: str, encoder: Path | None, labels: Path, features: Path) -> None:
    """Rebuild a model from labels and stored features: no text, no network, the same digest."""
    if kind == "fast":
        train_model(labels, features, output)
    else:
        train_careful(encoder or assets.model_folder(assets.SHIPPED["careful"]), labels, features, output)
    trained = Model(output)
    click.echo(f"{output}: trained on {trained.parameters['trained_on']['records']:,} records, digest {trained.digest}")


@click.command()
@click.argument("labelled", type=_PATH)
@click.option("-o", "--output", type=_PATH, help="Write all figures to this JSON file.")
@click.option("--split", help="Measure only records whose `split` is this.")
@click.option("--model", default=assets.DEFAULT, show_default=True, metavar="fast|careful|DIR", help="Which model.")
@click.option("--profile", default="balanced", show_default=True, help="Which of the model's thresholds to use.")
@click.option("--baselines/--no-baselines", default=True, show_default=True, help="Measure the two baselines too.")
@_labels_option
@_features_option
def evaluate(
    labelled: Path,
    output: Path | None,
    split: str | None,
    model: str,
    profile: str,
    baselines: bool,
    labels: Path,
    features: Path,
) -> None:
    """Measure a model on LABELLED: records with `tags`, and `hard`, `weight`, `split` where known."""
    records = read_labelled(labelled, split)
    for refusal in records.refused:
        click.echo(f"refused: row {refusal.row}: {refusal.reason} {refusal.mend}", err=True)
    peers = {
        "keywords": assets.data_file("keywords.toml"),
        "labels_folder": labels,
        "features_folder": features,
    }
    report = measure_model(load(model), records, profile=profile, **(peers if baselines else {}))
    for subset in ("all", "not hard", "natural prevalence"):
        click.echo(f"{subset}\n{table(report, subset)}\n")
    click.echo(f"{summary(report)}\n{report['labels']}")
    if output is not None:
        write_beside(output, json.dumps(report, indent=1) + "\n")


@click.group()
def data() -> None:
    """Labels and features of the training data."""


@data.command("labels")
@click.option(
    "--from",
    "source",
    type=_PATH,
    required=True,
    help="Labelled records: id, tags, roles, split, license ...",
)
@click.option("-o", "--output", type=_PATH, default=LABELS, show_default=True)
def write_labels_command(source: Path, output: Path) -> None:
    """Write the labels of a labelled dump's openly licensed records, by identifier, without text."""
    rows = [item.source for item in read(source) if isinstance(item, Record)]
    labels = [label_of(row) for row in rows if open_license(row)]
    write_labels(labels, output)
    click.echo(f"{output}: {len(labels):,} labels; left out {len(rows) - len(labels):,} whose licence is not open")


@data.command()
@click.option("--from", "dumps", type=_PATH, multiple=True, required=True, help="A dump with the texts; repeatable.")
@_labels_option
@click.option("-o", "--output", type=_PATH, default=FEATURES, show_default=True)
def extract(dumps: tuple[Path, ...], labels: Path, output: Path) -> None:
    """Make the features of the labelled training records from dumps that hold their texts."""
    wanted = {label.id for label in read_labels(labels) if label.split == "train"}
    records = list(find_records(dumps, wanted))
    if not records:
        raise InputError(f"None of the {len(wanted):,} labelled training records is in {', '.join(map(str, dumps))}.")
    features = extract_features(records)
    write_features(features, output)
    click.echo(
        f"{output}: {len(records):,} of {len(wanted):,} labelled training records found, "
        f"{len(features.ngrams):,} n-grams kept, {features.counts.nnz:,} counts"
    )


@data.command("hydrate")
@click.argument("dumps", nargs=-1, required=True, type=_PATH)
@_labels_option
@click.option("-o", "--output", default="-", show_default=True, help="JSONL file, or - for standard output.")
def hydrate_command(dumps: tuple[Path, ...], labels: Path, output: str) -> None:
    """Join our labels with the texts of DUMPS, in the form that `dualuse evaluate` reads."""
    known = read_labels(labels)
    found = 0
    with open_writer(output, "jsonl" if output == "-" else None) as writer:
        for row in hydrate(dumps, known):
            writer.write([row])
            found += 1
    click.echo(f"{found:,} of {len(known):,} labelled records found", err=True)


@data.command("cases")
@click.option("--model", default=assets.DEFAULT, show_default=True, metavar="fast|careful|DIR", help="Which model.")
@click.option("--folder", type=_PATH, default=CASES, show_default=True, help="Folder of the case files.")
@click.option("--update", is_flag=True, help="Rewrite known_failures.jsonl by what this model gets wrong.")
def cases_command(model: str, folder: Path, update: bool) -> None:
    """Check a model on the authored negatives and minimal pairs."""
    outcomes = check(load(model), read_cases(folder))
    for name, start, end in (
        ("negatives", "negative", ""),
        ("inside", "pair", "/inside"),
        ("outside", "pair", "/outside"),
    ):
        group = [o for o in outcomes if o.case.id.startswith(start) and o.case.id.endswith(end)]
        click.echo(f"{name:10} {sum(o.right for o in group):4} right of {len(group)}")
    if update:
        write_known_failures(folder, outcomes)


@data.command("swap")
@click.argument("dump", type=_PATH)
@click.option("--model", default=assets.DEFAULT, show_default=True, metavar="fast|careful|DIR", help="Which model.")
@click.option(
    "--names", default=2, show_default=True, type=click.IntRange(min=1), help="Names a kind, place and record."
)
@click.option("--seed", default=0, show_default=True, help="Draws other names.")
@click.option("-o", "--output", type=_PATH, help="Write the counts to this JSON file.")
def swap_command(dump: Path, model: str, names: int, seed: int, output: Path | None) -> None:
    """Put names into the records of DUMP and count what changes: for listed names nothing may."""
    records = [item for item in read(dump) if isinstance(item, Record)]
    report = swap_names(load(model), records, names, seed)
    click.echo(swap_table(report))
    if output is not None:
        write_beside(output, json.dumps(report, indent=1) + "\n")
    if report["failed"]:
        raise DualuseError(f"{len(report['failed'])} listed names changed a result, first {report['failed'][0]}.")
