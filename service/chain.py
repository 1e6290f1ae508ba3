"""An append-only file of JSON lines, each sealed with a hash over itself and the line before it.

A line is `{"count":N,...,"previous":"HASH","hash":"HASH"}`: `hash` is the SHA-256 of the line's bytes without
`,"hash":"..."`, so any language can check it with one digest and no rules about JSON. The surprising rule: nothing in
the file is ever cut off or written over. What a kill in the middle of a write leaves behind stays where it is, and the
next line to be written says how many bytes it is and what their digest is.
"""

import fcntl
import hashlib
import mmap
import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from classifier.errors import DualuseError
from classifier.writers import sync_folder

MENDED = "mended"
"""The `kind` of a line that accounts for the torn bytes before it."""

_SEAL = re.compile(rb',"hash":"([0-9a-f]{64})"\}\Z')
_HEAD = re.compile(r"([0-9a-f]{64}):(\d{1,18})")


class ChainError(DualuseError):
    """A chain that cannot be gone on with: its end was changed, so whatever followed would hide that."""


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: how many lines it has and the hash of the last. Kept elsewhere, it proves what is before."""

    hash: str
    count: int

    def __str__(self) -> str:
        return f"{self.hash}:{self.count}"


START = Head("0" * 64, 0)


@dataclass(frozen=True, slots=True)
class Link:
    """A line whose own seal holds; whether it follows on from the line before is for `walk` to say."""

    line: int  # in the file, from 1
    head: Head  # of the chain that ends here
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as it was written; `mended` where a later line accounts for it."""

    line: int
    text: str
    mended: bool = False


def parse_head(text: str) -> Head:
    """Read what `str(head)` gives.

    Raises ChainError where it is something else.
    """
    match = _HEAD.fullmatch(text.strip())
    if match is None:
        raise ChainError("A head is 64 hexadecimal digits, a colon and a count, as `dualuse records head` prints it.")
    return Head(match[1], int(match[2]))


class Chain:
    """A chain open for appending; safe to share between threads, and between processes on one machine."""

    def __init__(self, path: Path) -> None:
        """Open the file, or begin it, and account for what a kill may have torn.

        Raises ChainError where its last line was changed, OSError where the folder cannot be written.
        """
        self.path = path
        self.mended: list[Fault] = []
        is_new = not path.exists()
        self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._lock = threading.Lock()
        self._size, self._head = -1, START
        if is_new:
            sync_folder(path.parent)
        self.append([])

    def append(self, contents: Sequence[Mapping[str, Any]]) -> Head:
        """Seal and write contents, on disk when this returns, and return the new end.

        Raises OSError where they could not all be written; what was is accounted for by the next append.
        """
        with self._lock:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            try:
                size = os.fstat(self._descriptor).st_size
                before = b"" if size == self._size else self._catch_up(size)
                lines, head = [before], self._head
                for content in contents:
                    line, head = seal(content, head)
                    lines.append(line + b"\n")
                data = b"".join(lines)
                if data:
                    self._size = -1  # until it is known that all was written
                    _write(self._descriptor, data)
                    os.fsync(self._descriptor)
                self._size, self._head = size + len(data), head
                return head
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _catch_up(self, size: int) -> bytes:
        """Find the chain's end in a file that others, or a kill, left; return what must be written before all else."""
        self._head = START
        if size == 0:
            return b""
        with mmap.mmap(self._descriptor, size, access=mmap.ACCESS_READ) as data:
            end, link = _last_link(data)
            torn = data[end:]
        if link is not None:
            self._head = link.head
            if not torn:
                return b"\n"  # only the line end is missing
            torn = torn[1:]
        if not torn:
            return b""
        if any(_is_json(line) for line in torn.splitlines()):
            raise ChainError(
                f"{self.path}: what follows entry {self._head.count} is complete, but its seal is broken: it was "
                "changed. Keep the file, see `dualuse records verify`, and begin another."
            )
        torn = torn.rstrip(b"\n")
        line, self._head = seal(_account(torn) | {"time": now()}, self._head)
        self.mended.append(Fault(0, _torn_text(torn, self._head.count), mended=True))
        return b"\n" + line + b"\n"


def now() -> str:
    """Return the time in UTC, to the microsecond."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def seal(content: Mapping[str, Any], head: Head) -> tuple[bytes, Head]:
    """Return the line, without line end, that carries a chain on, and the chain's new end."""
    count = head.count + 1
    body = orjson.dumps({"count": count, **content, "previous": head.hash})
    digest = hashlib.sha256(body).hexdigest()
    return body[:-1] + b',"hash":"' + digest.encode() + b'"}', Head(digest, count)


def unseal(line: bytes, number: int) -> Link | None:
    """Return what a line holds, or None where its seal is missing or broken."""
    match = _SEAL.search(line)
    if match is None or hashlib.sha256(line[: match.start()] + b"}").hexdigest().encode() != match[1]:
        return None
    try:
        content = orjson.loads(line)
        return Link(number, Head(match[1].decode(), int(content["count"])), content)
    except (ValueError, KeyError, TypeError):
        return None  # sealed, but by somebody else's rules


def walk(path: Path) -> Iterator[Link | Fault]:
    """Yield every sealed line of a chain, and every fault, in the order of the file. Memory stays flat.

    What it cannot find: lines missing from the end, and a chain that was written anew. Compare the last link, or the
    one at its count, with a head that was kept elsewhere.
    """
    head = START
    broken: list[bytes] = []  # the lines since the last link whose seal does not hold
    number = 0
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            line = raw.rstrip(b"\n")
            link = unseal(line, number)
            if link is None:
                broken.append(line)
                continue
            first = number - len(broken)
            follows = link.content.get("previous") == head.hash and link.head.count == head.count + 1
            if link.content.get("kind") == MENDED:
                yield _check_mend(link, b"\n".join(broken).rstrip(b"\n"), first)
            elif broken:
                yield Fault(first, f"{_lines(first, len(broken))} changed or damaged: the seal is broken.")
            if not follows and not (broken and link.head.count == head.count + 1 + len(broken)):
                yield Fault(
                    number,
                    f"entry {link.head.count} does not follow on from entry {head.count}, the last one before it: "
                    "lines were changed and sealed again, removed, added or put in another order.",
                )
            head, broken = link.head, []
            yield link
    if broken:
        first = number + 1 - len(broken)
        torn = not any(map(_is_json, broken))
        kind = "torn: its write was cut short" if torn else "changed or damaged: the seal is broken"
        yield Fault(first, f"{_lines(first, len(broken))} {kind}.")


def last_head(path: Path) -> Head:
    """Return the end of a chain without reading all of it.

    Raises ChainError where bytes follow the last sealed line, OSError where the file cannot be read.
    """
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            return START
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            end, link = _last_link(data)
            if data[end:].strip(b"\n"):
                raise ChainError(f"{path}: the end is torn or changed. Run `dualuse records verify`.")
    return link.head if link else START


def _check_mend(link: Link, torn: bytes, line: int) -> Fault:
    said = {name: link.content.get(name) for name in ("bytes", "sha256")}
    if {name: _account(torn)[name] for name in said} == said:
        return Fault(line, _torn_text(torn, link.head.count), mended=True)
    return Fault(link.line, f"entry {link.head.count} accounts for torn bytes that do not stand before it.")


def _account(torn: bytes) -> dict[str, Any]:
    return {"kind": MENDED, "bytes": len(torn), "sha256": hashlib.sha256(torn).hexdigest()}


def _torn_text(torn: bytes, count: int) -> str:
    return f"a write was cut short and left {len(torn):,} bytes; entry {count} accounts for them."


def _lines(first: int, number: int) -> str:
    return f"line {first} is" if number == 1 else f"lines {first} to {first + number - 1} are"


def _last_link(data: mmap.mmap) -> tuple[int, Link | None]:
    """Return where the last sealed line ends, not counting its line end, and the line."""
    end = len(data)
    while end > 0:
        stop = end - 1 if data[end - 1 : end] == b"\n" else end
        start = data.rfind(b"\n", 0, stop) + 1
        if link := unseal(data[start:stop], 0):
            return stop, link
        end = start
    return 0, None


def _is_json(line: bytes) -> bool:
    # A write that was cut short leaves the beginning of an object, which is never an object itself.
    try:
        orjson.loads(line)
    except ValueError:
        return False
    return True


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
