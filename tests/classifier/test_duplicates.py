"""The same work in several dumps must be found again, and other works left alone, however a dump is cut."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.duplicates import (
    EDITS,
    PAIRS,
    TITLES,
    WORDS,
    WORKS,
    Edit,
    Text,
    change_words,
    found_again,
    groups,
    publish,
    shorten,
)
from classifier.duplicates import DuplicateGroups, fingerprint

TITLE, ABSTRACT = WORKS[0]


@pytest.mark.parametrize(
    ("edit", "least"),
    [
        (change_words(0.05), 1.0),
        (change_words(0.10), 0.99),
        (change_words(0.15), 0.95),
        (shorten(0.5), 0.99),
        (shorten(0.25), 0.99),
        (publish, 0.97),
        (EDITS["cut to a half, one word in 33 edited"], 0.97),
    ],
)
def test_a_work_with_its_title_is_found_again_after_edits(edit: Edit, least: float) -> None:
    assert found_again(edit) >= least


def test_a_work_under_another_title_is_found_again_after_light_edits() -> None:
    assert found_again(change_words(0.02), TITLES["another title"]) >= 0.97
    assert found_again(shorten(0.5), TITLES["another title"]) >= 0.95


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
