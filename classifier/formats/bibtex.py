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

_MAX_ENTRY = 64 * 1024 * 1024  # characters; what a brace that is never closed may swallow
_OPENING = re.compile(r"@\s*([A-Za-z]+)\s*([{(])")
_NEXT = re.compile(r"\s*@\s*(?:(?:string|preamble|comment)\s*[{(]|[A-Za-z]+\s*[{(]\s*[^\s{}(),=]*\s*,)", re.IGNORECASE)
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
    strings = dict(_MONTHS)
    seen = False
    for place, kind, body, fault in _entries(io.TextIOWrapper(stream, "utf-8", "surrogateescape", newline=None)):
        seen = True
        if kind in ("comment", "preamble"):
            continue
        try:
            if fault:
                raise _BrokenError(fault)
            if kind == "string":
                strings.update(_parse_fields(body, 0, strings))
                continue
            key, comma, _ = body.partition(",")
            row = {"ENTRYTYPE": kind, "ID": key.strip()}
            yield place, row | _parse_fields(body, len(key) + len(comma), strings)
        except _BrokenError as error:
            yield Refusal(place, None, f"is a broken @{kind} entry: {error}.", _MEND)
    if not seen:
        raise InputError(f"{subject} holds no BibTeX entry: nothing begins like '@article{{'. Check that it is BibTeX.")


def _entries(text: io.TextIOWrapper) -> Iterator[tuple[int, str, str, str | None]]:
    """Cut a file into (line, kind, what stands between the outer braces, what is wrong with it)."""
    held: tuple[int, str, str, str | None] | None = None  # an entry, until what follows it is known not to be its rest
    place = 0
    line = ""
    while True:
        opening = _OPENING.search(line)
        outside = line[: opening.start()] if opening else line
        if held is not None and held[3] is None and _STRAY_FIELD.search(outside):
            held = (*held[:3], f"a brace too many closes it before its field on line {place}")
        if opening is None:
            # Also an entry whose brace stands on the next line.
            rest = line if re.search(r"@\s*[A-Za-z]+\s*$", line) else ""
            more = text.readline(_MAX_ENTRY)
            if not more:
                break
            place += 1
            line = rest.rstrip("\n") + more
            continue
        if held is not None:
            yield held
        kind = opening[1].lower()
        begun = place
        parts = [line[opening.end() :]]
        size = 0
        scan = _Balance(opening[2])
        while True:
            end = scan.find_end(parts[-1])
            if end is not None:
                line = parts[-1][end + 1 :]
                parts[-1] = parts[-1][:end]
                held = begun, kind, "".join(parts), None
                break
            size += len(parts[-1])
            more = text.readline(_MAX_ENTRY)
            place += bool(more)
            if not more or _NEXT.match(more) or size > _MAX_ENTRY:
                where = f"where the next entry begins on line {place}" if more else "at the end of the file"
                held = begun, kind, "", f"its braces are still open {where}"
                line = more
                break
            parts.append(more)
    if held is not None:
        yield held


class _Balance:
    """Finds the end of an entry over several lines."""

    def __init__(self, opened_by: str) -> None:
        self._round = opened_by == "("
        self._depth = 0
        self._quoted = False

    def find_end(self, piece: str) -> int | None:
        for match in _BRACE_OR_QUOTE.finditer(piece):
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


def _parse_fields(body: str, at: int, strings: dict[str, str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    while (at := _skip(_GAP, body, at)) < len(body):
        name = _NAME.match(body, at)
        at = _skip(_SPACE, body, name.end()) if name else at
        if name is None or body[at : at + 1] != "=":
            raise _BrokenError(f"where {'a field' if not fields else 'the field after ' + _last(fields)} should begin")
        value, at = _parse_value(body, at + 1, strings, name[0])
        label = name[0].lower()
        # Given twice, as keywords often are: nothing is dropped.
        fields[label] = f"{fields[label]}\n{value}" if fields.get(label) else value
    return fields


def _last(fields: dict[str, str]) -> str:
    name = next(reversed(fields))
    return repr(name[:40])


def _parse_value(body: str, at: int, strings: dict[str, str], name: str) -> tuple[str, int]:
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
            parts.append(strings.get(word[0].lower(), word[0]))
            at = word.end()
        else:
            raise _BrokenError(f"field {name[:40]!r} has no value")
        at = _skip(_SPACE, body, at)
        if body[at : at + 1] != "#":
            return "".join(parts).strip(), at
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
