"""Write the model card and README's figures from metrics: `python -m training.card`. No figure is typed by hand.

It reads `metrics.json` (by `dualuse evaluate`) and `choice.json` (by `python -m training.choose`) in the model folder.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from classifier import assets
from classifier.model import load
from classifier.modelfolder import write_beside
from classifier.results import NOTICE, TAGS
from training.labels import ROLES, SPLITS, Label, read_labels
from training.metrics import Figures

README = Path(__file__).parent.parent / "README.md"
DATA_CARD = README.parent / "data" / "README.md"


@click.command()
def main() -> None:
    """Write the shipped model's card and the figures in README.md."""
    folder = assets.model_folder()
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    choice = json.loads((folder / "choice.json").read_text(encoding="utf-8"))
    write_beside(folder / "README.md", card(load(folder).parameters, metrics, choice))
    _refill(README, "figures", figures(metrics))
    _refill(DATA_CARD, "counts", counts(read_labels(assets.data_file("labels"))))


def figures(metrics: dict[str, Any]) -> str:
    """Return the Markdown that README shows: F1 by tag and system, and what a thousand records bring."""
    model, *_ = systems = metrics["systems"]
    head = f"| F1 on {metrics['records']['measured']:,} records | " + " | ".join((*TAGS, "macro")) + " |\n"
    lines = [head + "| --- |" + " --- |" * (len(TAGS) + 1)]
    lines += [f"| {name} | " + _f1_cells(systems[name]["all"]) for name in systems]
    lines += [f"| {model}, records not called hard | " + _f1_cells(systems[model]["not hard"])]
    natural = systems[model]["natural prevalence"]
    lines += ["", f"| {model}, a thousand records of a natural stream | " + " | ".join(TAGS) + " |"]
    lines += ["| --- |" + " --- |" * len(TAGS)]
    for name, words in (("false_alarms_per_1000", "false alarms"), ("missed_per_1000", "missed")):
        lines.append(f"| {words} | " + " | ".join(_interval(natural[tag][name], 1) for tag in TAGS) + " |")
    return "\n".join([*lines, "", _source(metrics), ""])


def counts(labels: Sequence[Label]) -> str:
    """Return the Markdown that the data card shows: records by split and tag."""
    lines = ["| split | records | hard | read twice | no tag | " + " | ".join(TAGS) + " |", "| --- |" + " --- |" * 9]
    for split in SPLITS:
        own = [label for label in labels if label.split == split]
        cells = [len(own), sum(x.hard for x in own), sum(x.readings > 1 for x in own), sum(not x.tags for x in own)]
        cells += [sum(tag in label.roles for label in own) for tag in TAGS]
        lines.append(f"| {split} | " + " | ".join(f"{cell:,}" for cell in cells) + " |")
    lines += ["", "| role | " + " | ".join(TAGS) + " |", "| --- |" + " --- |" * len(TAGS)]
    for role in ROLES:
        by_tag = (sum(label.roles.get(tag) == role for label in labels) for tag in TAGS)
        lines.append(f"| {role} | " + " | ".join(f"{count:,}" for count in by_tag) + " |")
    return "\n".join([*lines, ""])


def card(parameters: dict[str, Any], metrics: dict[str, Any], choice: dict[str, Any]) -> str:
    """Return the model card as Markdown."""
    trained, systems = parameters["trained_on"], metrics["systems"]
    model = metrics["model"]["id"]
    positives = ", ".join(f"{tag} {count:,}" for tag, count in trained["positives"].items())
    thresholds = ", ".join(f"{tag} {p:.3f}" for tag, p in parameters["thresholds"]["balanced"].items())
    parts = [
        f"# Model card: {model}\n",
        f"{NOTICE} The model reads a title and an abstract or project description in English and gives five "
        "probabilities and decisions. It is for sorting what a research-security officer reads first; it is not for "
        "deciding on a grant, a visa or a hire, nor for merit review, nor for judging people.\n",
        "## What it is\n",
        "Hashed words and word pairs, those of the title also counted by themselves, weighed by sublinear term "
        "frequency and inverse document frequency to a vector of length one; per tag a logistic regression on "
        "n-grams scaled by their log-count ratio, rounded to 16 bits. N-grams not seen in training weigh nothing and "
        "change no length. Probabilities come from a logistic curve per tag, fitted on out-of-fold margins of the "
        "stratified sample with its weights, so that they hold for a natural stream; thresholds are those of the "
        "best unweighted F1 on out-of-fold predictions of the training records "
        f"(`balanced`: {thresholds}). Rebuilt to an equal digest by `dualuse train`.\n",
        "## What it learned from\n",
        f"{trained['records']:,} openly licensed records ({positives}). {metrics['labels']} See `data/README.md`.\n",
        "## How it was chosen\n",
        f"By {choice['folds']}-fold cross-validation on the {choice['records']:,} training records, near duplicates "
        "kept together (macro means of out-of-fold figures; `python -m training.choose`):\n",
        _choice_table(choice),
        "## Results\n",
        *(_table(metrics, subset) for subset in systems[model]),
        f"Intervals: {metrics['interval']}. {_source(metrics)}\n",
        "## Known limits\n",
        "English only, and nothing checks the language yet. Names inside a text are not taken out yet: one that "
        "occurred in training can carry weight. A bag of words cannot tell a drone that flies from a drone that "
        "carries the camera, nor a method from a motive: `data/cases/known_failures.jsonl` lists the authored cases "
        "it gets wrong (`dualuse data cases` counts them).\n",
    ]
    return "\n".join(parts)


def _refill(path: Path, name: str, content: str) -> None:
    start, end = f"<!-- {name}: python -m training.card -->\n", f"<!-- end of {name} -->"
    before, _, rest = path.read_text(encoding="utf-8").partition(start)
    path.write_text(before + start + content + end + rest.partition(end)[2], encoding="utf-8")


def _table(metrics: dict[str, Any], subset: str) -> str:
    lines = [f"### {subset.capitalize()}\n", "| | tag | positives | precision | recall | F1 | average precision |"]
    lines.append("| --- |" + " --- |" * 6)
    for system, subsets in metrics["systems"].items():
        for tag, row in subsets[subset].items():
            count = row["count"]["positives"] if "count" in row else ""
            cells = (_interval(row[name], 3) for name in ("precision", "recall", "f1", "average_precision"))
            lines.append(f"| {system} | {tag} | {count} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _choice_table(choice: dict[str, Any]) -> str:
    names = list(choice["candidates"][0])
    lines = ["| " + " | ".join(name.replace("_", " ") for name in names) + " |", "|" + " --- |" * len(names)]
    lines += ["| " + " | ".join(str(row[name]) for name in names) + " |" for row in choice["candidates"]]
    return "\n".join(lines) + "\n"


def _f1_cells(rows: Figures) -> str:
    return " | ".join(_interval(rows[tag]["f1"], 2) for tag in (*TAGS, "macro")) + " |"


def _interval(figure: dict[str, float | None], places: int) -> str:
    if figure["value"] is None:
        return "-"
    return f"{figure['value']:.{places}f} ({figure['low']:.{places}f}-{figure['high']:.{places}f})"


def _source(metrics: dict[str, Any]) -> str:
    return (
        f"Measured {metrics['date']} on the dev split ({metrics['records']['measured']:,} real records, none of them "
        f"trained on) by `dualuse evaluate LABELLED --split dev`; 95 % bootstrap intervals. {metrics['labels']}"
    )


if __name__ == "__main__":
    main()
