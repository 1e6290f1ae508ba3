"""Turn judged batches into the bytes (JSON Lines, CSV, TSV, XLSX) or the Arrow batches (Parquet) of an output.

`encode` depends on nothing but its batch and on the columns settled from the first rows of the source, so batches can
be encoded in any order, on any thread, in one run or several, and always give the same output. A JSON line whose
columns do not collide with ours is not written anew: the result is spliced onto it, and it stays as it was.
"""

import gzip
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from classifier.batches import Batch, Names
from classifier.errors import DualuseError
from classifier.jsoncells import json_members
from classifier.readers import table_rows
from classifier.records import is_that_id
from classifier.results import RESULT_COLUMNS
from classifier.sheet import check_size
from classifier.writers import (
    BLOCK_ROWS,
    Column,
    as_plain,
    column_array,
    settle_column,
    sheet_cells,
    table_header,
    table_lines,
    unfit,
)

if TYPE_CHECKING:
    import pyarrow as pa

B = TypeVar("B", bytes, "pa.Buffer")

KEEP = ("all", "id", "none")
"""What of the source goes into the output: every column, the id alone, or nothing beside the result."""

GROUP = "duplicate_group"
"""Column of `--mark-duplicates`; a source's own of that name gives way even where it is not asked for."""

OURS = frozenset(("id", *RESULT_COLUMNS, GROUP))
"""Names of output columns that no source column goes out by."""


class Encoder(ABC):
    """Encodes judged batches for one output."""

    def __init__(self, keep: str, own_id: bool) -> None:
        """Choose what of the source is kept; `own_id` False where another column than `id` was chosen as the id."""
        self._keep = keep
        self._own_id = own_id

    def settle(self, first: Sequence[Batch], results: "pa.Schema") -> None:  # noqa: B027  # JSON Lines settle nothing
        """Fix the output's columns by the first rows of the source and the result's schema."""

    def head(self) -> bytes:
        """Return what stands before the first row."""
        return b""

    @abstractmethod
    def encode(self, batch: Batch, results: "pa.RecordBatch", first: int) -> Any:
        """Encode one batch, whose first record is the output's row `first`.

        Raises DualuseError naming row and column where a value cannot be written.
        """

    def _rows(self, batch: Batch, results: "pa.RecordBatch") -> list[dict[str, Any]]:
        judged: list[dict[str, Any]] = results.to_pylist()
        if self._keep == "none":
            return judged
        ids = batch.records.column("id").to_pylist()
        if self._keep == "id":
            return [{"id": id, **result} for id, result in zip(ids, judged, strict=True)]
        rows = zip(ids, source_rows(batch), judged, strict=True)
        return [output_row(id, source, result, self._own_id) for id, source, result in rows]

    def _names(self, first: Sequence[Batch]) -> list[str]:
        """Return the names under which source columns go out, in the order in which they first come up."""
        if self._keep == "none":
            return []
        names = ["id"]
        if self._keep == "all":
            names += dict.fromkeys(chain.from_iterable(map(self._source_names, first)))
        return names

    def _source_names(self, batch: Batch) -> Iterator[str]:
        if batch.table is not None:
            yield from table_columns(batch.table, self._own_id)
            return
        for known in dict.fromkeys(batch.names):
            if known is not None:  # its `id`, if it has one, is the record's
                yield from (free_name(name, known) for name in known if name != "id" or not self._own_id)
        for id, line, known in zip(batch.records.column("id").to_pylist(), batch.lines, batch.names, strict=True):
            if known is None:
                yield from list(output_row(id, orjson.loads(line), {}, self._own_id))[1:]


class JsonLines(Encoder):
    """Encodes JSON Lines."""

    def __init__(self, keep: str, own_id: bool, compression: str | None) -> None:
        """Encode JSON Lines."""
        super().__init__(keep, own_id)
        self._compression = compression

    def encode(self, batch: Batch, results: "pa.RecordBatch", first: int) -> "bytes | pa.Buffer":
        """Encode one batch as whole lines."""
        if batch.table is not None or self._keep != "all":
            return compress(self._anew(self._rows(batch, results), first), self._compression)
        return compress(self._spliced(batch, results, first), self._compression)

    def _spliced(self, batch: Batch, results: "pa.RecordBatch", first: int) -> "pa.Buffer":
        """Put the result into each line before its closing brace, all lines by one call of Arrow."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if not batch.lines:
            return pa.py_buffer(b"")
        lines = [line.strip() for line in batch.lines]
        ids = batch.records.column("id")
        is_anew = [False] * len(lines)
        known: Names | None = ()
        way = _ANEW
        for place, names in enumerate(batch.names):
            if names is not known:  # lines of the same columns mostly share one object
                known, way = names, self._way(names)
            if way == _NO_ID:
                lines[place] = b'{"id":%b,%b' % (orjson.dumps(ids[place].as_py()), lines[place][1:])
            elif way == _ANEW:
                result = results.slice(place, 1).to_pylist()[0]
                row = output_row(ids[place].as_py(), orjson.loads(lines[place]), result, self._own_id)
                lines[place] = self._anew([row], first + place)
                is_anew[place] = True
        ends = json_members(results)
        if any(is_anew):  # these hold their result already, and the cut below takes nothing but their line feed
            ends = pc.if_else(pa.array(is_anew), b"\n", ends)
        whole = pc.binary_join_element_wise(pc.binary_slice(pa.array(lines, pa.binary()), 0, -1), ends, b"")
        return whole.buffers()[2][: pc.sum(pc.binary_length(whole)).as_py()]

    def _way(self, names: Names | None) -> int:
        if names is None:
            return _ANEW
        has_id = "id" in names
        collides = not OURS.isdisjoint(name for name in names if name != "id") or (has_id and not self._own_id)
        return _ANEW if collides else _OWN_ID if has_id else _NO_ID

    def _anew(self, rows: list[dict[str, Any]], first: int) -> bytes:
        lines = []
        for number, row in enumerate(rows, first):
            try:
                lines.append(orjson.dumps(row, default=as_plain, option=orjson.OPT_APPEND_NEWLINE))
            except orjson.JSONEncodeError as error:
                raise unfit(number, "", str(error), "Leave the column out.") from None
        return b"".join(lines)


_ANEW, _OWN_ID, _NO_ID = range(3)


class Table(Encoder):
    """Encodes CSV and TSV."""

    def __init__(self, keep: str, own_id: bool, compression: str | None, delimiter: str) -> None:
        """Encode a table with this delimiter."""
        super().__init__(keep, own_id)
        self._compression = compression
        self._delimiter = delimiter
        self._columns: list[str] = []

    def settle(self, first: Sequence[Batch], results: "pa.Schema") -> None:
        """Fix the columns."""
        self._columns = [*self._names(first), *results.names]

    def head(self) -> bytes:
        """Return the header line."""
        return compress(table_header(self._columns, self._delimiter), self._compression)

    def encode(self, batch: Batch, results: "pa.RecordBatch", first: int) -> bytes:
        """Encode one batch as whole lines."""
        rows = self._rows(batch, results)
        _check_new(rows, self._columns, first)
        return compress(table_lines(self._columns, rows, first, self._delimiter), self._compression)


class Parquet(Encoder):
    """Gives the Arrow batches that make up a Parquet file."""

    def __init__(self, keep: str, own_id: bool) -> None:
        """Encode for Parquet, whose compression is its own."""
        super().__init__(keep, own_id)
        self._kinds: dict[str, Column] = {}
        self._fields: dict[str, Any] | None = None  # of a Parquet source: name -> Arrow type

    def settle(self, first: Sequence[Batch], results: "pa.Schema") -> None:
        """Fix columns and types; those of a Parquet source stay what they are."""
        if self._keep != "all":
            return
        tables = [table_columns(batch.table, self._own_id) for batch in first if batch.table is not None]
        kinds = [{name: column.type for name, column in table.items()} for table in tables]
        if len(kinds) == len(first) and all(kind == kinds[0] for kind in kinds):
            self._fields = kinds[0] if kinds else {}
            return
        values: dict[str, list[Any]] = {name: [] for name in self._names(first)}
        for batch in first:
            for id, source in zip(batch.records.column("id").to_pylist(), source_rows(batch), strict=True):
                row = output_row(id, source, {}, self._own_id)
                for name, column in values.items():
                    column.append(row.get(name))
        self._kinds = {name: settle_column(name, column) for name, column in values.items()}

    def encode(self, batch: Batch, results: "pa.RecordBatch", first: int) -> "pa.RecordBatch":
        """Join the source's columns and the result's into one batch."""
        return join_columns(self.source_columns(batch, first), results)

    def source_columns(self, batch: Batch, first: int) -> dict[str, Any]:
        """Return the source's columns of one batch as settled: one that it lacks is filled with nulls.

        Raises DualuseError for a column that is new, or a value that does not fit.
        """
        if self._keep == "none":
            return {}
        columns = {"id": batch.records.column("id")}
        if self._keep == "id":
            return columns
        if self._fields is not None and batch.table is not None:
            table = table_columns(batch.table, self._own_id)
            if {name: column.type for name, column in table.items()} == self._fields:
                return columns | table
        rows = [
            output_row(id, source, {}, self._own_id)
            for id, source in zip(batch.records.column("id").to_pylist(), source_rows(batch), strict=True)
        ]
        if self._fields is not None:  # another file of the source than the first, with other columns
            _check_new(rows, (*columns, *self._fields), first)
            fields = self._fields.items()
            return columns | {
                name: _typed_array(name, kind, [row.get(name) for row in rows], first) for name, kind in fields
            }
        _check_new(rows, self._kinds or columns, first)
        kinds = self._kinds.items()
        return columns | {
            name: column_array(name, kind, [row.get(name) for row in rows], first) for name, kind in kinds
        }


class Workbook(Table):
    """Encodes the rows of an XLSX sheet as JSON lists of cells, from which `sheet.write_sheet` makes the file."""

    def __init__(self, keep: str, own_id: bool) -> None:
        """Encode for XLSX, whose compression is its own."""
        super().__init__(keep, own_id, None, "")

    def head(self) -> bytes:
        """Return the row of names."""
        return orjson.dumps(self._columns, option=orjson.OPT_APPEND_NEWLINE)

    def encode(self, batch: Batch, results: "pa.RecordBatch", first: int) -> bytes:
        """Encode one batch as whole lines."""
        rows = self._rows(batch, results)
        check_size(first + len(rows), len(self._columns))
        _check_new(rows, self._columns, first)
        cells = sheet_cells(self._columns, rows, first)
        return b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in cells)


def open_encoder(kind: str, compression: str | None, keep: str, own_id: bool) -> Encoder:
    """Return the encoder of an output format."""
    if kind == "jsonl":
        return JsonLines(keep, own_id, compression)
    if kind == "parquet":
        return Parquet(keep, own_id)
    if kind == "xlsx":
        return Workbook(keep, own_id)
    return Table(keep, own_id, compression, "\t" if kind == "tsv" else ",")


def compress(data: B, compression: str | None) -> B | bytes:
    """Compress a piece of a file on its own: gzip members and zstd frames may follow one another."""
    if compression is None or not data:
        return data
    if compression == "gzip":
        return gzip.compress(data, 6, mtime=0)
    import pyarrow as pa

    packed: bytes = pa.Codec("zstd").compress(data, asbytes=True)
    return packed


def output_row(id: str, source: Mapping[str, Any], result: Mapping[str, Any], own_id: bool = True) -> dict[str, Any]:
    """Join a record's source columns and its result under the names every output shares.

    A source column that bears one of our names becomes `source_{name}`; its `id` is our `id`, unless another column
    was chosen for that (`own_id` False) or it holds something else.
    """
    row: dict[str, Any] = {"id": id}
    for name, value in source.items():
        if name != "id" or not own_id or not is_that_id(value, id):
            row[free_name(name, source)] = value
    return row | dict(result)


def free_name(name: str, source: Iterable[str], ours: Container[str] = OURS, key: Callable[[str], str] = str) -> str:
    """Return the name under which a source column goes out, beside the source's others.

    `key` is what two names are compared by: `str.casefold` where `ID` and `id` cannot stand side by side.
    """
    if key(name) not in ours:
        return name
    others = set(map(key, source))
    name = f"source_{name}"
    while key(name) in others:
        name = f"source_{name}"
    return name


def table_columns(table: "pa.RecordBatch", own_id: bool) -> dict[str, Any]:
    """Return a Parquet source's columns under the names they go out by."""
    names = table.schema.names
    return {
        free_name(name, names): column
        for name, column in zip(names, table.columns, strict=True)
        if name != "id" or not own_id or not _may_be_id(column.type)
    }


def _may_be_id(kind: "pa.DataType") -> bool:
    """Tell whether a Parquet column `id` holds ids; a struct or a list stands beside the id that another column has."""
    import pyarrow as pa

    is_text = _is_any(kind, "string", "large_string", "string_view", "binary", "large_binary", "binary_view")
    is_coded = pa.types.is_dictionary(kind) and _may_be_id(kind.value_type)
    return is_text or is_coded or _is_any(kind, "integer", "floating", "decimal", "fixed_size_binary", "null")


def _is_any(kind: "pa.DataType", *names: str) -> bool:
    import pyarrow as pa

    return any(getattr(pa.types, f"is_{name}")(kind) for name in names)


def _typed_array(name: str, kind: "pa.DataType", values: list[Any], first: int) -> "pa.Array":
    import pyarrow as pa

    try:
        return pa.array(values, kind)
    except (pa.ArrowException, UnicodeError, OverflowError, TypeError, ValueError):
        for number, value in enumerate(values, first):
            try:
                pa.array([value], kind)
            except (pa.ArrowException, UnicodeError, OverflowError, TypeError, ValueError):
                what = (
                    f"is a {type(value).__name__} that does not fit: by the first {BLOCK_ROWS:,} rows it holds {kind}"
                )
                raise unfit(number, name, what) from None
        raise


def join_columns(source: Mapping[str, Any], results: "pa.RecordBatch") -> "pa.RecordBatch":
    """Put the result's columns beside those of the source."""
    import pyarrow as pa

    columns = {**source, **dict(zip(results.schema.names, results.columns, strict=True))}
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def source_rows(batch: Batch) -> Iterable[Mapping[str, Any]]:
    """Yield the source's rows as Python values."""
    if batch.table is None:
        return map(orjson.loads, batch.lines)
    names = batch.table.schema.names
    return (dict(zip(names, row, strict=True)) for row in table_rows(batch.table))


def _check_new(rows: Iterable[Mapping[str, Any]], columns: Iterable[str], first: int) -> None:
    known = frozenset(columns)
    for number, row in enumerate(rows, first):
        if not row.keys() <= known:
            new = next(name for name in row if name not in known)
            raise _new_column(number, new)


def _new_column(number: int, name: str) -> DualuseError:
    return unfit(number, name, f"is new: the first {BLOCK_ROWS:,} rows do not have it")
