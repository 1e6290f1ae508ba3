"""Runs of a dump: nothing lost, nothing twice, whatever happens on the way."""

import errno
import gzip
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from classifier import DualuseError, InputError, Model, ResumeError
from classifier.partial import partial_folder
from classifier.run import Limit, Options, Summary, classify_dump
from classifier.runrecord import record_path, verify_run
from tests.conftest import ROOT

# A model that judges at once and notes how many records it was given: what is tested here is what goes on around it.
DRIVER = """
import os, sys
import pyarrow as pa
from pathlib import Path
from classifier import load
from classifier.run import Options, classify_dump

real = load()
done = real.judge_arrow(pa.array(["Quadrotor"]), pa.array(["It flies."]))

class Quick:
    prepare = bool
    id, digest, folder = real.id, real.digest, real.folder
    thresholds, review_thresholds = real.thresholds, real.review_thresholds
    def judge_arrow(self, titles, abstracts, *, profile="balanced"):
        with open(LOG, "a") as log:
            log.write(f"{len(titles)}\\n")
        return done.take(pa.array([0] * len(titles), pa.int64()))
"""


def judged_by(shipped: Model) -> Any:
    """Return a model that gives every record the same result at once."""
    first = shipped.judge_arrow(pa.array(["Quadrotor"]), pa.array(["It flies."]))

    class Quick:
        prepare = staticmethod(bool)
        id, digest, folder = shipped.id, shipped.digest, shipped.folder
        thresholds, review_thresholds = shipped.thresholds, shipped.review_thresholds
        scored = 0

        def judge_arrow(self, titles: pa.Array, abstracts: pa.Array, *, profile: str = "balanced") -> pa.RecordBatch:
            self.scored += len(titles)
            return first.take(pa.array([0] * len(titles), pa.int64()))

    return Quick()


@pytest.fixture
def quick(shipped: Model) -> Any:
    return judged_by(shipped)


def make_rows(count: int) -> Iterator[dict[str, Any]]:
    for i in range(count):
        yield {"id": f"A{i}", "title": f"Clay no. {i}", "abstract": "" if i % 50 else "Worms. " * (i % 30), "n": i}


def make_dump(path: Path, count: int, spoil: int = 0) -> Path:
    """Write a dump; every `spoil`-th row of it will be refused."""
    rows = list(make_rows(count))
    if spoil:
        for row in rows[::spoil]:
            row["title"] = row["abstract"] = ""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=700)
    elif path.suffix == ".csv":
        path.write_text("id,title,abstract,n\n" + "".join(",".join(map(str, row.values())) + "\n" for row in rows))
    else:
        path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


def options(**given: Any) -> Options:
    return Options(**({"segment_rows": 500} | given))


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class StopError(Exception):
    pass


def fail(*_: Any, **__: Any) -> None:
    raise StopError


def stop_after(rows: int) -> Any:
    def watch(summary: Summary) -> None:
        if summary.rows >= rows:
            raise StopError

    return watch


KINDS = ["jsonl", "jsonl.gz", "jsonl.zst", "csv", "parquet"]


@pytest.mark.parametrize("source_kind", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_taken_up_gives_the_bytes_of_one_never_stopped(
    tmp_path: Path, quick: Any, kind: str, source_kind: str
) -> None:
    source = make_dump(tmp_path / f"in.{source_kind}", 7_000, spoil=90)
    whole, out = tmp_path / f"whole.{kind}", tmp_path / f"out.{kind}"
    classify_dump(source, whole, quick, options(threads=1), rejects=tmp_path / "rejects.jsonl")
    rejects = (tmp_path / "rejects.jsonl").read_bytes()
    quick.scored = 0
    for stop in (400, 2_000, 5_600):
        with pytest.raises(StopError):
            classify_dump(
                source, out, quick, options(threads=3), rejects=tmp_path / "rejects.jsonl", on_batch=stop_after(stop)
            )
        assert not out.exists()
    summary = classify_dump(source, out, quick, options(threads=2), rejects=tmp_path / "rejects.jsonl")
    assert out.read_bytes() == whole.read_bytes()
    assert (tmp_path / "rejects.jsonl").read_bytes() == rejects
    assert rejects.count(b"\n") == summary.refused == 78
    assert (summary.scored, summary.resumed) == (6_922, 5_500)
    assert not partial_folder(out).exists()
    assert not any(finding.problem for finding in verify_run(out))


def done_rows(out: Path, count: int) -> int:
    """Return how many rows are finished for good."""
    journal = partial_folder(out) / "journal"
    if not journal.exists():
        return count if out.exists() else 0
    lines = [orjson.loads(line) for line in journal.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    return max((line.get("rows", 0) for line in lines), default=0)


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_killed_ten_times_and_taken_up_each_time_nothing_is_lost_and_a_segment_at_most_is_done_twice(
    tmp_path: Path, quick: Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, segment, batch = 30_000, 5_000, 100
    source = make_dump(tmp_path / "in.jsonl", count, spoil=100)
    whole, out, log = tmp_path / f"whole.{kind}", tmp_path / f"out.{kind}", tmp_path / "log"
    monkeypatch.setattr("classifier.run.BATCH_ROWS", batch)
    classify_dump(source, whole, quick, options(segment_rows=segment), rejects=tmp_path / "r.jsonl")
    code = (
        f"LOG = {str(log)!r}\n{DRIVER}\nimport classifier.run\nclassifier.run.BATCH_ROWS = {batch}\n"
        f"classify_dump({str(source)!r}, {str(out)!r}, Quick(), Options(segment_rows={segment}, threads=2), "
        f"rejects=Path({str(tmp_path / 'out.rejects')!r}), on_batch=lambda s: print(s.rows, flush=True))"
    )
    chance = random.Random(7)
    kills = before = done = 0
    command = [sys.executable, "-c", code]
    while True:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        assert process.stdout is not None
        if kills < 10:
            for _ in range(chance.randrange(1, 70)):  # batches; each says so
                process.stdout.readline()
            process.kill()
            kills += 1
        process.communicate(timeout=600)
        assert process.returncode in (0, -signal.SIGKILL)
        scored = sum(map(int, log.read_text().split())) if log.exists() else 0
        assert scored - before <= done_rows(out, count) - done + segment
        before, done = scored, done_rows(out, count)
        if out.exists() and record_path(out).exists():
            break
    assert kills == 10
    assert out.read_bytes() == whole.read_bytes()
    assert (tmp_path / "out.rejects").read_bytes() == (tmp_path / "r.jsonl").read_bytes()


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_kill_between_the_last_steps_does_no_harm(
    tmp_path: Path, quick: Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_dump(tmp_path / "in.jsonl", 2_000, spoil=90)
    whole, out = tmp_path / f"whole.{kind}", tmp_path / f"out.{kind}"
    classify_dump(source, whole, quick, options(), rejects=tmp_path / "r.jsonl")
    for step in ("classifier.partial.sync_folder", "classifier.run.describe_file", "shutil.rmtree"):
        with monkeypatch.context() as patch:
            patch.setattr(step, fail)
            with pytest.raises(StopError):
                classify_dump(source, out, quick, options(), rejects=tmp_path / "r.jsonl")
        quick.scored = 0
        classify_dump(source, out, quick, options(), rejects=tmp_path / "r.jsonl")
        assert quick.scored == 0
        assert out.read_bytes() == whole.read_bytes()
        assert not partial_folder(out).exists()
        assert not any(finding.problem for finding in verify_run(out))
        out.unlink()
        record_path(out).unlink()


def test_a_finished_run_is_not_done_again_unless_asked(tmp_path: Path, quick: Any) -> None:
    source = make_dump(tmp_path / "in.jsonl", 100, spoil=10)
    classify_dump(source, tmp_path / "out.jsonl", quick)
    quick.scored = 0
    summary = classify_dump(source, tmp_path / "out.jsonl", quick)
    assert summary.finished_before
    assert (quick.scored, summary.scored, summary.refused) == (0, 90, 10)
    classify_dump(source, tmp_path / "out.jsonl", quick, restart=True)
    assert quick.scored == 90
    make_dump(source, 50)
    with pytest.raises(ResumeError, match=r"in\.jsonl bytes was.*--restart"):
        classify_dump(source, tmp_path / "out.jsonl", quick)
    assert classify_dump(source, tmp_path / "out.jsonl", quick, restart=True).scored == 50


def test_a_run_with_other_input_model_or_options_is_not_taken_up_and_the_change_is_named(
    tmp_path: Path, quick: Any
) -> None:
    source, out = make_dump(tmp_path / "in.jsonl", 3_000), tmp_path / "out.jsonl"

    def start(**given: Any) -> Summary:
        return classify_dump(source, out, quick, options(**given.pop("options", {})), **given)

    with pytest.raises(StopError):
        start(on_batch=stop_after(2_000))
    with pytest.raises(ResumeError, match=r"options keep was 'all' and is now 'id'.*--restart"):
        start(options={"keep": "id"})
    quick.digest = "other"
    with pytest.raises(ResumeError, match="model digest was"):
        start()
    quick.digest = type(quick).digest
    source.write_bytes(source.read_bytes() + b'{"title": "one more"}\n')
    with pytest.raises(ResumeError, match=r"in\.jsonl bytes was"):
        start()
    assert not out.exists()
    assert start(restart=True).rows == 3_001


def test_a_partial_that_was_tampered_with_is_not_taken_up(tmp_path: Path, quick: Any) -> None:
    source, out = make_dump(tmp_path / "in.jsonl", 3_000), tmp_path / "out.jsonl"
    with pytest.raises(StopError):
        classify_dump(source, out, quick, options(), on_batch=stop_after(2_000))
    data = partial_folder(out) / "data"
    data.write_bytes(data.read_bytes().replace(b"Clay", b"Coal", 1))
    with pytest.raises(DualuseError, match=r"is damaged.*--restart"):
        classify_dump(source, out, quick, options())


def test_two_runs_do_not_write_the_same_output_at_once(tmp_path: Path, quick: Any) -> None:
    source, out = make_dump(tmp_path / "in.jsonl", 3_000), tmp_path / "out.jsonl"

    def second(summary: Summary) -> None:
        with pytest.raises(DualuseError, match="being written by another process"):
            classify_dump(source, out, quick, options())

    assert classify_dump(source, out, quick, options(), on_batch=second).rows == 3_000


@pytest.mark.parametrize(("limit", "works"), [(Limit(9, False), False), (Limit(10, False), True)])
def test_too_many_refused_rows_stop_the_run(tmp_path: Path, quick: Any, limit: Limit, works: bool) -> None:
    source, out = make_dump(tmp_path / "in.jsonl", 1_000, spoil=100), tmp_path / "out.jsonl"
    shares = Limit(limit.number / 10, True)
    for chosen in (limit, shares):
        if works:
            classify_dump(source, out, quick, options(max_refused=chosen), restart=True)
        else:
            with pytest.raises(InputError, match=r"10 of .* rows were refused; at most"):
                classify_dump(source, out, quick, options(max_refused=chosen))
        assert out.exists() == works


def test_a_truncated_source_fails_and_what_was_done_is_kept_aside(tmp_path: Path, quick: Any) -> None:
    plain = make_dump(tmp_path / "in.jsonl", 5_000).read_bytes()
    source, out = tmp_path / "cut.jsonl.gz", tmp_path / "out.jsonl"
    source.write_bytes(gzip.compress(plain)[:-2_000])
    out.write_bytes(b"old")
    with pytest.raises(InputError, match=r"cut\.jsonl\.gz is truncated"):
        classify_dump(source, out, quick, options())
    assert out.read_bytes() == b"old"
    assert (partial_folder(out) / "data").stat().st_size > 0


def test_a_source_that_changes_while_it_is_read_is_told(tmp_path: Path, quick: Any) -> None:
    source = make_dump(tmp_path / "in.jsonl", 3_000)

    def touch(summary: Summary) -> None:
        with source.open("ab") as file:
            file.write(b"\n")

    with pytest.raises(InputError, match="was changed while it was read"):
        classify_dump(source, tmp_path / "out.jsonl", quick, options(), on_batch=touch)
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_full_disk_is_told_leaves_the_old_file_and_the_run_can_go_on(tmp_path: Path, quick: Any, kind: str) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / f"out.{kind}"
    source.write_bytes(b"".join(orjson.dumps({"title": "t", "x": os.urandom(400).hex()}) + b"\n" for _ in range(4_000)))
    out.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(
            DualuseError, match=rf"out\.{kind} cannot .*too large\. Make room.*goes on from .*out\.{kind}\.partial"
        ):
            classify_dump(source, out, quick, options())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert out.read_bytes() == b"old"
    summary = classify_dump(source, out, quick, options())
    assert summary.rows == 4_000
    assert summary.resumed > 0
    assert not any(finding.problem for finding in verify_run(out))


def test_a_disk_that_is_full_only_when_flushed_is_told_as_well(
    tmp_path: Path, quick: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    source, out = make_dump(tmp_path / "in.jsonl", 2_000), tmp_path / "out.jsonl"
    with monkeypatch.context() as patch:
        patch.setattr("os.fdatasync", full)
        with pytest.raises(DualuseError, match=r"No space left.*Make room.*goes on"):
            classify_dump(source, out, quick, options())
    assert classify_dump(source, out, quick, options()).rows == 2_000


@pytest.mark.parametrize(
    ("free", "kept", "kind", "works"),
    [
        (900_000, "id", "jsonl", False),
        (1_100_000, "id", "jsonl", True),
        (3_000_000, "all", "jsonl", False),
        (3_000_000, "all", "jsonl.gz", True),
        (3_000_000, "all", "parquet", True),
    ],
)
def test_a_run_that_cannot_find_room_is_refused_before_it_begins(
    tmp_path: Path, quick: Any, monkeypatch: pytest.MonkeyPatch, free: int, kept: str, kind: str, works: bool
) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / f"out.{kind}"
    source.write_bytes((b'{"title": "' + b"Clay " * 1_000 + b'"}\n') * 1_000)
    usage = shutil.disk_usage(tmp_path)._replace(free=free)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    if works:
        assert classify_dump(source, out, quick, options(keep=kept)).rows == 1_000
        return
    with pytest.raises(DualuseError, match=r"has room for .* MB, and at least [15]\.0 MB are needed.*--keep id"):
        classify_dump(source, out, quick, options(keep=kept))
    assert left(tmp_path) == ["in.jsonl"]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("source_kind", ["jsonl", "csv", "parquet"])
def test_the_outputs_of_all_shards_are_the_output_of_the_whole(
    tmp_path: Path, quick: Any, kind: str, source_kind: str
) -> None:
    source = make_dump(tmp_path / f"in.{source_kind}", 7_001, spoil=90)
    classify_dump(source, tmp_path / f"whole.{kind}", quick, options())
    shards, refused = [], 0
    for place in (1, 2, 3):
        path = tmp_path / f"{place}.{kind}"
        refused += classify_dump(source, path, quick, options(shard=(place, 3))).refused
        assert not any(finding.problem for finding in verify_run(path))
        shards.append(path)
    assert refused == 78
    whole = tmp_path / f"whole.{kind}"
    if kind == "parquet":
        assert pa.concat_tables(map(pq.read_table, shards)).equals(pq.read_table(whole))
    else:
        header = whole.read_bytes().splitlines(keepends=True)[0] if kind == "csv" else b""
        assert header + b"".join(path.read_bytes().removeprefix(header) for path in shards) == whole.read_bytes()


def test_shards_are_cut_by_rows_even_where_there_are_few(tmp_path: Path, quick: Any) -> None:
    source = make_dump(tmp_path / "in.jsonl", 5)
    sizes = [
        classify_dump(source, tmp_path / f"{place}.jsonl", quick, options(shard=(place, 7))).rows
        for place in range(1, 8)
    ]
    assert sum(sizes) == 5
    assert max(sizes) == 1


@pytest.mark.parametrize(("keep", "columns"), [("all", ["id", "title", "abstract", "n"]), ("id", ["id"]), ("none", [])])
@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("source_kind", ["jsonl", "csv", "parquet"])
def test_what_is_kept_of_the_source_is_what_was_asked_for(
    tmp_path: Path, quick: Any, keep: str, columns: list[str], kind: str, source_kind: str
) -> None:
    from classifier.results import RESULT_COLUMNS

    source, out = make_dump(tmp_path / f"in.{source_kind}", 30), tmp_path / f"out.{kind}"
    classify_dump(source, out, quick, options(keep=keep))
    if kind == "jsonl":
        names = list(orjson.loads(out.read_bytes().splitlines()[0]))
    elif kind == "csv":
        names = out.read_text().splitlines()[0].split(",")
    else:
        names = pq.read_schema(out).names
    assert names == [*columns, *RESULT_COLUMNS]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_a_dump_of_refused_rows_alone_gives_an_output_without_rows(tmp_path: Path, quick: Any, kind: str) -> None:
    source, out = make_dump(tmp_path / "in.jsonl", 1_200, spoil=1), tmp_path / f"out.{kind}"
    summary = classify_dump(source, out, quick, options(), rejects=tmp_path / "r.jsonl")
    assert (summary.scored, summary.refused) == (0, 1_200)
    assert not any(finding.problem for finding in verify_run(out))


def test_a_changed_output_input_or_count_is_named(tmp_path: Path, quick: Any) -> None:
    source, out = make_dump(tmp_path / "in.jsonl", 100, spoil=10), tmp_path / "out.jsonl"
    classify_dump(source, out, quick, rejects=tmp_path / "out.rejects.jsonl")

    def problems() -> dict[str, str]:
        return {finding.subject: finding.problem for finding in verify_run(record_path(out)) if finding.problem}

    assert problems() == {}
    for path in (out, tmp_path / "out.rejects.jsonl", source):
        good = path.read_bytes()
        path.write_bytes(good.replace(b"A5", b"A6", 1) if b"A5" in good else good[:-2] + b" \n")
        assert list(problems()) == [str(path)]
        path.write_bytes(good)
    record = json.loads(record_path(out).read_text())
    record_path(out).write_text(json.dumps(record | {"scored": 91}))
    assert "rows in 100 = scored 91 + refused 10" in problems()["counts"]
    record_path(out).write_text(json.dumps(record))
    source.unlink()
    assert problems() == {}
    out.unlink()
    assert problems() == {str(out): "is missing"}
    record_path(out).write_text("{}")
    with pytest.raises(DualuseError, match="not the record of a run"):
        verify_run(out)


def test_memory_does_not_grow_with_the_dump(tmp_path: Path) -> None:
    peaks = []
    for count in (20_000, 200_000):
        source = make_dump(tmp_path / f"{count}.jsonl", count)
        code = (
            f"LOG = '/dev/null'\n{DRIVER}\n"
            f"classify_dump({str(source)!r}, {str(tmp_path / f'{count}.out.jsonl')!r}, Quick(), "
            "Options(segment_rows=5_000))\nprint(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout) // 1024)
    assert peaks[1] - peaks[0] < 60, peaks
