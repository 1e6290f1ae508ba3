"""BibTeX and BibLaTeX files, an entry at a time.

Our own small parser, since the known ones read a file whole and stop at, or silently drop, a broken entry. Texts stay
as written, LaTeX and inner braces included; `@string` names and `#` are resolved. As in BibTeX itself every brace
counts, escaped or not. An entry that is still open where the next one begins is refused, and reading goes on there.
"""

import io
import re
from collections.abc import Iterator
from typing import Any

from classifier.errors import InputError
from classifier.records import Refusal

FIELDS = {"id": ("ID",), "title": ("title",), "abstract": ("abstract", "annote")}

_MAX_ENTRY = 16 * 1024 * 1024  # characters; what a brace that is never closed may swallow
_MAX_EXPANDED = 100_000  # characters that `@string` names may add to one entry: each may stand for others, doubled
_MAX_PARTS = 100_000  # fields of an entry, and texts joined by "#"; each costs far more memory than its characters
_MAX_STRINGS = 1_000_000  # characters of all `@string` names and texts that are kept
_OPENING = re.compile(r"@\s*([A-Za-z]+)\s*([{(])")
# None of these patterns has two parts side by side that may both take the same characters: a long run of blanks would
# cost its square.
_NEXT = re.compile(
    r"\s*@\s*(?:(?:string|preamble|comment)\s*[{(]|[A-Za-z]+\s*[{(]\s*(?:[^\s{}(),=]+\s*)?,)", re.IGNORECASE
)
_KIND_ALONE = re.compile(r"@\s*([A-Za-z]{1,100})\s*$")  # an entry whose brace stands on the next line
_STRAY_FIELD = re.compile(r"^[\s,]*[A-Za-z][\w-]*\s*=\s*[{\"]", re.MULTILINE)
_NAME = re.compile(r"[^\s=,{}\"#%()]+")
_GAP = re.compile(r"[\s,]*")
_SPACE = re.compile(r"\s*")
_BRACE_OR_QUOTE = re.compile(r'[{}()"]')
_MONTHS = {
    month[:3].lower(): month
    for month in re.findall(
        r"\w+", "January February March April May June July August September October November December"
    )
}
_MEND = "Close every brace and quote of the entry, or export it again."


class _BrokenError(Exception):
    pass


def read(stream: io.BufferedReader, subject: str) -> Iterator[tuple[int, dict[str, Any]] | Refusal]:
    """Yield every entry that describes a work with the line it begins on: ENTRYTYPE, ID (its key) and its fields.

    Raises InputError where a file holds no entry at all.
    """
    strings = _Strings()
    seen = False
    for place, kind, body, fault in _entries(io.TextIOWrapper(stream, "utf-8", "surrogateescape", newline=None)):
        seen = True
        if kind in ("comment", "preamble"):
            continue
        try:
            if fault:
                raise _BrokenError(fault)
            if kind == "string":
                strings.define(_parse_fields(body, 0, strings))
                continue
            key, comma, _ = body.partition(",")
            row = {"ENTRYTYPE": kind, "ID": key.strip()}
            yield place, row | _parse_fields(body, len(key) + len(comma), strings)
        except _BrokenError as error:
            yield Refusal(place, None, f"is a broken @{kind} entry: {error}.", _MEND)
    if not seen:
        raise InputError(f"{subject} holds no BibTeX entry: nothing begins like '@article{{'. Check that it is BibTeX.")


class _Strings:
    """What the names stand for that are given without braces or quotes: months, and those of `@string`."""

    def __init__(self) -> None:
        self._texts = dict(_MONTHS)
        self._size = 0

    def define(self, texts: dict[str, str]) -> None:
        """Take in names, a later one in place of an earlier one."""
        for name, text in texts.items():
            was = self._texts.get(name)
            grown = len(text) - len(was) if was is not None else len(name) + len(text)
            if self._size + grown > _MAX_STRINGS:
                raise _BrokenError(f"all names and their texts come to more than {_MAX_STRINGS:,} characters")
            self._texts[name] = text
            self._size += grown

    def resolve(self, name: str) -> str | None:
        """Return what a name stands for, if anything."""
        return self._texts.get(name.lower())


def _entries(text: io.TextIOWrapper) -> Iterator[tuple[int, str, str, str | None]]:
    """Cut a file into (line, kind, what stands between the outer braces, what is wrong with it)."""
    held: tuple[int, str, str, str | None] | None = None  # an entry, until what follows it is known not to be its rest
    place = 0
    line, at = "", 0  # what is not yet read begins at `at`: a line may hold any number of entries, so it is never cut
    while True:
        opening = _OPENING.search(line, at)
        outside = line[at : opening.start() if opening else None]
        if held is not None and held[3] is None and _STRAY_FIELD.search(outside):
            held = (*held[:3], f"a brace too many closes it before its field on line {place}")
        if opening is None:
            kind_alone = _KIND_ALONE.search(outside)
            more = text.readline(_MAX_ENTRY)
            if not more:
                break
            place += 1
            line, at = (f"@{kind_alone[1]}" if kind_alone else "") + more, 0
            continue
        if held is not None:
            yield held
        kind = opening[1].lower()
        begun = place
        body = io.StringIO()  # not a list: a million short lines would cost far more than their characters
        scan = _Balance(opening[2])
        at = opening.end()
        while True:
            end = scan.find_end(line, at)
            body.write(line[at:end])
            if end is not None:
                at = end + 1
                held = begun, kind, body.getvalue(), None
                break
            line, at = text.readline(_MAX_ENTRY), 0
            place += bool(line)
            if not line or _NEXT.match(line) or body.tell() > _MAX_ENTRY:
                where = f"where the next entry begins on line {place}" if line else "at the end of the file"
                held = begun, kind, "", f"its braces are still open {where}"
                break
    if held is not None:
        yield held


class _Balance:
    """Finds the end of an entry over several lines."""

    def __init__(self, opened_by: str) -> None:
        self._round = opened_by == "("
        self._depth = 0
        self._quoted = False

    def find_end(self, piece: str, at: int) -> int | None:
        for match in _BRACE_OR_QUOTE.finditer(piece, at):
            mark = match[0]
            if mark == "{":
                self._depth += 1
            elif mark == "}":
                if self._depth == 0 and not self._round:
                    return match.start()
                self._depth -= self._depth > 0
            elif self._round and self._depth == 0:
                if mark == '"':
                    self._quoted = not self._quoted
                elif mark == ")" and not self._quoted:
                    return match.start()
        return None


def _parse_fields(body: str, at: int, strings: _Strings) -> dict[str, str]:
    if body.count("=") + body.count("#") > _MAX_PARTS:
        raise _BrokenError(f"it has more than {_MAX_PARTS:,} fields or joined texts")
    fields: dict[str, list[str]] = {}
    room = _MAX_EXPANDED
    while (at := _skip(_GAP, body, at)) < len(body):
        name = _NAME.match(body, at)
        at = _skip(_SPACE, body, name.end()) if name else at
        if name is None or body[at : at + 1] != "=":
            raise _BrokenError(f"where {'a field' if not fields else 'the field after ' + _last(fields)} should begin")
        value, at, room = _parse_value(body, at + 1, strings, name[0], room)
        # Given twice, as keywords often are: nothing is dropped.
        fields.setdefault(name[0].lower(), []).append(value)
    return {label: "\n".join(filter(None, values)) for label, values in fields.items()}


def _last(fields: dict[str, list[str]]) -> str:
    name = next(reversed(fields))
    return repr(name[:40])


def _parse_value(body: str, at: int, strings: _Strings, name: str, room: int) -> tuple[str, int, int]:
    """Return a value, where it ends, and what is left of the `room` for the texts of names."""
    parts: list[str] = []
    while True:
        at = _skip(_SPACE, body, at)
        mark = body[at : at + 1]
        if mark in ("{", '"') and mark:
            end = _find_close(body, at)
            if end is None:
                raise _BrokenError(f"the {'brace' if mark == '{' else 'quote'} of field {name[:40]!r} is not closed")
            parts.append(body[at + 1 : end])
            at = end + 1
        elif word := _NAME.match(body, at):
            text = strings.resolve(word[0])
            room -= len(text or "")
            if room < 0:
                raise _BrokenError(f"the names in it stand for more than {_MAX_EXPANDED:,} characters")
            parts.append(word[0] if text is None else text)
            at = word.end()
        else:
            raise _BrokenError(f"field {name[:40]!r} has no value")
        at = _skip(_SPACE, body, at)
        if body[at : at + 1] != "#":
            return "".join(parts).strip(), at, room
        at += 1


def _find_close(body: str, at: int) -> int | None:
    """Return where the brace or quote at `at` is closed; a quote counts only outside of inner braces."""
    quoted = body[at] == '"'
    depth = 0
    for match in _BRACE_OR_QUOTE.finditer(body, at + 1):
        if match[0] == "{":
            depth += 1
        elif match[0] == "}":
            if depth == 0:
                return None if quoted else match.start()
            depth -= 1
        elif match[0] == '"' and quoted and depth == 0:
            return match.start()
    return None


def _skip(pattern: re.Pattern[str], body: str, at: int) -> int:
    match = pattern.match(body, at)
    return match.end() if match else at
