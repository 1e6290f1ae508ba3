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
from classifier.results import NOTICE, ROLES, TAGS
from training.labels import SPLITS, Label, read_labels
from training.metrics import Figures

README = Path(__file__).parent.parent / "README.md"
_FIRST_ONLY = (
    "Thresholds are those of the best unweighted F1 on out-of-fold predictions of the training records. Rebuilt to an "
    "equal digest by `dualuse train --model fast`."
)
_SECOND = (
    "A text that reaches probability {read_from} for any tag is read again by all-MiniLM-L6-v2 (Apache 2.0), "
    "fine-tuned for three epochs on four fifths of the training records (`training/teacher.py`: title and abstract as "
    "two segments, {max_tokens} word pieces, labels smoothed, more so for hard records; weights in 8 bits, ONNX), each "
    "text by itself. Both readings are added by a logistic regression per tag, fitted on the fifth that the encoder "
    "had not seen; thresholds are those of the best expected F1 there. `dualuse train` rebuilds all of it to an equal "
    "digest but for the encoder, which is shipped as it is. Equal bytes are promised on one kind of processor only: "
    "8-bit arithmetic differs between kinds."
)
DATA_CARD = README.parent / "data" / "README.md"


@click.command()
def main() -> None:
    """Write the shipped models' cards, and the figures in README.md and data/README.md."""
    metrics = {}
    for kind, name in assets.SHIPPED.items():
        folder = assets.model_folder(name)
        metrics[kind] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        write_beside(folder / "README.md", card(load(folder).parameters, metrics[kind], read_choice()))
    _refill(README, "figures", figures(metrics["careful"], metrics["fast"]))
    _refill(DATA_CARD, "counts", counts(read_labels(assets.data_file("labels"))))


def read_choice() -> dict[str, Any]:
    """Return what `training.choose` found, which holds for the n-gram part of both models."""
    path = assets.model_folder(assets.SHIPPED["fast"]) / "choice.json"
    choice: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return choice


def figures(careful: dict[str, Any], fast: dict[str, Any]) -> str:
    """Return the Markdown that README shows: F1 by tag and system, and what a thousand records bring."""
    name, quick = careful["model"]["id"], fast["model"]["id"]
    rows = {f"{name} (the default)": careful["systems"][name]["all"], quick: fast["systems"][quick]["all"]}
    rows |= {peer: subsets["all"] for peer, subsets in careful["systems"].items() if peer != name}
    rows[f"{name}, records not called hard"] = careful["systems"][name]["not hard"]
    rows[f"{quick}, records not called hard"] = fast["systems"][quick]["not hard"]
    head = f"| F1 on {careful['records']['measured']:,} records | " + " | ".join((*TAGS, "macro")) + " |\n"
    lines = [head + "| --- |" + " --- |" * (len(TAGS) + 1)]
    lines += [f"| {words} | " + _f1_cells(figures_of) for words, figures_of in rows.items()]
    natural = careful["systems"][name]["natural prevalence"]
    lines += ["", f"| {name}, a thousand records of a natural stream | " + " | ".join(TAGS) + " |"]
    lines += ["| --- |" + " --- |" * len(TAGS)]
    for measure, words in (("false_alarms_per_1000", "false alarms"), ("missed_per_1000", "missed")):
        lines.append(f"| {words} | " + " | ".join(_interval(natural[tag][measure], 1) for tag in TAGS) + " |")
    share = careful["read_again"]["natural prevalence"]
    lines += ["", f"Of a natural stream, the default reads {share:.1%} of the records a second time.", ""]
    return "\n".join([*lines, _source(careful), ""])


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
        "stratified sample with its weights, so that they hold for a natural stream. "
        + (_SECOND.format(**parameters["second"]) if "second" in parameters else _FIRST_ONLY)
        + f" Thresholds (`balanced`): {thresholds}.\n",
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
        "occurred in training, or a piece of one, can carry weight. Words alone often cannot tell a drone that flies "
        "from a drone that carries the camera, nor a method from a motive: `data/cases/known_failures.jsonl` lists the "
        "authored cases that the default model gets wrong (`dualuse data cases` counts them).\n",
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
