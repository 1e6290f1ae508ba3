"""Compiled redaction: `namerules` over the words of plain ASCII text, for `kernel`.

Python's way is `redaction.names_in`; words, looks and gaps are told here as there, from bytes instead of characters.
"""

import functools
from typing import Any

import numba
import numpy as np

from classifier import namerules
from classifier.features import hash_words
from classifier.redaction import TELLING, name_lists

_FILTER_BITS = 17  # for some 8,000 words; stays in the processor's nearest memory
_FREE = np.uint64(0)
_1, _6, _63 = (np.uint64(n) for n in (1, 6, 63))
_QUOTE, _FULL_STOP, _BRACKET, _A, _Z = (np.uint8(ord(c)) for c in "'.)AZ")


def _table(dtype: Any) -> Any:
    return numba.types.Array(dtype, 1, "C", readonly=True)


TABLES: Any = numba.types.Tuple(  # type: ignore[no-untyped-call]
    (
        numba.types.Tuple(  # type: ignore[no-untyped-call]
            (_table(numba.uint64), numba.uint64, _table(numba.uint64), _table(numba.int32))
        ),
        _table(numba.int16),
        numba.types.Tuple((*2 * [_table(numba.int32)], *2 * [_table(numba.int16)])),  # type: ignore[no-untyped-call]
    )
)
"""The type of what `tables` gives."""


@functools.cache
def tables() -> tuple[Any, ...]:
    """Lay the lists of names out for `drop_names`: a filter, a hash table of words and their numbers, and the rest."""
    known = name_lists()
    hashes = hash_words([*known.numbers])  # in the order of their numbers, from 1
    slots = np.full(1 << (2 * len(hashes)).bit_length(), _FREE)
    numbers = np.zeros(len(slots), dtype=np.int32)
    for number, h in enumerate(hashes.tolist(), start=1):
        slot = h % len(slots)
        while slots[slot] != _FREE:
            slot = (slot + 1) % len(slots)
        slots[slot], numbers[slot] = h, number
    shift = np.uint64(64 - _FILTER_BITS)
    present = np.zeros(1 << _FILTER_BITS, dtype=bool)
    present[hashes >> shift] = True
    bits = np.packbits(present, bitorder="little").view(np.uint64)
    steps, nexts = (np.array(part, dtype=np.int32) for part in (known.steps, known.nexts))
    classes, needs, kinds = (np.array(part, dtype=np.int16) for part in (known.classes, known.needs, known.kinds))
    return (bits, shift, slots, numbers), classes, (steps, nexts, needs, kinds)


_tells, _mark = namerules.build(numba.njit)


@numba.njit
def _number(h, known, shift, slots, numbers):  # type: ignore[no-untyped-def]
    """Return the number of a word in the lists of names, 0 if none holds it."""
    bit = h >> shift
    if not (known[bit >> _6] >> (bit & _63)) & _1:
        return np.int32(0)
    mask = np.uint64(len(slots) - 1)
    slot = h & mask
    while slots[slot] != _FREE and slots[slot] != h:
        slot = (slot + _1) & mask
    return numbers[slot]  # that of a free slot is 0


@numba.njit
def _look(data, start, end):  # type: ignore[no-untyped-def]
    look = namerules.LETTER if end - start == 1 else namerules.LONG if end - start >= namerules.LONG_FROM else 0
    if _A <= data[start] <= _Z:
        look |= namerules.CAPITAL | namerules.CAPITALS
        for i in range(start + 1, end):
            if data[i] > _Z:
                look &= ~namerules.CAPITALS
    return look


@numba.njit
def _is_space(byte):  # type: ignore[no-untyped-def]
    return byte == 32 or 9 <= byte <= 13 or 28 <= byte <= 31  # as str.isspace says of ASCII


@numba.njit
def _gap_kind(data, start, end):  # type: ignore[no-untyped-def]
    while start < end and data[start] == _BRACKET:
        start += 1
    if start == end:
        return namerules.TIGHT
    blank = _is_space(data[start])
    if end - start == 1:
        return namerules.SPACE if blank else namerules.APOSTROPHE if data[start] == _QUOTE else namerules.TIGHT
    for i in range(start + 1, end):
        if not _is_space(data[i]):
            return namerules.APART
    return namerules.SPACE if blank else namerules.DOT if data[start] == _FULL_STOP else namerules.APART


@numba.njit
def _gap(data, start, end):  # type: ignore[no-untyped-def]
    gap = _gap_kind(data, start, end)
    if data[start] == _FULL_STOP:
        gap |= _gap_kind(data, start + 1, end) << namerules.WITHOUT | namerules.STOPPED
    return gap


@numba.njit
def drop_names(  # type: ignore[no-untyped-def]
    data, words, begins, ends, start, size, numbers, looks, gaps, gone, table, classes, tree
):
    """Take the names out of a field's words; return how many words there are now."""
    steps, nexts, _, kinds = tree
    telling = False
    for i in range(start, size):  # most texts hold no word that a name could be known by
        if not _A <= data[begins[i]] <= _Z:
            continue
        number = _number(words[i], *table)
        if classes[number] & TELLING:
            after = _number(words[i + 1], *table) if i + 1 < size else np.int32(0)
            if _tells(number, after, classes, steps, nexts, kinds):
                telling = True
                break
    if not telling:
        return size
    for i in range(start, size):
        numbers[i] = _number(words[i], *table)
        looks[i] = _look(data, begins[i], ends[i])
        gaps[i] = namerules.SPACE if i == start else _gap(data, ends[i - 1], begins[i])
        gone[i] = 0
    if not _mark(numbers, looks, gaps, start, size, classes, *tree, gone):
        return size
    kept = start
    for i in range(start, size):
        words[kept] = words[i]
        kept += gone[i] & namerules.CUT == 0
    return kept
