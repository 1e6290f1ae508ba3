"""Hand the parts of a workbook to the library that reads it, and stop it where a part is made to exhaust it.

Every part that is read passes through a second parser, block by block and before the library sees the block, which
keeps nothing and counts: so a part that is never read may be as large as it likes. Excel's own limits are far below.
"""

import io
import zipfile
from collections.abc import Callable
from typing import IO, Any
from xml.parsers import expat

MAX_ROWS = 1_048_576  # of a sheet, by Excel

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_ROW, _TEXT = f"{_MAIN}}}row", f"{_MAIN}}}si"  # what the library forgets once it has read it
_MOST = {_ROW: MAX_ROWS, _TEXT: 4 * MAX_ROWS}
_MAX_INSIDE = 200_000  # elements of a row or a shared text; a row has at most 16,384 cells
_MAX_OUTSIDE = 1_000_000  # elements of a part that stand in no row and no shared text
_MAX_BYTES = 16 << 20  # of a row or a shared text, or before the first
_MAX_TEXT = 1 << 20  # bytes in which no element begins; a cell holds 32,767 characters
_MAX_RATIO = 200  # times that a part may unpack to; texts and rows of sheets come to 30 at most
_SMALL = 64 << 20  # bytes up to which any ratio will do
_BLOCK = 64 * 1024


class SwollenPartError(Exception):
    """A part holds what no workbook does; the message says what."""


class GuardedZip(zipfile.ZipFile):
    """A ZIP archive whose parts are watched while they are read.

    Reading raises SwollenPartError.
    """

    def __init__(self, file: IO[bytes]) -> None:
        """Open an archive for reading."""
        super().__init__(file)
        self._passed: set[str] = set()  # parts that were read to their end: some are read twice

    def open(self, name: Any, *args: Any, **options: Any) -> IO[bytes]:
        """Open a part."""
        part = name if isinstance(name, zipfile.ZipInfo) else self.getinfo(name)
        assert self.fp is not None
        whole = self.fp.seek(0, io.SEEK_END)
        if part.file_size > _SMALL and part.file_size > _MAX_RATIO * min(part.compress_size, whole):
            raise SwollenPartError(f"a part that unpacks to more than {_MAX_RATIO} times its bytes")
        stream = super().open(name, *args, **options)
        if part.filename in self._passed:
            return stream
        return io.BufferedReader(_Watched(stream, lambda: self._passed.add(part.filename)), _BLOCK)


class _Watched(io.RawIOBase):
    """A part's bytes, each block being looked at before it is given out."""

    def __init__(self, stream: IO[bytes], on_end: Callable[[], None]) -> None:
        self._stream = stream
        self._on_end = on_end
        self._parser: Any = expat.ParserCreate(namespace_separator="}")
        self._parser.StartElementHandler = self._begin
        self._open: set[str] = set()  # the row or shared text that is open
        self._parser.EndElementHandler = self._open.discard
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._parser.ordered_attributes = True  # a list costs less than a dict
        self._inside = self._outside = 0
        self._seen = {_ROW: 0, _TEXT: 0}
        self._mark = self._read = 0
        self._begun: tuple[int, ...] = ()  # how many elements had begun when it last changed, and where that was
        self._begun_at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._stream.read(len(buffer))
        self._look(block)
        if not block:
            self._on_end()
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        self._stream.close()
        super().close()

    def _look(self, block: bytes) -> None:
        if self._parser is None:
            return
        self._read += len(block)
        try:
            self._parser.Parse(block, not block)
        except expat.ExpatError:
            self._parser = None  # no XML (a picture), or not well-formed: the library stops there too
            return
        begun = (self._inside, self._outside, *self._seen.values())
        if begun != self._begun:
            self._begun, self._begun_at = begun, self._read
        if self._read - self._begun_at > _MAX_TEXT:
            raise SwollenPartError(f"a text of more than {_MAX_TEXT:,} bytes")
        if self._read - self._mark > _MAX_BYTES:
            raise SwollenPartError(f"more than {_MAX_BYTES:,} bytes in one row")

    def _begin(self, name: str, attributes: list[str]) -> None:
        if self._open:
            self._inside += 1
            if self._inside > _MAX_INSIDE or name in self._open:
                raise SwollenPartError(f"more than {_MAX_INSIDE:,} elements in one row or text")
        elif name in _MOST:
            self._open.add(name)
            self._inside = 0
            self._mark = self._parser.CurrentByteIndex
            self._seen[name] += 1
            if self._seen[name] > _MOST[name]:
                raise SwollenPartError(f"more than {_MOST[name]:,} {'rows' if name == _ROW else 'shared texts'}")
        else:
            self._outside += 1
            if self._outside > _MAX_OUTSIDE:
                raise SwollenPartError(f"more than {_MAX_OUTSIDE:,} elements beside its rows and texts")

    def _refuse_doctype(self, *_: object) -> None:
        raise SwollenPartError("a document type (<!DOCTYPE), which could declare entities")
