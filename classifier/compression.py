"""Formats and compressions: what a file name says, what the first bytes say, and the streams to read and write.

Reading believes the first bytes rather than the name, since files get renamed and recompressed; the name says
what is inside. A stream handed in is never closed here, only what is put around it.
"""

import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from classifier.errors import InputError

FORMATS = ("jsonl", "json", "csv", "tsv", "parquet", "xlsx", "ris", "wos", "medline", "bibtex", "xml")

BY_CONTENT = "by content"  # in place of a format: a name that allows several

_FORMAT_OF_SUFFIX = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".ris": "ris",
    ".ciw": "wos",
    ".isi": "wos",
    ".nbib": "medline",
    ".bib": "bibtex",
    ".bibtex": "bibtex",
    ".xml": "xml",
    ".txt": BY_CONTENT,
}
_COMPRESSION_OF_SUFFIX = {".gz": "gzip", ".zst": "zstd"}
SUFFIXES = ", ".join(_FORMAT_OF_SUFFIX) + " (also with .gz or .zst behind)"

_HEAD = 16
_BLOCK = 256 * 1024


def format_of(path: Path) -> str | None:
    """Return the format that a file's name promises, BY_CONTENT, or None where the suffix is not known."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _COMPRESSION_OF_SUFFIX:
        suffixes.pop()
        if not suffixes:
            return BY_CONTENT  # part_000.gz, as OpenAlex names them
    return _FORMAT_OF_SUFFIX.get(suffixes[-1]) if suffixes else None


def compression_of(path: Path) -> str | None:
    """Return "gzip", "zstd" or None, by the file's last suffix."""
    return _COMPRESSION_OF_SUFFIX.get(path.suffix.lower())


class _Lent(io.RawIOBase):
    """Lends a stream to a wrapper that would close it; reading begins with `head`, bytes taken from it before."""

    def __init__(self, stream: Any, head: bytes = b"") -> None:
        self._stream = stream
        self._head = memoryview(head)
        # read1 gives what is there: a slow pipe is not waited for, and what came before a damaged place is not lost.
        self._take = getattr(stream, "read1", None) or getattr(stream, "read", None)

    def readable(self) -> bool:
        return self._take is not None

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = len(buffer)
        if self._head:
            piece, self._head = self._head[:size], self._head[size:]
        else:
            piece = self._take(size)  # type: ignore[misc]  # readable() is asked first
        buffer[: len(piece)] = piece
        return len(piece)

    def write(self, data: Any) -> int:
        self._stream.write(data)
        return len(data)


def lend(stream: Any) -> Any:
    """Return a stream that writes to `stream` and leaves it open when it is closed."""
    return _Lent(stream)


def put_back(head: bytes, stream: Any) -> io.BufferedReader:
    """Return a stream that gives `head` again and then the rest of `stream`."""
    return io.BufferedReader(_Lent(stream, head), _BLOCK)


def _take_head(stream: Any) -> tuple[bytes, io.BufferedReader]:
    head = b""
    while len(head) < _HEAD and (piece := stream.read(_HEAD - len(head))):
        head += piece
    return head, put_back(head, stream)


def _compression_in(head: bytes) -> str | None:
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    # The second form is a skippable frame: parallel zstd tools put one in front.
    if head.startswith(b"\x28\xb5\x2f\xfd") or (head[1:4] == b"\x2a\x4d\x18" and head[0] >> 4 == 5):
        return "zstd"
    return None


def check_text(head: bytes, subject: str) -> None:
    """Raise InputError where the first bytes, unpacked, are not those of a UTF-8 text."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in head[:2]:
        mend = "Save it as UTF-8, e.g. iconv -f utf-16 -t utf-8 OLD > NEW; in Excel choose 'CSV UTF-8'."
        raise InputError(f"{subject} is in UTF-16; only UTF-8 is read. {mend}")
    if head.startswith(b"PK\x03\x04"):
        mend = "Say --format xlsx if it is a workbook; an archive has to be a file whose name ends in .zip."
        raise InputError(f"{subject} is a ZIP archive or an Excel workbook. {mend}")
    if head.startswith(b"%PDF-"):
        raise InputError(f"{subject} is a PDF, of which no records can be read. Export them as CSV or another format.")
    if head.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        mend = "It may be a login page or an error that was saved for the file: fetch it again."
        raise InputError(f"{subject} is a web page (HTML), not data. {mend}")
    if _compression_in(head):
        raise InputError(f"{subject} is compressed twice. Unpack it once, e.g. gunzip < OLD.gz > NEW.gz.")


@contextmanager
def decompressed(
    stream: BinaryIO, named: str | None, subject: str
) -> Iterator[tuple[bytes, io.BufferedReader, str | None]]:
    """Open `stream` for reading: its first bytes and all its bytes, both decompressed, and the compression found.

    Raises InputError where the name promises a compression (`named`) that the first bytes do not show. Damage
    further in raises EOFError, OSError or zlib.error while reading.
    """
    head, plain = _take_head(stream)
    found = _compression_in(head)
    if found == "gzip":
        with gzip.GzipFile(fileobj=plain) as unzipped:
            yield *_take_head(unzipped), found
    elif found == "zstd":
        import pyarrow as pa

        with pa.CompressedInputStream(pa.PythonFile(plain, mode="r"), "zstd") as unpacked:
            yield *_take_head(unpacked), found
    elif named and head:
        raise InputError(
            f"{subject} is named as {named} but does not begin like {named}: it is damaged or already unpacked. "
            "Fetch it again, or drop the last suffix from its name."
        )
    else:
        yield head, plain, None


@contextmanager
def compressing(sink: BinaryIO, compression: str | None) -> Iterator[BinaryIO]:
    """Yield a stream that compresses into `sink`, with no time or name in it: same rows, same bytes."""
    if compression == "gzip":
        with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=sink, mtime=0) as zipped:
            yield zipped  # type: ignore[misc]  # a GzipFile does all that is asked of a BinaryIO here
    elif compression == "zstd":
        import pyarrow as pa

        with pa.CompressedOutputStream(pa.PythonFile(lend(sink), mode="w"), "zstd") as packed:
            yield packed
    else:
        yield sink
