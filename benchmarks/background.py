"""How often the rules for background and possible uses are right: `python -m benchmarks.background [DUMP]`.

First on the made-up sentences of tests/data/background.csv, whose author also wrote the rule, so take that figure as
an upper bound. Given a dump, then on its abstracts that name their sections: the sentences of "Background" are
background, those of "Methods", "Results" and "Conclusions" are not, others are left out. Given labelled records
instead (`--labelled`): what becomes of flags that fall without such sentences, by several rules, and what it costs.
"""

import csv
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import click
import numpy as np

from classifier import TAGS, Model, Record, assets, load
from classifier.background import BACKGROUND_FROM, is_background, points
from classifier.cleaning import clean_with_map
from classifier.readers import read
from classifier.recourse import edit
from classifier.sentences import cut, pipeline
from classifier.uses import without_uses
from training.evaluate import LabelledRecords, read_labelled
from training.metrics import BoolArray

_ROUNDS = 9
SENTENCES = Path(__file__).parent.parent / "tests/data/background.csv"
_HEADING = re.compile(
    r"^\W*(?:(?P<background>background|introduction)|(?P<work>(?:materials and )?methods?|results?|conclusions?)"
    r"|(?P<other>objectives?|purpose|aims?|context|motivation|significance|discussion|[A-Z]{5,}))(?:\s?[:.]|\s-)\s",
    re.I,
)


@click.command()
@click.argument("dump", required=False, type=click.Path(path_type=Path))
@click.option("--labelled", type=click.Path(path_type=Path), help="Labelled records, whose dev split is judged.")
@click.option("--model", "kinds", multiple=True, default=tuple(assets.SHIPPED), show_default=True)
def main(dump: Path | None, labelled: Path | None, kinds: tuple[str, ...]) -> None:
    """Print precision, recall and accuracy; with labels, what the rules do to flags."""
    if labelled is not None:
        records = read_labelled(labelled, "dev")
        for kind in kinds:
            for line in what_becomes_of_flags(load(kind), records):
                click.echo(f"{kind}: {line}")
        click.echo(f"cost for a natural stream: {cost(records):.2%} of the fast model's processor time")
        return
    click.echo(f"made-up sentences: {_figures(made_up())}")
    if dump is not None:
        click.echo(f"sections of {dump.name}: {_figures(sections(dump))}")


def what_becomes_of_flags(model: Model, labelled: LabelledRecords) -> Iterator[str]:
    """Yield, by rule, how many flags move to review, how many of them are false by the labels, and macro F1 after."""
    documents = labelled.documents
    probability = model.probabilities(documents)
    truth = np.array([[tag in label.tags for tag in TAGS] for label in labelled.labels])
    flag_from, review_from = (
        np.array([thresholds[tag] for tag in TAGS])
        for thresholds in (model.thresholds["balanced"], model.review_thresholds)
    )
    flag = probability >= flag_from
    yield f"{flag.sum()} flags, {(flag & ~truth).sum()} false, macro F1 {_macro_f1(truth, flag):.4f}"
    for name, cut_out in (("background", _without_background), ("possible uses", without_uses)):
        edited = {row: cut_out(documents[row]) for row in np.flatnonzero(flag.any(axis=1)).tolist()}
        texts = {row: text for row, text in edited.items() if text is not None}
        left = probability.copy()
        left[list(texts)] = model.probabilities(list(texts.values()))
        for outcome, moved in (("no flag", flag & (left < flag_from)), ("clear", flag & (left < review_from))):
            shipped = " (the rule)" if (name, outcome) == ("possible uses", "clear") else ""
            yield (
                f"{outcome} without {name}{shipped}: {moved.sum()} to review, {(moved & ~truth).sum()} false, "
                f"{(moved & truth).sum()} true, macro F1 {_macro_f1(truth, flag & ~moved):.4f}"
            )


def cost(labelled: LabelledRecords) -> float:
    """Return how much processor time the rule adds to the fast model's, on the evenly drawn records, as a share."""
    model = load("fast")
    model.prepare()
    drawn = [r for r, one in zip(labelled.records, labelled.labels, strict=True) if one.chosen == "natural"]
    with_rule, without = [], []
    for _ in range(_ROUNDS):
        with_rule.append(_processor_time(lambda: model.judge(drawn)))
        with patch("classifier.model.without_uses", lambda document: None):
            without.append(_processor_time(lambda: model.judge(drawn)))
    return min(with_rule) / min(without) - 1


def _processor_time(task: Callable[[], object]) -> float:
    used = time.process_time()
    task()
    return time.process_time() - used


def _without_background(document: tuple[str, str]) -> tuple[str, str] | None:
    title, abstract = document
    cleaned = (clean_with_map(title), clean_with_map(abstract))
    units = [unit for unit in cut(cleaned, (pipeline()(""), pipeline()(cleaned[1].text))) if is_background(unit)]
    given = {"title": title, "abstract": abstract}
    return edit(given, [(unit.field, unit.start, unit.end, "") for unit in units]) if units else None


def _macro_f1(truth: BoolArray, flag: BoolArray) -> float:
    both = (truth & flag).sum(axis=0)
    return float((2 * both / (truth.sum(axis=0) + flag.sum(axis=0))).mean())


def made_up() -> Iterator[tuple[bool, bool]]:
    """Yield (is background, the rule says so) of the made-up sentences."""
    with SENTENCES.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            said = points(row["text"], int(row["number"]), int(row["of"])) >= BACKGROUND_FROM
            yield row["background"] == "1", said


def sections(dump: Path) -> Iterator[tuple[bool, bool]]:
    """Yield (is background, the rule says so) of the sentences in abstracts that name both kinds of section."""
    for record in read(dump):
        if not isinstance(record, Record) or not re.search("background|introduction", record.abstract, re.I):
            continue
        cleaned = (clean_with_map(""), clean_with_map(record.abstract))
        kind, found = None, []
        for sentence in cut(cleaned, (pipeline()(""), pipeline()(cleaned[1].text))):
            heading = _HEADING.match(sentence.text)
            if heading:
                kind = heading.lastgroup
            if kind in ("background", "work"):
                found.append((kind == "background", is_background(sentence)))
        if {is_so for is_so, _ in found} == {True, False}:
            yield from found


def _figures(pairs: Iterator[tuple[bool, bool]]) -> str:
    seen = list(pairs)
    both, said = sum(a and b for a, b in seen), sum(b for _, b in seen)
    real, right = sum(a for a, _ in seen), sum(a == b for a, b in seen)
    if not real or not said:
        return f"{len(seen)} sentences, too few of either kind"
    return (
        f"{len(seen)} sentences, {real} of them background: accuracy {right / len(seen):.2f}, "
        f"precision {both / said:.2f}, recall {both / real:.2f}"
    )


if __name__ == "__main__":
    main()
