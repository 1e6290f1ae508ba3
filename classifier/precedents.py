"""Find labelled records that resemble a text: by identifier, with their tags, and no text of theirs.

They come from the stored n-gram counts of the training records (`data/features`, `data/labels`), which are in a
checkout and not in the wheel; where they are missing, or belong to another model's table, there are no precedents.
Likeness is the cosine of the very vectors that the model weighs, rare n-grams alone: a word that stands in a tenth of
all records makes no two of them alike.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from classifier.features import extract
from classifier.identifiers import canonical_id
from classifier.results import TAGS
from classifier.scoring import FloatArray, look_up

if TYPE_CHECKING:
    from classifier.model import Model

NEAREST = 60
"""Records kept of those most like a text; a tag takes its few from them."""
RARE = 0.1
"""An n-gram counts if it stands in at most this share of the records."""


@dataclass(frozen=True, slots=True)
class Precedent:
    """A labelled record like the text; `likeness` from 0 to 1."""

    id: str
    tags: tuple[str, ...]
    likeness: float


class Precedents:
    """The labelled records, turned so that the records of an n-gram lie together."""

    def __init__(
        self,
        ids: list[str],
        tags: dict[str, tuple[str, ...]],
        record: npt.NDArray[np.int32],
        starts: npt.NDArray[np.int64],
        value: FloatArray,
        idf: FloatArray,
    ) -> None:
        """Take the records of each n-gram: `record[starts[i]:starts[i + 1]]` with their unit-length `value`."""
        self._ids, self._tags = ids, tags
        self._record, self._starts, self._value, self._idf = record, starts, value, idf

    def nearest(self, model: "Model", title: str, abstract: str) -> tuple[Precedent, ...]:
        """Return the labelled records most like a text, the likest first."""
        counts = look_up(extract([(title, abstract)]), model.ngrams)
        own = (1 + np.log(counts.count)) * self._idf[counts.entry]
        length = float(np.sqrt((own * own).sum()))
        likeness = np.zeros(len(self._ids))
        for entry, value in zip(counts.entry.tolist(), own.tolist(), strict=True):
            stretch = slice(self._starts[entry], self._starts[entry + 1])
            likeness[self._record[stretch]] += value / length * self._value[stretch]
        order = np.argsort(-likeness, kind="stable")[:NEAREST].tolist()
        return tuple(
            Precedent(self._ids[i], self._tags[self._ids[i]], round(float(likeness[i]), 3))
            for i in order
            if likeness[i]
        )


def load_precedents(model: "Model", features: Path, labels: Path) -> Precedents | None:
    """Read the labelled records of a features folder and the labels' `train.csv`; None where they do not fit."""
    if not ((features / "records.parquet").exists() and (labels / "train.csv").exists()):
        return None
    if not np.array_equal(np.load(features / "ngrams.npy", allow_pickle=False), model.ngrams):
        return None
    import pyarrow.parquet as pq

    with (labels / "train.csv").open(encoding="utf-8", newline="") as file:
        tags = {canonical_id(row["id"]): _tags(row["tags"]) for row in csv.DictReader(file)}
    table = pq.read_table(features / "records.parquet").combine_chunks()
    ids = [canonical_id(identifier) for identifier in table["id"].to_pylist()]
    ngram, count = table["ngram"].combine_chunks(), table["count"].combine_chunks()
    entry = ngram.values.to_numpy()
    record = np.repeat(np.arange(len(ids), dtype=np.int32), np.diff(ngram.offsets.to_numpy()))
    in_records = np.bincount(entry, minlength=len(model.ngrams))
    idf = np.where(in_records <= RARE * len(ids), 1 + np.log((1 + len(ids)) / (1 + in_records)), 0.0)
    value = (1 + np.log(count.values.to_numpy())) * idf[entry]
    length = np.sqrt(np.bincount(record, weights=value * value, minlength=len(ids)))
    kept = (value > 0) & np.array([one in tags for one in ids])[record]
    order = np.flatnonzero(kept)[np.argsort(entry[kept], kind="stable")]
    starts = np.searchsorted(entry[order], np.arange(len(model.ngrams) + 1))
    return Precedents(ids, tags, record[order], starts, (value / np.maximum(length, 1e-12)[record])[order], idf)


def _tags(cell: str) -> tuple[str, ...]:
    """Read `drones:enables guidance:studies`."""
    named = {item.partition(":")[0] for item in cell.replace(";", " ").split()}
    return tuple(tag for tag in TAGS if tag in named)
