"""Read the taxonomy: what each tag means and which control-list entries it touches.

The file is what a reader of a flag goes by, so loading is strict: unknown keys, missing tags and values
outside the allowed sets stop it, and one error lists every fault. A tag either has crosswalk entries or says
that no list item is known; saying both, or neither, is a fault.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from classifier.errors import TaxonomyError
from classifier.results import ROLES, TAGS

STRENGTHS = ("direct", "partial", "enabling")
TEXT_STATES = ("read", "pointer")


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag and what counts as belonging to it."""

    id: str
    name: str
    definition: str
    included: tuple[str, ...]  # `in` in the file, a reserved word in Python
    excluded: tuple[str, ...]  # `out` in the file
    roles: Mapping[str, str]  # role -> what it means for this tag
    no_list_item: str | None  # the sentence that stands in place of crosswalk entries

    def as_dict(self) -> dict[str, Any]:
        """Give the tag under the file's own keys, ready for JSON."""
        return {
            "id": self.id,
            "name": self.name,
            "definition": self.definition,
            "in": list(self.included),
            "out": list(self.excluded),
            "roles": dict(self.roles),
            "no_list_item": self.no_list_item,
        }


@dataclass(frozen=True, slots=True)
class CrosswalkEntry:
    """One control-list entry or United Nations paragraph that a tag touches."""

    id: str
    tag: str
    list_name: str  # `list` in the file
    entry: str
    title: str
    strength: str  # direct, partial or enabling
    list_date: date
    text: str  # "read", or "pointer" where the entry's own text was not read
    note: str | None

    def as_dict(self) -> dict[str, Any]:
        """Give the entry under the file's own keys, ready for JSON."""
        return {
            "id": self.id,
            "tag": self.tag,
            "list": self.list_name,
            "entry": self.entry,
            "title": self.title,
            "strength": self.strength,
            "list_date": self.list_date.isoformat(),
            "text": self.text,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """The five tags and the crosswalk, in the file's order."""

    version: str
    date: date
    notice: str
    rule: str
    list_dates_note: str
    tags: tuple[Tag, ...]
    crosswalk: tuple[CrosswalkEntry, ...]

    def entries(self, tag: str) -> tuple[CrosswalkEntry, ...]:
        """Give the crosswalk entries of one tag; none for a tag that no list knows."""
        return tuple(entry for entry in self.crosswalk if entry.tag == tag)

    def as_dict(self) -> dict[str, Any]:
        """Give the whole taxonomy under the file's own keys, dates as text, ready for JSON."""
        return {
            "version": self.version,
            "date": self.date.isoformat(),
            "notice": self.notice,
            "rule": self.rule,
            "list_dates_note": self.list_dates_note,
            "tags": [tag.as_dict() for tag in self.tags],
            "crosswalk": [entry.as_dict() for entry in self.crosswalk],
        }


def load_taxonomy(path: Path | None = None) -> Taxonomy:
    """Read and check the taxonomy at `path`, or the shipped one.

    Raises TaxonomyError if the file cannot be read or is not valid TOML, and for a key that is unknown or
    missing, a value of the wrong kind or outside its set, an id used twice, a tag left out or uncovered.
    """
    if path is None:
        # Looked up here, so that a caller with a path of its own needs no shipped files.
        from classifier.assets import taxonomy_path

        path = taxonomy_path()
    data = _parse(path)
    if faults := _all_faults(data):
        raise TaxonomyError(f"{path} breaks the taxonomy's rules; mend these faults:" + "".join(faults))
    return Taxonomy(
        version=data["version"],
        date=data["date"],
        notice=data["notice"],
        rule=data["rule"],
        list_dates_note=data["list_dates_note"],
        tags=tuple(_tag(table) for table in data["tags"]),
        crosswalk=tuple(_entry(table) for table in data["crosswalk"]),
    )


def _parse(path: Path) -> dict[str, Any]:
    try:
        text = path.read_bytes().decode("utf-8")
        return tomllib.loads(text)
    except OSError as error:
        raise TaxonomyError(f"{path} cannot be read ({error.strerror}); pass a taxonomy file") from error
    except UnicodeDecodeError as error:
        raise TaxonomyError(f"{path} is not UTF-8 at byte {error.start}; save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        # Python tells no line for a fault at the very end, the place of an unclosed text or table.
        last = text.count("\n") + 1
        fault = str(error).replace("at end of document", f"at line {last}, the end of the file")
        raise TaxonomyError(f"{path} is not valid TOML: {fault}; mend that line") from error


def _tag(table: Mapping[str, Any]) -> Tag:
    return Tag(
        id=table["id"],
        name=table["name"],
        definition=table["definition"],
        included=tuple(table["in"]),
        excluded=tuple(table["out"]),
        roles=MappingProxyType({role: table["roles"][role] for role in ROLES}),
        no_list_item=table.get("no_list_item"),
    )


def _entry(table: Mapping[str, Any]) -> CrosswalkEntry:
    return CrosswalkEntry(
        id=table["id"],
        tag=table["tag"],
        list_name=table["list"],
        entry=table["entry"],
        title=table["title"],
        strength=table["strength"],
        list_date=table["list_date"],
        text=table["text"],
        note=table.get("note"),
    )


class _Kind(NamedTuple):
    allowed: str  # how an error names the values allowed
    fits: Callable[[Any], bool]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _list_of(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and bool(value) and all(map(fits, value))


def _one_of(values: tuple[str, ...]) -> _Kind:
    return _Kind("one of " + ", ".join(values), lambda value: isinstance(value, str) and value in values)


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


_TEXT = _Kind("text in quotes, not empty", _is_text)
_TEXTS = _Kind("a list of one or more texts, none empty", _list_of(_is_text))
_TABLE = _Kind("a table", _is_table)
_TABLES = _Kind("one or more tables", _list_of(_is_table))
# A TOML date and time is a subclass of date: only the plain date is wanted.
_DATE = _Kind("a date without quotes, such as 2016-03-02", lambda value: type(value) is date)
_VERSION = _Kind(
    'three numbers in quotes, such as "1.0.0"',
    lambda value: isinstance(value, str) and re.fullmatch(r"\d+\.\d+\.\d+", value) is not None,
)

_TOP_KEYS = {
    "version": _VERSION,
    "date": _DATE,
    "notice": _TEXT,
    "rule": _TEXT,
    "list_dates_note": _TEXT,
    "tags": _TABLES,
    "crosswalk": _TABLES,
}
_TAG_KEYS = {
    "id": _one_of(TAGS),
    "name": _TEXT,
    "definition": _TEXT,
    "in": _TEXTS,
    "out": _TEXTS,
    "roles": _TABLE,
}
_ROLE_KEYS = dict.fromkeys(ROLES, _TEXT)
_ENTRY_KEYS = {
    "id": _TEXT,
    "tag": _one_of(TAGS),
    "list": _TEXT,
    "entry": _TEXT,
    "title": _TEXT,
    "strength": _one_of(STRENGTHS),
    "list_date": _DATE,
    "text": _one_of(TEXT_STATES),
}


def _all_faults(data: Mapping[str, Any]) -> list[str]:
    faults = _faults(data, "the top level", _TOP_KEYS)
    tags, crosswalk = _tables(data, "tags"), _tables(data, "crosswalk")
    for place, table in enumerate(tags, start=1):
        where = _where("tags", place, table)
        faults += _faults(table, where, _TAG_KEYS, no_list_item=_TEXT)
        if _is_table(table.get("roles")):
            faults += _faults(table["roles"], f"roles of {where}", _ROLE_KEYS)
    for place, table in enumerate(crosswalk, start=1):
        faults += _faults(table, _where("crosswalk", place, table), _ENTRY_KEYS, note=_TEXT)
    faults += _repeated("tags", tags) + _repeated("crosswalk", crosswalk) + _uncovered(tags, crosswalk)
    return [f"\n- {fault}" for fault in faults]


def _tables(data: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    tables: list[dict[str, Any]] = data[key] if _TABLES.fits(data.get(key)) else []
    return tables


def _where(key: str, place: int, table: Mapping[str, Any]) -> str:
    return f"[[{key}]] number {place} (id {_seen(table.get('id'))})"


def _seen(value: object) -> str:
    shown = "missing" if value is None else str(value) if isinstance(value, date) else repr(value)
    return shown if len(shown) <= 60 else shown[:60] + "..."


def _faults(table: Mapping[str, Any], where: str, required: Mapping[str, _Kind], **optional: _Kind) -> list[str]:
    kinds = {**required, **optional}
    faults = [
        f"{where}: the key {key} is missing; add it as {kind.allowed}"
        for key, kind in required.items()
        if key not in table
    ]
    for key, value in table.items():
        if key not in kinds:
            faults.append(f"{where}: the key {key} is not known; the keys allowed are {', '.join(kinds)}")
        elif not kinds[key].fits(value):
            faults.append(f"{where}: {key} is {_seen(value)}; it must be {kinds[key].allowed}")
    return faults


def _repeated(key: str, tables: Iterable[Mapping[str, Any]]) -> list[str]:
    counts = Counter(table["id"] for table in tables if _is_text(table.get("id")))
    return [
        f"[[{key}]]: the id {name!r} is used {count} times; every id may be used once"
        for name, count in counts.items()
        if count > 1
    ]


def _uncovered(tags: Iterable[Mapping[str, Any]], crosswalk: Iterable[Mapping[str, Any]]) -> list[str]:
    """Find the tags left out, and those whose crosswalk is empty or contradicts their `no_list_item`."""
    by_id = {table["id"]: table for table in tags if _is_text(table.get("id"))}
    crossed = {table["tag"] for table in crosswalk if _is_text(table.get("tag"))}
    faults = []
    for tag in TAGS:
        if tag not in by_id:
            faults.append(f"[[tags]]: the tag {tag} is missing; the tags {', '.join(TAGS)} are all needed")
        elif tag in crossed and "no_list_item" in by_id[tag]:
            faults.append(f"[[tags]] {tag}: no_list_item is set, yet [[crosswalk]] names it; remove either")
        elif tag not in crossed and "no_list_item" not in by_id[tag]:
            faults.append(f"[[tags]] {tag}: no [[crosswalk]] entry names it; add one or set no_list_item")
    return faults
