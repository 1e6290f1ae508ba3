"""The classifier: documents in, judgements out. `load()` gives the shipped one.

A `Model` holds plain arrays and is safe to share between threads: nothing that a result depends on changes after
loading. Few documents are scored by array code, many by the compiled code of `kernel`: the same bits, only sooner.
"""

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from classifier import assets, modelfolder, notes, scoring
from classifier.cleaning import CLEANING_VERSION
from classifier.errors import DualuseError, ModelError
from classifier.features import FEATURES_VERSION, Ngrams, extract
from classifier.notes import Notes
from classifier.records import Record, Refusal, in_batches, to_record
from classifier.results import RESULT_COLUMNS, TAGS, Judgement, Result
from classifier.second import Second

if TYPE_CHECKING:
    import pyarrow as pa

    from classifier.kernel import Kernel

BATCH = 512
"""Documents scored at a time: enough to amortise array calls, small enough to stay in the processor's cache."""

KERNEL_FROM = 4096
"""Documents that a model has judged when it loads the compiled code: importing numba and reading its cache take half a
second, in which the array code scores about as many."""

DECISIONS = ("clear", "flag")

Document = Record | str | tuple[str, str] | Mapping[str, Any]


class Model:
    """A trained classifier read from a model folder: n-grams alone, or with a second reading where they leave doubt.

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
        self.digest = modelfolder.digest(folder, self.parameters, arrays)
        self.thresholds: Mapping[str, Mapping[str, float]] = self.parameters["thresholds"]
        self.ngrams, self._idf, self._weights = arrays["ngrams"], arrays["idf"], arrays["weights"]
        self._tf_levels = np.array(self.parameters["tf_levels"], dtype=np.int64)
        self._scale, self._intercept, self._slope, self._offset = (
            np.array([self.parameters[part][tag] for tag in TAGS], dtype=np.float64)
            for part in ("scale", "intercept", "slope", "offset")
        )
        self._judged = 0
        self._kernel: Kernel | None = None
        self._second = Second(folder, self.parameters["second"]) if "second" in self.parameters else None

    def prepare(self) -> bool:
        """Load the compiled code now rather than after some thousand documents; return whether there is any.

        The first time on a machine it is compiled, which takes seconds; later it comes from the user's cache folder.
        Without numba everything works, only more slowly.
        """
        kernel = _kernel_class()
        if kernel is not None and self._kernel is None:
            with contextlib.suppress(ValueError):  # a model beyond the kernel's layout
                self._kernel = kernel(self.ngrams, self._idf, self._weights, self._tf_levels)
        return self._kernel is not None

    def margins(self, documents: list[tuple[str, str]]) -> scoring.FloatArray:
        """Return the uncalibrated margins of (title, abstract) pairs: array (documents, tags)."""
        return self._score(documents)[0]

    def probabilities(self, documents: list[tuple[str, str]]) -> scoring.FloatArray:
        """Return the calibrated probabilities of (title, abstract) pairs: array (documents, tags)."""
        return self._calibrate(self.margins(documents), lambda rows: [documents[row] for row in rows])

    def parts(self, ngrams: Ngrams) -> scoring.FloatArray:
        """Return what each n-gram of one document adds to its margins: array (n-grams, tags), 0 for unknown ones.

        With the intercepts they add up to the margins. One that occurs several times has its part shared evenly.
        """
        counts = scoring.look_up(ngrams, self.ngrams)
        values = scoring.values(counts, self._idf, self._tf_levels)
        length = np.sqrt(float((values * values).sum()))
        result = np.zeros((len(ngrams.hash), len(TAGS)))
        if len(values):
            each = (values / (length * counts.count))[:, None] * self._weights[counts.entry] * self._scale
            known = self.ngrams[counts.entry]  # sorted, as the table is
            place = np.minimum(np.searchsorted(known, ngrams.hash), len(known) - 1)
            found = known[place] == ngrams.hash
            result[found] = each[place[found]]
        return result

    def first_probabilities(self, documents: list[tuple[str, str]]) -> scoring.FloatArray:
        """Return what the n-grams alone say, before any second reading: array (documents, tags)."""
        return scoring.probabilities(self.margins(documents), self._slope, self._offset)

    def second_logits(self, documents: list[tuple[str, str]]) -> scoring.FloatArray:
        """Return what the second reading adds to the logits of (title, abstract) pairs: array (documents, tags).

        All are read, doubtful or not. ModelError: the model has no second reading.
        """
        if self._second is None:
            raise ModelError(f"{self.id} has no second reading.")
        return self._second.logits(documents)

    def read_again(self, documents: list[tuple[str, str]]) -> npt.NDArray[np.bool_]:
        """Tell which (title, abstract) pairs get a second reading: array (documents,)."""
        if self._second is None:
            return np.zeros(len(documents), dtype=bool)
        return self._second.doubtful(scoring.probabilities(self.margins(documents), self._slope, self._offset))

    def flags(self, probability: scoring.FloatArray, profile: str = "balanced") -> npt.NDArray[np.bool_]:
        """Tell where probabilities (documents, tags) reach the profile's thresholds: the one decision rule."""
        thresholds = self._profile(profile)
        result: npt.NDArray[np.bool_] = probability >= np.array([thresholds[tag] for tag in TAGS])
        return result

    def decide(self, probability: float, tag: str, profile: str = "balanced") -> str:
        """Return the decision on one probability, `flag` or `clear`."""
        return DECISIONS[int(self.flags(np.full(len(TAGS), probability), profile)[TAGS.index(tag)])]

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
        for batch in in_batches((as_record(document, place) for place, document in numbered), BATCH):
            yield self.judge(batch, profile=profile)

    def judge(self, records: Iterable[Record], *, profile: str = "balanced") -> list[Result]:
        """Judge one batch of records."""
        records = list(records)
        documents = [(record.title, record.abstract) for record in records]
        margins, found = self._score(documents)
        probability = self._calibrate(margins, lambda rows: [documents[row] for row in rows])
        flags = self.flags(probability, profile)
        rows = zip(records, probability.tolist(), flags.tolist(), found.tolist(), strict=True)
        return [
            Result(
                id=record.id,
                judgements={tag: Judgement(p, DECISIONS[f]) for tag, p, f in zip(TAGS, ps, fs, strict=True)},
                notes=told,
                model=self.id,
            )
            for record, ps, fs, told in rows
        ]

    def judge_arrow(self, titles: "pa.Array", abstracts: "pa.Array", *, profile: str = "balanced") -> "pa.RecordBatch":
        """Judge a batch given as two string arrays (null for none): one column per name of `RESULT_COLUMNS`.

        Several threads may call it at once, and gain by it: most of it runs without Python's global lock.

        Raises DualuseError where the profile is not known, ValueError where the arrays differ in length.
        """
        self._profile(profile)
        if kernel := self._kernel_for(len(titles)):
            margins, found = self._score_arrow(kernel, titles, abstracts)
        else:
            margins, found = self._score(_pairs(titles, abstracts))

        def texts(rows: list[int]) -> list[tuple[str, str]]:  # not every Arrow string type knows `take`
            return [(titles[row].as_py() or "", abstracts[row].as_py() or "") for row in rows]

        probability = self._calibrate(margins, texts)
        return self._columns(probability, self.flags(probability, profile), found)

    def _score(self, documents: list[tuple[str, str]]) -> tuple[scoring.FloatArray, Notes]:
        kernel = self._kernel_for(len(documents))
        if kernel is not None and (arrays := _as_arrow(documents)) is not None:
            return self._score_arrow(kernel, *arrays)
        counts = scoring.look_up(extract(documents), self.ngrams)
        sums = scoring.sums(counts, len(documents), self._idf, self._tf_levels, self._weights)
        return scoring.weighted(*sums, self._scale, self._intercept), notes.of_texts(documents)

    def _score_arrow(
        self, kernel: "Kernel", titles: "pa.Array", abstracts: "pa.Array"
    ) -> tuple[scoring.FloatArray, Notes]:
        scored = kernel.score(titles, abstracts)
        return scoring.weighted(scored.dot, scored.norm, self._scale, self._intercept), scored.notes

    def _calibrate(
        self, margins: scoring.FloatArray, texts: Callable[[list[int]], list[tuple[str, str]]]
    ) -> scoring.FloatArray:
        """Return probabilities; `texts` gives the documents in some rows, for those that are read a second time."""
        probability = scoring.probabilities(margins, self._slope, self._offset)
        if self._second is None:
            return probability
        return self._second.revise(probability, margins, texts)

    def _kernel_for(self, documents: int) -> "Kernel | None":
        """Return the compiled code once there is enough to score; a lost count under threads only delays it."""
        if self._kernel is None:
            self._judged += documents
            if self._judged >= KERNEL_FROM:
                self.prepare()
        return self._kernel

    def _columns(self, probability: scoring.FloatArray, flags: npt.NDArray[np.bool_], found: Notes) -> "pa.RecordBatch":
        import pyarrow as pa

        ends = np.concatenate([[0], np.cumsum(flags.sum(axis=1))]).astype(np.int32)
        tags = pa.array(TAGS, pa.string()).take(pa.array(np.nonzero(flags)[1]))
        decisions = pa.array(DECISIONS, pa.string())
        kinds = pa.array(found.kinds, pa.list_(pa.string()))
        columns = {
            "tags": pa.ListArray.from_arrays(pa.array(ends), tags),
            "notes": kinds.take(pa.array(found.kind)),
            "model": pa.repeat(pa.scalar(self.id, pa.string()), len(flags)),
        }
        for place, tag in enumerate(TAGS):
            columns[f"{tag}_probability"] = pa.array(np.ascontiguousarray(probability[:, place]))
            columns[f"{tag}_decision"] = decisions.take(pa.array(flags[:, place].astype(np.int8)))
        return pa.RecordBatch.from_pydict({name: columns[name] for name in RESULT_COLUMNS})

    def _profile(self, name: str) -> Mapping[str, float]:
        try:
            return self.thresholds[name]
        except KeyError:
            raise DualuseError(f"Profile {name!r} is not in {self.id}; it has {sorted(self.thresholds)}.") from None


def load(model: Path | str | None = None) -> Model:
    """Load a model: `fast`, `careful`, the folder of another one, or the default.

    Raises ModelError where there is no such model, or its folder is damaged.
    """
    shipped = assets.SHIPPED.get(str(model or assets.DEFAULT))
    return Model(assets.model_folder(shipped) if shipped else Path(str(model)))


def as_record(document: Document, place: int = 1) -> Record:
    """Return a document as a Record; one without an id is called after its place.

    Raises DualuseError naming the document that has no text.
    """
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


@functools.cache
def _kernel_class() -> "type[Kernel] | None":
    try:
        from classifier.kernel import Kernel
    except Exception:  # not installed, switched off, or broken in any of the ways a compiler can be: array code it is
        return None
    return Kernel


def _pairs(titles: "pa.Array", abstracts: "pa.Array") -> list[tuple[str, str]]:
    texts = zip(titles.to_pylist(), abstracts.to_pylist(), strict=True)
    return [(title or "", abstract or "") for title, abstract in texts]


def _as_arrow(documents: list[tuple[str, str]]) -> "tuple[pa.Array, pa.Array] | None":
    """Return the texts as two Arrow arrays, or None where they have no UTF-8 (a lone surrogate, from JSON)."""
    import pyarrow as pa

    try:
        titles, abstracts = (pa.array([document[side] for document in documents], pa.string()) for side in (0, 1))
    except UnicodeEncodeError:
        return None
    return (titles, abstracts) if isinstance(titles, pa.Array) and isinstance(abstracts, pa.Array) else None
