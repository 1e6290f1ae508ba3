"""What `--mark-duplicates` finds, and what it costs: `python -m benchmarks.duplicates [DUMP]`.

Works are the made-up abstracts of `data/examples` and `data/cases` that have forty words or more. Each is placed, and
then an edited copy of it; the share of copies that join their work is told, and a copy in a wrong group is an error.
Without a dump, time and memory are measured on records of shuffled words. Time is processor time, of one thread.
"""

import csv
import json
import random
import re
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path

import click

from classifier import DualuseError, Record, assets
from classifier.duplicates import DuplicateGroups, Fingerprints, fingerprint
from classifier.readers import read

Text = tuple[str, str]
Edit = Callable[[str, random.Random], str]
FEWEST_WORDS = 40
LENGTH = 166  # words of a record of shuffled words: some 1,370 characters
_BATCH = 2048


def _lines(name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in assets.data_file(name).read_text(encoding="utf-8").splitlines()]


def _text(row: object) -> Text:
    assert isinstance(row, dict)
    return row["title"] or "", row.get("abstract") or ""


def _projects() -> list[Text]:
    with assets.data_file("examples/projects.csv").open(encoding="utf-8", newline="") as file:
        return [(row["award_title"], row["summary"]) for row in csv.DictReader(file)]


PAIRS = [(_text(row["inside"]), _text(row["outside"])) for row in _lines("cases/minimal_pairs.jsonl")]
"""Texts that share most sentences and are not one work."""
_ALONE = [_text(row) for name in ("cases/negative.jsonl", "examples/papers.jsonl") for row in _lines(name)]
WORKS = [text for text in [*_ALONE, *_projects(), *(one for one, _ in PAIRS)] if len(text[1].split()) >= FEWEST_WORDS]
WORDS = sorted({word for _, abstract in WORKS for word in abstract.split()})


def change_words(share: float) -> Edit:
    """Drop, replace or insert words: each word is touched with this probability."""

    def edit(abstract: str, rng: random.Random) -> str:
        kept = []
        for word in abstract.split():
            what = rng.random() / share
            if what < 1 / 3:
                continue
            kept += [rng.choice(WORDS)] if what < 2 / 3 else [word, rng.choice(WORDS)] if what < 1 else [word]
        return " ".join(kept)

    return edit


def shorten(share: float) -> Edit:
    """Keep this share of the words, and thirty at least."""

    def edit(abstract: str, rng: random.Random) -> str:
        words = abstract.split()
        return " ".join(words[: max(30, int(share * len(words)))])

    return edit


def publish(abstract: str, rng: random.Random) -> str:
    """Rewrite one sentence and touch one word in twenty, as between a preprint and the journal's version."""
    sentences = re.split(r"(?<=[.]) ", abstract)
    sentences[rng.randrange(len(sentences))] = "Code and further results are given in a longer version of this article."
    return change_words(0.05)(" ".join(sentences), rng)


EDITS: Mapping[str, Edit] = {
    "one word in 50 dropped, replaced or inserted": change_words(1 / 50),
    "one in 20": change_words(1 / 20),
    "one in 10": change_words(1 / 10),
    "one in 7": change_words(1 / 7),
    "one in 5": change_words(1 / 5),
    "cut to a half": shorten(0.5),
    "cut to a quarter": shorten(0.25),
    "cut to a half, one word in 33 edited": lambda abstract, rng: change_words(1 / 33)(
        shorten(0.5)(abstract, rng), rng
    ),
    "one sentence rewritten, one word in 20 edited": publish,
}
TITLES: Mapping[str, Callable[[str], str]] = {
    "same title": str,
    "title missing": lambda title: "",
    "another title": lambda title: f"Towards {title}, revisited",
}


def groups(texts: list[Text], state: DuplicateGroups | None = None, prefix: str = "", batch: int = _BATCH) -> list[str]:
    """Return the group of each text; ids are places behind the prefix."""
    state = state or DuplicateGroups()
    found: list[str] = []
    for start in range(0, len(texts), batch):
        part = texts[start : start + batch]
        ids = [f"{prefix}{start + i}" for i in range(len(part))]
        found += state.place(ids, fingerprint([title for title, _ in part], [abstract for _, abstract in part]))
    return found


def found_again(edit: Edit, retitle: Callable[[str], str] = str) -> float:
    """Return the share of works that are found again after an edit.

    Raises DualuseError where a work or a copy is in a wrong group.
    """
    rng, state = random.Random(7), DuplicateGroups()
    first = groups(WORKS, state)
    again = groups([(retitle(title), edit(abstract, rng)) for title, abstract in WORKS], state, "copy-")
    wrong = [i for i, group in enumerate(first) if group != str(i)]
    wrong += [i for i, group in enumerate(again) if group not in (str(i), f"copy-{i}")]
    if wrong:
        raise DualuseError(f"{len(wrong)} made-up works are in a wrong group, first {WORKS[wrong[0]][0]!r}.")
    return sum(group == str(i) for i, group in enumerate(again)) / len(WORKS)


@click.command()
@click.argument("dump", required=False, type=click.Path(path_type=Path))
@click.option("--records", default=20_000, show_default=True, help="How many records to place, at most.")
def main(dump: Path | None, records: int) -> None:
    """Print the shares found by edit and title, and time and memory for each record."""
    click.echo(f"| {len(WORKS)} works, edit of the abstract | " + " | ".join(TITLES) + " |")
    for name, edit in EDITS.items():
        click.echo(
            f"| {name} | " + " | ".join(f"{found_again(edit, retitle):.2f}" for retitle in TITLES.values()) + " |"
        )
    joined = sum(len(set(groups(list(pair)))) == 1 for pair in PAIRS)
    click.echo(f"minimal pairs: {joined} of {len(PAIRS)} joined")
    rng = random.Random(1)
    made_up = (("", " ".join(rng.choices(WORDS, k=LENGTH))) for _ in range(records))
    texts = list(islice(_texts(dump), records)) if dump else list(made_up)
    measure(texts)


def measure(texts: list[Text]) -> None:
    """Print how many texts joined another's group, processor time for a million, and memory for a work."""
    batches = [list(zip(*texts[start : start + _BATCH], strict=True)) for start in range(0, len(texts), _BATCH)]
    used = time.process_time()
    prints = [fingerprint(titles, abstracts) for titles, abstracts in batches]
    hashed = time.process_time()
    ids = [[f"{number}-{i}" for i in range(len(titles))] for number, (titles, _) in enumerate(batches)]
    placing = time.process_time()
    found = _place(ids, prints)
    placed = time.process_time()
    works = len(set(found))
    per_million = 1e6 / len(texts)
    click.echo(
        f"{len(texts):,} records of {sum(map(len, (a for _, a in texts))) / len(texts):,.0f} characters: "
        f"{len(texts) - works:,} joined another's group; a million take {(hashed - used) * per_million:.0f} s to hash, "
        f"on any thread, and {(placed - placing) * per_million:.0f} s to place, on one"
    )
    state = DuplicateGroups()
    tracemalloc.start()
    _place(ids, prints, state)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    click.echo(f"a work takes {kept / works:.0f} bytes beside its id, {peak / works:.0f} at the peak")


def _place(ids: list[list[str]], prints: list[Fingerprints], state: DuplicateGroups | None = None) -> list[str]:
    state = state or DuplicateGroups()
    return [group for own, part in zip(ids, prints, strict=True) for group in state.place(own, part)]


def _texts(dump: Path) -> Iterator[Text]:
    for item in read(dump):
        if isinstance(item, Record):
            yield item.title, item.abstract


if __name__ == "__main__":
    main()
