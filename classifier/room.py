"""Is there room for an output? Asked before a run begins, so that a full disk is not met hours later.

How big an output will be is not known beforehand: asked for is what it takes at least, so no run is refused that would
have found room. A disk that fills up on the way costs at most a segment (see `partial`).
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from classifier.compression import compression_of, format_of
from classifier.errors import DualuseError

_LEAST = 1_000_000  # bytes: the journal, the record of the run, the first batch
_SHRINKS = 10  # times, at most, that a source does in another format or compressed


def check_room(files: Sequence[Path], target: Path, format: str, *, share: float, done: int) -> None:
    """Check that the disk of `target` has room for what it takes from `files`, less `done` bytes that it has already.

    `share` is the part of the source's rows that goes into it; 0 where its columns are left out.

    Raises DualuseError where it has not.
    """
    needed = max(_LEAST, round(share * sum(_least_size(path, target, format) for path in files)) - done)
    free = shutil.disk_usage(target.parent).free
    if free < needed:
        raise DualuseError(
            f"{target} cannot be written: its disk has room for {_shown(free)}, and at least {_shown(needed)} are "
            "needed. Make room, choose another disk, or leave columns out (--keep id)."
        )


def _least_size(path: Path, target: Path, format: str) -> float:
    is_text = format in ("jsonl", "csv", "tsv") and compression_of(target) is None
    grows = format_of(path) == format or compression_of(path) is not None
    return path.stat().st_size / (1 if is_text and grows else _SHRINKS)


def _shown(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"
