"""Turn texts into hashed word n-grams: the one definition that training and scoring share.

Names are taken out first (`redaction`). A word is a run of letters or digits in the cleaned, lower-cased text; it is
hashed over its UTF-8 bytes (FNV-1a, 64 bits, then a finaliser), and a pair of neighbouring words is hashed from the two
words' hashes. Title and abstract are separate fields: no pair crosses from one to the other, and every n-gram of the
title also counts a second time under a hash of its own, so that the model can weigh a word in the title differently.
All of it is array arithmetic over the bytes of a whole batch; nothing here is a Python loop over words.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from classifier.cleaning import beyond_ascii, clean
from classifier.redaction import redact

FEATURES_VERSION = 3
"""Changes whenever the same text would give other hashes; a model names the version that it was trained with."""

UInt64Array = npt.NDArray[np.uint64]
Int64Array = npt.NDArray[np.int64]

FNV_OFFSET = np.uint64(0xCBF29CE484222325)
FNV_PRIME = np.uint64(0x100000001B3)
PAIR_PRIME = np.uint64(0x9E3779B97F4A7C15)
TITLE_SALT = np.uint64(0xD6E8FEB86659FD93)
MIX_1, MIX_2 = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
_FEW = 8  # characters that are replaced one by one, at memory speed, rather than by a regex
_FIELDS = 2  # title, abstract

# Letters and digits of other scripts count as word characters byte by byte, so what is neither must become a space.
_NOT_WORD_BEYOND_ASCII = re.compile(r"[^\w\x00-\x7f]")
LOWER = np.arange(256, dtype=np.uint8)
LOWER[ord("A") : ord("Z") + 1] += 32
IN_WORD = np.zeros(256, dtype=bool)
IN_WORD[[*range(ord("a"), ord("z") + 1), *range(ord("0"), ord("9") + 1), *range(0x80, 0x100)]] = True


@dataclass(frozen=True, slots=True)
class Ngrams:
    """The n-grams of a batch in reading order: parallel arrays, one row per occurrence.

    `document` is the position of the text in the batch.
    """

    document: Int64Array
    hash: UInt64Array


def extract(documents: Sequence[tuple[str, str]]) -> Ngrams:
    """Clean, redact and hash a batch of (title, abstract) pairs."""
    chunks = [fold(redact(clean(text))) for document in documents for text in document]
    lengths = np.fromiter((len(chunk) + 1 for chunk in chunks), dtype=np.int64, count=len(chunks))
    # A newline after each field ends its last word.
    data = LOWER[np.frombuffer(b"\n".join([*chunks, b""]), dtype=np.uint8)]
    starts, ends = word_spans(data)
    words = hash_spans(data, starts, ends)
    field = np.searchsorted(np.cumsum(lengths), starts, side="right")
    same_field = field[1:] == field[:-1]
    pairs = mix(words[:-1] * PAIR_PRIME ^ words[1:])[same_field]
    hashes = np.concatenate([words, pairs])
    fields = np.concatenate([field, field[1:][same_field]])
    in_title = fields % _FIELDS == 0
    return Ngrams(
        document=np.concatenate([fields, fields[in_title]]) // _FIELDS,
        hash=np.concatenate([hashes, title_hashes(hashes[in_title])]),
    )


def title_hashes(hashes: UInt64Array) -> UInt64Array:
    """Return the hashes under which these n-grams count a second time when they stand in a title."""
    return mix(hashes ^ TITLE_SALT)


def hash_words(words: Sequence[str]) -> UInt64Array:
    """Hash single words: array (words,)."""
    chunks = [fold(word) for word in words]
    lengths = np.fromiter(map(len, chunks), dtype=np.int64, count=len(chunks))
    starts = np.cumsum(lengths) - lengths
    return hash_spans(LOWER[np.frombuffer(b"".join(chunks), dtype=np.uint8)], starts, starts + lengths)


def fold(text: str) -> bytes:
    """Return a cleaned text's bytes, in which a byte of `IN_WORD`, once lower-cased by table, belongs to a word."""
    if text.isascii():
        return text.encode()  # lower-cased later, by table, with the whole batch
    beyond = beyond_ascii(text)
    if beyond != beyond.lower():
        text = text.lower()
        beyond = beyond_ascii(text)
    others = set(_NOT_WORD_BEYOND_ASCII.findall(beyond))
    if len(others) > _FEW:
        text = _NOT_WORD_BEYOND_ASCII.sub(" ", text)
    else:
        for other in others:
            text = text.replace(other, " ")
    return text.encode("utf-8", "replace")


def word_spans(data: npt.NDArray[np.uint8]) -> tuple[Int64Array, Int64Array]:
    """Return where the words of folded, lower-cased bytes start and end: two arrays (words,)."""
    inside = np.concatenate([[False], IN_WORD[data], [False]])
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    return edges[::2], edges[1::2]


def hash_spans(data: npt.NDArray[np.uint8], starts: Int64Array, ends: Int64Array) -> UInt64Array:
    """Hash the words at these places, all at once: one step per character position, over those still long enough."""
    lengths = ends - starts
    order = np.argsort(-lengths, kind="stable")
    sorted_starts = starts[order]
    # alive[i] = how many words are longer than i characters; they come first in `order`.
    alive = len(lengths) - np.cumsum(np.bincount(lengths, minlength=1))
    state = np.full(len(starts), FNV_OFFSET)
    for i, count in enumerate(alive[:-1]):
        head = state[:count]
        head ^= data[sorted_starts[:count] + i]
        head *= FNV_PRIME
    hashes = np.empty_like(state)
    hashes[order] = mix(state)
    return hashes


def mix(h: UInt64Array) -> UInt64Array:
    """MurmurHash3's 64-bit finaliser: FNV-1a alone leaves the upper bits of short words nearly equal."""
    h = h ^ (h >> np.uint64(33))
    h = h * MIX_1
    h = h ^ (h >> np.uint64(33))
    h = h * MIX_2
    return h ^ (h >> np.uint64(33))
