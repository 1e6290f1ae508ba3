"""Shape encoded batches into a file that grows by segments and is a whole file at the end.

Each segment stands on its own: text formats need nothing for that, a Parquet segment is a small Parquet file whose
pages go into the big one and whose footer waits for the end (see `parquetjoin`). A workbook cannot grow that way: its
rows are kept as lines and it is made of them at the end.
"""

from collections.abc import Callable, Iterable
from typing import Any, BinaryIO, Protocol

from classifier.parquetjoin import MAGIC, Part, joined_end, split
from classifier.sheet import write_sheet

_GROUP_BYTES = 64 * 1024 * 1024


Convert = Callable[[Iterable[bytes], BinaryIO], None]


class Shape(Protocol):
    """Says what bytes go into the file, and when."""

    def head(self) -> bytes:
        """Return the file's first bytes."""

    def add(self, encoded: Any) -> bytes:
        """Take one encoded batch; return what can be written by now."""

    def end_segment(self) -> tuple[Any, bytes]:
        """Return what is left to be written of the segment, and its footer."""

    def tail(self, parts: list[Part]) -> bytes:
        """Return the file's last bytes, given the footer and place of every segment."""

    convert: Convert | None
    """Makes the output of what was written, where that is not the output yet."""


class TextShape:
    """The shape of JSON Lines, CSV and TSV."""

    convert: Convert | None = None

    def __init__(self, head: bytes) -> None:
        """Begin with these bytes."""
        self._head = head

    def head(self) -> bytes:
        """Return the header line."""
        return self._head

    def add(self, encoded: bytes) -> bytes:
        """Pass on."""
        return encoded

    def end_segment(self) -> tuple[bytes, bytes]:
        """Do nothing."""
        return b"", b""

    def tail(self, parts: list[Part]) -> bytes:
        """Do nothing."""
        return b""


class WorkbookShape(TextShape):
    """The shape of an XLSX file: its rows as JSON lines, as a workbook can only be written from end to end."""

    def __init__(self, head: bytes) -> None:
        """Begin with the row of names."""
        super().__init__(head)
        self.convert = write_sheet


class ParquetShape:
    """The shape of a Parquet file."""

    convert: Convert | None = None

    def __init__(self) -> None:
        """Begin with nothing."""
        self._waiting: list[Any] = []
        self._bytes = 0
        self._sink: Any = None
        self._writer: Any = None

    def head(self) -> bytes:
        """Return the magic number."""
        return MAGIC

    def add(self, encoded: Any) -> bytes:
        """Gather batches into row groups."""
        self._waiting.append(encoded)
        self._bytes += encoded.nbytes
        if self._bytes >= _GROUP_BYTES:
            self._put_group()
        return b""

    def end_segment(self) -> tuple[memoryview, bytes]:
        """Return the segment's pages and its footer."""
        self._put_group()
        self._writer.close()
        file = memoryview(self._sink.getvalue())
        self._sink = self._writer = None
        return split(file)

    def tail(self, parts: list[Part]) -> bytes:
        """Return the footer of the whole file."""
        return joined_end(parts)

    def _put_group(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not self._waiting:
            return
        table = pa.Table.from_batches(self._waiting)
        if self._writer is None:
            self._sink = pa.BufferOutputStream()
            self._writer = pq.ParquetWriter(
                self._sink,
                table.schema,
                compression="zstd",
                write_page_checksum=True,  # a flipped bit would read as good data otherwise
            )
        if table.num_rows:
            self._writer.write_table(table, row_group_size=table.num_rows)
        self._waiting, self._bytes = [], 0
