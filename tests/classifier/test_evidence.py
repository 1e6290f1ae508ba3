"""The words named as evidence must be the score itself: their parts and the intercept add up to the margin."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier import TAGS, Model
from classifier.evidence import carriers
from tests.conftest import ROOT

TEXTS = [json.loads(line) for line in (ROOT / "data/examples/papers.jsonl").read_text(encoding="utf-8").splitlines()]
DOCUMENTS = [(t["title"] or "", t.get("abstract") or "") for t in TEXTS]
EVERY = 10**6
field = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=80),
    st.sampled_from([text for document in DOCUMENTS for text in document]),
)


@given(field, field, st.sampled_from(TAGS))
@settings(max_examples=100, deadline=None)
def test_the_parts_and_the_intercept_add_up_to_the_margin(shipped: Model, title: str, abstract: str, tag: str) -> None:
    parts = carriers(shipped, title, abstract, tag, n=EVERY)
    margin = shipped.margins([(title, abstract)])[0, TAGS.index(tag)]
    assert sum(part for _, part in parts) + shipped.parameters["intercept"][tag] == pytest.approx(margin, abs=1e-9)


@given(field, field, st.sampled_from(TAGS))
@settings(max_examples=50, deadline=None)
def test_every_part_is_named_by_words_of_the_text_and_the_strongest_come_first(
    shipped: Model, title: str, abstract: str, tag: str
) -> None:
    parts = carriers(shipped, title, abstract, tag, n=EVERY)
    assert [part for _, part in parts] == sorted((part for _, part in parts), reverse=True)
    assert len({name for name, _ in parts}) == len(parts)
    assert carriers(shipped, title, abstract, tag, n=3) == parts[:3]


def test_a_landing_quadrotor_is_told_by_its_own_words(shipped: Model) -> None:
    title, abstract = "Quadrotor landing", "A \\textbf{quadrotor} lands on a ship. The UAV sees the deck."
    names = [name for name, _ in carriers(shipped, title, abstract, "drones")]
    assert "quadrotor" in names
    assert "uav" in names
    assert not any("textbf" in name for name in names)


def test_a_word_of_the_title_has_one_part_for_both_of_its_entries(shipped: Model) -> None:
    names = [name for name, _ in carriers(shipped, "Quadrotor", "A quadrotor.", "drones", n=EVERY)]
    assert names.count("quadrotor") == 1


def test_a_text_of_which_nothing_is_known_has_no_carriers(shipped: Model) -> None:
    assert carriers(shipped, "", "Qwxyzzy vrblgrph", "drones") == []


def test_an_unknown_tag_is_refused(shipped: Model) -> None:
    with pytest.raises(ValueError, match="weapons"):
        carriers(shipped, "A title", "An abstract.", "weapons")
