"""Mark the same work in several dumps: every record gets the id of the first record of its group.

Exact duplicates have the same cleaned, lower-cased words in title and abstract. Near duplicates share the title or some
of the smallest hashes of the abstract's runs of three words, and are then compared on a sketch of all of them, with the
first record of the group only: groups do not creep along chains, and memory grows with works, not with records.
The surprising rule: groups are never united. A record that resembles the firsts of two groups joins the one that it
resembles more, and both groups stay.

Fingerprints can be taken on any thread, which is most of the work; records are placed on one, in order.
`docs/duplicates.md` says what is found and what is not, and what it costs; `benchmarks/duplicates.py` measures it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from classifier import features
from classifier.cleaning import clean
from classifier.features import Int64Array, UInt64Array, fold

FEWEST_WORDS = 8
"""Texts with fewer words, such as "Editorial" or "CAREER", are never duplicates: they do not tell one work."""
FEWEST_SHINGLES = 24
"""Abstracts with fewer different runs of three words join a group only where they are exactly alike."""
FEWEST_TITLE_WORDS = 4
"""Titles with fewer words say nothing for or against: "Final report" is the title of many works."""


@dataclass(frozen=True, slots=True)
class Alike:
    """From where two abstracts count as one work.

    `jaccard`: runs of words that both have, as a share of those in either. `contained`: as a share of those in the
    shorter one, which finds shortened copies.
    """

    jaccard: float
    contained: float


SAME_TITLE, NO_TITLE, OTHER_TITLE = Alike(0.3, 0.6), Alike(0.5, 0.75), Alike(0.7, 0.88)
SHORTEST = 0.15
"""Length of a shortened copy, as a share of the whole, below which it is not taken for one."""

_KEYS = 8  # by which a record is found again: its title, and the smallest hashes of its runs of words
_BINS = 128  # of a sketch: more compare better and take more memory
_CHUNK = 1 << 12  # records hashed at a time; a place among them must fit into the bits below
_PLACE_SHIFT, _HASH_SHIFT = np.uint64(52), np.uint64(12)
_JACCARD, _CONTAINED = np.array([(k.jaccard, k.contained) for k in (SAME_TITLE, NO_TITLE, OTHER_TITLE)]).T
_FULLEST = 0.75  # share of a table's slots in use, above which it doubles
_STEP = 1 << 20  # keys put into a table at a time
_SLOT_PRIME = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """What is compared of a batch of records. It depends on the records alone, so any thread may take it."""

    exact: UInt64Array  # hash of all words in order
    words: Int64Array  # how many, in title and abstract
    shingles: Int64Array  # different runs of three words in the abstract
    title: npt.NDArray[np.uint32]  # hash of the title's words; 0 where there are too few of them
    keys: npt.NDArray[np.uint32]  # (records, _KEYS)
    sketch: npt.NDArray[np.uint8]  # (records, _BINS); 0 where a bin is empty


def fingerprint(titles: Sequence[str | None], abstracts: Sequence[str | None]) -> Fingerprints:
    """Clean and hash a batch of records; None stands for no text.

    ValueError: as many titles as abstracts are needed.
    """
    starts = range(0, max(len(titles), 1), _CHUNK)
    parts = [_fingerprint(titles[i : i + _CHUNK], abstracts[i : i + _CHUNK]) for i in starts]
    names = ("exact", "words", "shingles", "title", "keys", "sketch")
    return Fingerprints(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


class DuplicateGroups:
    """The groups seen so far, each by its first record. One thread at a time may use it.

    To go on after an interruption, place the same records once more: equal records in equal order give equal groups,
    however they are cut into batches.
    """

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._shingles = np.zeros(0, dtype=np.int32)
        self._title = np.zeros(0, dtype=np.uint32)
        self._sketch = np.zeros((0, _BINS), dtype=np.uint8)
        self._exact = _Table(np.dtype(np.uint64))
        self._near = _Table(np.dtype(np.uint32))

    def place(self, ids: Sequence[str], prints: Fingerprints) -> list[str]:
        """Return for each record the id of the first record of its group: its own where it is the first."""
        self._reserve(len(self._ids) + len(ids))
        tells = (prints.words >= FEWEST_WORDS).tolist()
        comparable = prints.shingles >= FEWEST_SHINGLES
        exact, keys = prints.exact.tolist(), prints.keys.tolist()
        exact_holders = self._exact.find(prints.exact).tolist()
        near_holders = iter(self._near.find(prints.keys[comparable].ravel()).reshape(-1, _KEYS).tolist())
        new_exact: dict[int, int] = {}
        new_near: dict[int, int] = {}
        groups = []
        for i, compare in enumerate(comparable.tolist()):
            holders = next(near_holders) if compare else []
            group = -1
            if tells[i]:
                group = exact_holders[i] if exact_holders[i] >= 0 else new_exact.get(exact[i], -1)
            known = group >= 0
            if not known and compare:
                pairs = zip(keys[i], holders, strict=True)
                found = {held if held >= 0 else new_near.get(key, -1) for key, held in pairs} - {-1}
                group = self._most_alike(sorted(found), prints, i)
            if group < 0:
                group = len(self._ids)
                self._ids.append(ids[i])
                if compare:
                    self._shingles[group], self._title[group] = prints.shingles[i], prints.title[i]
                    self._sketch[group] = prints.sketch[i]
                    for key, held in zip(keys[i], holders, strict=True):
                        if held < 0:
                            new_near.setdefault(key, group)
            if tells[i] and not known:
                new_exact[exact[i]] = group  # of members too: what is exactly alike is always in one group
            groups.append(self._ids[group])
        self._exact.add(new_exact)
        self._near.add(new_near)
        return groups

    def _reserve(self, size: int) -> None:
        if size > len(self._shingles):
            more = max(size, len(self._shingles) * 3 // 2) - len(self._shingles)
            self._shingles = np.concatenate([self._shingles, np.zeros(more, self._shingles.dtype)])
            self._title = np.concatenate([self._title, np.zeros(more, self._title.dtype)])
            self._sketch = np.concatenate([self._sketch, np.zeros((more, _BINS), self._sketch.dtype)])

    def _most_alike(self, candidates: list[int], prints: Fingerprints, i: int) -> int:
        """Return the candidate that is near enough and nearest, of equals the earliest; -1 for none."""
        if not candidates:
            return -1
        others, sketch = self._sketch[candidates], prints.sketch[i]
        # A bin holds the smallest hash of its part: where both have the same, it is a run that both texts have.
        jaccard = ((others == sketch) & (sketch != 0)).sum(axis=1) / ((others | sketch) != 0).sum(axis=1)
        sizes, size = self._shingles[candidates].astype(np.float64), float(prints.shingles[i])
        shorter, longer = np.minimum(sizes, size), np.maximum(sizes, size)
        contained = jaccard / (1 + jaccard) * (shorter + longer) / shorter
        titles, title = self._title[candidates], prints.title[i]
        kind = np.where((titles == 0) | (title == 0), 1, np.where(titles == title, 0, 2))
        shortened = (contained >= _CONTAINED[kind]) & (shorter >= SHORTEST * longer)
        near = (jaccard >= _JACCARD[kind]) | shortened
        best = int(np.argmax(np.where(near, jaccard, -1)))
        return candidates[best] if near[best] else -1


class _Table:
    """A hash table of integers in two flat arrays: a fraction of a dict's memory, read for a whole batch at once."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.keys = np.zeros(1 << 12, dtype=dtype)
        self.values = np.full(1 << 12, -1, dtype=np.int32)  # -1: a free slot
        self.used = 0

    def find(self, keys: npt.NDArray[Any]) -> Int64Array:
        """Return the value of each key, -1 where it has none."""
        found = np.full(len(keys), -1, dtype=np.int64)
        open_, slot = np.arange(len(keys)), self._slots(keys)
        while len(open_):
            value = self.values[slot]
            same = self.keys[slot] == keys[open_]
            found[open_[same]] = value[same]
            on = ~same & (value >= 0)
            open_, slot = open_[on], (slot[on] + 1) & (len(self.keys) - 1)
        return found

    def add(self, new: dict[int, int]) -> None:
        """Add keys that are not in the table yet."""
        keys = np.fromiter(new.keys(), dtype=self.keys.dtype, count=len(new))
        values = np.fromiter(new.values(), dtype=np.int32, count=len(new))
        size, wanted = len(self.keys), self.used + len(new)
        while wanted > _FULLEST * size:
            size *= 2
        if size > len(self.keys):
            taken = self.values >= 0
            keys, values = np.concatenate([self.keys[taken], keys]), np.concatenate([self.values[taken], values])
            self.keys, self.values = np.zeros(size, self.keys.dtype), np.full(size, -1, dtype=np.int32)
        self.used = wanted
        for start in range(0, len(keys), _STEP):
            self._insert(keys[start : start + _STEP], values[start : start + _STEP])

    def _insert(self, keys: npt.NDArray[Any], values: npt.NDArray[np.int32]) -> None:
        slot = self._slots(keys)
        while len(keys):
            free = self.values[slot] < 0
            self.keys[slot[free]], self.values[slot[free]] = keys[free], values[free]
            # Of several that wanted one slot, the last one written has it; the others go on, as those do that found it
            # taken.
            on = self.keys[slot] != keys
            keys, values, slot = keys[on], values[on], (slot[on] + 1) & (len(self.keys) - 1)

    def _slots(self, keys: npt.NDArray[Any]) -> Int64Array:
        mixed = (keys.astype(np.uint64) * _SLOT_PRIME) >> np.uint64(64 - (len(self.keys).bit_length() - 1))
        return mixed.astype(np.int64)


def _fingerprint(titles: Sequence[str | None], abstracts: Sequence[str | None]) -> Fingerprints:
    size = len(titles)
    chunks = [fold(clean(text or "")) for record in zip(titles, abstracts, strict=True) for text in record]
    lengths = np.fromiter((len(chunk) + 1 for chunk in chunks), dtype=np.int64, count=len(chunks))
    data = features.LOWER[np.frombuffer(b"\n".join([*chunks, b""]), dtype=np.uint8)]
    starts, ends = features.word_spans(data)
    hashes = features.hash_spans(data, starts, ends)
    field = np.searchsorted(np.cumsum(lengths), starts, side="right")  # title, abstract, title, ...
    record = field // 2
    words = np.bincount(record, minlength=size)
    first = np.cumsum(words) - words
    # Each word is hashed with its place and field; the sum of a record does not depend on its neighbours.
    place = (np.arange(len(hashes)) - first[record]) * 2 + field % 2
    placed = features.mix(hashes ^ features.mix(place.astype(np.uint64)))
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(placed, dtype=np.uint64)])
    in_title = np.bincount(record[field % 2 == 0], minlength=size)
    exact = sums[first + words] - sums[first]
    title = ((sums[first + in_title] - sums[first]) >> np.uint64(32)).astype(np.uint32)
    title[in_title < FEWEST_TITLE_WORDS] = 0

    in_abstract = (field[2:] == field[:-2]) & (field[2:] % 2 == 1)
    pair = features.mix(hashes[:-2] * features.PAIR_PRIME ^ hashes[1:-1])
    runs = features.mix(pair * features.PAIR_PRIME ^ hashes[2:])[in_abstract]
    ranked = np.sort((record[2:][in_abstract].astype(np.uint64) << _PLACE_SHIFT) | (runs >> _HASH_SHIFT))
    ranked = ranked[np.concatenate([[True], ranked[1:] != ranked[:-1]])] if len(ranked) else ranked
    owner = (ranked >> _PLACE_SHIFT).astype(np.int64)
    shingles = np.bincount(owner, minlength=size)
    rank = np.arange(len(ranked)) - (np.cumsum(shingles) - shingles)[owner]
    # What ranks lowest has small upper bits: keys, bins and values are taken from the lower ones.
    keys = np.zeros((size, _KEYS), dtype=np.uint32)
    lowest = rank < _KEYS
    keys[owner[lowest], rank[lowest]] = ranked[lowest].astype(np.uint32)
    keys[:, -1] = np.where(title != 0, title, keys[:, -1])
    sketch = np.zeros((size, _BINS), dtype=np.uint8)
    bins = (ranked % np.uint64(_BINS)).astype(np.int64)
    values = (ranked.astype(np.uint32) >> np.uint32(8)) % np.uint32(255) + np.uint32(1)  # 1 to 255; 0 is an empty bin
    sketch[owner[::-1], bins[::-1]] = values[::-1].astype(np.uint8)  # from the largest down: the smallest stays
    return Fingerprints(exact, words, shingles, title, keys, sketch)
