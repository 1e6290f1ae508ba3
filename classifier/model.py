"""The classifier: documents in, judgements out. `load()` gives the shipped one.

A `Model` holds plain arrays and is safe to share between threads: nothing that a result depends on changes after
loading. Few documents are scored by array code, many by the compiled code of `kernel`: the same bits, only sooner.
"""

import contextlib
import copy
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from classifier import abstain, assets, modelfolder, notes, scoring
from classifier.cleaning import CLEANING_VERSION
from classifier.errors import DualuseError, ModelError, UseError
from classifier.features import FEATURES_VERSION, Int64Array, Ngrams, extract
from classifier.notes import Notes
from classifier.records import Record, Refusal, in_batches, to_record
from classifier.results import DECISIONS, RESULT_COLUMNS, ROLES, TAGS, Judgement, Result
from classifier.roles import Roles, as_arrow
from classifier.second import Revised, Second
from classifier.uses import without_uses

if TYPE_CHECKING:
    import pyarrow as pa

    from classifier.kernel import Kernel

BATCH = 512
"""Documents scored at a time: enough to amortise array calls, small enough to stay in the processor's cache."""

KERNEL_FROM = 4096
"""Documents that a model has judged when it loads the compiled code: importing numba and reading its cache take half a
second, in which the array code scores about as many."""

POSSIBLE_USES = "possible uses only"
"""Note before the tags that are for review, and not flagged, since they would be clear without the sentences that tell
what else the work might be good for: a mention is no contribution."""

_CLEAR, _REVIEW, _FLAG, _ABSTAIN = range(len(DECISIONS))
_NO_ROLE = -1
_NO_TAG = np.zeros(len(TAGS), dtype=bool)

Texts = Callable[[list[int]], list[tuple[str, str]]]
"""Gives the (title, abstract) pairs in some rows of a batch: few are needed again, and Arrow has no Python strings."""

Document = Record | str | tuple[str, str] | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _FirstReading:
    """What the n-grams of a batch tell: arrays by document, and notes."""

    margins: scoring.FloatArray  # (documents, tags)
    known: Int64Array  # n-grams of the table
    sizes: Int64Array  # bytes
    notes: Notes


@dataclass(frozen=True, slots=True)
class Examined:
    """A batch judged without roles and notes, with what each reading said: arrays (documents, tags).

    `first` is the n-grams' probability, calibrated from their `margins`; `second` what reading again added to the
    logit, by row, for those rows that were read again; `decision` holds numbers in `DECISIONS`.
    """

    margins: scoring.FloatArray
    first: scoring.FloatArray
    second: Mapping[int, scoring.FloatArray]
    probability: scoring.FloatArray
    decision: npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class _Judged:
    """A batch judged: arrays (documents, tags), numbers in `DECISIONS`, and the roles of those rows that have any."""

    probability: scoring.FloatArray
    decision: npt.NDArray[np.int8]
    roles: Mapping[int, scoring.FloatArray]  # row -> probabilities (tags, roles)
    notes: Notes


class Model:
    """A trained classifier read from a model folder: n-grams alone, or with a second reading where they leave doubt.

    Attributes: `id`, `digest`, `thresholds` (profile -> tag -> probability from which it is flagged),
    `review_thresholds` (tag -> probability from which it is for review) and `parameters` (all of model.json).
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
        self.review_thresholds: Mapping[str, float] = self.parameters["review"]
        self.ngrams, self._idf, self._weights = arrays["ngrams"], arrays["idf"], arrays["weights"]
        self._tf_levels = np.array(self.parameters["tf_levels"], dtype=np.int64)
        self._scale, self._intercept, self._slope, self._offset = (
            np.array([self.parameters[part][tag] for tag in TAGS], dtype=np.float64)
            for part in ("scale", "intercept", "slope", "offset")
        )
        self._roles = Roles(self.parameters, arrays)
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
                self._roles.compile(kernel)
                self._kernel = kernel(self.ngrams, self._idf, self._weights, self._tf_levels)
        return self._kernel is not None

    def margins(self, documents: list[tuple[str, str]]) -> scoring.FloatArray:
        """Return the uncalibrated margins of (title, abstract) pairs: array (documents, tags)."""
        return self._score(documents).margins

    def probabilities(self, documents: list[tuple[str, str]]) -> scoring.FloatArray:
        """Return the calibrated probabilities of (title, abstract) pairs: array (documents, tags)."""
        return self._read(self.margins(documents), _picked(documents)).probability

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

    def examine(self, documents: list[tuple[str, str]], *, profile: str = "balanced") -> Examined:
        """Judge (title, abstract) pairs as `judge` does, and keep what each reading said."""
        scored, texts = self._score(documents), _picked(documents)
        read = self._read(scored.margins, texts)
        first = scoring.probabilities(scored.margins, self._slope, self._offset)
        decision, _ = self._decide(scored, read.probability, texts, profile)
        return Examined(scored.margins, first, read.logits, read.probability, decision)

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

    def with_thresholds(self, profile: str, flag: Mapping[str, float], review: Mapping[str, float]) -> Self:
        """Return this model with thresholds of one's own under the name of a new profile; probabilities stay the same.

        Raises DualuseError where a tag has no threshold, or one that is no probability.
        """
        for kind, values in (("flag", flag), ("review", review)):
            wrong = [tag for tag in TAGS if not 0 < values.get(tag, -1) <= 1]
            if wrong or values.keys() - set(TAGS):
                raise DualuseError(
                    f"{kind} thresholds are {dict(values)}; give one above 0 up to 1 for each of {TAGS}."
                )
        other = copy.copy(self)
        other.thresholds = {**self.thresholds, profile: dict(flag)}
        other.review_thresholds = dict(review)
        return other

    def classify(self, documents: Iterable[Document], *, profile: str = "balanced") -> list[Result]:
        """Judge documents: texts, (title, abstract) pairs, mappings with those names, or Records.

        A plain text counts as an abstract. Documents without an id are called row-1, row-2, ... by their place.

        Raises DualuseError naming the document that has no text, and where the profile is not known.
        """
        return [result for batch in self.stream(documents, profile=profile) for result in batch]

    def stream(self, documents: Iterable[Document], *, profile: str = "balanced") -> Iterator[list[Result]]:
        """Judge documents a batch at a time, in order, holding no more than a batch in memory."""
        self.profile_thresholds(profile)
        numbered = enumerate(documents, start=1)
        for batch in in_batches((as_record(document, place) for place, document in numbered), BATCH):
            yield self.judge(batch, profile=profile)

    def judge(self, records: Iterable[Record], *, profile: str = "balanced") -> list[Result]:
        """Judge one batch of records."""
        records = list(records)
        documents = [(record.title, record.abstract) for record in records]
        judged = self._judge(self._score(documents), _picked(documents), profile)
        rows = zip(records, judged.probability.tolist(), judged.decision.tolist(), judged.notes.tolist(), strict=True)
        return [
            Result(
                id=record.id,
                judgements={
                    tag: _judgement(p, decision, judged.roles.get(row), place)
                    for place, (tag, p, decision) in enumerate(zip(TAGS, ps, decisions, strict=True))
                },
                notes=told,
                model=self.id,
            )
            for row, (record, ps, decisions, told) in enumerate(rows)
        ]

    def judge_arrow(self, titles: "pa.Array", abstracts: "pa.Array", *, profile: str = "balanced") -> "pa.RecordBatch":
        """Judge a batch given as two string arrays (null for none): one column per name of `RESULT_COLUMNS`.

        Several threads may call it at once, and gain by it: most of it runs without Python's global lock.

        Raises DualuseError where the profile is not known, ValueError where the arrays differ in length.
        """
        self.profile_thresholds(profile)
        if kernel := self._kernel_for(len(titles)):
            scored = self._score_arrow(kernel, titles, abstracts)
        else:
            scored = self._score(_pairs(titles, abstracts))

        def texts(rows: list[int]) -> list[tuple[str, str]]:  # not every Arrow string type knows `take`
            return [(titles[row].as_py() or "", abstracts[row].as_py() or "") for row in rows]

        return self._columns(self._judge(scored, texts, profile))

    def _score(self, documents: list[tuple[str, str]]) -> _FirstReading:
        kernel = self._kernel_for(len(documents))
        if kernel is not None and (arrays := as_arrow(documents)) is not None:
            return self._score_arrow(kernel, *arrays)
        counts = scoring.look_up(extract(documents), self.ngrams)
        sums = scoring.sums(counts, len(documents), self._idf, self._tf_levels, self._weights)
        known = np.bincount(counts.document, counts.count, minlength=len(documents)).astype(np.int64)
        margins = scoring.weighted(*sums, self._scale, self._intercept)
        return _FirstReading(margins, known, abstain.bytes_of(documents), notes.of_texts(documents))

    def _score_arrow(self, kernel: "Kernel", titles: "pa.Array", abstracts: "pa.Array") -> _FirstReading:
        scored = kernel.score(titles, abstracts)
        margins = scoring.weighted(scored.dot, scored.norm, self._scale, self._intercept)
        return _FirstReading(margins, scored.known, _bytes_of(titles) + _bytes_of(abstracts), scored.notes)

    def _read(self, margins: scoring.FloatArray, texts: Texts) -> Revised:
        probability = scoring.probabilities(margins, self._slope, self._offset)
        if self._second is None:
            return Revised(probability, {}, {})
        return self._second.revise(probability, margins, texts)

    def _judge(self, scored: _FirstReading, texts: Texts, profile: str) -> _Judged:
        read = self._read(scored.margins, texts)
        decision, told = self._decide(scored, read.probability, texts, profile)
        rows = np.flatnonzero(((decision == _FLAG) | (decision == _REVIEW)).any(axis=1)).tolist()
        roles = self._roles_of(rows, read.roles, texts)
        return _Judged(read.probability, decision, roles, scored.notes.with_more(told))

    def _decide(
        self, scored: _FirstReading, probability: scoring.FloatArray, texts: Texts, profile: str
    ) -> tuple[npt.NDArray[np.int8], dict[int, tuple[str, ...]]]:
        """Return the decisions on a batch, numbers in `DECISIONS`, and by row what is to be noted of them."""
        decision = self._zones(probability, profile)
        found = decision.max(axis=1, initial=_CLEAR) > _CLEAR
        told: dict[int, tuple[str, ...]] = {}
        odd = np.flatnonzero(abstain.to_look_at(scored.known, scored.sizes)).tolist()
        for row, document in zip(odd, texts(odd), strict=True):
            if reason := abstain.reason(document, int(scored.known[row]), found=bool(found[row])):
                told[row] = (reason,)
                if reason in abstain.REASONS:
                    decision[row], found[row] = _ABSTAIN, False
        mentioned = self._mentioned(decision, texts, profile)
        for row in np.flatnonzero(found).tolist():
            named = (("for review", decision[row] == _REVIEW), (POSSIBLE_USES, mentioned.get(row, _NO_TAG)))
            if notes := [f"{note}: {', '.join(compress(TAGS, tags))}" for note, tags in named if tags.any()]:
                told[row] = (*told.get(row, ()), *notes)
        return decision, told

    def _mentioned(
        self, decision: npt.NDArray[np.int8], texts: Texts, profile: str
    ) -> Mapping[int, npt.NDArray[np.bool_]]:
        """Turn flags into reviews that would be clear without the sentences on possible uses: row -> which (tags,)."""
        rows = np.flatnonzero((decision == _FLAG).any(axis=1)).tolist()
        edited = {row: without_uses(document) for row, document in zip(rows, texts(rows), strict=True)}
        left = {row: document for row, document in edited.items() if document is not None}
        if not left:
            return {}
        documents = list(left.values())
        zones = self._zones(self.probabilities(documents), profile)
        mentioned = {row: (decision[row] == _FLAG) & (zone == _CLEAR) for row, zone in zip(left, zones, strict=True)}
        for row, tags in mentioned.items():
            decision[row, tags] = _REVIEW
        return mentioned

    def _zones(self, probability: scoring.FloatArray, profile: str) -> npt.NDArray[np.int8]:
        """Return the decision, a number in `DECISIONS`, on each probability (documents, tags)."""
        flag = np.array([self.profile_thresholds(profile)[tag] for tag in TAGS])
        review = np.array([self.review_thresholds[tag] for tag in TAGS])
        return np.where(probability >= flag, _FLAG, np.where(probability >= review, _REVIEW, _CLEAR)).astype(np.int8)

    def _roles_of(
        self, rows: list[int], read: Mapping[int, scoring.FloatArray], texts: Texts
    ) -> Mapping[int, scoring.FloatArray]:
        if not rows:
            return {}
        logits = self._roles.logits(texts(rows))
        if self._second is not None:
            for place, row in enumerate(rows):
                if row in read:
                    logits[place] = self._second.join_roles(logits[place], read[row])
        return dict(zip(rows, scoring.shares(logits), strict=True))

    def _kernel_for(self, documents: int) -> "Kernel | None":
        """Return the compiled code once there is enough to score; a lost count under threads only delays it."""
        if self._kernel is None:
            self._judged += documents
            if self._judged >= KERNEL_FROM:
                self.prepare()
        return self._kernel

    def _columns(self, judged: _Judged) -> "pa.RecordBatch":
        import pyarrow as pa

        flags = judged.decision == _FLAG
        ends = np.concatenate([[0], np.cumsum(flags.sum(axis=1))]).astype(np.int32)
        tags = pa.array(TAGS, pa.string()).take(pa.array(np.nonzero(flags)[1]))
        decisions, names = pa.array(DECISIONS, pa.string()), pa.array(ROLES, pa.string())
        role = np.full(flags.shape, _NO_ROLE)
        for row, roles in judged.roles.items():
            role[row] = np.where(judged.decision[row] != _CLEAR, roles.argmax(axis=1), _NO_ROLE)
        kinds = pa.array(judged.notes.kinds, pa.list_(pa.string()))
        columns = {
            "tags": pa.ListArray.from_arrays(pa.array(ends), tags),
            "notes": kinds.take(pa.array(judged.notes.kind)),
            "model": pa.repeat(pa.scalar(self.id, pa.string()), len(flags)),
        }
        for place, tag in enumerate(TAGS):
            own = np.ascontiguousarray(role[:, place])
            columns[f"{tag}_probability"] = pa.array(np.ascontiguousarray(judged.probability[:, place]))
            columns[f"{tag}_decision"] = decisions.take(pa.array(np.ascontiguousarray(judged.decision[:, place])))
            columns[f"{tag}_role"] = names.take(pa.array(own, mask=own == _NO_ROLE))
        return pa.RecordBatch.from_pydict({name: columns[name] for name in RESULT_COLUMNS})

    def profile_thresholds(self, name: str) -> Mapping[str, float]:
        """Return the probabilities, by tag, from which a profile flags.

        Raises UseError where there is no such profile.
        """
        try:
            return self.thresholds[name]
        except KeyError:
            known = ", ".join(sorted(self.thresholds))
            raise UseError(f"Profile {name!r} is not in {self.id}. Choose one of: {known}.") from None


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


def _picked(documents: list[tuple[str, str]]) -> Texts:
    return lambda rows: [documents[row] for row in rows]


def _bytes_of(texts: "pa.Array") -> Int64Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    if texts.type != pa.string():
        texts = texts.cast(pa.string())
    return np.asarray(pc.binary_length(texts).fill_null(0), dtype=np.int64)


def _judgement(probability: float, decision: int, roles: scoring.FloatArray | None, place: int) -> Judgement:
    if roles is None or decision == _CLEAR:
        return Judgement(probability, DECISIONS[decision])
    named = dict(zip(ROLES, roles[place].tolist(), strict=True))
    return Judgement(probability, DECISIONS[decision], ROLES[int(roles[place].argmax())], named)
