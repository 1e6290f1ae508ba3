"""An upload: from the body, raw or multipart, to a file in the data folder, piece by piece; and how large it unpacks.

Nothing of a file's name is used but its suffixes: a path in it leads nowhere.
"""

import hashlib
import io
import os
import zipfile
import zlib
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from anyio import to_thread
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers
from starlette.requests import Request

from classifier.compression import BY_CONTENT, FORMATS, decompressed, format_of
from classifier.errors import InputError
from classifier.parquetpieces import cut_batches, decoded_bytes, open_parquet
from classifier.writers import sync_folder
from service.problems import FieldError, Problem

MEDIA_TYPES = {
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
    "application/json": "json",
    "text/csv": "csv",
    "text/tab-separated-values": "tsv",
    "application/vnd.apache.parquet": "parquet",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/x-research-info-systems": "ris",
    "application/x-bibtex": "bibtex",
    "application/xml": "xml",
    "text/xml": "xml",
    "text/plain": BY_CONTENT,
}
"""What a raw body may be, by its Content-Type; with ?format= any will do."""

FILE_FIELD = "file"
_MULTIPART = "multipart/form-data"
_PIECE = 1 << 20
_ROWS = 2_048


@dataclass(frozen=True, slots=True)
class Upload:
    """A received upload: its format (None: by its content) and the digest of its bytes."""

    format: str | None
    sha256: str


async def receive(request: Request, format: str | None, folder: Path) -> tuple[Upload, Path]:
    """Write a request's upload to a file in `folder`, on disk for good; return it and the file.

    Raises Problem: 400 where a multipart body is broken, 415 where the format cannot be told, 422 where there is no
    file, or an empty one.
    """
    media_type, options = parse_options_header(request.headers.get("content-type", ""))
    kind = media_type.decode("latin-1").lower()
    refuse_encoding(request.headers, "Send the file as it is; a .gz or .zst file is unpacked here.")
    path = folder / "receiving"
    if kind == _MULTIPART:
        parts = _Parts(options.get(b"boundary"), format)
        sha256 = await _write(path, parts.pieces(request.stream()))
        return Upload(parts.format, sha256), path
    known = format or MEDIA_TYPES.get(kind)
    if known is None:
        raise Problem(415, f"The format cannot be told from the Content-Type. Add ?format= with one of: {_formats()}.")
    return Upload(None if known == BY_CONTENT else known, await _write(path, request.stream())), path


def refuse_encoding(headers: Headers, mend: str) -> None:
    """Raise Problem 415 where a body is compressed on its way: it would unpack to nobody knows how much."""
    if headers.get("content-encoding", "identity").lower() != "identity":
        detail = f"A body with Content-Encoding is not read. {mend}"
        raise Problem(415, detail, headers={"Accept-Encoding": "identity"})


def write_file(path: Path, content: bytes) -> str:
    """Write a file, on disk for good; return its SHA-256."""
    digest = hashlib.sha256()
    with path.open("xb") as file:
        _append(file, digest, content, True)
    sync_folder(path.parent)
    return digest.hexdigest()


def check_unpacked(path: Path, format: str | None, limit: int) -> None:
    """Raise Problem 413 where an upload unpacks to more than `limit` bytes; what is damaged is for the job to tell."""
    if unpacks_to_more(path, format, limit):
        detail = f"The upload unpacks to more than {limit:,} bytes. Split it, or use `dualuse classify`."
        raise Problem(413, detail)


def unpacks_to_more(path: Path, format: str | None, limit: int) -> bool:
    """Tell whether what is compressed in a file, by gzip, zstd or within its format, is more than `limit` bytes.

    Sheets are believed in what they say of themselves: more is never unpacked of them. Parquet is decoded, as it says
    nothing of what its dictionaries come to.
    """
    try:
        with path.open("rb") as file, decompressed(file, None, "the upload") as (head, stream, found):
            if found is None and head.startswith(b"PAR1"):
                return _decodes_to_more(path, limit)
            spool = stream if found else file
            if head.startswith(b"PK") and not found:
                with zipfile.ZipFile(spool) as archive:
                    return sum(member.file_size for member in archive.infolist()) > limit
            if not found:
                return False
            total = 0
            while piece := stream.read(_PIECE):
                total += len(piece)
                if total > limit:
                    return True
            return False
    except (EOFError, OSError, InputError, zipfile.BadZipFile, zlib.error, ValueError):
        return False


def _decodes_to_more(path: Path, limit: int) -> bool:
    with closing(open_parquet(path)) as file:
        total = 0
        for batch in cut_batches(path, file, _ROWS):
            total += decoded_bytes(batch.columns)
            if total > limit:
                return True
    return False


def _format_of_name(format: str | None, name: str) -> str | None:
    if format:
        return format
    known = format_of(Path(PurePosixPath(name.replace("\\", "/")).name))
    if known is None:
        detail = f"The format cannot be told from the file's name. Add ?format= with one of: {_formats()}."
        raise Problem(415, detail)
    return None if known == BY_CONTENT else known


def _formats() -> str:
    return ", ".join(FORMATS)


async def _write(path: Path, pieces: AsyncIterator[bytes]) -> str:
    digest = hashlib.sha256()
    with path.open("xb") as file:
        waiting = bytearray()
        async for piece in pieces:
            waiting += piece
            if len(waiting) >= _PIECE:
                await to_thread.run_sync(_append, file, digest, bytes(waiting))
                waiting.clear()
        await to_thread.run_sync(_append, file, digest, bytes(waiting), True)
        if not file.tell():
            raise Problem(422, "The upload is empty.", errors=[FieldError("", "Holds no byte. Send a file.")])
    sync_folder(path.parent)
    return digest.hexdigest()


def _append(file: io.BufferedWriter, digest: "hashlib._Hash", piece: bytes, is_last: bool = False) -> None:
    digest.update(piece)
    file.write(piece)
    if is_last:
        file.flush()
        os.fsync(file.fileno())


class _Parts:
    """Finds the one file in a multipart body; `format` is then the file's."""

    def __init__(self, boundary: bytes | None, format: str | None) -> None:
        if not boundary:
            raise Problem(
                400, "The multipart body has no boundary in its Content-Type. Send it with a library or curl."
            )
        self.format: str | None = None
        self._asked = format
        self._files = 0
        self._is_file = self._is_whole = False
        self._header, self._value, self._disposition = bytearray(), bytearray(), b""
        self._found = bytearray()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._add,
                "on_end": self._end,
            },
        )

    async def pieces(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the file's bytes.

        Raises Problem 400 where the body is not multipart, 422 where it holds no file or several.
        """
        try:
            async for piece in body:
                self._parser.write(piece)
                if self._files > 1:
                    raise Problem(422, "The body holds several files. Send each as a job of its own.")
                yield bytes(self._found)
                self._found.clear()
        except FormParserError:
            raise Problem(400, "The multipart body is broken. Send it with a library or curl.") from None
        if not self._is_whole:
            raise Problem(400, "The multipart body breaks off. Send it again.")
        if not self._files:
            detail = f"The body holds no file. Send it as the field {FILE_FIELD}, with its name."
            raise Problem(422, detail, errors=[FieldError("", "Holds no part with a file name.")])

    def _begin(self) -> None:
        self._disposition = b""
        self._is_file = False

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"filename" in options:
            self.format = _format_of_name(self._asked, options[b"filename"].decode("utf-8", "replace"))
            self._is_file = True
            self._files += 1

    def _add(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._found += data[start:end]

    def _end(self) -> None:
        self._is_whole = True
