"""No decision is given on what cannot be judged, and none is withheld from what can."""

import json

import pyarrow as pa
import pytest

from classifier import TAGS, Model, abstain
from tests.conftest import ROOT

FOREIGN = [json.loads(line) for line in (ROOT / "tests/data/languages.jsonl").read_text(encoding="utf-8").splitlines()]
CASES = [
    json.loads(line) for line in (ROOT / "data/cases/minimal_pairs.jsonl").read_text(encoding="utf-8").splitlines()
]
ENGLISH = [(pair[side]["title"], pair[side]["abstract"]) for pair in CASES for side in ("inside", "outside")]


def decisions(model: Model, title: str, abstract: str) -> tuple[set[str], tuple[str, ...]]:
    (result,) = model.classify([(title, abstract)])
    assert all(judgement.decision != "abstain" for judgement in result.judgements.values()) or not result.tags
    return {judgement.decision for judgement in result.judgements.values()}, result.notes


@pytest.mark.parametrize("row", FOREIGN, ids=lambda row: f"{row['language']}-{len(row['abstract'])}")
def test_a_text_in_another_language_gets_no_decision_and_is_told_why(fast: Model, row: dict[str, str]) -> None:
    found, notes = decisions(fast, row["title"], row["abstract"])
    assert found == {"abstain"}
    assert abstain.NOT_ENGLISH in notes


@pytest.mark.parametrize("language", ["fr", "de", "es"])
def test_an_english_abstract_with_its_translation_is_judged_and_says_so(fast: Model, language: str) -> None:
    english = ENGLISH[0][1]
    foreign = " ".join(row["abstract"] for row in FOREIGN if row["language"] == language)
    for text in (f"{english} {foreign}", f"{foreign} {english}"):
        found, notes = decisions(fast, "", text)
        assert "abstain" not in found
        assert abstain.PARTLY_ENGLISH in notes
    assert decisions(fast, ENGLISH[0][0], foreign)[0] == {"abstain"}  # an English title is no good part


def test_english_texts_are_judged_with_and_without_their_abstract(fast: Model) -> None:
    for documents in (ENGLISH, [("", text) for _, text in ENGLISH]):
        assert not [result.notes for result in fast.classify(documents) if any("abstained" in n for n in result.notes)]
    titles = fast.classify([(title, "") for title, _ in ENGLISH])
    assert not [result.notes for result in titles if abstain.NOT_ENGLISH in result.notes]


def test_a_bare_title_that_says_enough_is_flagged(fast: Model) -> None:
    (result,) = fast.classify([("Fake news detection on social networks", "")])
    assert result.tags == ("disinformation",)
    assert result.notes == ("no abstract",)


def test_a_few_words_that_say_nothing_are_too_short_to_clear(fast: Model) -> None:
    found, notes = decisions(fast, "On growing soils", "")
    assert found == {"abstain"}
    assert notes == ("no abstract", abstain.TOO_SHORT)
    (result,) = fast.classify([("On growing soils", "")])
    assert result.judgements["drones"].probability > 0
    assert result.judgements["drones"].role is None


def test_eight_words_are_enough(fast: Model) -> None:
    assert decisions(fast, "On growing soils in the gardens of schools", "")[0] == {"clear"}


def test_a_text_of_unknown_words_is_not_called_clear(fast: Model) -> None:
    found, notes = decisions(fast, "", "zxqv wvbn qqwz eerx rrtz ttyx yyuz uuix iiox oopz aasx")
    assert found == {"abstain"}
    assert notes == ("no title", abstain.NOTHING_KNOWN)


def test_an_english_text_with_a_title_in_another_language_is_judged(fast: Model) -> None:
    text = "We describe how the water of five rivers was measured for two years and what that says of older figures."
    assert decisions(fast, "La qualité de l'eau dans les rivières", text)[0] == {"clear"}


def test_markup_and_formulas_do_not_make_a_text_foreign(fast: Model) -> None:
    formula = r" $\sum_{i=1}^{n} \alpha_i x_i^2 \leq \frac{\beta}{2\pi} \int_0^\infty e^{-\lambda t} f(t) dt$" * 3
    text = (
        f"<jats:p>We bound the error of the estimate{formula} and show that it is sharp for the classes below.</jats:p>"
    )
    assert abstain.NOT_ENGLISH not in decisions(fast, "A bound", text)[1]


def test_compiled_and_array_code_abstain_from_the_same_texts(fast: Model) -> None:
    documents = [(row["title"], row["abstract"]) for row in FOREIGN] + ENGLISH[:20] + [("On soils", "")]
    alone = [fast.classify([document])[0] for document in documents]
    fast.prepare()
    columns = fast.judge_arrow(*(pa.array([document[side] for document in documents]) for side in (0, 1)))
    assert columns.column("notes").to_pylist() == [list(result.notes) for result in alone]
    for tag in TAGS:
        want = [result.judgements[tag] for result in alone]
        assert columns.column(f"{tag}_decision").to_pylist() == [judgement.decision for judgement in want]
        assert columns.column(f"{tag}_role").to_pylist() == [judgement.role for judgement in want]
