"""Compiled scoring: from the UTF-8 bytes of Arrow arrays to the exact sums of `scoring.sums`, with no object per text.

The definition is that of `features` and `scoring`; this is the same arithmetic in one pass over the bytes, and as
both end in integer sums, the two agree to the last bit. A text that some cleaning step might change is noticed during
the pass, cleaned in Python, and comes back as bytes for a second pass.
The surprising rule: nothing here runs in numba's own threads. Its default threading layer aborts the process when two
Python threads enter a parallel function; this function holds no lock and no GIL, so callers bring their own threads.

numba takes longer to import than most uses take to run, so import this module only where there is much to score.
"""

import hashlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from classifier import compilednames, features, namerules, notes
from classifier.cleaning import TRIGGERS, clean_with_notes
from classifier.compilednames import drop_names
from classifier.features import (
    FNV_OFFSET,
    FNV_PRIME,
    IN_WORD,
    LOWER,
    MIX_1,
    MIX_2,
    PAIR_PRIME,
    TITLE_SALT,
    Int64Array,
    UInt64Array,
    fold,
)
from classifier.notes import Notes
from classifier.redaction import redact

UInt8Array = npt.NDArray[np.uint8]
Int16Array = npt.NDArray[np.int16]

# Bits of a document's state: what `notes.MISSING` counts, and a text to be cleaned, of which nothing was added up.
NO_TITLE, NO_ABSTRACT, DIRTY = 1, 2, 4

# A byte's class is itself in lower case where it belongs to a word ("0" is 48), else one of these.
_SPACE, _OTHER, _LINE_END, _TRIGGER = range(4)
_FIRST_WORD_BYTE = np.uint8(ord("0"))

_1, _6, _33, _63 = (np.uint64(n) for n in (1, 6, 33, 63))
_FREE = np.uint64(0)
_HYPHEN, _TAB, _BLANK, _RETURN = (np.uint8(ord(c)) for c in "-\t \r")
_FEWEST_BITS = 6
_FILTER_BITS = 2  # more than there are slots: one unknown n-gram in nine passes


@dataclass(frozen=True, slots=True)
class Sums:
    """The sums of a batch, as `scoring.sums` gives them, the known n-grams in each text, and its notes."""

    dot: Int64Array
    norm: Int64Array
    known: Int64Array
    notes: Notes


class Kernel:
    """A model's arrays, laid out for looking up. Holds nothing that changes: threads may share it.

    ValueError: a model that this layout cannot hold; none that we train is one.
    """

    def __init__(
        self, ngrams: UInt64Array, idf: npt.NDArray[np.uint16], weights: npt.NDArray[np.int16], tf_levels: Int64Array
    ) -> None:
        if len(tf_levels) > np.iinfo(np.uint8).max:
            raise ValueError(f"{len(tf_levels)} tf levels; the kernel counts in a byte, up to 255.")
        if len(ngrams) and ngrams[0] == _FREE:
            raise ValueError("An n-gram hashes to 0; the kernel takes 0 for a free slot.")
        bits = max(_FEWEST_BITS, len(ngrams).bit_length() + 1)
        slots, values = _slots(ngrams, idf, weights, bits)
        # Most n-grams are not in the table. A bit for each value of a few more top bits tells most of those at once,
        # from memory that stays near the processor.
        filter_bits = bits + _FILTER_BITS
        filter_shift = np.uint64(64 - filter_bits)
        present = np.zeros(1 << filter_bits, dtype=bool)
        present[ngrams >> filter_shift] = True
        known = np.packbits(present, bitorder="little").view(np.uint64)
        self._tags = weights.shape[1]
        self._model = known, filter_shift, slots, values, np.uint64(64 - bits), tf_levels
        self._names = compilednames.tables()

    def score(self, titles: pa.Array, abstracts: pa.Array) -> Sums:
        """Add up the documents given as two string arrays of equal length; null stands for no text.

        ValueError: the arrays differ in length.
        """
        if len(titles) != len(abstracts):
            raise ValueError(f"{len(titles)} titles and {len(abstracts)} abstracts: there must be as many of each.")
        title, abstract = _Strings(titles), _Strings(abstracts)
        dot, norm, known, state = self._add_up(title, abstract, _RAW, with_names=True)
        missing = state & (NO_TITLE | NO_ABSTRACT)
        found: dict[int, tuple[str, ...]] = {}
        # Names are taken out of ASCII here too; other texts need Python's idea of a capital.
        places: tuple[list[int], list[int]] = ([], [])
        pieces: tuple[tuple[list[bytes], list[bytes]], ...] = (([], []), ([], []))
        for place in np.flatnonzero(state & DIRTY).tolist():
            texts = title.text(place), abstract.text(place)
            cleaned = [clean_with_notes(text) for text in texts]
            is_ascii = all(text.isascii() for text, _ in cleaned)
            places[is_ascii].append(place)
            for side, (text, _) in zip(pieces[is_ascii], cleaned, strict=True):
                side.append(fold(text if is_ascii else redact(text)))
            missing[place] = notes.missing(*texts)
            found[place] = notes.together(told for _, told in cleaned)
        for is_ascii in (False, True):
            if at := places[is_ascii]:
                title, abstract = (_Strings(pa.array(side, pa.binary()).view(pa.string())) for side in pieces[is_ascii])
                dot[at], norm[at], known[at], _ = self._add_up(title, abstract, _FOLDED, with_names=is_ascii)
        return Sums(dot, norm, known, Notes.build(missing, found))

    def _add_up(
        self, title: "_Strings", abstract: "_Strings", classes: UInt8Array, *, with_names: bool
    ) -> tuple[Int64Array, Int64Array, Int64Array, UInt8Array]:
        size = len(title.offsets) - 1
        dot, norm = np.zeros((size, self._tags), dtype=np.int64), np.ones(size, dtype=np.int64)
        known, state = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.uint8)
        texts = title.data, title.offsets, abstract.data, abstract.offsets
        _sums(*texts, classes, *self._model, self._names, with_names, dot, norm, known, state)
        return dot, norm, known, state


class _Strings:
    """The buffers of an Arrow string array, without nulls; `offsets` begins at the array's first text."""

    def __init__(self, array: pa.Array) -> None:
        if array.type != pa.string():
            array = array.cast(pa.string())
        if array.null_count:
            array = array.fill_null("")
        _, offsets, data = array.buffers()
        self._bytes = memoryview(data or b"")  # keeps the buffer
        self.data = np.frombuffer(self._bytes, dtype=np.uint8)
        self.offsets = np.zeros(1, dtype=np.int32)
        if len(array):
            whole = np.frombuffer(offsets, dtype=np.int32)[array.offset : array.offset + len(array) + 1]
            self.offsets = np.require(whole, requirements="A")

    def text(self, place: int) -> str:
        return str(self._bytes[self.offsets[place] : self.offsets[place + 1]], "utf-8")


def _classes(separators: bytes, line_ends: bytes, triggers: bytes) -> UInt8Array:
    classes = np.where(IN_WORD[LOWER], LOWER, _OTHER).astype(np.uint8)
    for code, members in ((_SPACE, separators), (_LINE_END, line_ends), (_TRIGGER, triggers)):
        classes[list(members)] = code
    return classes


_WHITESPACE = bytes(i for i in range(128) if chr(i).isspace())
_RAW = _classes(_WHITESPACE, b"\n", TRIGGERS.encode() + bytes(range(128, 256)))
_FOLDED = _classes(_WHITESPACE, b"", b"")


def _slots(
    ngrams: UInt64Array, idf: npt.NDArray[np.uint16], weights: npt.NDArray[np.int16], bits: int
) -> tuple[UInt64Array, Int16Array]:
    """Lay the model out as a hash table: an n-gram stands in the slot that its top bits say, or in the next free one.

    The first array holds the n-grams, the second beside each its idf and its weights.
    """
    wanted = (ngrams >> np.uint64(64 - bits)).astype(np.int64)
    order = np.arange(len(ngrams))
    taken = order + np.maximum.accumulate(wanted - order)  # in sorted order, each goes behind the one before it
    size = max(1 << bits, int(taken.max(initial=0)) + 1) + 1  # a free one at the end, where every search ends
    slots = np.full(size, _FREE)
    slots[taken] = ngrams
    width = 1 + weights.shape[1]
    values = np.zeros((size, 1 << (width - 1).bit_length()), dtype=np.int16)  # rows that no cache line cuts in two
    values[taken, 0] = idf.view(np.int16)
    values[taken, 1:width] = weights
    return slots, values


@numba.njit
def _mix(h):  # type: ignore[no-untyped-def]
    h ^= h >> _33
    h *= MIX_1
    h ^= h >> _33
    h *= MIX_2
    return h ^ (h >> _33)


@numba.njit
def _scan(data, start, end, classes, words, begins, ends, size):  # type: ignore[no-untyped-def]
    """Append the hashes of a field's words and where each stands; return how many words there are now.

    -1: the field needs cleaning.
    """
    i = start
    while i < end:
        c = classes[data[i]]
        if c >= _FIRST_WORD_BYTE:
            begins[size] = i
            h = FNV_OFFSET
            while c >= _FIRST_WORD_BYTE:
                h = (h ^ np.uint64(c)) * FNV_PRIME
                i += 1
                if i >= end:
                    break
                c = classes[data[i]]
            words[size] = _mix(h)
            ends[size] = i
            size += 1
        if i < end and c >= _LINE_END and (c == _TRIGGER or _breaks_word(data, start, i)):
            return -1
        i += 1
    return size


@numba.njit
def _breaks_word(data, start, i):  # type: ignore[no-untyped-def]
    """Tell that a hyphen stands before the line end at i; at worst, clean() is asked in vain."""
    i -= 1
    while i >= start and (data[i] == _BLANK or data[i] == _TAB or data[i] == _RETURN):
        i -= 1
    return i >= start and data[i] == _HYPHEN


@numba.njit
def _is_blank(data, start, end, classes):  # type: ignore[no-untyped-def]
    i = start
    while i < end and (classes[data[i]] == _SPACE or classes[data[i]] == _LINE_END):
        i += 1
    return i >= end


@numba.njit
def _keep(h, known, filter_shift, kept, size):  # type: ignore[no-untyped-def]
    """Append an n-gram unless it cannot be in the table; without a branch, as no processor could foretell it."""
    bit = h >> filter_shift
    kept[size] = h
    return size + np.int64((known[bit >> _6] >> (bit & _63)) & _1)


def _sums_in_python(  # type: ignore[no-untyped-def]
    titles,
    title_offsets,
    abstracts,
    abstract_offsets,
    classes,
    known,
    filter_shift,
    slots,
    slot_values,
    slot_shift,
    tf_levels,
    names,
    with_names,
    dot,
    norm,
    known_ngrams,
    state,
):
    longest = 0
    for document in range(len(state)):
        title = title_offsets[document + 1] - title_offsets[document]
        abstract = abstract_offsets[document + 1] - abstract_offsets[document]
        longest = max(longest, title + abstract)
    words = np.empty(longest // 2 + 2, dtype=np.uint64)
    begins = np.empty(len(words), dtype=np.int32)
    ends = np.empty(len(words), dtype=np.int32)
    room = (  # for drop_names: numbers, looks, gaps, gone
        np.empty(len(words), dtype=np.int32),
        np.empty(len(words), dtype=np.uint8),
        np.empty(len(words), dtype=np.uint8),
        np.empty(len(words), dtype=np.uint8),
    )
    kept = np.empty(4 * len(words), dtype=np.uint64)
    rows = np.empty(len(kept), dtype=np.uint64)
    values = np.empty(len(kept), dtype=np.int64)
    counts = np.zeros(len(slots), dtype=np.uint8)  # all zero again after each text
    most = len(tf_levels)  # a higher count weighs no more
    tags = dot.shape[1]
    for document in range(len(state)):
        start, end = title_offsets[document], title_offsets[document + 1]
        in_title = _scan(titles, start, end, classes, words, begins, ends, 0)
        if in_title < 0:
            state[document] = DIRTY
            continue
        if in_title == 0 and _is_blank(titles, start, end, classes):
            state[document] |= NO_TITLE
        if with_names:
            in_title = drop_names(titles, words, begins, ends, 0, in_title, *room, *names)
        start, end = abstract_offsets[document], abstract_offsets[document + 1]
        in_both = _scan(abstracts, start, end, classes, words, begins, ends, in_title)
        if in_both < 0:
            state[document] = DIRTY
            continue
        if in_both == in_title and _is_blank(abstracts, start, end, classes):
            state[document] |= NO_ABSTRACT
        if with_names:
            in_both = drop_names(abstracts, words, begins, ends, in_title, in_both, *room, *names)

        size = 0
        before = np.uint64(0)
        for i in range(in_title):
            word = words[i]
            size = _keep(word, known, filter_shift, kept, size)
            size = _keep(_mix(word ^ TITLE_SALT), known, filter_shift, kept, size)
            if i > 0:
                pair = _mix(before * PAIR_PRIME ^ word)
                size = _keep(pair, known, filter_shift, kept, size)
                size = _keep(_mix(pair ^ TITLE_SALT), known, filter_shift, kept, size)
            before = word
        for i in range(in_title, in_both):
            word = words[i]
            size = _keep(word, known, filter_shift, kept, size)
            if i > in_title:
                size = _keep(_mix(before * PAIR_PRIME ^ word), known, filter_shift, kept, size)
            before = word

        # First without branches: the processor then waits for many rows of the table at once, not for one by one.
        found, others = 0, 0
        for i in range(size):
            h = kept[i]
            slot = h >> slot_shift
            here = slots[slot] == h and h != _FREE
            rows[found] = slot
            kept[others] = h
            found += here
            others += not here
        for i in range(others):
            h = kept[i]
            slot = h >> slot_shift
            while slots[slot] != _FREE and slots[slot] != h:
                slot += _1
            rows[found] = slot
            found += slots[slot] != _FREE
        known_ngrams[document] = found

        different = 0
        for i in range(found):
            slot = rows[i]
            count = counts[slot]
            rows[different] = slot
            different += count == 0
            counts[slot] = count + (count < most)
        length = np.int64(0)
        for i in range(different):
            slot = rows[i]
            value = tf_levels[np.int64(counts[slot]) - 1] * (np.int64(slot_values[slot, 0]) & 0xFFFF)  # unsigned
            counts[slot] = 0
            length += value * value
            values[i] = value
        for tag in range(tags):
            total = np.int64(0)
            for i in range(different):
                total += values[i] * np.int64(slot_values[rows[i], 1 + tag])
            dot[document, tag] = total
        if different:
            norm[document] = length


def cache_folder() -> Path | None:
    """Return where the compiled code is kept for the next run, or None where it cannot be.

    That is $NUMBA_CACHE_DIR or the user's cache folder, never the installed package, and never a folder of somebody
    else: what lies there is run. Its name holds a digest of the sources, because numba looks at no more than the
    time and size of one file, and installers set those as they like.
    """
    try:
        sources = b"".join(
            Path(str(module.__file__)).read_bytes()
            for module in (compilednames, features, namerules, sys.modules[__name__])
        )
        folder = _user_cache() / f"kernel-{hashlib.sha256(sources).hexdigest()[:16]}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        foreign = hasattr(os, "geteuid") and folder.stat().st_uid != os.geteuid()
    except (OSError, RuntimeError):  # RuntimeError: no home folder
        return None
    return None if foreign or not os.access(folder, os.W_OK) else folder


def _user_cache() -> Path:
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(chosen).absolute()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "dualuse/numba"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/dualuse/numba"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dualuse/numba"


_config: Any = numba.config
_BYTES = numba.types.Array(numba.uint8, 1, "C", readonly=True)
_OFFSETS = numba.types.Array(numba.int32, 1, "C", readonly=True)


def _table(dtype: Any, dimensions: int = 1) -> Any:
    return numba.types.Array(dtype, dimensions, "C", readonly=True)


_SIGNATURE = numba.void(
    *(_BYTES, _OFFSETS, _BYTES, _OFFSETS, _BYTES),
    *(_table(numba.uint64), numba.uint64, _table(numba.uint64), _table(numba.int16, 2), numba.uint64),
    _table(numba.int64),
    compilednames.TABLES,
    numba.boolean,
    *(numba.int64[:, ::1], numba.int64[::1], numba.int64[::1], numba.uint8[::1]),
)


def _compile() -> Callable[..., None]:
    """Compile the pass, or take it from the cache; a cache that is damaged or cannot be written never ends a run."""
    folder = cache_folder()
    if folder is not None:
        before = _config.CACHE_DIR  # belongs to the whole process: others' functions must not land in our folder
        _config.CACHE_DIR = str(folder)
        try:
            return numba.njit(_SIGNATURE, nogil=True, cache=True)(_sums_in_python)
        except Exception:  # whatever is wrong there, compiling once more is the cure
            pass
        finally:
            _config.CACHE_DIR = before
    return numba.njit(_SIGNATURE, nogil=True)(_sums_in_python)


if _config.DISABLE_JIT:
    raise ImportError("NUMBA_DISABLE_JIT is set, and uncompiled this would be slower than the array code.")
_sums = _compile()
