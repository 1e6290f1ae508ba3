"""The array code must hash exactly what a plain reading of the definition says, for any Unicode."""

import re
from collections import Counter
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.cleaning import clean
from classifier.features import extract, title_hashes
from classifier.redaction import redact
from classifier.scoring import look_up

MASK = (1 << 64) - 1


def mix(h: int) -> int:
    h ^= h >> 33
    h = h * 0xFF51AFD7ED558CCD & MASK
    h ^= h >> 33
    h = h * 0xC4CEB9FE1A85EC53 & MASK
    return h ^ h >> 33


def word_hash(word: str) -> int:
    h = 0xCBF29CE484222325
    for byte in word.encode():
        h = (h ^ byte) * 0x100000001B3 & MASK
    return mix(h)


def plain_hashes(title: str, abstract: str) -> Counter[int]:
    found: Counter[int] = Counter()
    for text, is_title in ((title, True), (abstract, False)):
        words = [word_hash(word) for word in re.findall(r"[^\W_]+", redact(clean(text)).lower())]
        pairs = [mix((a * 0x9E3779B97F4A7C15 ^ b) & MASK) for a, b in pairwise(words)]
        found.update(words + pairs)
        if is_title:
            found.update(mix(h ^ 0xD6E8FEB86659FD93) for h in words + pairs)
    return found


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.text("aB1 -é\u200bЖ.\n", max_size=60)
documents = st.lists(st.tuples(texts, texts), max_size=6)


@given(documents)
@settings(deadline=None)  # the first text reads the lists of names
def test_a_batch_hashes_each_text_as_the_plain_definition_does(batch: list[tuple[str, str]]) -> None:
    ngrams = extract(batch)
    for place, (title, abstract) in enumerate(batch):
        assert Counter(ngrams.hash[ngrams.document == place].tolist()) == plain_hashes(title, abstract)


def test_no_pair_crosses_from_title_to_abstract() -> None:
    apart = set(extract([("quadrotor", "control")]).hash.tolist())
    together = set(extract([("", "quadrotor control")]).hash.tolist())
    assert len(together - apart) == 1  # the pair


def test_case_punctuation_and_typography_do_not_matter() -> None:
    plain = extract([("", "gps denied uav navigation")])
    for variant in ("GPS-denied UAV navigation", "“GPS–denied” UAV\nnavigation!", "GPS_denied; UAV navigation"):
        assert extract([("", variant)]).hash.tolist() == plain.hash.tolist(), variant


def test_a_word_in_the_title_counts_again_under_its_own_hash() -> None:
    ngrams = extract([("missile", "")]).hash
    assert ngrams.tolist() == [word_hash("missile"), int(title_hashes(np.array([word_hash("missile")], np.uint64))[0])]


@given(documents)
@settings(deadline=None)  # the first text reads the lists of names
def test_looking_up_keeps_known_ngrams_with_their_counts(batch: list[tuple[str, str]]) -> None:
    ngrams = extract(batch)
    table = np.unique(ngrams.hash)[::2]
    if not len(table):
        return
    counts = look_up(ngrams, table)
    for place, (title, abstract) in enumerate(batch):
        mine = counts.document == place
        found = dict(zip(table[counts.entry[mine]].tolist(), counts.count[mine].tolist(), strict=True))
        known = set(table.tolist())
        assert found == {h: n for h, n in plain_hashes(title, abstract).items() if h in known}
