"""The file of records shows whatever was done to it, and survives being killed at any byte."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.chain import START, Chain, ChainError, Fault, Head, Link, last_head, parse_head, seal, walk

CONTENTS: list[dict[str, Any]] = [{"kind": "test", "n": n} for n in range(4)]


def written(folder: Path, contents: list[dict[str, Any]] = CONTENTS) -> Path:
    path = folder / "chain.jsonl"
    chain = Chain(path)
    for content in contents:
        chain.append([content])
    chain.close()
    return path


def problems(path: Path) -> list[Fault]:
    return [step for step in walk(path) if isinstance(step, Fault) and not step.mended]


def contents(path: Path) -> list[Any]:
    return [step.content["n"] for step in walk(path) if isinstance(step, Link) and step.content["kind"] == "test"]


def test_what_was_appended_is_read_back_without_fault(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert problems(path) == []
    assert contents(path) == [0, 1, 2, 3]
    assert path.stat().st_mode & 0o777 == 0o600, "others could read it"


def test_reopening_goes_on_where_the_chain_ended(tmp_path: Path) -> None:
    path = written(tmp_path, CONTENTS[:2])
    written(tmp_path, CONTENTS[2:])
    assert problems(path) == []
    assert last_head(path).count == 4


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a chain as it should be; written once, as every write waits for the disk."""
    return written(tmp_path_factory.mktemp("chain")).read_bytes()


@settings(deadline=None)  # a disk takes the time it takes
@given(st.data())
def test_a_change_of_any_byte_is_found(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("chain") / "chain.jsonl"
    content = bytearray(whole)
    place = data.draw(st.integers(0, len(content) - 2))  # the last byte is the line end, which carries nothing
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    assert problems(path)


@pytest.mark.parametrize(
    "order", [[1, 2, 3], [0, 2, 3], [0, 2, 1, 3], [1, 0, 2, 3], [0, 1, 1, 2, 3], [0, 1, 2, 3, 0]], ids=str
)
def test_lines_removed_repeated_or_moved_are_found(tmp_path: Path, order: list[int]) -> None:
    path = written(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[place] for place in order))
    assert problems(path)


def test_a_line_changed_and_sealed_again_is_found_by_the_next(tmp_path: Path) -> None:
    path = written(tmp_path)
    lines = path.read_bytes().splitlines()
    first = orjson.loads(lines[0])
    lines[1] = seal({"kind": "test", "n": 7}, Head(first["hash"], 1))[0]
    path.write_bytes(b"\n".join(lines) + b"\n")
    (fault,) = problems(path)
    assert fault.line == 3
    assert "does not follow" in fault.text


@settings(deadline=None)
@given(keep=st.integers(0, 10_000))
def test_a_write_cut_short_anywhere_is_accounted_for_and_loses_no_whole_line(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, keep: int
) -> None:
    path = tmp_path_factory.mktemp("chain") / "chain.jsonl"
    keep %= len(whole) + 1
    path.write_bytes(whole[:keep])
    chain = Chain(path)
    chain.append([{"kind": "test", "n": 9}])
    chain.close()
    assert problems(path) == []
    assert path.read_bytes().startswith(whole[:keep]), "something that had been written is gone"
    complete = [n for n in range(4) if len(b"".join(whole.splitlines(keepends=True)[: n + 1])) - 1 <= keep]
    assert contents(path) == [*complete, 9]
    lost = keep - len(b"".join(whole.splitlines(keepends=True)[: len(complete)]))
    assert bool(chain.mended) == (lost > 0), "mended in silence, or told for nothing"


def test_a_mend_that_was_itself_cut_short_is_mended(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:-40])
    Chain(path).close()
    path.write_bytes(path.read_bytes()[:-30])
    chain = Chain(path)
    assert len(chain.mended) == 1
    chain.close()
    assert problems(path) == []
    assert contents(path) == [0, 1, 2]


def test_torn_bytes_cannot_be_changed_afterwards(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:-40])
    Chain(path).close()
    path.write_bytes(path.read_bytes().replace(b'"n":3', b'"n":4'))
    (fault,) = problems(path)
    assert "do not stand before it" in fault.text


def test_a_chain_whose_last_line_was_changed_is_not_gone_on_with(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"n":3', b'"n":4'))
    before = path.read_bytes()
    with pytest.raises(ChainError, match="was changed"):
        Chain(path)
    assert path.read_bytes() == before


def test_a_torn_end_is_told_before_it_is_mended(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:-40])
    (fault,) = problems(path)
    assert "torn" in fault.text
    with pytest.raises(ChainError, match="torn or changed"):
        last_head(path)


def test_threads_and_other_processes_share_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "chain.jsonl"
    chains = [Chain(path), Chain(path)]  # as two processes would: each with a descriptor of its own

    def append(chain: Chain, n: int) -> None:
        for _ in range(20):
            chain.append([{"kind": "test", "n": n}] * 2)

    threads = [threading.Thread(target=append, args=(chain, n)) for chain in chains for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems(path) == []
    assert sorted(contents(path)) == sorted([n for n in range(3) for _ in range(80)])
    for chain in chains:
        chain.close()


def test_a_disk_that_fills_up_leaves_a_chain_that_can_be_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path)
    chain = Chain(path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", _failing_after(30, os.write))
        with pytest.raises(OSError, match="No space"):
            chain.append([{"kind": "test", "n": 5}])
    chain.append([{"kind": "test", "n": 6}])
    chain.close()
    assert problems(path) == []
    assert contents(path) == [0, 1, 2, 3, 6]
    assert len(chain.mended) == 1


def _failing_after(room: int, write: Callable[[int, bytes], int]) -> Callable[[int, memoryview], int]:
    def limited(descriptor: int, data: memoryview) -> int:
        nonlocal room
        if room == 0:
            raise OSError(28, "No space left on device")
        done = write(descriptor, bytes(data[:room]))
        room -= done
        return done

    return limited


def test_a_head_is_read_as_it_is_printed(tmp_path: Path) -> None:
    head = last_head(written(tmp_path))
    assert parse_head(f" {head}\n") == head
    assert str(START) == "0" * 64 + ":0"
    for wrong in ("", "abc:3", f"{head.hash}", f"{head.hash}:-1", f"{head.hash.upper()}:4"):
        with pytest.raises(ChainError, match="64 hexadecimal digits"):
            parse_head(wrong)


def test_an_empty_file_is_an_empty_chain(tmp_path: Path) -> None:
    path = written(tmp_path, [])
    assert list(walk(path)) == []
    assert last_head(path) == START
