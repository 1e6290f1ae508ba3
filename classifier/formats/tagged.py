"""Cut files of tagged lines (RIS, Web of Science, MEDLINE) into records, a line at a time.

What these dialects share is a tag, a value, and lines that go on with the value; a `Dialect` says the rest. A tag
given several times is one text of several lines, unless the dialect lists it in `many`: so a field is of one type in
every record of a file, whichever tool wrote it.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from classifier.errors import InputError
from classifier.records import Refusal

_MAX_RECORD = 16 * 1024 * 1024  # characters of a record; what a file that is no such thing may fill
_MAX_LINE = _MAX_RECORD  # characters taken at once; a longer line comes in pieces
_LINE = 100  # characters that a line counts for beside its own: what it takes in memory, empty or not


@dataclass(frozen=True, slots=True)
class Dialect:
    """The rules of one kind of tagged file."""

    name: str
    line: re.Pattern[str]  # a tagged line: groups "tag" and "value"
    first: str  # the tag that opens a record
    last: str | None  # the tag that closes it, where there is one
    shown: str  # how the line that opens a record looks, for messages
    joint: str  # what stands in a text where a line went on
    many: frozenset[str]  # tags whose values stay a list
    itemised: frozenset[str]  # of these, the ones where every line is a value of its own
    outside: frozenset[str]  # tags of the file, not of a record


class _Open:
    """A record being read."""

    def __init__(self, place: int) -> None:
        self.place = place
        self.size = 0
        self._values: dict[str, list[list[str]]] = {}
        self._tag = ""

    def add(self, tag: str, value: str) -> None:
        if self._has_room(value):
            self._tag = tag
            self._values.setdefault(tag, []).append([value])

    def go_on(self, line: str, dialect: Dialect) -> None:
        if not self._has_room(line):
            return
        if self._tag in dialect.itemised:
            self._values[self._tag].append([line])
        else:
            self._values[self._tag][-1].append(line)

    def _has_room(self, line: str) -> bool:
        """Count a line; one too many makes a record that is refused for its size, and nothing of it is kept."""
        self.size += len(line) + _LINE
        if self.size > _MAX_RECORD:
            self._values.clear()
        return self.size <= _MAX_RECORD

    def as_row(self, dialect: Dialect) -> dict[str, Any]:
        row: dict[str, Any] = {}
        for tag, values in self._values.items():
            texts = [text for lines in values if (text := dialect.joint.join(lines).strip())]
            row[tag] = texts if tag in dialect.many else "\n".join(texts)
        return row


def read_tagged(stream: io.BufferedReader, subject: str, dialect: Dialect) -> Iterator[tuple[int, Any] | Refusal]:
    """Yield the line a record begins on and its fields.

    Raises InputError where a file holds no record at all: it is of another format.
    """
    # Bad bytes come through as lone surrogates, so that only the records that hold them are refused.
    text = io.TextIOWrapper(stream, encoding="utf-8", errors="surrogateescape", newline=None)
    record: _Open | None = None
    seen = False
    closed = unclosed = 0  # records that ended with a line of their own, or by the next one's beginning
    place = 0
    while line := text.readline(_MAX_LINE):
        place += 1
        line = line.lstrip("\ufeff").rstrip()  # joined files have byte order marks in the middle
        match = dialect.line.match(line)
        if match is None:
            if record is not None and (line or dialect.joint == "\n"):
                record.go_on(line.strip(), dialect)
            continue
        tag, value = match["tag"], (match["value"] or "").strip()
        if tag == dialect.last or tag == dialect.first:
            if record is not None:
                closed += tag == dialect.last
                unclosed += tag != dialect.last
                yield _finish(record, dialect)
            record = None
        if tag == dialect.last or tag in dialect.outside:
            continue
        if record is None:
            record, seen = _Open(place), True
        record.add(tag, value)
    if record is not None and dialect.last and (closed or not unclosed):  # else its maker writes no such line
        reason = f"breaks off: the file ends before its {dialect.last} line."
        yield Refusal(record.place, None, reason, f"Export it again, or add the {dialect.last} line if all is there.")
    elif record is not None:
        yield _finish(record, dialect)
    if not seen:
        raise InputError(
            f"{subject} holds no {dialect.name} record: no line begins like {dialect.shown!r}. Check that the file is "
            "what its name says, or say --format."
        )


def _finish(record: _Open, dialect: Dialect) -> tuple[int, Any] | Refusal:
    if record.size > _MAX_RECORD:
        reason = f"a record of more than {_MAX_RECORD:,} characters, counting {_LINE} more for every line."
        return Refusal(record.place, None, reason, f"Check that records begin with a line like {dialect.shown!r}.")
    return record.place, record.as_row(dialect)
