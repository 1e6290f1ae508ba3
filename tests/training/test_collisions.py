"""Two n-grams under one hash would speak for each other: training refuses them, and quotes neither."""

import numpy as np
import pytest

from classifier import InputError, Record, features
from classifier.features import UInt64Array
from training.featurestore import extract_features

RECORDS = [
    Record(id=str(i), title="Secret drones", abstract="A secret drone lands on a quiet ship.", row=i, source={})
    for i in range(4)
]


def test_real_hashes_stand_for_one_ngram_each() -> None:
    assert len(extract_features(RECORDS).ngrams) > 10


def test_ngrams_that_share_a_hash_are_counted_and_not_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    mix = features.mix

    def forged(h: UInt64Array) -> UInt64Array:
        return mix(h) & np.uint64(7)

    monkeypatch.setattr(features, "mix", forged)
    with pytest.raises(InputError, match=r"\d of \d n-grams") as caught:
        extract_features(RECORDS)
    assert "secret" not in str(caught.value).lower()
    assert "drone" not in str(caught.value).lower()


def test_a_word_of_the_title_under_the_hash_of_another_word_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "title_hashes", lambda hashes: hashes)  # "title: drones" would be "drones"
    with pytest.raises(InputError, match="n-grams"):
        extract_features(RECORDS)
