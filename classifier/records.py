"""One row of any source becomes a `Record`, or a `Refusal` that says what to mend.

Columns are found by name: `_ALIASES` lists what funders and indexes call them, and the first in the list that
holds something wins, row by row. Nothing is cut and nothing guessed: a field that is too long or of the wrong kind
is refused.
"""

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import Any, TypeVar

import orjson

from classifier.fulltext import cut_texts

T = TypeVar("T")

MAX_CHARS = 1_000_000  # per field; longer is refused, never cut
_LONGEST_INDEX = 8 * MAX_CHARS  # of a text given as JSON of its words: the positions come on top
MAX_ID_CHARS = 1_000  # ids end up in messages, so an id column must not be able to bring in a text

UTF8_MEND = "Save the file as UTF-8, e.g. iconv -f cp1252 -t utf-8 OLD > NEW (Western Windows; Latin 1 is within it)."

# Spelled as _key() leaves them. The order decides; the two-letter ones are Web of Science field tags.
_ALIASES: dict[str, tuple[str, ...]] = {
    "id": (
        "id",
        "paperid",
        "workid",
        "publicationid",
        "documentid",
        "recordid",
        "awardid",
        "awdid",
        "grantid",
        "projectid",
        "applicationid",
        "applid",
        "doi",
        "arxivid",
        "openalexid",
        "eid",
        "pmid",
        "ut",
        "corpusid",
        "lensid",
        "rcn",
        "reference",
        "projectreference",
        "awardnumber",
        "grantnumber",
        "projectnumber",
        "contract",
        "contractnumber",
        "agencytrackingnumber",
    ),
    "title": (
        "title",
        "papertitle",
        "articletitle",
        "documenttitle",
        "publicationtitle",
        "worktitle",
        "awardtitle",
        "awdtitltxt",
        "granttitle",
        "projecttitle",
        "proposaltitle",
        "topictitle",
        "displayname",
        "ti",
        "titre",
        "titel",
        "título",
        "titulo",
    ),
    "abstract": (
        "abstract",
        "abstracttext",
        "abstractnarration",
        "awdabstractnarration",
        "paperabstract",
        "awardabstract",
        "grantabstract",
        "projectabstract",
        "proposalabstract",
        "publicabstract",
        "technicalabstract",
        "techabstracttext",
        "abstractinvertedindex",
        "summary",
        "projectsummary",
        "objective",
        "description",
        "projectdescription",
        "ab",
        "laysummary",
        "plainlanguagesummary",
        "résumé",
        "kurzfassung",
        "zusammenfassung",
        "resumen",
    ),
}
_INVERTED_INDEX = "abstractinvertedindex"
# The blanks before it are taken from their first: tried from each of a long run, they would cost its square.
_JATS_LABEL = re.compile(r"(?<!\s)\s*<jats:title>\s*(?:abstract|summary)\s*</jats:title>\s*", re.IGNORECASE)
_INDEX_MEND = 'Give a string, or {"word": [positions]} as OpenAlex does.'


@dataclass(frozen=True, slots=True)
class Record:
    """A title and an abstract to judge, with the row they came from."""

    id: str  # from the source, or "row-7" from its place in the file
    title: str  # "" where the source has none
    abstract: str  # "" where the source has none
    row: int  # line number in JSONL, CSV and TSV (a header is line 1), record number from 1 in JSON and Parquet
    source: Mapping[str, Any]  # every column as it was, in order, those of id, title and abstract included


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that cannot be judged, and how to mend it."""

    row: int
    field: str | None  # column name in the source, or None where the row as a whole is the trouble
    reason: str  # with the value seen, but never with the text of an abstract
    mend: str
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Columns:
    """Column names chosen by the user; None means: find it by its alias."""

    id: str | None = None
    title: str | None = None
    abstract: str | None = None


BY_ALIAS = Columns()


class _FieldError(Exception):
    def __init__(self, field: str, reason: str, mend: str) -> None:
        super().__init__(reason)
        self.field, self.reason, self.mend = field, reason, mend


_LONGEST_NAME = 200  # no alias is spelled longer, and the caches are not to be filled with texts
_MANY_NAMES = 1_000


@lru_cache(maxsize=1024)
def _key(name: str) -> str:
    """Reduce a column name so that "Award Title", "award_title" and "AwardTitle" are one."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFC", name).casefold()))


def is_alike(name: str, other: str) -> bool:
    """Tell whether two column names differ in capitals, spaces and punctuation alone."""
    return _key(name) == _key(other)


def find_columns(names: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    """Return, for "id", "title" and "abstract", which of these column names may hold it, the best first."""
    if len(names) <= _MANY_NAMES and max(map(len, names), default=0) <= _LONGEST_NAME:
        return _find_known_columns(names)
    return _find_columns(tuple(name for name in names if len(name) <= _LONGEST_NAME))


def _find_columns(names: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    spelled: dict[str, list[str]] = {}
    for name in names:
        spelled.setdefault(_key(name), []).append(name)
    for alias, several in spelled.items():
        several.sort(key=lambda name: name != alias)  # of "Title" and "title" the exact one goes first
    return {
        wanted: tuple(name for alias in aliases for name in spelled.get(alias, ()))
        for wanted, aliases in _ALIASES.items()
    }


_find_known_columns = lru_cache(maxsize=128)(_find_columns)  # rows of one source have the same few sets of columns


def known_names(wanted: str) -> str:
    """List the column names under which an "id", "title" or "abstract" is found, for messages."""
    return ", ".join(_ALIASES[wanted])


def show_names(names: Iterable[str]) -> str:
    """List column names for a message: the first 30, and of a long one only its length, as it may be a text."""
    names = list(names)
    shown = [
        "(empty)" if not name else name if len(name) <= 60 else f"(a name of {len(name):,} characters)"
        for name in names[:30]
    ]
    more = [f"and {len(names) - 30} more"] if len(names) > 30 else []
    return ", ".join(shown + more) or "none"


def find_flaw(text: str) -> str | None:
    """Say where a text holds bytes that were not UTF-8, or half a surrogate pair, or return None."""
    if text.isascii():
        return None
    try:
        text.encode()
    except UnicodeEncodeError as error:
        place = f"at byte offset {len(text[: error.start].encode())} of its value"
        if "\udc80" <= text[error.start] <= "\udcff":  # how bytes come through that were not UTF-8
            return f"not valid UTF-8 {place}."
        return f"half of a surrogate pair {place}, which is no character."
    return None


def flaw_mend(flaw: str) -> str:
    """Say how to mend what `find_flaw` found."""
    return UTF8_MEND if "UTF-8" in flaw else "Write the whole character, or leave it out."


def to_record(
    row: Mapping[str, Any],
    place: int,
    columns: Columns = BY_ALIAS,
    found: Mapping[str, tuple[str, ...]] | None = None,
) -> Record | Refusal:
    """Make a record of one row; `place` is its row number, `found` says which columns may hold what (default: aliases).

    A column in `columns` that this row lacks counts as empty: whether the source has it is the reader's to say.
    """
    found = find_columns(tuple(row)) if found is None else found
    given: str | None = None
    try:
        given = _read_id(row, found["id"], columns.id)
        title = _read_text(row, (columns.title,) if columns.title else found["title"])
        abstract = _read_text(row, (columns.abstract,) if columns.abstract else found["abstract"])
    except _FieldError as error:
        return Refusal(place, error.field, error.reason, error.mend, given)
    if not (title or abstract or columns.title or columns.abstract):
        title, abstract = cut_texts(row, MAX_CHARS)
        if max(len(title), len(abstract)) > MAX_CHARS:
            reason = f"the places of its title or abstract come to more than {MAX_CHARS:,} characters."
            return Refusal(place, None, reason, "Leave the title or abstract out of its annotations.", given)
    if title or abstract:
        return Record(given or f"row-{place}", title, abstract, place, row)
    if columns.title or columns.abstract or found["title"] or found["abstract"]:
        reason, mend = "title and abstract are both empty.", "Fill in one of them, or leave the row out."
    else:
        reason = f"no column is known as a title or an abstract; columns seen: {show_names(row)}."
        mend = "Name the columns with --title-column and --abstract-column."
    return Refusal(place, None, reason, mend, given)


def _read_id(row: Mapping[str, Any], found: tuple[str, ...], chosen: str | None) -> str | None:
    for name in (chosen,) if chosen else found:
        value = row.get(name)
        if isinstance(value, bytes):
            value = _decode(name, value)
        if isinstance(value, str):
            text = value.strip()
        elif isinstance(value, int) and not isinstance(value, bool):
            text = str(value)
        elif isinstance(value, (float, Decimal)):
            text = _number_as_id(name, value)
        elif value is None or not chosen:
            continue  # "_id": {"$oid": ...} beside a plain id is no fault
        else:
            reason = f"is {_kind(value)}, not a text or a whole number."
            raise _FieldError(name, reason, "Choose another column with --id-column.")
        if len(text) > MAX_ID_CHARS:
            reason = f"an id of {len(text):,} characters; at most {MAX_ID_CHARS:,} are allowed."
            raise _FieldError(name, reason, "Choose another column with --id-column.")
        if flaw := find_flaw(text):
            raise _FieldError(name, flaw, flaw_mend(flaw))
        if text:
            return text
    return None


def is_that_id(value: Any, id: str) -> bool:
    """Tell whether a source's value says the same as the id made of its row, or nothing."""
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if value is None or value != value or (isinstance(value, str) and not value.strip()):
        return True
    if isinstance(value, (float, Decimal)) and math.isfinite(value) and value == int(value):
        value = int(value)
    return isinstance(value, (str, int)) and not isinstance(value, bool) and str(value).strip() == id


def _number_as_id(name: str, value: float | Decimal) -> str:
    if value != value:  # NaN is how data frames say: missing
        return ""
    exact = isinstance(value, Decimal) or abs(value) <= 2**53
    if not exact or not math.isfinite(value) or value != int(value):
        reason = f"is the number {value}, from which the id as it was written cannot be told."
        raise _FieldError(name, reason, "Save ids as text, or choose another column with --id-column.")
    return str(int(value))


def _read_text(row: Mapping[str, Any], names: tuple[str, ...]) -> str:
    for name in names:
        value = row.get(name)
        text = value if isinstance(value, str) else _as_text(name, value)
        if not text or text.isspace():
            continue
        if text.lstrip().startswith("<jats:title>"):  # Crossref: the heading of the abstract is none of its words
            text = _JATS_LABEL.sub("", text, count=1)
        if _key(name) == _INVERTED_INDEX and isinstance(value, str):
            text = _from_index(name, _parse_index(name, text))
        if len(text) > MAX_CHARS:
            raise _too_long(name, len(text))
        if flaw := find_flaw(text):
            raise _FieldError(name, flaw, flaw_mend(flaw))
        if text:
            return text
    return ""


def _as_text(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return _decode(name, value)
    if isinstance(value, Mapping):
        return _from_index(name, value)
    if isinstance(value, (list, tuple)):
        # Crossref gives a title as a list; papers parsed from PDF give an abstract as [{"text": ...}].
        parts = [part.get("text") if isinstance(part, Mapping) else part for part in value]
        texts = [part for part in parts if isinstance(part, str)]
        if len(texts) == len(parts):
            return " ".join(texts)
    mend = "Give the text as a string, or choose another column with --title-column or --abstract-column."
    raise _FieldError(name, f"is {_kind(value)}, not a text.", mend)


def _decode(name: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        reason = f"not valid UTF-8 at byte offset {error.start} of its value."
        raise _FieldError(name, reason, UTF8_MEND) from None


def _parse_index(name: str, text: str) -> Mapping[str, Any]:
    if len(text) > _LONGEST_INDEX:
        raise _too_long(name, len(text), _LONGEST_INDEX)
    try:
        index = orjson.loads(text)
    except ValueError:
        index = None
    if not isinstance(index, dict):
        raise _FieldError(name, "is not a JSON object.", _INDEX_MEND)
    return index


def _from_index(name: str, index: Mapping[str, Any]) -> str:
    """Rebuild a text from OpenAlex's `{"word": [positions]}`."""
    words: list[tuple[int, str]] = []
    length = -1
    for word, positions in index.items():
        if not isinstance(positions, list):
            raise _FieldError(name, "is an object, but not of words and their positions.", _INDEX_MEND)
        length += (len(word) + 1) * len(positions)
        words += [(position, word) for position in positions]
    if not set(map(type, map(itemgetter(0), words))) <= {int}:
        raise _FieldError(name, "holds positions that are not whole numbers.", _INDEX_MEND)
    if length > MAX_CHARS:  # known before the text is built: one long word can stand at very many places
        raise _too_long(name, length)
    words.sort()
    return " ".join(map(itemgetter(1), words))


def _too_long(name: str, length: int, longest: int = MAX_CHARS) -> _FieldError:
    reason = f"{length:,} characters; at most {longest:,} are allowed."
    return _FieldError(name, reason, "Shorten it; check that it is one text, and that every quote is closed.")


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float, Decimal)):
        return f"the number {value}"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, (list, tuple)):
        return "a list, not all of strings"
    return f"a {type(value).__name__}"


def in_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of up to `size` items, in order."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
