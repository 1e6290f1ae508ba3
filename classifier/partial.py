"""OUT.partial/: what a run has done so far, kept so that a killed run goes on instead of starting over.

`data` grows by segments; `journal` gets a line for each segment once its bytes are on disk. What stands in `data`
behind the last line of the journal is cut off when the run is taken up, so a kill costs at most a segment. A whole
copy at the end is not needed: `data` itself becomes OUT by one rename. `run.json` says what run this is.
"""

import base64
import hashlib
import io
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from classifier.errors import DualuseError, ResumeError
from classifier.parquetjoin import Part
from classifier.segments import Convert, Shape
from classifier.writers import DiskFile, cannot_write, replacing, sync_folder

_WAITING = 8  # pieces that may wait to be written


@dataclass(slots=True)
class State:
    """How far a run has come: rows read, of these scored and refused, what was decided, bytes of both outputs."""

    rows: int = 0
    scored: int = 0
    refused: int = 0
    flagged: dict[str, int] = field(default_factory=dict)
    reviewed: int = 0
    abstained: int = 0
    notes: dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    reject_bytes: int = 0


class Partial:
    """The folder beside an output in which a run keeps its finished segments.

    Attributes: `state` as of the last finished segment; `finished`, the output's SHA-256 where the output is in
    place already and only the record of the run is missing.
    """

    def __init__(self, target: Path, identity: Mapping[str, Any], *, restart: bool) -> None:
        """Take up what an earlier run left, or begin.

        Raises ResumeError where that was another run, DualuseError where the folder cannot be written to, is in use
        by another process, or is damaged.
        """
        self._target = target
        self.folder = partial_folder(target)
        self.state = State()
        self.parts: list[Part] = []
        self.finished: str | None = None
        self._digest = hashlib.sha256()
        self._pieces: list[Future[Any]] = []
        self._lock: int | None = None
        self._broken = self._is_ours = False
        try:
            self.folder.mkdir(exist_ok=True)
            self._take_lock()
            if restart:
                self._clear()
            self._check_identity(identity)
            self._is_ours = True
            self._journal = DiskFile(self._path("journal"), "ab", target, self.folder)
            self._recover()
        except OSError as error:
            self.close()
            raise cannot_write(target, error) from error
        except BaseException:
            self.close()
            raise
        self._thread = ThreadPoolExecutor(1, "dualuse-write")

    def begin(self, head: bytes) -> None:
        """Add the output's first bytes, unless an earlier run did."""
        if not self.parts:
            self.append(head)
            self._part_start = len(head)

    def append(self, data: Any) -> None:
        """Add bytes to the output, in order, while the caller goes on.

        Raises DualuseError where an earlier piece could not be written.
        """
        if len(data):
            self.later(self._append, data)

    def commit(self, state: State, rejects: bytes, left: Any, footer: bytes, report: bytes = b"") -> None:
        """End a segment: bring it to disk, with the report so far, and note it in the journal."""
        self.append(left)
        self.later(self._commit, state, rejects, footer, report)

    def report(self) -> bytes:
        """Return the report as of the last finished segment, or nothing."""
        path = self._path(f"report-{self.state.rows}")
        return path.read_bytes() if path.exists() else b""

    def finish(self, shape: Shape, rejects: Path | None) -> str:
        """Make the output of the finished segments; return its SHA-256.

        The refused rows go to `rejects`, which is removed where none were refused.
        """
        self.wait()
        self.append(shape.tail(self.parts))
        self.wait()
        self._data.flush()
        os.fsync(self._data.fileno())
        if rejects is not None:
            if self.state.reject_bytes:
                with replacing(rejects) as sink, self._path("rejects").open("rb") as refused:
                    shutil.copyfileobj(refused, sink)
            else:
                rejects.unlink(missing_ok=True)  # left by an earlier run: it would tell of rows that are fine now
        whole, sha256 = self._path("data"), self._digest.hexdigest()
        if shape.convert:
            whole, sha256 = self._converted(shape.convert)
        self._note({"finished": sha256})
        if self._target.exists():
            # Who could not read the old file cannot read the new one.
            whole.chmod(stat.S_IMODE(self._target.stat().st_mode))
        whole.replace(self._target)
        sync_folder(self._target.parent)
        return sha256

    def _converted(self, convert: Convert) -> tuple[Path, str]:
        path = self._path("whole")
        with (
            self._path("data").open("rb") as lines,
            io.BufferedWriter(DiskFile(path, "wb", self._target, self.folder)) as sink,
        ):
            convert(lines, sink)
            sink.flush()
            os.fsync(sink.fileno())
        with path.open("rb") as file:
            return path, hashlib.file_digest(file, "sha256").hexdigest()

    def remove(self) -> None:
        """Remove the folder."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Let go of the folder; it is removed if no segment is in it."""
        if hasattr(self, "_thread"):
            self._thread.shutdown()
        for name in ("_data", "_rejects", "_journal"):
            if hasattr(self, name):
                with suppress(OSError, DualuseError):
                    getattr(self, name).close()
        if self._lock is not None:
            if self._is_ours and not self.state.rows:
                shutil.rmtree(self.folder, ignore_errors=True)
            os.close(self._lock)
            self._lock = None

    def _path(self, name: str) -> Path:
        return self.folder / name

    def _take_lock(self) -> None:
        lock = os.open(self._path("lock"), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:  # Windows: two runs at once are the user's to avoid
            pass
        except OSError:
            os.close(lock)
            raise DualuseError(
                f"{self._target} is being written by another process. Wait for it, or choose another output."
            ) from None
        self._lock = lock

    def _clear(self) -> None:
        for path in self.folder.iterdir():
            if path.name != "lock":
                path.unlink()

    def _check_identity(self, identity: Mapping[str, Any]) -> None:
        path = self._path("run.json")
        if not path.exists():
            self._clear()
            new = self._path("run.json.new")
            new.write_bytes(orjson.dumps(identity, option=orjson.OPT_INDENT_2))
            new.replace(path)
            return
        changes = differences(orjson.loads(path.read_bytes()), orjson.loads(orjson.dumps(identity)))
        if changes:
            raise ResumeError(
                f"{self.folder} holds part of another run: {'; '.join(changes)}. Use what was used before to go on, "
                "or say --restart to drop that part and begin again."
            )

    def _recover(self) -> None:
        noted = 0
        digest = finished = ""
        for line in self._path("journal").read_bytes().splitlines(keepends=True):
            try:
                entry = orjson.loads(line)
            except orjson.JSONDecodeError:
                break  # the kill came while this line was written
            if not line.endswith(b"\n"):
                break
            if "finished" in entry:
                finished = entry["finished"]
                break
            noted += len(line)
            self.parts.append(Part(base64.b64decode(entry.pop("footer")), entry.pop("offset")))
            digest = entry.pop("sha256")
            self.state = State(**entry)
        if finished and not self._path("data").exists():
            self.finished = finished
            return
        self._data = io.BufferedWriter(DiskFile(self._path("data"), "ab", self._target, self.folder), 1 << 20)
        self._rejects = DiskFile(self._path("rejects"), "ab", self._target, self.folder)
        self._journal.truncate(noted)
        with self._path("data").open("rb") as data:
            left = self.state.bytes
            while left and (piece := data.read(min(left, 1 << 20))):
                self._digest.update(piece)
                left -= len(piece)
        if noted and (left or self._digest.hexdigest() != digest):
            raise DualuseError(f"{self.folder} is damaged: its data are not what its journal says. Say --restart.")
        os.truncate(self._path("data"), self.state.bytes)
        os.truncate(self._path("rejects"), self.state.reject_bytes)
        self._written = self._part_start = self.state.bytes

    def later(self, task: Callable[..., None], *arguments: Any) -> None:
        """Do something in order with the writing, while the caller goes on."""
        while len(self._pieces) >= _WAITING or (self._pieces and self._pieces[0].done()):
            self._pieces.pop(0).result()
        self._pieces.append(self._thread.submit(self._do, task, *arguments))

    def _do(self, task: Callable[..., None], *arguments: Any) -> None:
        if self._broken:
            return  # what follows a piece that could not be written must not be noted as done
        try:
            task(*arguments)
        except OSError as error:  # a disk may say only when it is flushed that it is full
            self._broken = True
            raise cannot_write(self._target, error, self.folder) from error
        except BaseException:
            self._broken = True
            raise

    def wait(self) -> None:
        """Wait until all is written, and every ended segment noted."""
        while self._pieces:
            self._pieces.pop(0).result()

    def _append(self, data: Any) -> None:
        self._data.write(data)
        self._digest.update(data)
        self._written += len(data)

    def _commit(self, state: State, rejects: bytes, footer: bytes, report: bytes) -> None:
        if report:
            with replacing(self._path(f"report-{state.rows}")) as file:
                file.write(report)
        self._data.flush()
        os.fdatasync(self._data.fileno())
        if rejects:
            self._rejects.write(rejects)
            os.fdatasync(self._rejects.fileno())
        state.bytes = self._written
        state.reject_bytes = self.state.reject_bytes + len(rejects)
        part = Part(footer, self._part_start)
        entry = asdict(state) | {
            "offset": part.offset,
            "footer": base64.b64encode(footer).decode(),
            "sha256": self._digest.hexdigest(),
        }
        self._note(entry)
        if report and self.state.rows != state.rows:
            self._path(f"report-{self.state.rows}").unlink(missing_ok=True)
        self.state = state
        self.parts.append(part)
        self._part_start = self._written

    def _note(self, entry: dict[str, Any]) -> None:
        self._journal.write(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
        os.fdatasync(self._journal.fileno())


class Direct:
    """Standard output, a pipe or a device: written as it comes, never taken up again."""

    def __init__(self, sink: BinaryIO, rejects: Path | None, stack: ExitStack) -> None:
        """Write to a sink; `stack` closes what is opened for refused rows."""
        self.state = State()
        self._parts: list[Part] = []
        self._sink, self._rejects_path, self._stack = sink, rejects, stack
        self._rejects: BinaryIO | None = None
        self._written = self._part_start = 0

    def begin(self, head: bytes) -> None:
        """Write the first bytes."""
        self.append(head)
        self._part_start = self._written

    def append(self, data: Any) -> None:
        """Write bytes."""
        self._sink.write(data)
        self._written += len(data)

    def report(self) -> bytes:
        """Return nothing."""
        return b""

    def commit(self, state: State, rejects: bytes, left: Any, footer: bytes, report: bytes = b"") -> None:
        """End a segment."""
        self.append(left)
        self.state = state
        self._parts.append(Part(footer, self._part_start))
        self._part_start = self._written
        if rejects and self._rejects_path is not None:
            self._rejects = self._rejects or self._stack.enter_context(replacing(self._rejects_path))
            self._rejects.write(rejects)

    def later(self, task: Callable[..., None], *arguments: Any) -> None:
        """Do something now."""
        task(*arguments)

    def wait(self) -> None:
        """Have nothing to wait for."""

    def finish(self, shape: Shape) -> None:
        """Write the last bytes."""
        self.append(shape.tail(self._parts))
        if shape.convert:  # then the sink is a file beside the stream
            with tempfile.TemporaryFile() as lines:
                self._sink.seek(0)
                shutil.copyfileobj(self._sink, lines)
                for file in (self._sink, lines):
                    file.seek(0)
                self._sink.truncate()
                shape.convert(lines, self._sink)
        if self._rejects is None and self._rejects_path is not None:
            self._rejects_path.unlink(missing_ok=True)


Store = Partial | Direct


def partial_folder(target: Path) -> Path:
    """Return the folder in which a run towards `target` keeps its segments."""
    return target.with_name(f"{target.name}.partial")


def differences(old: Mapping[str, Any], new: Mapping[str, Any], path: str = "") -> list[str]:
    """Say, value by value, what differs between two records of a run."""
    found: list[str] = []
    for name in dict.fromkeys((*old, *new)):
        before, now = old.get(name), new.get(name)
        label = f"{path} {name}".strip()
        if isinstance(before, dict) and isinstance(now, dict):
            found += differences(before, now, label)
        elif before != now:
            found.append(f"{label} was {before!r} and is now {now!r}")
    return found
