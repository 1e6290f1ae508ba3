"""A mention of possible uses is no contribution: it brings a flag to review, the same way on every path."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier import Model
from classifier.background import lists_uses, may_list_uses
from classifier.model import POSSIBLE_USES
from classifier.uses import uses_in, without_uses

USES = "Gaussian processes are used in applications such as drones, UAV swarms and unmanned aircraft."
WORK = "We give an algorithm that needs a linear number of steps. The error is bounded. Tests confirm the bound."
MENTION = ("Faster sampling of Gaussian processes", f"{USES} {WORK}")
CONTRIBUTION = ("UAV swarms", f"{USES} We fly a swarm of drones in wind. {WORK}")
pieces = st.lists(
    st.one_of(
        st.sampled_from([USES, WORK, "<p>", "\u200b", ". ", "It may help drones, e.g. in war. ", "Rossi et al. fly."]),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    ),
    max_size=8,
).map(" ".join)


def test_a_flag_that_a_mention_alone_brings_about_is_for_review_with_the_reason(fast: Model) -> None:
    mention, contribution = fast.classify([MENTION, CONTRIBUTION])
    assert mention.tags == ()
    assert mention.judgements["drones"].decision == "review"
    assert mention.judgements["drones"].role is not None
    assert mention.judgements["drones"].probability >= fast.thresholds["balanced"]["drones"]
    assert mention.notes == ("for review: drones", f"{POSSIBLE_USES}: drones")
    assert contribution.tags == ("drones",)
    assert contribution.notes == ()


def test_the_second_reading_takes_the_same_way(shipped: Model) -> None:
    (result,) = shipped.classify([MENTION])
    assert result.judgements["drones"].decision != "flag"


def test_single_batch_arrow_and_examined_texts_get_one_decision(fast: Model) -> None:
    documents = [MENTION, CONTRIBUTION, ("Soil", "Worms live in it.")] * 3
    single = [fast.classify([document])[0] for document in documents]
    titles, abstracts = (pa.array([document[side] for document in documents]) for side in (0, 1))
    arrow = fast.judge_arrow(titles, abstracts)
    assert [one.judgements["drones"].decision for one in single] == arrow.column("drones_decision").to_pylist()
    assert [list(one.notes) for one in single] == arrow.column("notes").to_pylist()
    examined = fast.examine(documents)
    assert ((examined.decision == 2).sum(axis=1) == [len(one.tags) for one in single]).all()


@pytest.mark.parametrize(
    "sentence",
    [
        "Applications such as surveillance abound.",
        "Applications include drones.",
        "It has applications in robotics.",
        "Such filters are often used for tracking.",
        "This is useful in warfare.",
        "Possible uses are many.",
        "Potential applications are many.",
        "Signals vary, e.g. in drones.",
        "Uses are many, ranging from games to war.",
        "The method may be applied to drones.",
        "This could help pilots.",
        "It might one day fly.",
        "The bound is of interest to radar engineers.",
    ],
)
def test_a_list_of_possible_uses_is_known_by_its_words(sentence: str) -> None:
    assert may_list_uses(sentence)
    assert lists_uses(sentence, 1, 6)
    assert uses_in(f"{sentence} {WORK}") == [(0, len(sentence))]


@pytest.mark.parametrize(
    "sentence", ["We apply it to drones such as ours.", "Drones fly.", "Results will show uses such as war."]
)
def test_what_the_work_did_is_no_possible_use(sentence: str) -> None:
    assert without_uses(("Drones", f"{WORK} {sentence} {WORK}")) is None


def test_an_abbreviation_does_not_end_a_sentence() -> None:
    text = "Tools of Rossi et al. Paris have applications in war, e.g. Drones. We count worms."
    assert [text[start:end] for start, end in uses_in(text)] == [text[: text.index(" We count")]]


@given(pieces)
@settings(max_examples=60, deadline=None)
def test_what_is_left_out_lies_in_the_text_in_order(abstract: str) -> None:
    spans = uses_in(abstract)
    edges = [edge for span in spans for edge in span]
    assert edges == sorted(edges)
    assert all(0 <= start < end <= len(abstract) for start, end in spans)
    left = without_uses(("T", abstract))
    assert (left is None) == (not spans)
    assert left is None or len(left[1]) == len(abstract) - sum(end - start for start, end in spans)


@given(pieces, pieces)
@settings(max_examples=30, deadline=None)
def test_a_flag_is_one_that_its_text_without_mentions_would_not_clear(fast: Model, title: str, abstract: str) -> None:
    if not title.strip() and not abstract.strip():
        return
    (result,) = fast.classify([(title, abstract)])
    left = without_uses((title, abstract))
    for tag in result.tags:
        if left is not None:
            place = tuple(result.judgements).index(tag)
            assert fast.probabilities([left])[0, place] >= fast.review_thresholds[tag]
