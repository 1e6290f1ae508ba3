"""The same work in several dumps must be found again, and other works left alone, however a dump is cut."""

import csv
import json
import random
import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.duplicates import DuplicateGroups, fingerprint
from tests.conftest import ROOT

Text = tuple[str, str]


def lines(name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (ROOT / "data" / name).read_text(encoding="utf-8").splitlines()]


def text_of(row: object) -> Text:
    assert isinstance(row, dict)
    return row["title"] or "", row.get("abstract") or ""


PAIRS = [(text_of(row["inside"]), text_of(row["outside"])) for row in lines("cases/minimal_pairs.jsonl")]
with (ROOT / "data/examples/projects.csv").open(encoding="utf-8", newline="") as file:
    PROJECTS = [(row["award_title"], row["summary"]) for row in csv.DictReader(file)]
ALL = [text_of(row) for name in ("cases/negative.jsonl", "examples/papers.jsonl") for row in lines(name)]
WORKS = [text for text in [*ALL, *PROJECTS, *(pair[0] for pair in PAIRS)] if len(text[1].split()) >= 40]
WORDS = sorted({word for _, abstract in WORKS for word in abstract.split()})
TITLE, ABSTRACT = WORKS[0]


def groups(texts: list[Text], state: DuplicateGroups | None = None, prefix: str = "", batch: int = 1000) -> list[str]:
    state = state or DuplicateGroups()
    found: list[str] = []
    for start in range(0, len(texts), batch):
        part = texts[start : start + batch]
        ids = [f"{prefix}{start + i}" for i in range(len(part))]
        found += state.place(ids, fingerprint([title for title, _ in part], [abstract for _, abstract in part]))
    return found


def found_again(edit: Callable[[str, random.Random], str], retitle: Callable[[str], str] = str) -> float:
    """Return the share of works that are found again after an edit; a wrong group fails at once."""
    rng, state = random.Random(7), DuplicateGroups()
    first = groups(WORKS, state)
    assert first == [str(i) for i in range(len(WORKS))]  # none of the works is another's duplicate
    again = groups([(retitle(title), edit(abstract, rng)) for title, abstract in WORKS], state, "copy-")
    for i, group in enumerate(again):
        assert group in (str(i), f"copy-{i}")
    return sum(group == str(i) for i, group in enumerate(again)) / len(WORKS)


def change_words(share: float) -> Callable[[str, random.Random], str]:
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


def shorten(share: float) -> Callable[[str, random.Random], str]:
    def edit(abstract: str, rng: random.Random) -> str:
        words = abstract.split()
        return " ".join(words[: max(30, int(share * len(words)))])

    return edit


def publish(abstract: str, rng: random.Random) -> str:
    """Rewrite one sentence and touch one word in twenty, as between a preprint and the journal's version."""
    sentences = re.split(r"(?<=[.]) ", abstract)
    sentences[rng.randrange(len(sentences))] = "Code and further results are given in a longer version of this article."
    return change_words(0.05)(" ".join(sentences), rng)


@pytest.mark.parametrize(
    ("edit", "least"),
    [
        (change_words(0.05), 1.0),
        (change_words(0.10), 0.99),
        (change_words(0.15), 0.95),
        (shorten(0.5), 0.99),
        (shorten(0.25), 0.99),
        (publish, 0.97),
        (lambda abstract, rng: change_words(0.03)(shorten(0.5)(abstract, rng), rng), 0.97),
    ],
)
def test_a_work_with_its_title_is_found_again_after_edits(
    edit: Callable[[str, random.Random], str], least: float
) -> None:
    assert found_again(edit) >= least


def test_a_work_under_another_title_is_found_again_after_light_edits() -> None:
    def retitle(title: str) -> str:
        return f"Towards {title}, revisited"

    assert found_again(change_words(0.02), retitle) >= 0.97
    assert found_again(shorten(0.5), retitle) >= 0.95


def test_markup_case_and_punctuation_do_not_hide_an_exact_duplicate() -> None:
    disguised = re.sub(r"(\w+) (\w+)", r"<i>\1</i> \\emph{\2}", ABSTRACT.upper(), count=5)
    assert groups([(TITLE, ABSTRACT), (f"<b>{TITLE}</b>", f"<jats:p>{disguised}</jats:p>")]) == ["0", "0"]


def test_pairs_that_differ_in_what_matters_stay_apart() -> None:
    joined = sum(len(set(groups(list(pair)))) == 1 for pair in PAIRS)
    assert joined <= 0.02 * len(PAIRS)


def test_papers_of_a_series_with_the_same_boilerplate_stay_apart() -> None:
    boilerplate = (
        " This work is part of a series on the same programme, which reflects the mission of the funder and has been "
        "deemed worthy of support through evaluation by its usual criteria of merit and of broader impacts."
    )
    series = [(f"{title}: part {i}", abstract + boilerplate) for i, (title, abstract) in enumerate(WORKS)]
    assert groups(series) == [str(i) for i in range(len(series))]


@pytest.mark.parametrize("text", [("Editorial", ""), ("CAREER", ""), ("Book review", "No abstract."), ("", "")])
def test_texts_of_a_few_words_are_never_duplicates(text: Text) -> None:
    assert groups([text, text, text]) == ["0", "1", "2"]


def test_an_empty_batch_and_missing_texts_are_no_trouble() -> None:
    state = DuplicateGroups()
    assert state.place([], fingerprint([], [])) == []
    assert state.place(["a", "b", "c"], fingerprint([None, TITLE, None], [ABSTRACT, None, None])) == ["a", "b", "c"]


def test_short_texts_are_duplicates_only_when_exactly_alike() -> None:
    short = "We prove a bound for sums of squares in short intervals of the integers."
    other = "We prove a bound for sums of squares in short intervals of the primes."
    assert groups([("A note on sums", short), ("A note on sums", other), ("A note on Sums.", short)]) == ["0", "1", "0"]


def test_groups_are_never_united_and_a_record_joins_the_one_it_resembles_more() -> None:
    a, b = ABSTRACT.split(), WORKS[1][1].split()
    first, second = " ".join(a), " ".join(b)
    both = " ".join([*a, *b, *b[:20]])
    found = groups([("", first), ("", second), ("", both), ("", first), ("", second)])
    assert found[:2] == ["0", "1"]
    assert found[2] in ("0", "1")
    assert found[3:] == ["0", "1"]


def test_a_copy_of_a_copy_is_in_the_group_of_the_first() -> None:
    shortened = " ".join(ABSTRACT.split()[:60])
    assert groups(
        [(TITLE, ABSTRACT), (TITLE, shortened), ("Another title of this", shortened), (TITLE, shortened)]
    ) == [*("0", "0", "0", "0")]


pieces = st.lists(
    st.tuples(st.sampled_from(WORKS[:6]), st.integers(0, 3)).map(
        lambda drawn: (drawn[0][0], " ".join(drawn[0][1].split()[drawn[1] * 12 :]))
    ),
    max_size=30,
)


@given(pieces, st.integers(1, 30))
@settings(max_examples=50, deadline=None)
def test_groups_do_not_depend_on_the_size_of_batches(texts: list[Text], batch: int) -> None:
    found = groups(texts, batch=batch)
    assert found == groups(texts)
    for i, group in enumerate(found):
        assert int(group) <= i
        assert found[int(group)] == group  # the first of a group is in its own


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), max_size=6))
@settings(max_examples=50, deadline=None)
def test_any_text_has_a_fingerprint_that_does_not_depend_on_its_neighbours(texts: list[str]) -> None:
    together = fingerprint(texts, texts)
    for i, text in enumerate(texts):
        alone = fingerprint([text], [text])
        for name in ("exact", "words", "shingles", "title", "keys", "sketch"):
            assert getattr(alone, name)[0].tolist() == getattr(together, name)[i].tolist()


def test_many_records_grow_the_tables_and_are_all_found_again() -> None:
    rng = random.Random(1)
    texts = [("", " ".join(rng.choices(WORDS, k=40))) for _ in range(6000)]
    state = DuplicateGroups()
    assert groups(texts, state) == [str(i) for i in range(len(texts))]
    assert groups(texts, state, "again-") == [str(i) for i in range(len(texts))]
