"""Column names of a source: whether the records' texts can be found by them, and what to say where they cannot.

The surprising rule: a column that the user named is looked for as it was written, capitals and spaces included; one
that differs in these alone is offered, not taken.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from classifier.errors import ChoiceError, InputError
from classifier.records import Columns, find_columns, is_alike, known_names, show_names

LOOKED_AT = 20
"""Rows below the first in which the column names are looked for where they are not on top."""
_SEPARATORS = ",;\t|"
_LONGEST_NAME = 60  # characters; a longer cell is a text and makes its row no row of names

Rows = Iterable[tuple[int, Sequence[str]]]
"""Numbered rows of cells."""


class ChosenColumns:
    """Watches JSON rows, which have no header, for the columns the user chose: a typing error must not pass."""

    def __init__(self, columns: Columns) -> None:
        self._missing = {name for name in (columns.id, columns.title, columns.abstract) if name}
        self._first: Sequence[str] = ()

    def see(self, row: Mapping[str, object]) -> None:
        """Take note of a row's columns."""
        if self._missing:
            self._first = self._first or tuple(row)
            self._missing.difference_update(row)

    def check(self, subject: str) -> None:
        """Raise ChoiceError where rows were seen, but a chosen column in none of them."""
        if self._missing and self._first:
            raise _no_such_column(self._missing, self._first, subject, "")


def check_header(names: Sequence[str], columns: Columns, subject: str, below: Rows = ()) -> None:
    """Check a table's column names; `below` are the rows beneath, read only to tell where the names stand instead.

    Raises InputError where a name stands twice or none is known as a title or an abstract, ChoiceError where a column
    the user chose is missing.
    """
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise InputError(f"{subject} has several columns named {show_names(twice)}. Rename or remove all but one.")
    missing = {name for name in (columns.id, columns.title, columns.abstract) if name} - set(names)
    if missing:
        raise _no_such_column(missing, names, subject, _tell_place(below))
    found = find_columns(tuple(names))
    if columns.title or columns.abstract or found["title"] or found["abstract"]:
        return
    mend = _tell_place(below) or (
        f"Known for a title: {known_names('title')}; for an abstract: {known_names('abstract')} (capitals, spaces "
        "and underscores do not matter). Name yours with --title-column and --abstract-column."
    )
    if len(names) == 1:
        mend = f"It is one column only, cut by none of comma, semicolon, tab and |. {mend}"
    raise InputError(
        f"{subject} has no column known as a title or an abstract. Columns seen: {show_names(names)}. {mend}"
    )


def find_separator(line: str) -> str:
    """Choose the separator that cuts the header line into most cells; a comma if there is no telling."""
    return max(_SEPARATORS, key=lambda separator: len(cut_line(line, separator)))


def cut_line(line: str, separator: str | None = None) -> list[str]:
    """Cut one line of a table into cells, by default at what cuts it into most."""
    return next(csv.reader([line], delimiter=separator or find_separator(line)), [])


def _no_such_column(missing: set[str], seen: Sequence[str], subject: str, hint: str) -> ChoiceError:
    alike = [repr(name) for name in seen if any(is_alike(name, wanted) for wanted in missing)]
    hint = f"Did you mean {', '.join(alike)}?" if alike else hint or "Choose among them."
    wanted = ", ".join(repr(name) for name in sorted(missing))
    return ChoiceError(f"{subject} has no column {wanted}. Columns seen: {show_names(seen)}. {hint}")


def _tell_place(below: Rows) -> str:
    for place, cells in below:
        if all(len(cell) <= _LONGEST_NAME for cell in cells):
            found = find_columns(tuple(cells))
            if found["title"] or found["abstract"]:
                return f"The column names seem to stand in row {place}: delete the rows above it."
    return ""
