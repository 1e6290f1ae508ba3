"""The data folder: where the files of a job lie, and the lock that keeps a second service out.

`jobs/ID/` holds the upload while the job is not finished, then the result, the refused rows and the record of the run.
"""

import errno
import fcntl
import os
import shutil
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from classifier.errors import DualuseError
from service.database import make_folder

_UPLOAD = "upload"
_RESULT = "result"


class DataFolder:
    """A data folder that is ours until `close` is called, or the process ends in whatever way."""

    def __init__(self, path: Path) -> None:
        """Take the folder.

        Raises DualuseError where another process has it, or it cannot be written to.
        """
        self.path = path.resolve()
        make_folder(self.path)
        make_folder(self.path / "jobs")
        try:
            self._lock = os.open(self.path / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise DualuseError(f"{self.path} cannot be written to: {error.strerror}. Set DUALUSE_DATA_DIR.") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            raise DualuseError(
                f"Another process works the data folder {self.path}: one service at a time may. Stop it, start this "
                "one with one worker, or set DUALUSE_DATA_DIR to another folder."
            ) from error

    def close(self) -> None:
        """Let the folder go."""
        os.close(self._lock)

    def make_job(self, id: str) -> Path:
        """Make and return the folder of a new job."""
        folder = self._job(id)
        folder.mkdir(mode=0o700)
        return folder

    def upload(self, id: str, format: str | None) -> Path:
        """Return where the upload of a job lies; `.txt` is what lets its content tell the format."""
        return self._job(id) / (_UPLOAD if format else f"{_UPLOAD}.txt")

    def result(self, id: str, output: str) -> Path:
        """Return where the result of a job lies, once it is done."""
        return self._job(id) / f"{_RESULT}.{output}"

    def rejects(self, id: str) -> Path:
        """Return where the refused rows of a job lie, if some were refused."""
        return self._job(id) / "rejects.jsonl"

    def remove_upload(self, id: str) -> None:
        """Remove what was uploaded for a job."""
        for name in (_UPLOAD, f"{_UPLOAD}.txt"):
            (self._job(id) / name).unlink(missing_ok=True)

    def remove(self, id: str) -> None:
        """Remove all files of a job."""
        shutil.rmtree(self._job(id), ignore_errors=True)

    def remove_others(self, ids: Collection[str], kept_since: float) -> None:
        """Remove the files of all jobs but these: uploads that were broken off by a kill.

        A result is only removed once it is as old as one may get (seconds since 1970): a copy of the database that was
        put back does not know of the latest.
        """
        for folder in (self.path / "jobs").iterdir():
            with suppress(OSError):
                if folder.name not in ids and not _has_result(folder, kept_since):
                    shutil.rmtree(folder)

    def _job(self, id: str) -> Path:
        return self.path / "jobs" / id


def _has_result(folder: Path, since: float) -> bool:
    return any(path.is_file() and path.stat().st_mtime >= since for path in folder.glob(f"{_RESULT}.*"))
