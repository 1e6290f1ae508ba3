"""The features of labelled records, kept so that training needs no text: `data/features/`.

`ngrams.npy` holds the hashes that occur in at least `MIN_RECORDS` training records, sorted; `records.parquet` holds,
per record, which of them it has and how often. Who hashes a dictionary can find which words occurred; the order of
a text is not there. One surprising rule: only training records are stored, so nothing that measures can be trained on.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse as sp

from classifier.errors import InputError
from classifier.evidence import ngram_names
from classifier.features import UInt64Array, extract
from classifier.identifiers import canonical_id
from classifier.records import Record, in_batches
from classifier.scoring import BoolArray, look_up

MIN_RECORDS = 3
_BATCH = 512


@dataclass(frozen=True, slots=True)
class Features:
    """Hashed n-gram counts: `counts` is a CSR matrix (records, n-grams) of int64, rows as in `ids`."""

    ids: tuple[str, ...]
    ngrams: UInt64Array
    counts: sp.csr_array


def extract_features(records: Iterable[Record]) -> Features:
    """Hash the records' n-grams and keep those that occur in at least `MIN_RECORDS` of them.

    Raises InputError where two different n-grams have the hash of one that is kept.
    """
    ordered = sorted(records, key=lambda record: record.id)
    documents = [(record.title, record.abstract) for record in ordered]
    seen = [_distinct_hashes(batch) for batch in in_batches(documents, _BATCH)]
    hashes, in_records = np.unique(np.concatenate(seen), return_counts=True)
    ngrams = hashes[in_records >= MIN_RECORDS]
    check_collisions(documents, ngrams)
    return Features(tuple(record.id for record in ordered), ngrams, count_matrix(documents, ngrams))


def count_matrix(documents: Iterable[tuple[str, str]], ngrams: UInt64Array) -> sp.csr_array:
    """Count the n-grams of a table in (title, abstract) pairs: CSR matrix (documents, n-grams) of int64."""
    parts = []
    for batch in in_batches(documents, _BATCH):
        counts = look_up(extract(batch), ngrams)
        coordinates = (counts.document.astype(np.int32), counts.entry.astype(np.int32))  # liblinear takes no wider
        parts.append(sp.csr_array((counts.count, coordinates), shape=(len(batch), len(ngrams)), dtype=np.int64))
    return sp.csr_array(sp.vstack(parts, format="csr"))


def check_collisions(documents: Iterable[tuple[str, str]], ngrams: UInt64Array) -> None:
    """Make sure that each kept hash stands for one n-gram: only here are the words known.

    The words of one would speak for the other, in scores and in what is named as evidence.

    Raises InputError with the number of hashes that stand for several n-grams, and no word of theirs.
    """
    names: dict[int, str] = {}
    shared: set[int] = set()
    for title, abstract in documents:
        hashes = extract([(title, abstract)]).hash
        kept = ngrams[np.minimum(np.searchsorted(ngrams, hashes), len(ngrams) - 1)] == hashes
        for key, name, is_kept in zip(hashes.tolist(), ngram_names(title, abstract), kept.tolist(), strict=True):
            if is_kept and names.setdefault(key, name) != name:
                shared.add(key)
    if shared:
        raise InputError(
            f"{len(shared):,} of {len(ngrams):,} n-grams to be kept have the hash of another n-gram. "
            "Change the constants of the hash in classifier/features.py and raise FEATURES_VERSION."
        )


def write_features(features: Features, folder: Path) -> None:
    """Write a features folder; the same features give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "ngrams.npy", features.ngrams, allow_pickle=False)
    counts = features.counts
    offsets = pa.array(counts.indptr, pa.int32())
    table = pa.table(
        {
            "id": pa.array(features.ids, pa.string()),
            "ngram": pa.ListArray.from_arrays(offsets, pa.array(counts.indices, pa.int32())),
            "count": pa.ListArray.from_arrays(offsets, pa.array(np.minimum(counts.data, 255), pa.uint8())),
        }
    )
    pq.write_table(
        table,
        folder / "records.parquet",
        compression="zstd",
        compression_level=19,
        use_dictionary=False,
        column_encoding={"ngram.list.element": "DELTA_BINARY_PACKED"},
        write_page_checksum=True,
    )


def read_features(folder: Path) -> Features:
    """Read a features folder; identifiers become canonical, the order of the records stays.

    Raises InputError where it is missing or damaged.
    """
    try:
        ngrams = np.load(folder / "ngrams.npy", allow_pickle=False)
        table = pq.read_table(folder / "records.parquet", page_checksum_verification=True).combine_chunks()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputError(f"{folder}: not a readable features folder ({error}). Run `dualuse data extract`.") from error
    ngram, count = table["ngram"].combine_chunks(), table["count"].combine_chunks()
    counts = sp.csr_array(
        (count.values.to_numpy().astype(np.int64), ngram.values.to_numpy(), ngram.offsets.to_numpy()),
        shape=(table.num_rows, len(ngrams)),
    )
    return Features(tuple(map(canonical_id, table["id"].to_pylist())), ngrams, counts)


def tag_matrix(tags: Sequence[Sequence[str]], names: Sequence[str]) -> BoolArray:
    """Return which tags apply: array (records, tags)."""
    return np.array([[name in own for name in names] for own in tags], dtype=bool).reshape(len(tags), len(names))


def _distinct_hashes(documents: list[tuple[str, str]]) -> UInt64Array:
    ngrams = extract(documents)
    order = np.lexsort((ngrams.hash, ngrams.document))
    document, hashes = ngrams.document[order], ngrams.hash[order]
    first = np.ones(len(hashes), dtype=bool)
    first[1:] = (document[1:] != document[:-1]) | (hashes[1:] != hashes[:-1])
    return hashes[first]
