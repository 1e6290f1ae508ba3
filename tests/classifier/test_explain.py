"""What is told as the reason must be the reason: parts that add up, places in the given text, edits that were tried."""

import json
import re
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier import NOTICE, TAGS, DualuseError, Model
from classifier.evidence import phrases, read_evidence
from classifier.explain import Span, TagExplanation, explain
from classifier.features import extract
from tests.conftest import ROOT

PAPERS = [json.loads(line) for line in (ROOT / "data/examples/papers.jsonl").read_text(encoding="utf-8").splitlines()]
DOCUMENTS = [(paper["title"] or "", paper.get("abstract") or "") for paper in PAPERS if paper["title"]]
AWKWARD = [
    "<p>A <b>quad</b>rotor lands.</p><p>UAVs &amp; drones&#8217; swarms</p>",
    "A qua\u00addrotor, a dro\u200bne and a mis-\nsile.\r\n\r\nThe \\textbf{seeker} tracks $x^2$ targets.",
    "\u0130stanbul \u0130HA drone \u03a3\u0391\u03a3 fake news na\u00efve \ufb01xed-wing e.g. et al. drones",
]
field = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=80),
    st.sampled_from([text for document in DOCUMENTS for text in document] + AWKWARD),
    st.lists(st.sampled_from([*AWKWARD, "drone", "face recognition", ". ", "\n", "<i>", "\u200b"]), max_size=6).map(
        "".join
    ),
)


def spans_of(tag: TagExplanation) -> list[Span]:
    second = tag.second.sentences if tag.second else ()
    return [*tag.phrases, *tag.against, *second, *([tag.sentence] if tag.sentence else [])]


@given(field, field)
@settings(max_examples=30, deadline=None)
def test_every_ngram_and_the_intercept_add_up_to_the_margin(fast: Model, title: str, abstract: str) -> None:
    parts = fast.parts(extract([(title, abstract)])).sum(axis=0)
    margins = fast.margins([(title, abstract)])[0]
    evidence = read_evidence(fast, title, abstract)
    for place, tag in enumerate(TAGS):
        intercept = fast.parameters["intercept"][tag]
        assert parts[place] + intercept == pytest.approx(margins[place], abs=1e-9)
        named, rest = phrases(evidence, tag)
        assert sum(phrase.part for phrase in named) + rest + intercept == pytest.approx(margins[place], abs=1e-9)


@given(field, field)
@settings(max_examples=30, deadline=None)
def test_the_explanation_adds_up_and_points_into_the_given_text(fast: Model, title: str, abstract: str) -> None:
    if not title.strip() and not abstract.strip():
        return
    explanation = explain(fast, (title, abstract))
    result = fast.classify([(title, abstract)])[0]
    given_text = {"title": explanation.title, "abstract": explanation.abstract}
    for name, tag in explanation.tags.items():
        first = tag.first
        total = first.intercept + first.rest + sum(span.part for span in (*tag.phrases, *tag.against))
        assert total == pytest.approx(first.margin, abs=1e-9)
        assert tag.probability == first.probability == result.judgements[name].probability
        for span in spans_of(tag):
            assert 0 <= span.start < span.end <= len(given_text[span.field])
            assert span.text == given_text[span.field][span.start : span.end]
        for term in tag.terms:
            assert 0 <= term.start < term.end <= len(given_text[term.field])
    json.dumps(explanation.as_dict())


def test_a_word_is_found_through_markup_hidden_characters_and_line_breaks(fast: Model) -> None:
    abstract = "<p>Small</p>\n<i>quad</i>rotors &amp; a dro\u200bne meet a mis-\nsile; UAVs."
    found = {span.text for tag in explain(fast, ("", abstract)).tags.values() for span in tag.phrases}
    assert any("quad</i>rotors" in text for text in found)
    assert any("dro\u200bne" in text for text in found)
    assert any("mis-\nsile" in text for text in found)


def test_a_word_of_the_title_is_named_once_for_both_of_its_hashes(fast: Model) -> None:
    drones = explain(fast, ("Quadrotor", "It lands.")).tags["drones"]
    assert [span.text for span in drones.phrases if span.field == "title"] == ["Quadrotor"]


def test_no_phrase_is_made_of_function_words_or_ends_in_one(fast: Model) -> None:
    for document in DOCUMENTS:
        for tag in explain(fast, document).tags.values():
            for span in tag.phrases:
                words = re.findall(r"[a-z]+", span.text.lower())
                assert words[:1] not in (["the"], ["of"], ["a"])
                assert words[-1:] not in (["the"], ["of"], ["with"])


def test_what_is_shown_is_complete(fast: Model) -> None:
    shown = explain(fast, {"id": "AW-1", "title": "Drone landing", "abstract": "A drone lands on a ship."}).as_dict()
    assert shown["id"] == "AW-1"
    assert (shown["model"], shown["notice"]) == (fast.id, NOTICE)
    assert tuple(shown["tags"]) == TAGS
    drones = shown["tags"]["drones"]
    assert drones["decision"] == "flag"
    assert drones["threshold"] == fast.thresholds["balanced"]["drones"]
    assert drones["meaning"].startswith("Vehicles without a crew")
    assert drones["sentence"]["text"] in ("Drone landing", "A drone lands on a ship.")
    assert drones["second"] is None


def test_a_text_that_is_missing_is_refused_without_being_quoted(fast: Model) -> None:
    with pytest.raises(DualuseError, match="Document 1"):
        explain(fast, ("", " "))


def test_the_second_reading_is_a_line_of_its_own_that_leads_to_the_probability(shipped: Model) -> None:
    document = DOCUMENTS[9]
    again = bool(shipped.read_again([document])[0])
    assert again, "choose an example that is read twice"
    tags: Mapping[str, TagExplanation] = explain(shipped, document, tags=("guidance",)).tags
    second = tags["guidance"].second
    assert second is not None
    assert second.probability == tags["guidance"].probability
    assert second.shift != 0
    assert 1 <= len(second.sentences) <= 3
