"""Write the model card and README's figures from metrics: `python -m training.card`. No figure is typed by hand.

The cards are made of the reports in the model folders (see `sections`), README's tables of `metrics.json` alone.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from classifier import assets
from classifier.model import load
from classifier.modelfolder import write_beside
from classifier.results import ROLES, TAGS
from training.labels import SPLITS, Label, read_labels
from training.metrics import Figures, shown
from training.page import to_markdown
from training.plots import draw_learning, draw_reliability
from training.sections import LEARNING_PICTURE, RELIABILITY_PICTURE, card, source

README = Path(__file__).parent.parent / "README.md"
DATA_CARD = README.parent / "data" / "README.md"


@click.command()
def main() -> None:
    """Draw the shipped models' pictures, write their cards, and the figures in README.md and data/README.md."""
    metrics = {}
    for kind, name in assets.SHIPPED.items():
        folder = assets.model_folder(name)
        metrics[kind] = _report(folder / "metrics.json")
        draw(folder, assets.model_folder(assets.SHIPPED["fast"]))
        write_beside(folder / "README.md", to_markdown(card(load(folder))))
    _refill(README, "figures", figures(metrics["careful"], metrics["fast"]))
    _refill(DATA_CARD, "counts", counts(read_labels(assets.data_file("labels"))))


def draw(folder: Path, shared: Path) -> None:
    """Draw the pictures that a model's card shows into its folder; reports on no model alone lie in `shared`."""
    if (folder / "breakdown.json").is_file():
        report = _report(folder / "breakdown.json")
        if report["reliability"]:
            picture = draw_reliability(report["reliability"], report["model"]["id"])
            write_beside(folder / RELIABILITY_PICTURE, picture)
    if (shared / "curves.json").is_file():
        write_beside(folder / LEARNING_PICTURE, draw_learning(_report(shared / "curves.json")["learning"]))


def _report(path: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return report


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
        lines.append(f"| {words} | " + " | ".join(shown(natural[tag][measure], 1) for tag in TAGS) + " |")
    share = careful["read_again"]["natural prevalence"]
    lines += ["", f"Of a natural stream, the default reads {share:.1%} of the records a second time.", ""]
    return "\n".join([*lines, source(careful), ""])


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


def _refill(path: Path, name: str, content: str) -> None:
    start, end = f"<!-- {name}: python -m training.card -->\n", f"<!-- end of {name} -->"
    before, _, rest = path.read_text(encoding="utf-8").partition(start)
    path.write_text(before + start + content + end + rest.partition(end)[2], encoding="utf-8")


def _f1_cells(rows: Figures) -> str:
    return " | ".join(shown(rows[tag]["f1"], 2) for tag in (*TAGS, "macro")) + " |"


if __name__ == "__main__":
    main()
