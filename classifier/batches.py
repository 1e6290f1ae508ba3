"""Read any source as Arrow record batches: what is scored (id, title, abstract) and, beside it, the source's row.

JSON Lines and Parquet have a short way here, as dumps come in these two; rows that do not fit it, and all other
formats, take the way of `readers.read`. Both ways give the same records and refusals. A batch holds a fixed number of
rows of the source (fewer where they are big), so the same source is always cut at the same places.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import orjson

from classifier.formats.many import place_outcome
from classifier.headers import ChosenColumns
from classifier.readers import (
    damaged_parquet,
    judge_table,
    judge_value,
    line_blocks,
    numbered_lines,
    open_rows,
    parquet_batches,
    refuse_line,
    refuse_long_line,
)
from classifier.records import BY_ALIAS, MAX_CHARS, MAX_ID_CHARS, Columns, Record, Refusal, find_columns
from classifier.writers import as_plain

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 2_048
_MAX_BATCH_BYTES = 16 * 1024 * 1024
_JATS_TITLE = "<jats:title>"  # may head an abstract: `to_record` knows what to leave out of it
_NESTING = frozenset((dict, list))
_BLANK_OR_NOT_ASCII = r"^[^!-~]"

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """A stretch of a source: its records in order, and the rows of the same stretch that were refused.

    `records` has the columns row, id, title, abstract; `refused_at` says at which places of the stretch, counted from
    0, the refusals stood (row numbers do not tell: each file of a source has its own). The source's own columns stand
    in `table` where they are Arrow by nature (Parquet), else in `lines`, a JSON object for each record. `names` are
    that object's keys, or None where its `id` is not the record's id as it stands.
    """

    records: "pa.RecordBatch"
    refusals: list[Refusal]
    refused_at: Sequence[int] = ()
    table: "pa.RecordBatch | None" = None
    lines: Sequence[bytes] = ()
    names: Sequence[Names | None] = ()

    @property
    def rows(self) -> int:
        """Rows of the source that this stretch covers."""
        return int(self.records.num_rows) + len(self.refusals)

    @property
    def columns(self) -> Names:
        """The source's columns, as the stretch's first record has them; nothing where it has no record."""
        if self.table is not None:
            return tuple(self.table.schema.names)
        return tuple(orjson.loads(self.lines[0])) if self.lines else ()

    def part(self, start: int, stop: int) -> "Batch":
        """Return the rows from `start` up to `stop`, counted from 0 over records and refusals alike."""
        if start <= 0 and stop >= self.rows:
            return self
        start, stop = max(start, 0), max(start, 0, min(stop, self.rows))
        low, high = bisect_left(self.refused_at, start), bisect_left(self.refused_at, stop)
        first, size = start - low, (stop - high) - (start - low)
        return Batch(
            self.records.slice(first, size),
            self.refusals[low:high],
            [place - start for place in self.refused_at[low:high]],
            None if self.table is None else self.table.slice(first, size),
            self.lines[first : first + size],
            self.names[first : first + size],
        )


class _Gathering:
    """Collects the records and refusals of one batch."""

    def __init__(self) -> None:
        self.taken: list[tuple[int, str, str, str, bytes, Names | None]] = []
        self.refusals: list[Refusal] = []
        self.refused_at: list[int] = []
        self.bytes = 0

    def is_full(self, rows: int) -> bool:
        return len(self.taken) + len(self.refusals) >= rows or self.bytes >= _MAX_BATCH_BYTES

    def add(self, item: Record | Refusal, line: bytes | None = None) -> None:
        if isinstance(item, Refusal):
            self.refused_at.append(len(self.taken) + len(self.refusals))
            self.refusals.append(item)
            return
        if line is None:
            line = orjson.dumps(dict(item.source), default=as_plain)
        names = tuple(item.source) if item.source.get("id", item.id) == item.id else None
        self.taken.append((item.row, item.id, item.title, item.abstract, line, names))
        self.bytes += len(line)

    def batch(self) -> Batch:
        rows, ids, titles, abstracts, lines, names = zip(*self.taken, strict=True) if self.taken else ((),) * 6
        return Batch(_as_records(rows, ids, titles, abstracts), self.refusals, self.refused_at, None, lines, names)

    def batch_of(self, table: "pa.RecordBatch", first: int) -> Batch:
        """Return a batch whose source columns are the collected rows of `table`."""
        import pyarrow as pa

        batch = self.batch()
        if self.refusals:
            table = table.take(pa.array([taken[0] - first for taken in self.taken], pa.int64()))
        return Batch(batch.records, self.refusals, self.refused_at, table)


def _as_records(*columns: Iterable[Any]) -> "pa.RecordBatch":
    import pyarrow as pa

    schema = _schema()
    # The C library gives the memory of one batch to the next; Arrow's own pool gives it back and asks anew, by pages.
    pool = pa.system_memory_pool()
    arrays = [pa.array(values, kind, memory_pool=pool) for values, kind in zip(columns, schema.types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def read_batches(
    source: str | Path | BinaryIO,
    *,
    format: str | None = None,
    columns: Columns = BY_ALIAS,
    rows: int = BATCH_ROWS,
    on_open: Callable[[BinaryIO], None] = lambda stream: None,
) -> Iterator[Batch]:
    """Read a file, standard input ("-") or a binary stream as batches of up to `rows` rows.

    Raises InputError as `readers.read` does.
    """
    own = {"jsonl": partial(_read_lines, rows), "parquet": partial(_read_parquet, rows)}
    return _gather(open_rows(source, format, columns, own, on_open, _place), rows)


def count_rows(source: str | Path | BinaryIO, *, format: str | None = None, columns: Columns = BY_ALIAS) -> int:
    """Count the rows that `read_batches` would give, records and refusals alike, without judging them if possible."""
    own = {"jsonl": _count_lines, "parquet": _count_parquet}
    items = open_rows(source, format, columns, own, place=lambda item, name: item)
    return sum(item if isinstance(item, int) else 1 for item in items)


def _count_lines(stream: Any, subject: str, columns: Columns) -> Iterator[int]:
    return (1 for _ in numbered_lines(stream))


def _count_parquet(source: Path | BinaryIO, subject: str, columns: Columns) -> Iterator[int]:
    if isinstance(source, Path):
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            yield pq.read_metadata(source).num_rows
        except (pa.ArrowException, OSError) as error:
            raise damaged_parquet(subject, error) from error
    else:
        yield from (table.num_rows for table in parquet_batches(source, subject, columns, BATCH_ROWS))


def empty_batch() -> Batch:
    """Return a batch of nothing."""
    return _Gathering().batch()


def _place(item: Batch | Record | Refusal, name: str) -> Batch | Record | Refusal:
    """Do to a whole batch what `place_outcome` does to a record."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not isinstance(item, Batch):
        return place_outcome(item, name)
    rows, ids, *texts = item.records.columns
    by_place = pc.equal(ids, pc.binary_join_element_wise("row-", rows.cast(pa.string()), ""))
    records, names = item.records, item.names
    if pc.any(by_place).as_py():
        placed = pc.if_else(by_place, pc.binary_join_element_wise(f"{name}:", ids, ""), ids)
        records = pa.RecordBatch.from_arrays([rows, placed, *texts], schema=records.schema)
        # A column `id` may have said "row-7" itself, and does not say it any more.
        said = [bool(known) and "id" in (known or ()) for known in names]
        moved = by_place.to_pylist() if names else []
        names = [None if a and b else known for a, b, known in zip(moved, said, names, strict=True)]
    refusals = [cast(Refusal, place_outcome(refusal, name)) for refusal in item.refusals]
    return replace(item, records=records, refusals=refusals, names=names)


def _gather(items: Iterator[Batch | Record | Refusal], rows: int) -> Iterator[Batch]:
    gathering = _Gathering()
    for item in items:
        if isinstance(item, Batch):
            if gathering.taken or gathering.refusals:  # of another file before it
                yield gathering.batch()
                gathering = _Gathering()
            yield item
            continue
        gathering.add(item)
        if gathering.is_full(rows):
            yield gathering.batch()
            gathering = _Gathering()
    if gathering.taken or gathering.refusals:
        yield gathering.batch()


def _read_lines(rows: int, stream: Any, subject: str, columns: Columns) -> Iterator[Batch]:
    # All of this runs once for every line of a dump: where the usual line is taken by a shorter way, it was measured.
    chosen = ChosenColumns(columns)
    shapes: dict[Names, tuple[Names, Names]] = {}  # the columns of a line: once, as one object, and the best of them
    loads = orjson.loads
    gathering = _Gathering()
    taken = gathering.taken
    for first, lines in line_blocks(stream):
        for place, line in enumerate(lines, first):
            if not line:
                if line is None:
                    gathering.add(refuse_long_line(place))
                continue
            try:
                value = loads(line)
            except orjson.JSONDecodeError as error:
                if line.isspace():
                    continue
                gathering.add(refuse_line(line, place, columns, error))
            else:
                if type(value) is dict:
                    names = tuple(value)
                    shape = shapes.get(names)
                    if shape is None:
                        if len(shapes) > 1_000:
                            shapes.clear()
                        chosen.see(value)
                        shape = shapes[names] = names, _best_columns(names, columns)
                    names, best = shape
                    if best:
                        id, title, abstract = value[best[0]], value[best[1]], value[best[2]]
                        if (
                            type(title) is type(abstract) is type(id) is str
                            and 0 < len(id) <= MAX_ID_CHARS
                            and len(line) <= MAX_CHARS
                            and ("<" < title[:1] <= "~" or _begins_with_text(title))
                            and ("<" < abstract[:1] <= "~" or _begins_with_text(abstract))
                            and id.strip() == id
                            and (_NESTING.isdisjoint(map(type, value.values())) or _can_be_written(value))
                        ):
                            own = best[0] == "id" or value.get("id", id) == id
                            taken.append((place, id, title, abstract, line, names if own else None))
                            gathering.bytes += len(line)
                            if len(taken) + len(gathering.refusals) >= rows or gathering.bytes >= _MAX_BATCH_BYTES:
                                yield gathering.batch()
                                gathering = _Gathering()
                                taken = gathering.taken
                            continue
                gathering.add(judge_value(value, place, columns, chosen), line)
            if gathering.is_full(rows):
                yield gathering.batch()
                gathering = _Gathering()
                taken = gathering.taken
    if gathering.taken or gathering.refusals:
        yield gathering.batch()
    chosen.check(subject)


def _best_columns(names: Names, columns: Columns) -> Names:
    """Return the columns looked at first for id, title and abstract, or nothing where one of them needs more care."""
    found = find_columns(names)
    best = tuple(
        wanted or next(iter(found[name]), "")
        for name, wanted in (("id", columns.id), ("title", columns.title), ("abstract", columns.abstract))
    )
    careful = any(not name or name not in names or "inverted" in name.lower() for name in best)
    return () if careful else best


def _begins_with_text(text: str) -> bool:
    """Tell whether a text begins with a word: not with white space, nor with markup that may be a JATS heading."""
    return text != "" and text[0] != "<" and not text[0].isspace()


def _can_be_written(value: dict[str, Any]) -> bool:
    """Tell whether orjson, which reads deeper than it writes, could write a row back."""
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return False
    return True


def _read_parquet(rows: int, source: Path | BinaryIO, subject: str, columns: Columns) -> Iterator[Batch]:
    place = 1
    for table in parquet_batches(source, subject, columns, rows):
        records = _plain_records(table, place, columns)
        if records is not None:
            yield Batch(records, [], table=table)
        else:
            yield _careful_batch(table, place, columns)
        place += table.num_rows


def _careful_batch(table: "pa.RecordBatch", place: int, columns: Columns) -> Batch:
    gathering = _Gathering()
    for item in judge_table(table, place, columns):
        gathering.add(item, b"")
    return gathering.batch_of(table, place)


def _plain_records(table: "pa.RecordBatch", place: int, columns: Columns) -> "pa.RecordBatch | None":
    """Take a batch whose id, title and abstract columns are texts and hold nothing to refuse, or return None."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        table.validate(full=True)
    except pa.ArrowInvalid:  # bytes that are not UTF-8: only their rows are refused
        return None
    found: Mapping[str, Names] = find_columns(tuple(table.schema.names))
    titles = _plain_texts(table, (columns.title,) if columns.title else found["title"])
    abstracts = _plain_texts(table, (columns.abstract,) if columns.abstract else found["abstract"])
    ids = _plain_ids(table, (columns.id,) if columns.id else found["id"], place)
    if titles is None or abstracts is None or ids is None:
        return None
    if pc.any(pc.and_(pc.equal(titles, ""), pc.equal(abstracts, ""))).as_py():
        return None
    return _as_records(range(place, place + table.num_rows), ids, titles, abstracts)


def _schema() -> "pa.Schema":
    import pyarrow as pa

    texts = [pa.field(name, pa.string()) for name in ("id", "title", "abstract")]
    return pa.schema([pa.field("row", pa.int64()), *texts])


def _plain_ids(table: "pa.RecordBatch", names: Names, place: int) -> "pa.Array | None":
    import pyarrow as pa
    import pyarrow.compute as pc

    if not names:
        return pa.array([f"row-{number}" for number in range(place, place + table.num_rows)], pa.string())
    ids = table.column(names[0])
    if pa.types.is_integer(ids.type):
        ids = ids.cast(pa.string())
    if not _is_text(ids.type) or ids.null_count:
        return None
    ids = ids.cast(pa.string())
    plain = [pc.match_substring_regex(ids, end) for end in ("^[!-~]", "[!-~]$")]  # nothing to strip
    short = pc.less_equal(pc.utf8_length(ids), MAX_ID_CHARS)
    return ids if all(pc.all(check).as_py() for check in (*plain, short)) else None


def _plain_texts(table: "pa.RecordBatch", names: Names) -> "pa.Array | None":
    """Return the first text of each row that is not blank, "" where there is none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    chosen = pa.array([""] * table.num_rows, pa.string())
    for name in reversed(names):
        texts = table.column(name)
        if not _is_text(texts.type) or "inverted" in name.lower():
            return None
        texts = texts.cast(pa.string())
        if pc.any(pc.greater(pc.utf8_length(texts), MAX_CHARS)).as_py():
            return None
        if pc.any(pc.match_substring(texts, _JATS_TITLE)).as_py():
            return None
        chosen = pc.if_else(_is_filled(texts), texts, chosen)
    return chosen


def _is_filled(texts: "pa.Array") -> "pa.Array":
    import pyarrow as pa
    import pyarrow.compute as pc

    filled = pc.fill_null(pc.greater(pc.binary_length(texts), 0), False)
    unsure = pc.fill_null(pc.match_substring_regex(texts, _BLANK_OR_NOT_ASCII), False)
    if not pc.any(unsure).as_py():
        return filled
    # What counts as blank is Python's to say, but few texts begin with anything that might be.
    blank = [doubt and texts[place].as_py().isspace() for place, doubt in enumerate(unsure.to_pylist())]
    return pc.and_not(filled, pa.array(blank, pa.bool_()))


def _is_text(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
