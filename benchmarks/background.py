"""How often the rule for background sentences is right: `python -m benchmarks.background [DUMP]`.

First on the made-up sentences of tests/data/background.csv, whose author also wrote the rule, so take that figure as
an upper bound. Given a dump, then on its abstracts that name their sections: the sentences of "Background" are
background, those of "Methods", "Results" and "Conclusions" are not, others are left out.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import click

from classifier import Record
from classifier.background import BACKGROUND_FROM, is_background, points
from classifier.cleaning import clean_with_map
from classifier.readers import read
from classifier.sentences import cut, pipeline

SENTENCES = Path(__file__).parent.parent / "tests/data/background.csv"
_HEADING = re.compile(
    r"^\W*(?:(?P<background>background|introduction)|(?P<work>(?:materials and )?methods?|results?|conclusions?)"
    r"|(?P<other>objectives?|purpose|aims?|context|motivation|significance|discussion|[A-Z]{5,}))(?:\s?[:.]|\s-)\s",
    re.I,
)


@click.command()
@click.argument("dump", required=False, type=click.Path(path_type=Path))
def main(dump: Path | None) -> None:
    """Print precision, recall and accuracy."""
    click.echo(f"made-up sentences: {_figures(made_up())}")
    if dump is not None:
        click.echo(f"sections of {dump.name}: {_figures(sections(dump))}")


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
