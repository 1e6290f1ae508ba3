"""Excel workbooks (.xlsx): the first sheet, its first filled row being the column names.

A row keeps its cells' values (of a formula the value Excel last saved); a cell under no name is kept under its
column's letter. A workbook has to be on disk to be read, so a stream is put there first.
"""

import io
import re
import shutil
import tempfile
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import IO, Any

from classifier.errors import InputError
from classifier.formats.guardedzip import MAX_ROWS, GuardedZip, SwollenPartError
from classifier.records import show_names

_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")  # how a workbook writes the characters that XML does not have
_MAX_CELLS = 100_000_000  # of a sheet, filled or not: one cell far to the right makes a row of 16,384


def read(stream: io.BufferedReader, subject: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield every filled row below the column names with its number in the sheet.

    Raises InputError where the file is no workbook, is made to exhaust its reader, its first sheet is empty or two of
    its columns bear one name.
    """
    with tempfile.TemporaryFile() as spool:
        shutil.copyfileobj(stream, spool)
        try:
            yield from _read_first_sheet(spool, subject)
        except SwollenPartError as error:
            raise InputError(
                f"{subject} holds {error}, as no workbook does. It is not read: fetch it again from where it came "
                "from, or save it again as .xlsx or as 'CSV UTF-8'."
            ) from error
        except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, EOFError, OSError, SyntaxError) as error:
            raise InputError(
                f"{subject} cannot be read as an Excel workbook: it is damaged, cut short, locked with a password, of "
                "an older kind, or no workbook at all. Save it again as .xlsx or as 'CSV UTF-8'."
            ) from error


def _read_first_sheet(file: IO[bytes], subject: str) -> Iterator[tuple[int, dict[str, Any]]]:
    from openpyxl.reader.excel import ExcelReader
    from openpyxl.utils import get_column_letter

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # openpyxl tells of styles and the like that it leaves out
        # What openpyxl.load_workbook does, but for the archive that is read from, and links to other workbooks.
        reader = ExcelReader(file, read_only=True, data_only=True, keep_links=False)
        reader.archive = GuardedZip(file)
        reader.read()
    book = reader.wb
    if not book.worksheets:
        raise InputError(f"{subject} has no sheet with cells.")
    sheet = book.worksheets[0]
    sheet.reset_dimensions()  # some tools write a wrong size, and rows beyond it would be lost
    names: list[str] = []
    slots = 0
    filled = False
    for place, cells in enumerate(sheet.iter_rows(values_only=True), 1):
        slots += len(cells)
        if place > MAX_ROWS or slots > _MAX_CELLS:
            # A row's number is what its tool wrote: openpyxl gives an empty row for each that is missing.
            raise SwollenPartError(f"more than {MAX_ROWS:,} rows or {_MAX_CELLS:,} cells in its first sheet")
        values = [_unescape(cell) if isinstance(cell, str) else cell for cell in cells]
        if all(value is None or value == "" for value in values):
            continue
        if not names:
            names = ["" if value is None else str(value).strip() for value in values]
            twice = [name for name, times in Counter(filter(None, names)).items() if times > 1]
            if twice:
                raise InputError(f"{subject} has several columns named {show_names(twice)}. Rename all but one.")
            continue
        values += [None] * (len(names) - len(values))
        row = {name: value for name, value in zip(names, values, strict=False) if name}
        for number, value in enumerate(values, 1):
            if value is not None and (number > len(names) or not names[number - 1]):
                row[_free(f"column {get_column_letter(number)}", names)] = value
        yield place, row
        filled = True
    if not names or (not filled and len(book.sheetnames) > 1):
        what = "no row below the names in its" if names else "an empty"
        raise InputError(
            f"{subject} has {what} first sheet, {sheet.title!r}; its sheets: {show_names(book.sheetnames)}. Only the "
            "first is read: move the one that holds the records to the front."
        )


def _free(name: str, taken: list[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text
