"""Write an Excel workbook of one sheet, row by row, with no time in it: same rows, same bytes.

Our own hundred lines, since openpyxl stamps the hour into every file, cuts texts at the length that a cell can hold
without a word, and takes any text with "=" in front for a formula. Here texts are texts, marked so that Excel does
not run them after an edit either; a text that is too long for a cell (a list of references, mostly) says at its end
that it was cut, and what a sheet cannot hold otherwise is an error that names the limit.
"""

import math
import re
import zipfile
from collections.abc import Iterable, Sequence
from typing import BinaryIO

import orjson

from classifier.compression import lend
from classifier.errors import DualuseError

MAX_ROWS = 1_048_576  # the header included
MAX_COLUMNS = 16_384
MAX_TEXT = 32_767  # characters in a cell, counted as UTF-16 does
_MAX_BYTES = 2**32 - 2**24  # of the sheet; more would need a kind of ZIP that Excel complains about
_MAX_EXACT = 10**15  # Excel keeps 15 digits; longer whole numbers, ids mostly, are written as text

_NS = "http://schemas.openxmlformats.org"
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_PARTS = {
    "[Content_Types].xml": f'''<Types xmlns="{_NS}/package/2006/content-types">\
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>\
<Default Extension="xml" ContentType="application/xml"/>\
<Override PartName="/xl/workbook.xml" \
ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>\
<Override PartName="/xl/styles.xml" \
ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.styles+xml"/>\
<Override PartName="/xl/worksheets/sheet1.xml" \
ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>''',
    "_rels/.rels": f'''<Relationships xmlns="{_NS}/package/2006/relationships"><Relationship Id="rId1" \
Type="{_NS}/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>''',
    "xl/workbook.xml": f'''<workbook xmlns="{_NS}/spreadsheetml/2006/main" \
xmlns:r="{_NS}/officeDocument/2006/relationships">\
<sheets><sheet name="dualuse" sheetId="1" r:id="rId1"/></sheets></workbook>''',
    "xl/_rels/workbook.xml.rels": f'''<Relationships xmlns="{_NS}/package/2006/relationships">\
<Relationship Id="rId1" Type="{_NS}/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/>\
<Relationship Id="rId2" Type="{_NS}/officeDocument/2006/relationships/styles" Target="styles.xml"/>\
</Relationships>''',
    # The second style says: this is text, whatever it begins with.
    "xl/styles.xml": f'''<styleSheet xmlns="{_NS}/spreadsheetml/2006/main">\
<fonts count="1"><font><sz val="11"/><name val="Calibri"/></font></fonts>\
<fills count="2"><fill><patternFill patternType="none"/></fill>\
<fill><patternFill patternType="gray125"/></fill></fills>\
<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>\
<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>\
<cellXfs count="2"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>\
<xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0" quotePrefix="1"/></cellXfs>\
<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>''',
}
_SHEET = f'<worksheet xmlns="{_NS}/spreadsheetml/2006/main"><sheetData>'
# What XML cannot hold, and what reads like the way such a character is written.
_UNWRITABLE = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")

_MEND = "Nothing was written; use CSV, JSONL or Parquet, keep fewer columns (--keep id), or cut the source into parts."


Cell = str | int | float | bool | None


class Sheet:
    """An Excel workbook being written to a stream."""

    def __init__(self, stream: BinaryIO) -> None:
        # Never sought in: a pipe or a compressor gets the bytes that a file gets.
        self._archive = zipfile.ZipFile(lend(stream), "w", zipfile.ZIP_DEFLATED)
        for name, text in _PARTS.items():
            with self._archive.open(_part(name), "w") as part:
                part.write((_HEAD + text).encode())
        self._part = self._archive.open(_part("xl/worksheets/sheet1.xml"), "w")
        self._rows = 0
        self._size = self._part.write((_HEAD + _SHEET).encode())

    def add_row(self, cells: Sequence[Cell]) -> None:
        """Write a row; None leaves its cell empty.

        Raises DualuseError where a sheet cannot hold it: too many rows or columns, or too much in all.
        """
        check_size(self._rows + 1, len(cells))
        line = f"<row>{''.join(map(_cell, cells))}</row>".encode()
        self._size += len(line)
        if self._size > _MAX_BYTES:
            raise DualuseError(f"The sheet is larger than 4 GB, more than Excel opens. {_MEND}")
        self._part.write(line)
        self._rows += 1

    def finish(self) -> None:
        """Close the sheet and write the archive's directory, without which it does not open."""
        self._part.write(b"</sheetData></worksheet>")
        self._part.close()
        self._archive.close()

    def close(self) -> None:
        """Let go of the stream; before `finish` what was written stays unreadable."""
        if not self._part.closed:
            self._part.close()
            self._archive.fp = None  # else the directory would be written, and half a file look whole


def check_size(rows: int, columns: int) -> None:
    """Raise DualuseError where a sheet cannot hold so many rows, the header included, or columns."""
    if rows > MAX_ROWS:
        raise DualuseError(f"An Excel sheet holds at most {MAX_ROWS:,} rows, the header included. {_MEND}")
    if columns > MAX_COLUMNS:
        raise DualuseError(f"{columns:,} columns; an Excel sheet holds at most {MAX_COLUMNS:,}. {_MEND}")


def write_sheet(rows: Iterable[bytes], stream: BinaryIO) -> None:
    """Write a workbook of rows that are JSON lists of cells.

    Raises DualuseError as `Sheet.add_row` does.
    """
    sheet = Sheet(stream)
    try:
        for row in rows:
            sheet.add_row(orjson.loads(row))
        sheet.finish()
    finally:
        sheet.close()


def _part(name: str) -> zipfile.ZipInfo:
    part = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    part.compress_type = zipfile.ZIP_DEFLATED
    part.create_system = 3  # else it would depend on the machine
    return part


def _cell(value: Cell) -> str:
    if value is None or value == "":
        return "<c/>"
    if isinstance(value, bool):
        return f'<c t="b"><v>{int(value)}</v></c>'
    if isinstance(value, int) and abs(value) >= _MAX_EXACT:
        value = str(value)
    if isinstance(value, (int, float)):
        return f"<c><v>{value!r}</v></c>" if math.isfinite(value) else "<c/>"
    text = _UNWRITABLE.sub(lambda match: f"_x{ord(match[0]):04X}_", _fit(value))
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f'<c s="1" t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'


def _fit(text: str) -> str:
    length = len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2
    if length <= MAX_TEXT:
        return text
    mark = f" [cut: {length:,} characters, more than an Excel cell holds]"
    # Cut in UTF-16, as Excel counts; half a pair at the end is dropped.
    return text.encode("utf-16-le")[: 2 * (MAX_TEXT - len(mark))].decode("utf-16-le", "ignore") + mark
