"""The classifier: documents in, judgements out. `load()` gives the shipped one.

A `Model` holds plain arrays and is safe to share between threads: nothing in it changes after loading.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classifier import assets, modelfolder, scoring
from classifier.cleaning import CLEANING_VERSION, notes
from classifier.errors import DualuseError, ModelError
from classifier.features import FEATURES_VERSION, extract
from classifier.records import Record, Refusal, in_batches, to_record
from classifier.results import RESULT_COLUMNS, TAGS, Judgement, Result

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 512
"""Documents scored at a time: enough to amortise array calls, small enough to stay in the processor's cache."""

Document = Record | str | tuple[str, str] | Mapping[str, Any]


class Model:
    """A trained classifier read from a model folder.

    Attributes: `id`, `digest`, `thresholds` (profile -> tag -> probability) and `parameters` (all of model.json).
    """

    def __init__(self, folder: Path) -> None:
        """Read and check a model folder.

        Raises ModelError where a file is missing, changed, malformed, or made for other features than ours.
        """
        self.folder = folder
        self.parameters, arrays = modelfolder.read(folder)
        if tuple(self.parameters["tags"]) != TAGS:
            raise ModelError(f"{folder}: trained for tags {self.parameters['tags']}, this version knows {list(TAGS)}.")
        wanted = {"features": FEATURES_VERSION, "cleaning": CLEANING_VERSION}
        if self.parameters["versions"] != wanted:
            raise ModelError(f"{folder}: trained with {self.parameters['versions']}, this version computes {wanted}.")
        self.id: str = self.parameters["id"]
        self.digest = modelfolder.digest(self.parameters, arrays)
        self.thresholds: Mapping[str, Mapping[str, float]] = self.parameters["thresholds"]
        self.ngrams, self._idf, self._weights = arrays["ngrams"], arrays["idf"], arrays["weights"]
        self._tf_levels = np.array(self.parameters["tf_levels"], dtype=np.int64)
        self._scale, self._intercept, self._slope, self._offset = (
            np.array([self.parameters[part][tag] for tag in TAGS], dtype=np.float64)
            for part in ("scale", "intercept", "slope", "offset")
        )

    def margins(self, documents: list[tuple[str, str]]) -> scoring.FloatArray:
        """Return the uncalibrated margins of (title, abstract) pairs: array (documents, tags)."""
        counts = scoring.look_up(extract(documents), self.ngrams)
        return scoring.margins(
            counts, len(documents), self._idf, self._tf_levels, self._weights, self._scale, self._intercept
        )

    def probabilities(self, documents: list[tuple[str, str]]) -> scoring.FloatArray:
        """Return the calibrated probabilities of (title, abstract) pairs: array (documents, tags)."""
        return scoring.probabilities(self.margins(documents), self._slope, self._offset)

    def decide(self, probability: float, tag: str, profile: str = "balanced") -> str:
        """Return `flag` where a probability reaches the profile's threshold, else `clear`: the one decision rule."""
        return "flag" if probability >= self._profile(profile)[tag] else "clear"

    def classify(self, documents: Iterable[Document], *, profile: str = "balanced") -> list[Result]:
        """Judge documents: texts, (title, abstract) pairs, mappings with those names, or Records.

        A plain text counts as an abstract. Documents without an id are called row-1, row-2, ... by their place.

        Raises DualuseError naming the document that has no text, and where the profile is not known.
        """
        return [result for batch in self.stream(documents, profile=profile) for result in batch]

    def stream(self, documents: Iterable[Document], *, profile: str = "balanced") -> Iterator[list[Result]]:
        """Judge documents a batch at a time, in order, holding no more than a batch in memory."""
        self._profile(profile)
        numbered = enumerate(documents, start=1)
        for batch in in_batches((_as_record(document, place) for place, document in numbered), BATCH):
            yield self.judge(batch, profile=profile)

    def judge(self, records: Iterable[Record], *, profile: str = "balanced") -> list[Result]:
        """Judge one batch of records."""
        records = list(records)
        probability = self.probabilities([(record.title, record.abstract) for record in records])
        return [
            Result(
                id=record.id,
                judgements={
                    tag: Judgement(float(p), self.decide(p, tag, profile)) for tag, p in zip(TAGS, row, strict=True)
                },
                notes=_notes(record),
                model=self.id,
            )
            for record, row in zip(records, probability.tolist(), strict=True)
        ]

    def judge_arrow(self, titles: "pa.Array", abstracts: "pa.Array", *, profile: str = "balanced") -> "pa.RecordBatch":
        """Judge a batch given as two string arrays (null for none): one column per name of `RESULT_COLUMNS`."""
        import pyarrow as pa

        texts = zip(titles.to_pylist(), abstracts.to_pylist(), strict=True)
        records = [Record("", title or "", abstract or "", place, {}) for place, (title, abstract) in enumerate(texts)]
        rows = [result.as_row() for result in self.judge(records, profile=profile)]
        types = {"tags": pa.list_(pa.string()), "notes": pa.list_(pa.string())}
        types |= {f"{tag}_probability": pa.float64() for tag in TAGS}
        columns = {name: pa.array([row[name] for row in rows], types.get(name, pa.string())) for name in RESULT_COLUMNS}
        return pa.RecordBatch.from_pydict(columns)

    def _profile(self, name: str) -> Mapping[str, float]:
        try:
            return self.thresholds[name]
        except KeyError:
            raise DualuseError(f"Profile {name!r} is not in {self.id}; it has {sorted(self.thresholds)}.") from None


def load(folder: Path | str | None = None) -> Model:
    """Load a model folder, or the shipped model.

    Raises ModelError where the folder is missing or damaged.
    """
    return Model(assets.model_folder() if folder is None else Path(folder))


def _as_record(document: Document, place: int) -> Record:
    if isinstance(document, Record):
        return document
    if isinstance(document, str):
        document = {"abstract": document}
    elif isinstance(document, tuple):
        document = dict(zip(("title", "abstract"), document, strict=True))
    record = to_record(document, place)
    if isinstance(record, Refusal):
        raise DualuseError(f"Document {record.row}, {record.field or 'record'}: {record.reason} {record.mend}")
    return record


def _notes(record: Record) -> tuple[str, ...]:
    missing = [f"no {name}" for name in ("title", "abstract") if not getattr(record, name).strip()]
    return (*missing, *dict.fromkeys((*notes(record.title), *notes(record.abstract))))
