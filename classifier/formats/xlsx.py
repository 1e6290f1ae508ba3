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
from xml.parsers import expat

from classifier.errors import InputError
from classifier.records import show_names

_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")  # how a workbook writes the characters that XML does not have
_PARTS = (".xml", ".rels")


def read(stream: io.BufferedReader, subject: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield every filled row below the column names with its number in the sheet.

    Raises InputError where the file is no workbook, its first sheet is empty or two of its columns bear one name.
    """
    with tempfile.TemporaryFile() as spool:
        shutil.copyfileobj(stream, spool)
        try:
            _check_declarations(spool, subject)
            yield from _read_first_sheet(spool, subject)
        except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, EOFError, OSError, SyntaxError) as error:
            raise InputError(
                f"{subject} cannot be read as an Excel workbook: it is damaged, cut short, locked with a password, of "
                "an older kind, or no workbook at all. Save it again as .xlsx or as 'CSV UTF-8'."
            ) from error


def _read_first_sheet(file: IO[bytes], subject: str) -> Iterator[tuple[int, dict[str, Any]]]:
    import openpyxl
    from openpyxl.utils import get_column_letter

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # openpyxl tells of styles and the like that it leaves out
        book = openpyxl.load_workbook(file, read_only=True, data_only=True)
    if not book.worksheets:
        raise InputError(f"{subject} has no sheet with cells.")
    sheet = book.worksheets[0]
    sheet.reset_dimensions()  # some tools write a wrong size, and rows beyond it would be lost
    names: list[str] = []
    filled = False
    for place, cells in enumerate(sheet.iter_rows(values_only=True), 1):
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


def _check_declarations(file: IO[bytes], subject: str) -> None:
    """Raise InputError where a part of the workbook has a document type, which could declare entities.

    No workbook needs one. Only what stands before a part's first element is parsed.
    """

    class _Seen(Exception):  # noqa: N818  # stops the parser: no error
        pass

    def begin(name: str, attributes: object) -> None:
        raise _Seen

    def refuse(*_: object) -> None:
        raise InputError(
            f"{subject} holds a document type (<!DOCTYPE), as no workbook does. It is not read: fetch "
            "it again from where it came from, or save it again as .xlsx."
        )

    with zipfile.ZipFile(file) as archive:
        for part in archive.infolist():
            if part.filename.endswith(_PARTS):
                parser = expat.ParserCreate()
                parser.StartElementHandler = begin
                parser.StartDoctypeDeclHandler = refuse
                try:
                    with archive.open(part) as stream:
                        parser.ParseFile(stream)
                except (_Seen, expat.ExpatError):
                    continue  # what is not well-formed is told on reading
    file.seek(0)
