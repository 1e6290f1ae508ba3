"""The single words of a text, as the features see them: cleaned and in small letters; and their hashes."""

import re
from collections.abc import Sequence

import numpy as np

from classifier.cleaning import clean
from classifier.features import UInt64Array, extract, fold
from classifier.records import in_batches

_WORD = re.compile(rb"[a-z0-9\x80-\xff]+")
_BATCH = 4096


def words(text: str) -> list[str]:
    """Return the words of a text in order."""
    return [word.decode("utf-8", "replace") for word in _WORD.findall(fold(clean(text)).lower())]


def word_hashes(wanted: Sequence[str]) -> UInt64Array:
    """Return the hash of each word; 0, which no table holds, for what is not hashed as one word."""
    hashes = np.zeros(len(wanted), dtype=np.uint64)
    for number, batch in enumerate(in_batches(wanted, _BATCH)):
        ngrams = extract([("", word) for word in batch])
        alone = np.bincount(ngrams.document, minlength=len(batch)) == 1
        found = alone[ngrams.document]
        hashes[number * _BATCH + ngrams.document[found]] = ngrams.hash[found]
    return hashes
