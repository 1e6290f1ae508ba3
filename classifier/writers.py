"""Write result rows as JSON Lines, CSV, TSV, Parquet or XLSX, plain or compressed, whole or not at all.

A file is written under a temporary name beside its target, which it replaces only when all is on disk. The same rows
give the same bytes, however they are cut into batches. CSV and Parquet need to know their columns at the top of the
file (XLSX too), so these settle them over the first 5,000 rows and raise an error for a later row that does not fit.
"""

import base64
import csv
import errno
import io
import math
import os
import secrets
import shutil
import stat
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from types import NoneType
from typing import Any, BinaryIO, Protocol

import orjson

from classifier.compression import compressing, compression_of, format_of, lend
from classifier.errors import DualuseError, UseError
from classifier.formulas import guard
from classifier.results import TAGS
from classifier.sheet import Cell, Sheet

Row = dict[str, Any]

OUTPUT_FORMATS = ("jsonl", "csv", "tsv", "parquet", "xlsx")
BLOCK_ROWS = 5_000
_PROBABILITIES = tuple(f"{tag}_probability" for tag in TAGS)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# How our own lists read in a table cell; every other list is written as JSON.
_SEPARATORS = {"tags": " ", "notes": "; "}


class Writer(Protocol):
    """Takes rows, a batch at a time."""

    def write(self, rows: list[Row]) -> None:
        """Write rows in their order.

        Raises DualuseError naming row and column where a value cannot be written.
        """


def output_format(target: str | Path, format: str | None = None) -> str:
    """Return the format of an output: as said, else by its suffix; JSON Lines on standard output.

    Raises UseError where it is not one that is written.
    """
    kind = format or ("jsonl" if str(target) == "-" else format_of(Path(target)))
    if kind is None or kind not in OUTPUT_FORMATS:
        seen = f"Format {format!r}" if format else f"The suffix of {target}"
        raise UseError(f"{seen} is not one that is written. Choose one of: {', '.join(OUTPUT_FORMATS)}.")
    return kind


@contextmanager
def open_writer(target: str | Path, format: str | None = None) -> Iterator[Writer]:
    """Open a file, or standard output ("-"), for result rows; the file appears when the block ends without an error.

    The format comes from `format`, else from the suffix; standard output takes JSON Lines if nothing is said. A `.gz`
    or `.zst` behind compresses. Devices and pipes are written to directly.

    Raises DualuseError where the format is not known, the place cannot be written to or the disk is full.
    """
    path = None if str(target) == "-" else Path(target)
    kind = output_format(target, format)
    compression = compression_of(path) if path else None
    with open_sink(path, spool=kind in ("parquet", "xlsx")) as sink, compressing(sink, compression) as stream:
        writer: _JsonLines | _Table | _Parquet | _Xlsx
        if kind == "jsonl":
            writer = _JsonLines(stream)
        elif kind == "parquet":
            writer = _Parquet(stream)
        elif kind == "xlsx":
            writer = _Xlsx(stream)
        else:
            writer = _Table(stream, "\t" if kind == "tsv" else ",")
        try:
            yield writer
            writer.finish()
        finally:
            writer.close()


class DiskFile(io.FileIO):
    """A file whose errors name the target and the mend, not the temporary name."""

    def __init__(self, path: Path, mode: str, target: Path, kept: Path | None = None) -> None:
        """Open a file on the way to `target`; `kept` is where finished work stays when the disk is full."""
        self._target, self._kept = target, kept
        try:
            super().__init__(path, mode)
        except OSError as error:
            raise cannot_write(target, error, kept) from error

    def write(self, data: Any) -> int:
        """Write bytes, or raise DualuseError."""
        try:
            return super().write(data)
        except OSError as error:
            raise cannot_write(self._target, error, self._kept) from error


def cannot_write(target: Path, error: OSError, kept: Path | None = None) -> DualuseError:
    """Say why a file cannot be written, and what to do; `kept` is where finished work stays."""
    mend = "Check its folder, rights and room, or choose another."
    if error.errno in _FULL:
        again = f"run the same command again: it goes on from what is kept in {kept}" if kept else "try again"
        mend = f"Make room on its disk and {again}."
    return DualuseError(f"{target} cannot be written: {error.strerror}. {mend}")


@contextmanager
def open_sink(path: Path | None, spool: bool) -> Iterator[BinaryIO]:
    """Open what is written to; `spool` keeps the bytes back from a pipe until they are complete."""
    direct: AbstractContextManager[BinaryIO]
    if path is None:
        direct = nullcontext(sys.stdout.buffer)
    elif path.exists() and not path.is_file() and not path.is_dir():
        # A device or pipe: renaming a file over /dev/null would put the file in its place.
        direct = io.BufferedWriter(DiskFile(path, "wb", path))
    else:
        with replacing(path.resolve()) as sink:  # resolved, so that a link goes on to point at the file
            yield sink
        return
    with direct as stream:
        if spool:
            with tempfile.TemporaryFile() as file:
                yield file
                file.seek(0)
                shutil.copyfileobj(file, stream)
        else:
            yield stream
        stream.flush()


@contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `target` once it is complete and on disk."""
    if target.is_dir():
        raise DualuseError(f"{target} is a folder. Name a file in it.")
    temporary = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with io.BufferedWriter(DiskFile(temporary, "xb", target)) as sink:
            yield sink
            sink.flush()
            os.fsync(sink.fileno())
        if target.exists():
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))  # who could not read the old file cannot read the new
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Bring a folder's names to disk: else a new name can be lost with the power."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class _JsonLines:
    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._written = 0

    def write(self, rows: list[Row]) -> None:
        lines = []
        for number, row in enumerate(rows, self._written + 1):
            _check_probabilities(row, number)
            try:
                lines.append(orjson.dumps(row, default=as_plain, option=orjson.OPT_APPEND_NEWLINE))
            except orjson.JSONEncodeError as error:
                raise unfit(number, _name_unwritable(row), str(error), "Leave the column out.") from None
        self._stream.write(b"".join(lines))
        self._written += len(rows)

    def finish(self) -> None:
        pass

    def close(self) -> None:
        pass


class _Blocks(ABC):
    """Cuts rows into blocks of 5,000, whatever the batches: the first settles the columns of the file."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._waiting: list[Row] = []
        self._columns: list[str] | None = None
        self._written = 0

    def write(self, rows: list[Row]) -> None:
        self._waiting.extend(rows)
        while len(self._waiting) >= BLOCK_ROWS:
            self._put_block(self._waiting[:BLOCK_ROWS])
            del self._waiting[:BLOCK_ROWS]

    def finish(self) -> None:
        if self._waiting or self._columns is None:
            self._put_block(self._waiting)

    def _put_block(self, rows: list[Row]) -> None:
        if self._columns is None:
            self._columns = list(dict.fromkeys(name for row in rows for name in row))
            self._begin(self._columns, rows)
        known = frozenset(self._columns)
        for number, row in enumerate(rows, self._written + 1):
            _check_probabilities(row, number)
            if not row.keys() <= known:
                new = next(name for name in row if name not in known)
                raise unfit(number, new, f"is new: the first {BLOCK_ROWS:,} rows do not have it")
        self._put(self._columns, rows)
        self._written += len(rows)

    @abstractmethod
    def _begin(self, columns: list[str], rows: list[Row]) -> None: ...

    @abstractmethod
    def _put(self, columns: list[str], rows: list[Row]) -> None: ...

    @abstractmethod
    def close(self) -> None: ...


class _Table(_Blocks):
    def __init__(self, stream: BinaryIO, delimiter: str) -> None:
        super().__init__(stream)
        self._delimiter = delimiter

    def _begin(self, columns: list[str], rows: list[Row]) -> None:
        if columns:
            self._stream.write(table_header(columns, self._delimiter))

    def _put(self, columns: list[str], rows: list[Row]) -> None:
        self._stream.write(table_lines(columns, rows, self._written + 1, self._delimiter))

    def close(self) -> None:
        pass


class _Lines(list[bytes]):
    """Takes lines from a csv.writer that ends them with CR LF, so that it quotes both, and ends them with LF."""

    def write(self, line: str) -> None:
        self.append(line[:-2].encode() + b"\n")


def table_header(columns: Iterable[str], delimiter: str) -> bytes:
    """Return the header line of a CSV or TSV file."""
    lines = _Lines()
    csv.writer(lines, delimiter=delimiter, lineterminator="\r\n").writerow([guard(name) for name in columns])
    return b"".join(lines)


def table_lines(columns: Sequence[str], rows: Sequence[Row], first: int, delimiter: str) -> bytes:
    """Return rows as the lines of a CSV or TSV file; `first` is the number of the first, for messages.

    Raises DualuseError naming row and column where a value cannot be written.
    """
    lines = _Lines()
    writer = csv.writer(lines, delimiter=delimiter, lineterminator="\r\n")
    for number, row in enumerate(rows, first):
        cells = []
        for name in columns:
            try:
                cells.append(_as_cell(name, row.get(name)))
            except (TypeError, UnicodeEncodeError) as error:
                raise unfit(number, name, f"cannot be written as text ({type(error).__name__})") from None
        writer.writerow(cells)
    return b"".join(lines)


def _as_cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float, Decimal)):
        return str(value)
    return guard(_as_text(name, value))


def _as_text(name: str, value: Any) -> str:
    if name in _SEPARATORS and isinstance(value, list) and all(isinstance(part, str) for part in value):
        value = _SEPARATORS[name].join(value)
    if isinstance(value, (list, tuple, dict)):
        return _as_json(value)
    text = value if isinstance(value, str) else as_plain(value)
    text.encode()
    return text


class _Xlsx(_Blocks):
    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)
        self._sheet = Sheet(stream)

    def _begin(self, columns: list[str], rows: list[Row]) -> None:
        self._sheet.add_row(columns)

    def _put(self, columns: list[str], rows: list[Row]) -> None:
        for cells in sheet_cells(columns, rows, self._written + 1):
            self._sheet.add_row(cells)

    def finish(self) -> None:
        super().finish()
        self._sheet.finish()

    def close(self) -> None:
        self._sheet.close()


def sheet_cells(columns: Sequence[str], rows: Sequence[Row], first: int) -> Iterator[list[Cell]]:
    """Yield rows as the cells of a sheet; `first` is the number of the first, for messages.

    Raises DualuseError naming row and column where a value cannot be written.
    """
    for number, row in enumerate(rows, first):
        cells: list[Cell] = []
        for name in columns:
            value = row.get(name)
            plain = value is None or isinstance(value, (bool, int, float))
            try:
                cells.append(value if plain else _as_text(name, value))
            except (TypeError, UnicodeEncodeError) as error:
                raise unfit(number, name, f"cannot be written as text ({type(error).__name__})") from None
        yield cells


@dataclass(frozen=True, slots=True)
class Column:
    """What a Parquet column holds."""

    type: Any  # pyarrow.DataType
    takes: frozenset[type] | None  # Python types; None: anything, written as JSON


class _Parquet(_Blocks):
    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)
        self._kinds: dict[str, Column] = {}
        self._file: Any = None

    def _begin(self, columns: list[str], rows: list[Row]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._kinds = {name: settle_column(name, [row.get(name) for row in rows]) for name in columns}
        self._file = pq.ParquetWriter(
            pa.PythonFile(lend(self._stream), mode="w"),
            pa.schema([(name, kind.type) for name, kind in self._kinds.items()]),
            compression="zstd",
            write_page_checksum=True,  # a flipped bit would read as good data otherwise
        )

    def _put(self, columns: list[str], rows: list[Row]) -> None:
        import pyarrow as pa

        first = self._written + 1
        arrays = [column_array(name, self._kinds[name], [row.get(name) for row in rows], first) for name in columns]
        self._file.write_table(pa.Table.from_arrays(arrays, schema=self._file.schema))

    def close(self) -> None:
        if self._file is not None:
            # After an error this ends the file so that it looks whole: only the sink keeps it from being taken for one.
            self._file.close()


def column_array(name: str, column: Column, values: Sequence[Any], first: int) -> Any:
    """Return values as an Arrow array of a settled column; `first` is the number of the first row, for messages.

    Raises DualuseError naming row and column where a value does not fit.
    """
    import pyarrow as pa

    if column.takes is None:
        values = [None if value is None else _as_json_cell(name, first + i, value) for i, value in enumerate(values)]
    elif not set(map(type, values)) <= column.takes | {NoneType}:
        place = next(place for place, value in enumerate(values) if type(value) not in column.takes | {NoneType})
        raise _misfit(name, column, first + place, values[place])
    try:
        return pa.array(values, type=column.type)
    except (pa.ArrowException, UnicodeError, OverflowError):
        for place, value in enumerate(values):
            try:
                pa.array([value], type=column.type)
            except (pa.ArrowException, UnicodeError, OverflowError):
                raise _misfit(name, column, first + place, value) from None
        raise


def _misfit(name: str, column: Column, number: int, value: Any) -> DualuseError:
    held = "JSON" if column.takes is None else column.type
    what = f"is a {type(value).__name__} that does not fit: by the first {BLOCK_ROWS:,} rows it holds {held}"
    return unfit(number, name, what)


def _as_json_cell(name: str, number: int, value: Any) -> str:
    try:
        return _as_json(value)
    except orjson.JSONEncodeError:
        raise _misfit(name, Column(None, None), number, value) from None


def settle_column(name: str, values: list[Any]) -> Column:
    """Choose a column's type by its first values; what has no one simple type is written as JSON."""
    import pyarrow as pa

    kinds = set(map(type, values)) - {NoneType}
    if not kinds or kinds == {str}:
        return Column(pa.string(), frozenset({str}))
    if kinds == {bool}:
        return Column(pa.bool_(), frozenset({bool}))
    if kinds == {list} and name in _SEPARATORS:
        parts = (part for value in values if value is not None for part in value)
        if all(isinstance(part, str) for part in parts):
            return Column(pa.list_(pa.string()), frozenset({list}))
    if kinds <= {int, float}:
        whole = [value for value in values if type(value) is int]
        if float not in kinds and all(-(2**63) <= value < 2**63 for value in whole):
            return Column(pa.int64(), frozenset({int}))
        if float in kinds and all(abs(value) <= 2**53 for value in whole):
            return Column(pa.float64(), frozenset({int, float}))
    if len(kinds) == 1 and kinds <= {bytes, date, datetime, time, timedelta}:
        return Column(pa.infer_type(values), frozenset(kinds))
    return Column(pa.string(), None)


def _as_json(value: Any) -> str:
    return orjson.dumps(value, default=as_plain).decode()


def as_plain(value: Any) -> str:
    """Write what JSON and CSV have no form for: kinds of values that only Parquet brings in."""
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, (Decimal, timedelta)):
        return str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"no text form for {type(value).__name__}")


def _check_probabilities(row: Row, number: int) -> None:
    for name in _PROBABILITIES:
        value = row.get(name)
        # JSON would turn it into null and CSV into a word; a source's own NaN may, ours means that something broke.
        if isinstance(value, float) and not math.isfinite(value):
            raise unfit(number, name, f"is {value}, not a number from 0 to 1", "Please report this.")


def _name_unwritable(row: Row) -> str:
    for name, value in row.items():
        try:
            orjson.dumps({name: value}, default=as_plain)
        except orjson.JSONEncodeError:
            return name if name.isprintable() else ascii(name)
    return ""


def unfit(number: int, column: str, what: str, mend: str = "Use JSONL output, which takes any row.") -> DualuseError:
    """Name the row and the column that cannot be written."""
    return DualuseError(f"Output row {number}, column {column!r}: {what}. {mend}")
