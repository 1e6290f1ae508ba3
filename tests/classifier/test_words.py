"""The words of a text and their hashes are those that the features hash, so a word called unknown is unknown."""

from hypothesis import given
from hypothesis import strategies as st

from classifier import Model
from classifier.features import extract
from classifier.words import word_hashes, words


def test_words_are_cleaned_and_small() -> None:
    assert words("<b>UAV</b>-borne \u0441amera, Σ=2") == ["uav", "borne", "camera", "σ", "2"]


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Lm", "Mn", "Sk"]), max_size=40))
def test_hashes_are_those_of_the_text(text: str) -> None:
    found = words(text)
    hashes = extract([("", text)]).hash[: len(found)]
    known = word_hashes(found)
    assert all(a in (0, b) for a, b in zip(known.tolist(), hashes.tolist(), strict=True))


def test_common_words_are_in_the_table_and_made_up_ones_are_not(fast: Model) -> None:
    known, made_up = word_hashes(["drone", "blorptastic"]).tolist()
    assert known in fast.ngrams
    assert made_up not in fast.ngrams
