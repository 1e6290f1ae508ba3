"""Read JSON Lines, JSON, CSV, TSV, Parquet and the formats of `classifier.formats`, as records one by one.

What spoils one row gives a `Refusal` in its place and the rest goes on; what spoils the whole file is an `InputError`.
Every row comes out exactly once, so rows in = records + refusals. Memory stays flat, but for `.json` documents.
"""

import contextlib
import csv
import dataclasses
import io
import itertools
import json
import math
import re
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import orjson

from classifier.compression import (
    BY_CONTENT,
    FORMATS,
    SUFFIXES,
    check_text,
    compression_of,
    decompressed,
    format_of,
    put_back,
)
from classifier.errors import ChoiceError, InputError
from classifier.formats import READERS
from classifier.formats.many import Member, list_members, place_outcome, read_members
from classifier.formats.sniff import LOOK, tell
from classifier.formulas import release
from classifier.headers import LOOKED_AT, ChosenColumns, check_header, cut_line, find_separator
from classifier.parquetpieces import cut_batches, open_parquet
from classifier.records import (
    BY_ALIAS,
    UTF8_MEND,
    Columns,
    Record,
    Refusal,
    find_columns,
    find_flaw,
    flaw_mend,
    to_record,
)
from classifier.results import is_output

RowReader = Callable[[Any, str, Columns], Iterator[Any]]
"""Reads a decompressed stream (Parquet: a file, if there is one); told what to call the source, and its columns."""

_BOM = b"\xef\xbb\xbf"
_BLOCK = 1024 * 1024
_MAX_LINE = 64 * 1024 * 1024  # bytes of a JSON line
_MAX_MARKS = 1_000_000  # "{", "[" and "," of a long JSON line: three bytes become a list or object of 64 or more
_MAX_DOCUMENT = 512 * 1024 * 1024  # bytes of a JSON document, which is held in memory whole
_MAX_DOCUMENT_MARKS = 20_000_000
_MAX_ROW = 64 * 1024 * 1024  # characters of a CSV row; what a quote that is never closed may swallow at most
_CELL = 16  # characters that a cell counts for beside its own: what it takes in memory, empty or not
_MAX_HEADER = 1_000_000  # characters of the line of column names, which are written out again with every row
_BATCH_ROWS = 1_000
_ARRAY = re.compile(rb"\s*\[\s*[{\]]")  # of objects: a JSON document, though it be named as lines
_TOO_DEEP = "objects or lists are nested more than 254 deep."
_LESS_DEEP = "Leave the nested columns out."
_SEPARATOR_LINE = re.compile(r"\ufeff?sep=(.)[\r\n]*", re.IGNORECASE)  # which Excel writes, and reads, as a first line
_LIST_NAME = re.compile(
    "(result|record|data|document|item|award|grant|project|work|paper|article|publication|doc|hit)s?", re.IGNORECASE
)


def read(
    source: str | Path | BinaryIO, *, format: str | None = None, columns: Columns = BY_ALIAS
) -> Iterator[Record | Refusal]:
    """Yield a record or a refusal for every row of a file, of standard input ("-") or of a binary stream.

    A folder, a pattern such as "dump/*.xml.gz" or a ZIP archive is read file by file in the order of names. The format
    comes from `format`, else from the file's suffix, else (streams, .txt, unknown suffixes) from how the text begins.
    A missing file and an unknown format are told at the call, the rest while reading.

    Raises ChoiceError where the format or a column named in `columns` is not there, InputError where the source as a
    whole cannot be used: missing, empty, damaged or cut short (after the rows before the damage), UTF-16, or without a
    title or abstract column.
    """
    return open_rows(source, format, columns, {})


def open_rows(
    source: str | Path | BinaryIO,
    format: str | None,
    columns: Columns,
    own: Mapping[str, "RowReader"],
    on_open: Callable[[BinaryIO], None] = lambda stream: None,
    place: Callable[[Any, str], Any] = place_outcome,
) -> Iterator[Any]:
    """Do what `read` does, with the caller's `own` readers for some formats; they may yield what they like.

    `on_open` is handed each file that is read, to see how far reading has come. Of many files, `place` gives what was
    read the name of its file.
    """
    if format is not None and format not in FORMATS:
        raise ChoiceError(f"Format {format!r} is not known. Choose one of: {', '.join(FORMATS)}.")
    if isinstance(source, (str, Path)) and str(source) != "-":
        path = Path(source)
        members = list_members(path, format)
        if members is not None:

            def read_one(file: Path | IO[bytes], member: Member) -> Iterator[Any]:
                named = format_of(Path(member.name))
                return _read(cast(Path | BinaryIO, file), member.subject, format, columns, own, on_open, named)

            return read_members(members, read_one, place)
        if not path.exists():
            raise InputError(f"{path} does not exist. Check its name and folder.")
        return _read(path, str(path), format, columns, own, on_open, format_of(path))
    if isinstance(source, (str, Path)):
        return _read(sys.stdin.buffer, "standard input", format, columns, own, on_open)
    return _read(source, "the stream", format, columns, own, on_open)


def _read(
    source: Path | BinaryIO,
    subject: str,
    format: str | None,
    columns: Columns,
    own: Mapping[str, "RowReader"],
    on_open: Callable[[BinaryIO], None],
    named: str | None = None,
) -> Iterator[Any]:
    found = None
    try:
        if isinstance(source, Path):
            with source.open("rb") as stream, decompressed(stream, compression_of(source), subject) as opened:
                found = opened[2]
                on_open(stream)
                whole = source if found is None and source.is_file() else None
                yield from _parse(*opened[:2], whole, subject, format, named, columns, own)
        else:
            with decompressed(source, None, subject) as opened:
                found = opened[2]
                yield from _parse(*opened[:2], None, subject, format, named, columns, own)
    except (EOFError, zlib.error, OSError) as error:
        # Only real trouble with the disk carries an errno; all else is about what the compressed bytes say.
        if isinstance(error, OSError) and error.errno is not None:
            raise InputError(f"{subject} cannot be read: {error.strerror}. Check its access rights.") from error
        how = "truncated" if isinstance(error, EOFError) or "runcated" in str(error) else "damaged"
        raise InputError(
            f"{subject} is {how}: its {found or 'compressed'} data break off or do not unpack. The rows before that "
            "place were read, those after it are lost; fetch or compress the file again."
        ) from error


def _parse(
    head: bytes,
    stream: io.BufferedReader,
    file: Path | None,
    subject: str,
    format: str | None,
    named: str | None,
    columns: Columns,
    own: Mapping[str, "RowReader"],
) -> Iterator[Any]:
    if head in (b"", _BOM):
        raise InputError(f"{subject} is empty. Check how it was made.")
    kind = format or named
    if kind in (None, BY_CONTENT) and head.startswith(b"PAR1"):
        kind = "parquet"
    if kind == "parquet":
        return own.get(kind, _read_parquet)(file or stream, subject, columns)
    if kind == "xlsx":
        return _read_rows(kind, stream, subject, columns)
    check_text(head, subject)
    if head.startswith(_BOM):
        stream.read(len(_BOM))
        head = head[len(_BOM) :]
    if kind in (None, BY_CONTENT) and head.lstrip()[:1] in (b"{", b"["):
        kind = "json"
    if format is None and kind == "jsonl" and _ARRAY.match(head):
        kind = "json"
    if kind in (None, BY_CONTENT):
        taken = stream.read(LOOK)
        kind, stream = tell(taken), put_back(taken, stream)
    if kind is None:
        raise InputError(
            f"The format of {subject} cannot be told, neither by its suffix nor by how it begins. Say --format "
            f"({', '.join(FORMATS)}); known suffixes: {SUFFIXES}."
        )
    if kind == "json" and format is None:
        lines, stream = _holds_lines(stream)
        kind = "jsonl" if lines else "json"
    if kind == "jsonl":
        return own.get(kind, _read_lines)(stream, subject, columns)
    if kind == "json":
        return _read_document(_read_whole(stream, subject), subject, columns)
    if kind in READERS:
        return _read_rows(kind, stream, subject, columns)
    return _read_table(stream, subject, "\t" if kind == "tsv" else None, columns)


def _holds_lines(stream: io.BufferedReader) -> tuple[bool, io.BufferedReader]:
    """Tell JSON Lines named .json, as the arXiv snapshot is: the first line is an object, and there are more."""
    head = io.BytesIO()
    first = b""
    found = False
    while head.tell() < _MAX_LINE and (line := stream.readline(_MAX_LINE)):
        head.write(line)
        if first and line.strip():
            found = _is_object(first)
            break
        first = first or line.strip()
    return found, put_back(head.getvalue(), stream)


def _is_object(line: bytes) -> bool:
    if not line.startswith(b"{"):
        return False
    if _count_marks(line) > _MAX_MARKS:  # will be refused, but is not the first of several lines of one object
        return line.endswith(b"}")
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True


def _read_lines(stream: io.BufferedReader, subject: str, columns: Columns) -> Iterator[Record | Refusal]:
    chosen = ChosenColumns(columns)
    for place, line in numbered_lines(stream):
        if line is None:
            yield refuse_long_line(place)
            continue
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            yield refuse_line(line, place, columns, error)
        else:
            yield judge_value(value, place, columns, chosen)
    chosen.check(subject)


def numbered_lines(stream: io.BufferedReader) -> Iterator[tuple[int, bytes | None]]:
    """Yield the lines that are not blank, with their numbers; None for one that is too long to be held."""
    for first, lines in line_blocks(stream):
        for place, line in enumerate(lines, first):
            if line is None or (line and not line.isspace()):
                yield place, line


def line_blocks(stream: io.BufferedReader) -> Iterator[tuple[int, Sequence[bytes | None]]]:
    """Yield runs of lines without their line feeds, with the number of the first; None for one too long to be held.

    A line longer than `_MAX_LINE` is passed over piece by piece, so it takes no more memory than that. Of a line that
    comes in several pieces the values are counted too: parsed, a line of brackets takes twenty times its bytes.
    """
    place = 1
    rest: list[bytes] = []  # pieces of a line whose end is still to come
    held = 0
    while block := stream.read1(_BLOCK):
        lines: list[bytes | None] = [*block.split(b"\n")]
        end = lines.pop() or b""
        if lines:
            if held:
                lines[0] = _join_line([*rest, lines[0] or b""], held + len(lines[0] or b""))
            yield place, lines
            place += len(lines)
            rest, held = [], 0
        held += len(end)
        if held >= _MAX_LINE:
            rest = []
        elif end:
            rest.append(end)
    if held:
        yield place, [_join_line(rest, held)]


def _join_line(pieces: list[bytes], size: int) -> bytes | None:
    if size >= _MAX_LINE or (len(pieces) > 1 and sum(map(_count_marks, pieces)) > _MAX_MARKS):
        return None
    return b"".join(pieces)


def _count_marks(data: bytes) -> int:
    return data.count(b"{") + data.count(b"[") + data.count(b",")


def refuse_long_line(place: int) -> Refusal:
    """Refuse a line of which `numbered_lines` gave None."""
    reason = f"a line of more than {_MAX_LINE:,} bytes, or of more than {_MAX_MARKS:,} values."
    return Refusal(place, None, reason, "Put one record on a line; for an array say --format json.")


def refuse_line(line: bytes, place: int, columns: Columns, error: orjson.JSONDecodeError) -> Refusal:
    """Refuse a line that is not JSON, naming the column if it is one that spoils it."""
    try:
        value = _parse_tolerantly(line)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict) and (refusal := _refuse_flawed(value, place, columns)):
        return refusal
    try:
        line.decode()
    except UnicodeDecodeError as undecodable:
        reason = f"not valid UTF-8 at byte offset {undecodable.start} of the line."
        return Refusal(place, None, reason, UTF8_MEND)
    if "depth limit" in error.msg:
        return Refusal(place, None, _TOO_DEEP, _LESS_DEEP)
    mend = "Write every record as one JSON object on one line."
    if "infinity" in error.msg:
        mend = "Write a number that is so long as a text, in quotes."
    reason = f"not valid JSON at byte offset {len(error.doc[: error.pos].encode())} of the line: {error.msg}."
    return Refusal(place, None, reason, mend)


def _parse_tolerantly(data: bytes) -> Any:
    """Parse JSON that orjson refused, with bad bytes and NaN kept in place, to name the rows that hold them."""
    return json.loads(data.decode("utf-8", "surrogateescape"))


def judge_value(value: Any, place: int, columns: Columns, chosen: ChosenColumns) -> Record | Refusal:
    """Make a record of one parsed JSON value, or refuse it."""
    if not isinstance(value, dict):
        reason = f"is {'a list' if isinstance(value, list) else 'a bare value'}, not an object."
        mend = 'Write every record as {"title": ..., "abstract": ...}; for an array say --format json.'
        return Refusal(place, None, reason, mend)
    chosen.see(value)
    try:
        # orjson reads 1,024 levels but writes 254: what could not be written back at the end is refused now.
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return Refusal(place, None, _TOO_DEEP, _LESS_DEEP)
    return to_record(value, place, columns)


def _refuse_flawed(row: Mapping[str, Any], place: int, columns: Columns) -> Refusal | None:
    """Return a refusal for a tolerantly parsed row that holds bad bytes, NaN or infinity."""
    with contextlib.suppress(RecursionError):  # nested too deep to be searched: refused for that
        for name, value in row.items():
            if flaw := find_flaw(name) or _find_deep_flaw(value):
                field = None if find_flaw(name) else name
                mend = "Write null where there is no number." if "number" in flaw else flaw_mend(flaw)
                return Refusal(place, field, flaw, mend, to_record(row, place, columns).id)
    return None


def _find_deep_flaw(value: Any) -> str | None:
    if isinstance(value, str):
        return find_flaw(value)
    if isinstance(value, float) and not math.isfinite(value):
        return f"holds the number {value}, which JSON does not have."
    parts: Iterable[Any] = ()
    if isinstance(value, dict):
        parts = itertools.chain(value, value.values())
    elif isinstance(value, list):
        parts = value
    return next(filter(None, map(_find_deep_flaw, parts)), None)


def _read_whole(stream: io.BufferedReader, subject: str) -> bytes:
    whole = io.BytesIO()
    marks = 0
    while piece := stream.read(_BLOCK):
        whole.write(piece)
        marks += _count_marks(piece)
        if whole.tell() > _MAX_DOCUMENT or marks > _MAX_DOCUMENT_MARKS:
            raise InputError(
                f"{subject} is a JSON document of more than {_MAX_DOCUMENT:,} bytes or {_MAX_DOCUMENT_MARKS:,} values, "
                "which would have to be held in memory whole. Write its records as JSON lines (jq -c '.[]' IN > "
                "OUT.jsonl), or split it."
            )
    return whole.getvalue()


def _read_document(data: bytes, subject: str, columns: Columns) -> Iterator[Record | Refusal]:
    tolerant = False
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        try:
            value = _parse_tolerantly(data)
            tolerant = True
        except (ValueError, RecursionError):
            raise InputError(
                f"{subject} is not valid JSON: {error.msg} (line {error.lineno}, column {error.colno}). Check that "
                "it is complete; if it holds one object on every line, say --format jsonl."
            ) from None
    chosen = ChosenColumns(columns)
    for place, row in enumerate(_find_rows(value, subject), 1):
        refusal = _refuse_flawed(row, place, columns) if tolerant and isinstance(row, dict) else None
        yield refusal or judge_value(row, place, columns, chosen)
    chosen.check(subject)


def _find_rows(value: Any, subject: str) -> list[Any]:
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        inside = [part for part in value.values() if isinstance(part, dict)]
        if _has_texts(value) and not any(_has_texts(row) for _, rows in _lists_in(value) for row in rows):
            return [value]  # one work on its own, whose lists (its grants, say) are no records
        # Many services wrap the list once more: message.items, resultList.result, hits.hits.
        for holders in ([value], inside):
            lists = [found for holder in holders for found in _lists_in(holder)]
            filled = [found for found in lists if found[1]] or lists
            if len(filled) > 1:
                names = ", ".join(name for name, _ in filled)
                raise InputError(f"{subject} holds several lists of records: {names}. Save one on its own.")
            if filled:
                return filled[0][1]
        found = find_columns(tuple(value))
        if found["title"] or found["abstract"]:
            return [value]
        alone = [part for part in inside if _has_texts(part)]  # Crossref's answer about one work
        if len(alone) == 1:
            return alone
    raise InputError(
        f"{subject} holds no records. Give an array of objects, an object with one such list under a name like "
        "results or items, or an object with a title or an abstract."
    )


def _has_texts(row: Any) -> bool:
    if not isinstance(row, dict):
        return False
    found = find_columns(tuple(row))
    return any(isinstance(row[name], (str, list, dict)) for name in found["title"] + found["abstract"])


def _lists_in(holder: dict[str, Any]) -> list[tuple[str, list[Any]]]:
    return [
        (name, value)
        for name, value in holder.items()
        if _LIST_NAME.fullmatch(name)
        and isinstance(value, list)
        and (not value or any(isinstance(row, dict) for row in value))
    ]


def _read_rows(kind: str, stream: io.BufferedReader, subject: str, columns: Columns) -> Iterator[Record | Refusal]:
    """Judge the rows of a format of `classifier.formats`."""
    reader = READERS[kind]
    chosen = ChosenColumns(columns)
    checked = kind != "xlsx"  # a sheet is a table: without columns for the texts it is refused as a whole
    entries = iter(reader.read(stream, subject))
    for entry in entries:
        if isinstance(entry, Refusal):
            yield entry
            continue
        place, row = entry
        if not checked:
            below = _cells(itertools.chain([entry], itertools.islice(entries, LOOKED_AT)))
            check_header(tuple(row), columns, f"The first sheet of {subject}, the one that is read,", below)
            checked = True
        chosen.see(row)
        outcome = to_record(row, place, columns, reader.fields)
        flawed = _refuse_flawed(row, place, columns)
        yield dataclasses.replace(flawed, id=outcome.id) if flawed else outcome
    chosen.check(subject)


class _LongRowError(Exception):
    pass


class _RowLines:
    """Lines of a table, of which a row may take so many characters; `number` is how many were read.

    What is too long raises _LongRowError once its line is passed over; reading goes on with the next.
    """

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._room = 0
        self.number = 0
        self.separator = ","

    def limit(self, characters: int) -> None:
        """Begin a row of at most so many characters."""
        self._room = characters

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        room = self._room
        line = self._text.readline(room + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self._room = room - len(line) - _CELL * line.count(self.separator)
        if self._room < 0:
            while line and line[-1] not in "\r\n":
                line = self._text.readline(_BLOCK)
            raise _LongRowError
        return line


def _cells(entries: Iterable[Any]) -> Iterator[tuple[int, list[str]]]:
    for place, row in entries:
        yield place, [str(value).strip() for value in row.values() if value is not None]


def _read_table(
    stream: io.BufferedReader, subject: str, delimiter: str | None, columns: Columns
) -> Iterator[Record | Refusal]:
    csv.field_size_limit(max(csv.field_size_limit(), _MAX_ROW))
    # Bad bytes come through as lone surrogates, so that only the rows that hold them are refused.
    lines = _RowLines(io.TextIOWrapper(stream, encoding="utf-8", errors="surrogateescape", newline=""))
    try:
        first = _filled_line(lines)
        if separator := _SEPARATOR_LINE.fullmatch(first):
            delimiter, first = separator[1], _filled_line(lines)
        if delimiter is None or (delimiter not in first and len(cut_line(first)) > 1):  # or commas in a file named .tsv
            delimiter = find_separator(first)
        lines.separator = delimiter
        # Strict: else a stray quote would glue rows together without a word.
        rows = csv.reader(itertools.chain([first], lines), delimiter=delimiter, strict=True)
        header = next(rows)
    except csv.Error as error:
        raise InputError(f"{subject} has no readable column names in its first line: {error}.") from None
    except _LongRowError:
        raise InputError(
            f"{subject} has more than {_MAX_HEADER:,} characters where its column names should stand. Check that its "
            "lines end, and that the first holds the names of columns."
        ) from None
    if not header:
        raise InputError(f"{subject} has blank lines only. The first line must hold the column names.")
    if any(map(find_flaw, header)):
        raise InputError(f"{subject} has column names that are not valid UTF-8. {UTF8_MEND}")
    check_header(header, columns, subject, _cells_below(lines))
    ours = is_output(header)
    header = [release(name) for name in header] if ours else header
    while True:
        place = lines.number + 1
        lines.limit(_MAX_ROW)
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            reason = f"quotes are not closed as they should be{_span(place, lines.number)}: {error}."
            yield Refusal(place, None, reason, 'Close every quote; inside a quoted cell write " as "".')
            continue
        except _LongRowError:
            span = _span(place, lines.number)
            reason = f"a row of more than {_MAX_ROW:,} characters{span}, counting {_CELL} more for every cell."
            yield Refusal(place, None, reason, "Check that its line ends and its quotes are closed.")
            continue
        if len(cells) == len(header):
            values = map(release, cells) if ours else cells
            yield _judge_cells(dict(zip(header, values, strict=True)), place, columns)
        elif cells:  # else a blank line
            reason = f"{len(cells)} cells{_span(place, lines.number)}, where the header has {len(header)}."
            yield Refusal(place, None, reason, "Quote cells that hold the separator or a line end.")


def _filled_line(lines: _RowLines) -> str:
    """Return the next line that is not blank, or an empty string at the end."""
    lines.limit(_MAX_HEADER)
    while (line := next(lines, "")) and not line.strip():
        lines.limit(_MAX_HEADER)
    return line


def _cells_below(lines: _RowLines) -> Iterator[tuple[int, list[str]]]:
    """Yield numbers and cells of the next few lines, for telling where the column names stand instead."""
    for _ in range(LOOKED_AT):
        lines.limit(_MAX_HEADER)
        with contextlib.suppress(_LongRowError):
            if not (line := next(lines, "")):
                return
            yield lines.number, cut_line(line)


def _span(first: int, last: int) -> str:
    return f" from line {first} to line {last}" if last > first else ""


def _judge_cells(row: dict[str, Any], place: int, columns: Columns) -> Record | Refusal:
    outcome = to_record(row, place, columns)
    for name, cell in row.items():
        if isinstance(cell, str) and not cell.isascii() and (flaw := find_flaw(cell)):
            return Refusal(place, name, flaw, flaw_mend(flaw), outcome.id)
    return outcome


def _read_parquet(source: Path | BinaryIO, subject: str, columns: Columns) -> Iterator[Record | Refusal]:
    place = 1
    for batch in parquet_batches(source, subject, columns, _BATCH_ROWS):
        yield from judge_table(batch, place, columns)
        place += batch.num_rows


def parquet_batches(source: Path | BinaryIO, subject: str, columns: Columns, rows: int) -> Iterator[Any]:
    """Yield a Parquet file's record batches, of fewer rows than asked for where they would be large once decoded.

    Raises InputError as `read` does.
    """
    import pyarrow as pa

    with contextlib.ExitStack() as stack:
        if not isinstance(source, Path):
            # Parquet is read from its end, so a stream goes to disk first.
            spool = stack.enter_context(tempfile.TemporaryFile())
            shutil.copyfileobj(source, spool)
            source = spool
        try:
            file = stack.enter_context(open_parquet(source))
            check_header(file.schema_arrow.names, columns, subject)
            yield from cut_batches(source, file, rows)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise damaged_parquet(subject, error) from error


def damaged_parquet(subject: str, error: Exception) -> InputError:
    """Say that a file is not the Parquet it should be."""
    return InputError(
        f"{subject} cannot be read as Parquet: it is damaged, cut short or not Parquet ({error}). "
        "Fetch or write it again."
    )


def judge_table(batch: Any, place: int, columns: Columns) -> Iterator[Record | Refusal]:
    """Make a record or a refusal of every row of a record batch, whose first row has the number `place`."""
    names = batch.schema.names
    for number, row in enumerate(table_rows(batch), place):
        yield _judge_cells(dict(zip(names, row, strict=True)), number, columns)


def table_rows(batch: Any) -> Iterator[tuple[Any, ...]]:
    """Yield a record batch's rows as Python values."""
    return zip(*map(_to_values, batch.columns), strict=True)


def _to_values(column: Any) -> list[Any]:
    """Turn a column into Python values: bad bytes stay in place, times that Python cannot hold become text."""
    import pyarrow as pa

    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        # Else the type of the values would depend on whether pandas is installed.
        try:
            column = column.cast(pa.timestamp("us", column.type.tz))
        except pa.ArrowInvalid:
            column = column.cast(pa.string())
    try:
        return cast(list[Any], column.to_pylist())
    except UnicodeDecodeError:
        raw = column.cast(pa.binary()).to_pylist()
        return [cell if cell is None else cell.decode("utf-8", "surrogateescape") for cell in raw]
    except (ValueError, OverflowError):
        return cast(list[Any], column.cast(pa.string()).to_pylist())
