"""Tell how far the reading of a source has come, in bytes of its files as they lie on disk."""

import os
from typing import BinaryIO


class Reading:
    """Is handed each file as it is opened (`on_open` of the readers). Members of a ZIP archive are not counted."""

    def __init__(self) -> None:
        """Begin before the first file."""
        self._stream: BinaryIO | None = None
        self._size = 0
        self._before = 0

    def __call__(self, stream: BinaryIO) -> None:
        """Take note of the next file."""
        self._before += self._size
        self._stream, self._size = stream, os.fstat(stream.fileno()).st_size

    @property
    def bytes(self) -> int:
        """Return how much was read, of all files together."""
        if self._stream is None:
            return 0
        try:
            return self._before + self._stream.tell()
        except ValueError:  # read to its end and closed, or a pipe
            return self._before + self._size
