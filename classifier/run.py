"""Classify a whole dump: read, judge, write, and account for every row.

A row of the source ends up in exactly one of two places, the output or the list of refused rows. What is done is kept
in OUT.partial by segments (see `partial`), so the same call goes on after a kill; OUT appears whole at the end, then
the record of the run. A resumed run reads the source from its start again, but scores only what is missing.
"""

import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from classifier.batches import BATCH_ROWS, Batch, count_rows, empty_batch, read_batches
from classifier.compression import compression_of
from classifier.duplicates import DuplicateGroups, Fingerprints, fingerprint
from classifier.encoders import GROUP, KEEP, open_encoder
from classifier.engine import in_order, is_own_id, judge_batch, look_ahead
from classifier.errors import DualuseError, InputError, ResumeError
from classifier.model import Model
from classifier.notes import COUNTED
from classifier.partial import Direct, Partial, State, Store, partial_folder
from classifier.places import find_clash
from classifier.reading import Reading
from classifier.records import BY_ALIAS, Columns, Refusal, show_names
from classifier.report import Report
from classifier.results import count_notes, count_zones
from classifier.room import check_room
from classifier.runrecord import (
    FORMAT,
    FileDigest,
    changes_since,
    describe_file,
    finished_record,
    identify,
    record_path,
    sha256_of,
    source_files,
)
from classifier.segments import ParquetShape, Shape, TextShape, WorkbookShape
from classifier.writers import open_sink, output_format, replacing

if TYPE_CHECKING:
    import pyarrow as pa

SEGMENT_ROWS = 50_000  # that may have to be scored again after a kill; half as many are brought to disk at a time
_LARGE = 10_000_000  # bytes of a source for which the compiled code is loaded before the first batch
_SEGMENT_BYTES = 256 * 1024 * 1024  # a segment of long texts ends earlier


@dataclass(frozen=True, slots=True)
class Options:
    """How to read, judge and write; all but `threads` and `max_refused` decide what the output is."""

    format: str | None = None
    output_format: str | None = None
    columns: Columns = BY_ALIAS
    keep: str = "all"
    profile: str = "balanced"
    shard: tuple[int, int] | None = None  # (i, n): the i-th of n equal stretches of the source, counted from 1
    mark_duplicates: bool = False
    segment_rows: int = SEGMENT_ROWS
    threads: int | None = None
    max_refused: "Limit | None" = None


@dataclass(frozen=True, slots=True)
class Limit:
    """How many refused rows are borne: a number, or a share of all rows in percent."""

    number: float
    percent: bool

    def check(self, refused: int, rows: int, *, at_end: bool) -> None:
        """Raise InputError where there are more; a share is only known at the end."""
        over = at_end and refused * 100 > self.number * rows if self.percent else refused > self.number
        if over:
            raise InputError(
                f"{refused:,} of {rows:,} rows were refused; at most {self.number:g}{' %' * self.percent} are allowed "
                "(--max-refused). See the reasons above, mend the rows or allow more."
            )


@dataclass(slots=True)
class Summary:
    """Counts of one run: rows scored, refused and (by an earlier, unfinished run) already done; flags per tag.

    `reviewed`: rows for review with no tag flagged; `abstained`: rows with no decision; `notes`: rows per note of
    `notes.COUNTED`; `columns`: those of the source's first record.
    """

    scored: int = 0
    refused: int = 0
    resumed: int = 0
    flagged: Counter[str] = field(default_factory=Counter)
    reviewed: int = 0
    abstained: int = 0
    notes: Counter[str] = field(default_factory=Counter)
    columns: tuple[str, ...] = ()
    seconds: float = 0.0
    share: float | None = None  # of the source that was read, where its size is known
    finished_before: bool = False

    @property
    def rows(self) -> int:
        """Rows read: each was either scored or refused."""
        return self.scored + self.refused

    def remarks(self) -> list[str]:
        """Say in lines what a user might not expect: an empty source, texts that are missing, why none was judged."""
        if not self.rows:
            return ["No record was in it: check that it is what you meant to read."]
        counted = [f"{note} {self.notes[note]:,}" for note in COUNTED if self.notes[note]]
        lines = [f"notes: {', '.join(counted)}"] if counted else []
        for field_, other in (("abstract", "title"), ("title", "abstract")):
            if self.scored and self.notes[f"no {field_}"] == self.scored:
                seen = f" Columns seen: {show_names(self.columns)}." if self.columns else ""
                lines.append(
                    f"No record has {'an' if field_ == 'abstract' else 'a'} {field_}: all were judged by their {other} "
                    f"alone.{seen} If one of them holds it, name it with --{field_}-column."
                )
        return lines


@dataclass(frozen=True, slots=True)
class Output:
    """Where the output goes and in what form."""

    path: Path | None  # None: standard output
    format: str
    compression: str | None

    @property
    def is_stream(self) -> bool:
        """Tell whether this is standard output, a pipe or a device: written as it comes, never taken up again."""
        return self.path is None or (self.path.exists() and not self.path.is_file())


def choose_output(target: str | Path, format: str | None = None) -> Output:
    """Settle form and place of an output.

    Raises DualuseError where the format is not known or the place cannot be written to.
    """
    path = None if str(target) == "-" else Path(target)
    kind = output_format(target, format)
    compression = compression_of(path) if path else None
    if kind in ("parquet", "xlsx") and compression:
        raise DualuseError(f"{target}: {kind} is compressed within; write it without {Path(target).suffix}.")
    if path is not None:
        path = path.resolve()  # so that a link goes on to point at the file
        if path.is_dir():
            raise DualuseError(f"{path} is a folder. Name a file in it.")
        if not path.parent.is_dir():
            raise DualuseError(f"{path} cannot be written: {path.parent} is not a folder. Make it, or choose another.")
    return Output(path, kind, compression)


def classify_dump(
    source: str | Path | BinaryIO,
    target: str | Path,
    model: Model,
    options: Options | None = None,
    *,
    rejects: Path | None = None,
    report: Path | None = None,
    restart: bool = False,
    on_refusal: Callable[[Refusal], None] = lambda refusal: None,
    on_batch: Callable[[Summary], None] = lambda summary: None,
) -> Summary:
    """Judge every record of a source and write one row each to a target, in the source's order.

    `rejects` names the file for refused rows; it exists afterwards only if some were refused. `report` names a page to
    be written about the run. `restart` drops what an
    earlier, unfinished run left. `on_refusal` and `on_batch` are told of each refused row and of the counts so far.

    Raises InputError where the source as a whole cannot be used or too many rows are refused, ResumeError where a
    run with other input, model or options is in the way, finished or not; then no target is written.
    """
    options = options or Options()
    if options.keep not in KEEP:
        raise DualuseError(f"keep is {options.keep!r}; choose one of: {', '.join(KEEP)}.")
    output = choose_output(target, options.output_format)
    if clash := find_clash(source, output.path, [rejects, report]):
        raise DualuseError(clash)
    job = _Job(source, output, model, options, on_refusal, on_batch, report and report.resolve())
    if output.path is not None and not output.is_stream:
        return job.to_file(output.path, rejects and rejects.resolve(), restart)
    with ExitStack() as stack:
        sink = stack.enter_context(open_sink(output.path, spool=output.format in ("parquet", "xlsx")))
        return job.to_stream(Direct(sink, rejects and rejects.resolve(), stack))


class _Job:
    """One run: the source, the form of the output, and the counts so far."""

    def __init__(
        self,
        source: str | Path | BinaryIO,
        output: Output,
        model: Model,
        options: Options,
        on_refusal: Callable[[Refusal], None],
        on_batch: Callable[[Summary], None],
        report: Path | None,
    ) -> None:
        self._source, self._output, self._model, self._options = source, output, model, options
        self._on_refusal, self._on_batch = on_refusal, on_batch
        self._page = report
        self._report = Report(model, profile=options.profile) if report else None
        self._groups = DuplicateGroups() if options.mark_duplicates else None
        self._summary = Summary()
        self._started = time.perf_counter()
        self._files = source_files(source, options.format)
        self._bytes = sum(path.stat().st_size for path in self._files)
        self._reading = Reading()
        if self._bytes > _LARGE:
            model.prepare()
        self._total = 0  # rows of the source, where they are counted beforehand
        self._piece_rows = max(1, options.segment_rows // 2)  # so that the next is scored while one goes to disk
        self._encoder = open_encoder(output.format, output.compression, options.keep, is_own_id(options.columns))

    def to_stream(self, store: Direct) -> Summary:
        """Write to standard output, a pipe or a device."""
        shape = self._work(store, None)
        self._write_page()
        store.finish(shape)
        self._summary.seconds = time.perf_counter() - self._started
        return self._summary

    def to_file(self, target: Path, rejects: Path | None, restart: bool) -> Summary:
        """Write a file by way of OUT.partial, or tell that it was written before."""
        identity = self._identity(rejects)
        record = finished_record(target) if self._files and not restart else None
        changes = changes_since(record, identity) if record else []
        if changes and not partial_folder(target).exists():  # what is kept there is compared by itself
            raise ResumeError(
                f"{target} is finished, by another run: {'; '.join(changes)}. Choose another OUT, or say --restart to "
                "replace it."
            )
        if record and not changes:
            shutil.rmtree(partial_folder(target), ignore_errors=True)
            self._summary.finished_before = True
            self._summary.scored, self._summary.refused = record["scored"], record["refused"]
            return self._summary
        self._check_room(target, restart)
        # What comes through a pipe cannot be read again, so it is begun again.
        with ExitStack() as stack:
            store = stack.enter_context(closing(Partial(target, identity, restart=restart or not self._files)))
            digest = None
            if len(self._files) == 1:  # of many, each is digested at the end: too many would be open at once
                digest = stack.enter_context(closing(FileDigest(self._files[0])))
            sha256 = store.finished
            if sha256 is None:
                shape = self._work(store, digest)
                if identity["inputs"] != self._identity(rejects)["inputs"]:
                    raise InputError(f"{self._source} was changed while it was read. Run the same command again.")
                self._write_page()
                sha256 = store.finish(shape, rejects)
            else:
                self._count(store.state)
            self._write_record(target, rejects, identity, store.state, sha256, digest)
            self._summary.seconds = time.perf_counter() - self._started
            store.remove()
        return self._summary

    def _check_room(self, target: Path, restart: bool) -> None:
        done = partial_folder(target) / "data"
        size = done.stat().st_size if done.exists() and not restart else 0
        share = 1 / (self._options.shard or (1, 1))[1] if self._options.keep == "all" else 0.0
        check_room(self._files, target, self._output.format, share=share, done=size)

    def _identity(self, rejects: Path | None) -> dict[str, Any]:
        options = asdict(self._options)
        for name in ("threads", "max_refused"):  # the same output, however they are set
            del options[name]
        options["output_format"] = self._output.format
        options["rejects"] = rejects and rejects.name
        options["report"] = self._page and self._page.name
        return identify(self._files, self._model, options)

    def _work(self, store: Store, digest: FileDigest | None) -> Shape:
        """Read, judge and write what is missing; return the shape, which knows how the output ends."""
        summary, options = self._summary, self._options
        self._count(store.state)
        summary.resumed = summary.rows
        batches = self._settled(self._batches())
        shape = self._shape()
        store.begin(shape.head())
        if self._report and (known := store.report()):
            self._report.restore(known)
        todo = self._missing(batches, store.state.rows)
        rejects: list[bytes] = []
        rows = size = 0  # of this segment
        judged = in_order(self._within_a_segment(todo, store), self._judge, options.threads)
        with closing(judged):
            for (batch, _), (found, prints) in judged:
                results = self._mark(batch, found, prints)
                if results is None:
                    continue
                encoded = self._encoder.encode(batch, results, summary.scored + 1)
                size += encoded.nbytes if self._output.format == "parquet" else len(encoded)
                store.append(shape.add(encoded))
                rejects += map(_reject_line, batch.refusals)
                rows += batch.rows
                self._account(batch, results)
                if self._report:
                    ids, titles, abstracts = (batch.records.column(name) for name in ("id", "title", "abstract"))
                    self._report.add(ids, titles, abstracts, results)
                if digest is not None:
                    store.later(digest.advance, self._reading.bytes)
                if rows >= self._piece_rows or size >= _SEGMENT_BYTES:
                    self._commit(store, rejects, shape)
                    rejects, rows, size = [], 0, 0
        if options.max_refused:
            options.max_refused.check(summary.refused, summary.rows, at_end=True)
        if rows or not summary.rows:
            if not rows:
                shape.add(self._encoder.encode(*self._nothing(), 1))
            self._commit(store, rejects, shape)
        return shape

    def _within_a_segment(
        self, todo: Iterator[tuple[Batch, bool]], store: Store
    ) -> Iterator[tuple[Batch, bool] | None]:
        """Hold back what is to be judged until no more than a segment of it could be lost by a kill."""
        handed = store.state.rows
        for batch, is_new in todo:
            if is_new:
                handed += batch.rows
                if handed > store.state.rows + self._options.segment_rows:
                    yield None  # what was handed out is brought as far as the store
                    store.wait()
            yield batch, is_new

    def _commit(self, store: Store, rejects: list[bytes], shape: Shape) -> None:
        report = self._report.dump() if self._report and self._files else b""
        store.commit(self._state(), b"".join(rejects), *shape.end_segment(), report)

    def _judge(self, part: tuple[Batch, bool]) -> "tuple[pa.RecordBatch | None, Fingerprints | None]":
        """Judge a batch and take its fingerprints, on any thread; of what was done before, fingerprints alone."""
        batch, is_new = part
        prints = None
        if self._groups:
            prints = fingerprint(*(batch.records.column(name).to_pylist() for name in ("title", "abstract")))
        return judge_batch(batch, self._model, self._options.profile) if is_new else None, prints

    def _mark(
        self, batch: Batch, results: "pa.RecordBatch | None", prints: Fingerprints | None
    ) -> "pa.RecordBatch | None":
        """Add the column of duplicate groups, batch after batch in the source's order."""
        import pyarrow as pa

        if self._groups is None or prints is None:
            return results
        groups = self._groups.place(batch.records.column("id").to_pylist(), prints)
        if results is None:
            return None
        columns = [*results.columns, pa.array(groups, pa.string())]
        return pa.RecordBatch.from_arrays(columns, [*results.schema.names, GROUP])

    def _write_page(self) -> None:
        if self._report and self._page:
            shown = self._source if isinstance(self._source, (str, Path)) else "a stream"
            source = "standard input" if str(shown) == "-" else Path(shown).name
            with replacing(self._page) as file:
                file.write(self._report.render(source=source, refused=self._summary.refused).encode())

    def _shape(self) -> Shape:
        if self._output.format == "parquet":
            return ParquetShape()
        return (WorkbookShape if self._output.format == "xlsx" else TextShape)(self._encoder.head())

    def _batches(self) -> Iterator[Batch]:
        options = self._options
        return read_batches(
            self._source, format=options.format, columns=options.columns, rows=self._batch_rows(), on_open=self._reading
        )

    def _batch_rows(self) -> int:
        return min(BATCH_ROWS, self._piece_rows)

    def _settled(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Settle the output's columns by the first rows of the source, even where those are another shard's."""
        if self._output.format != "jsonl":
            first, batches = look_ahead(batches)
            self._encoder.settle(first, self._nothing()[1].schema)
        return batches

    def _nothing(self) -> "tuple[Batch, pa.RecordBatch]":
        import pyarrow as pa

        none = pa.array([], pa.string())
        results = self._model.judge_arrow(none, none, profile=self._options.profile)
        if self._groups is not None:
            columns = [*results.columns, none]
            results = pa.RecordBatch.from_arrays(columns, [*results.schema.names, GROUP])
        return empty_batch(), results

    def _missing(self, batches: Iterator[Batch], done: int) -> Iterator[tuple[Batch, bool]]:
        """Yield what is to be judged, without the rows of other shards and those that an earlier run finished.

        Duplicates of those have to be known, so with groups to make they come too, marked False.
        """
        start, stop = 0, sys.maxsize
        if self._options.shard:
            place, shards = self._options.shard
            self._total = self._count_rows()
            start, stop = self._total * (place - 1) // shards, self._total * place // shards
        elif len(self._files) == 1 and self._files[0].suffix.lower() == ".parquet":
            self._total = self._count_rows()
        start += done
        seen = 0
        for batch in batches:
            if seen >= stop:
                return
            if self._groups is not None and seen < start:
                yield batch.part(0, start - seen), False
            if seen + batch.rows > start:
                yield batch.part(max(start - seen, 0), stop - seen), True
            seen += batch.rows

    def _count_rows(self) -> int:
        if self._options.shard and not self._files:
            raise InputError("A shard needs a file: a stream cannot be read twice. Save it first.")
        return count_rows(self._source, format=self._options.format, columns=self._options.columns)

    def _account(self, batch: Batch, results: "pa.RecordBatch") -> None:
        import pyarrow.compute as pc

        summary = self._summary
        summary.scored += batch.records.num_rows
        summary.refused += len(batch.refusals)
        flags = pc.value_counts(results.column("tags").flatten())
        for entry in flags.to_pylist():
            summary.flagged[entry["values"]] += entry["counts"]
        reviewed, abstained = count_zones(results)
        summary.reviewed += reviewed
        summary.abstained += abstained
        summary.notes.update(count_notes(results, COUNTED))
        summary.columns = summary.columns or batch.columns
        for refusal in batch.refusals:
            self._on_refusal(refusal)
        if self._options.max_refused:
            self._options.max_refused.check(summary.refused, summary.rows, at_end=False)
        if self._total:
            summary.share = summary.rows / (self._total / (self._options.shard or (1, 1))[1])
        elif self._bytes:
            summary.share = self._reading.bytes / self._bytes
        summary.seconds = time.perf_counter() - self._started
        self._on_batch(summary)

    def _count(self, state: State) -> None:
        self._summary.scored, self._summary.refused = state.scored, state.refused
        self._summary.flagged = Counter(state.flagged)
        self._summary.reviewed, self._summary.abstained = state.reviewed, state.abstained
        self._summary.notes = Counter(state.notes)

    def _state(self) -> State:
        summary = self._summary
        return State(
            summary.rows,
            summary.scored,
            summary.refused,
            dict(summary.flagged),
            reviewed=summary.reviewed,
            abstained=summary.abstained,
            notes=dict(summary.notes),
        )

    def _write_record(
        self,
        target: Path,
        rejects: Path | None,
        identity: Mapping[str, Any],
        state: State,
        sha256: str,
        digest: FileDigest | None,
    ) -> None:
        outputs = [describe_file(target, target, self._output.format, state.scored, sha256)]
        if state.refused and rejects is not None:
            outputs.append(describe_file(rejects, target, "jsonl", state.refused))
        pages = [describe_file(self._page, target, "html", state.scored)] if self._page else []
        record = {
            "format": FORMAT,
            "identity": identity,
            "model_folder": str(self._model.folder.resolve()),
            "inputs": [
                {
                    "path": str(path.resolve()),
                    "sha256": digest.finish() if digest else sha256_of(path),
                    "bytes": path.stat().st_size,
                }
                for path in self._files
            ],
            "outputs": outputs,
            "pages": pages,
            "rows": state.rows,
            "scored": state.scored,
            "refused": state.refused,
            "flagged": dict(sorted(state.flagged.items())),
            "reviewed": state.reviewed,
            "abstained": state.abstained,
            "notes": {note: state.notes.get(note, 0) for note in COUNTED},
            "thresholds": {
                "flag": dict(self._model.thresholds[self._options.profile]),
                "review": dict(self._model.review_thresholds),
            },
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - self._started, 3),
        }
        with replacing(record_path(target)) as file:
            file.write(orjson.dumps(record, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def _reject_line(refusal: Refusal) -> bytes:
    row = {
        "row": refusal.row,
        "id": refusal.id,
        "field": refusal.field,
        "reason": refusal.reason,
        "mend": refusal.mend,
    }
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
