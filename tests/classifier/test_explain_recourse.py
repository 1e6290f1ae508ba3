"""Every "without this" is what the model says of the text without this."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier import TAGS, Model, Record
from classifier.cleaning import clean_with_map
from classifier.explain import Explanation, explain
from classifier.readers import read
from classifier.recourse import RANK, edit, name_units
from classifier.sentences import Sentence, cut, pipeline
from tests.conftest import ROOT

RECORDS = [
    item
    for name in ("papers.jsonl", "projects.csv")
    for item in read(ROOT / "data/examples" / name)
    if isinstance(item, Record)
]


@pytest.fixture(scope="module")
def explanations(fast: Model) -> list[Explanation]:
    return [explain(fast, record) for record in RECORDS]


def units_of(title: str, abstract: str) -> list[Sentence]:
    cleaned = (clean_with_map(title), clean_with_map(abstract))
    return cut(cleaned, (pipeline()(cleaned[0].text), pipeline()(cleaned[1].text)))


def without(explanation: Explanation, numbers: tuple[int, ...]) -> tuple[str, str]:
    given = {"title": explanation.title, "abstract": explanation.abstract}
    units = [unit for unit in units_of(**given) if unit.number in numbers]
    return edit(given, [(unit.field, unit.start, unit.end, "") for unit in units])


def test_the_decision_falls_without_the_sentences_named_and_stays_without_fewer(
    fast: Model, explanations: list[Explanation]
) -> None:
    tried = 0
    for explanation in explanations:
        for name, tag in explanation.tags.items():
            support = tag.recourse.support
            if support is None:
                continue
            tried += 1
            (left,) = fast.classify([without(explanation, support.units)])
            assert left.judgements[name].probability == support.probability
            assert left.judgements[name].decision == support.decision
            assert RANK[support.decision] < RANK[tag.decision]
            for spared in support.units if len(support.units) > 1 else ():
                fewer = tuple(number for number in support.units if number != spared)
                (kept,) = fast.classify([without(explanation, fewer)])
                assert RANK[kept.judgements[name].decision] >= RANK[tag.decision]
    assert tried >= 8


sentences = st.lists(
    st.sampled_from(
        [
            "A quadrotor lands on a ship.",
            "The <b>UAV</b> tracks people in crowds.",
            "Fake news spreads by bots.",
            "Drones may help pilots, e.g. in war.",
            "A missile seeker sees its target.",
            "Worms live in soil.",
            "The battalion commander plans.",
            "Nothing is kno\u200bwn.",
        ]
    ),
    max_size=6,
).map(" ".join)


@given(st.sampled_from(["", "Swarms of drones", "On worms"]), sentences)
@settings(max_examples=40, deadline=None)
def test_recourse_really_changes_the_decision_of_any_text(fast: Model, title: str, abstract: str) -> None:
    if not title and not abstract:
        return
    explanation = explain(fast, (title, abstract))
    for name, tag in explanation.tags.items():
        if support := tag.recourse.support:
            left = without(explanation, support.units)
            (edited,) = fast.classify([left])
            assert RANK[edited.judgements[name].decision] < RANK[tag.decision]
            assert edited.judgements[name].decision == support.decision
            assert edited.judgements[name].probability == support.probability


def test_each_sentence_taken_out_alone_has_the_probability_told(fast: Model, explanations: list[Explanation]) -> None:
    explanation = next(one for one in explanations if one.id == "paper-01")
    for one in explanation.tags["drones"].recourse.without:
        (left,) = fast.classify([without(explanation, (one.number,))])
        assert (left.judgements["drones"].probability, left.judgements["drones"].decision) == (
            one.probability,
            one.decision,
        )


def test_other_words_are_tried_wherever_they_stand(fast: Model) -> None:
    title, abstract = "Drone landing", "A drone lands. The Drone sees a deck."
    words = explain(fast, (title, abstract)).tags["drones"].recourse.words
    removed = next(one for one in words if one.words == "drone" and one.instead is None)
    replaced = next(one for one in words if one.words == "drone" and one.instead)
    assert (removed.places, replaced.places) == (3, 3)
    (left,) = fast.classify([(" landing", "A  lands. The  sees a deck.")])
    assert left.judgements["drones"].probability == removed.probability
    (left,) = fast.classify([("camera landing", "A camera lands. The camera sees a deck.")])
    assert left.judgements["drones"].probability == replaced.probability


def test_a_flag_is_told_in_plain_words(explanations: list[Explanation]) -> None:
    told = {one.id: one.tags for one in explanations}
    text = told["paper-10"]["guidance"].recourse.text
    assert text[0] == "The guidance flag rests on the title."
    assert re.fullmatch(r"Without it, the decision would be '(clear|review)' \(0\.\d\d\)\.", text[1])


def test_what_was_not_flagged_says_what_came_nearest_or_that_nothing_did(explanations: list[Explanation]) -> None:
    for explanation in explanations:
        for tag in explanation.tags.values():
            if tag.decision != "clear":
                continue
            assert tag.recourse.support is None
            assert tag.recourse.text[0].startswith("Not flagged: ")
            assert any("came nearest" in line or "comes near" in line for line in tag.recourse.text)


def test_a_text_of_one_sentence_has_none_to_take_out(fast: Model) -> None:
    recourse = explain(fast, ("Swarms of drones", "")).tags["drones"].recourse
    assert recourse.support is None
    assert recourse.text[0] == "The text is one sentence: none can be taken out."


def test_units_are_named_as_a_reader_would() -> None:
    units = units_of("A title", "One is. Two is. Three is. Four is.")
    assert [unit.name for unit in units] == ["the title", *(f"sentence {n}" for n in (1, 2, 3, 4))]
    assert name_units(units[:1]) == "the title"
    assert name_units(units[2:3]) == "sentence 2"
    assert name_units(units[2:5:2]) == "sentences 2 and 4"
    assert name_units([units[0], *units[2:5]]) == "the title and sentences 2, 3 and 4"


def test_abbreviations_and_lower_case_do_not_end_a_sentence() -> None:
    text = "Rossi et al. show this, cf. Fig. 3. It holds, e.g. for ships. see below.\nLast one?  Yes."
    assert [unit.text for unit in units_of("", text)] == [
        "Rossi et al. show this, cf. Fig. 3.",
        "It holds, e.g. for ships. see below.",
        "Last one?",
        "Yes.",
    ]


def test_sentences_of_a_marked_up_text_are_places_in_the_given_text() -> None:
    text = "<p>A drone lands.</p><p>It is &lt;fast&gt;. The\u200b end.</p>"
    for unit, want in zip(units_of("", text), ("A drone lands.", "It is &lt;fast&gt;.", "The\u200b end."), strict=True):
        assert text[unit.start : unit.end] == want


def test_a_tag_raised_by_possible_uses_alone_is_for_review_and_told_why(fast: Model) -> None:
    title = "Faster sampling of Gaussian processes"
    uses = "Gaussian processes are used in applications such as drones, UAV swarms and unmanned aircraft."
    work = "We give an algorithm that needs a linear number of steps. The error is bounded. Tests confirm the bound."
    marked = explain(fast, (title, f"{uses} {work}"))
    assert marked.notes == fast.classify([(title, f"{uses} {work}")])[0].notes
    assert marked.notes[-1] == "possible uses only: drones"
    drones = marked.tags["drones"]
    assert drones.decision == "review"
    assert drones.probability >= drones.threshold
    assert drones.recourse.text[0].startswith("For review, though above 0.99 reaches the flag's 0.")
    assert "sentence 1 only tells of possible uses, and without it below 0.01 would be" in drones.recourse.text[0]
    assert all(span.background for span in drones.phrases[:2])


def test_a_flag_that_stands_in_background_is_told_so_and_stays_a_flag(fast: Model) -> None:
    known = "In recent years, swarms of drones and unmanned aerial vehicles have attracted growing attention."
    work = "We give an algorithm that needs a linear number of steps. The error is bounded. Tests confirm the bound."
    marked = explain(fast, ("Faster sampling of Gaussian processes", f"{known} {work}")).tags["drones"]
    assert marked.decision == "flag"
    assert marked.recourse.text[0].startswith(
        "Nearly all that speaks for drones stands in sentence 1, which reads like"
    )
    real = explain(fast, ("UAV swarms", f"{known} We fly a swarm of drones. {work}")).tags["drones"]
    assert not any("Nearly all" in line for line in real.recourse.text)


def test_edits_of_the_default_model_are_judged_by_both_readings(shipped: Model) -> None:
    record = next(record for record in RECORDS if record.id == "paper-10")
    explanation = explain(shipped, record, tags=("guidance",))
    support = explanation.tags["guidance"].recourse.support
    assert support is not None
    (left,) = shipped.classify([without(explanation, support.units)])
    assert left.judgements["guidance"].probability == support.probability


def test_only_the_tags_asked_for_are_explained(fast: Model) -> None:
    assert tuple(explain(fast, RECORDS[0], tags=("wargaming", "drones")).tags) == ("wargaming", "drones")
    assert json.loads(json.dumps(explain(fast, RECORDS[0], tags=TAGS[:1]).as_dict()))["tags"].keys() == {"drones"}
