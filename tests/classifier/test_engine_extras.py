"""`--mark-duplicates` and `--report`: the same groups and the same page, whether a run was stopped or not."""

from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest

from classifier import Model
from classifier.duplicates import DuplicateGroups, fingerprint
from classifier.run import Options, classify_dump
from classifier.runrecord import verify_run
from tests.classifier.test_cli import PAPERS, rows_of, run
from tests.classifier.test_engine_runs import StopError, stop_after


def make_dump(path: Path) -> list[dict[str, Any]]:
    """Write the examples five times over, with other ids and one row in between that is refused."""
    papers = [orjson.loads(line) for line in PAPERS.read_bytes().splitlines()]
    rows = [paper | {"id": f"{turn}-{paper['id']}"} for turn in range(5) for paper in papers]
    rows.insert(33, {"id": "none", "title": ""})
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return rows


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "csv", "xlsx"])
def test_groups_and_page_of_a_run_taken_up_are_those_of_one_never_stopped(
    tmp_path: Path, shipped: Model, kind: str
) -> None:
    rows = make_dump(tmp_path / "in.jsonl")
    whole, out, page = tmp_path / f"whole.{kind}", tmp_path / f"out.{kind}", tmp_path / "pages" / "page.html"
    page.parent.mkdir()
    options = Options(mark_duplicates=True, segment_rows=7, threads=2)
    classify_dump(tmp_path / "in.jsonl", whole, shipped, options, report=page)
    first = page.read_bytes()
    page.unlink()
    for stop in (20, 40, 90):
        with pytest.raises(StopError):
            classify_dump(tmp_path / "in.jsonl", out, shipped, options, report=page, on_batch=stop_after(stop))
        assert not page.exists()
    summary = classify_dump(tmp_path / "in.jsonl", out, shipped, options, report=page)
    assert summary.resumed > 60
    assert out.read_bytes() == whole.read_bytes()
    assert page.read_bytes() == first
    assert b"101" in first
    assert b">in.jsonl<" in first
    assert not any(finding.problem for finding in verify_run(out))
    if kind == "parquet":
        kept = [row for row in rows if row["title"]]
        ids, *texts = ([row.get(name) for row in kept] for name in ("id", "title", "abstract"))
        groups = pq.read_table(out)["duplicate_group"].to_pylist()
        assert groups == DuplicateGroups().place(ids, fingerprint(*texts))
        assert len(set(groups)) < len(groups) / 4
    page.write_bytes(b"other")
    assert [Path(finding.subject) for finding in verify_run(out) if finding.problem] == [page]


def test_shards_know_the_duplicates_of_the_rows_before_them(tmp_path: Path, shipped: Model) -> None:
    make_dump(tmp_path / "in.jsonl")
    source, parts = tmp_path / "in.jsonl", []
    classify_dump(source, tmp_path / "whole.jsonl", shipped, Options(mark_duplicates=True))
    for place in (1, 2, 3):
        out = tmp_path / f"{place}.jsonl"
        classify_dump(source, out, shipped, Options(mark_duplicates=True, shard=(place, 3), segment_rows=10))
        parts.append(out.read_bytes())
    assert b"".join(parts) == (tmp_path / "whole.jsonl").read_bytes()


def test_a_source_column_of_that_name_is_kept_under_another(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"id": "a", "title": "Soil", "duplicate_group": "mine"}\n')
    done = run("classify", source, "--mark-duplicates", "--report", tmp_path / "page.html")
    (row,) = rows_of(done.stdout)
    assert (row["duplicate_group"], row["source_duplicate_group"]) == ("a", "mine")
    assert "<html" in (tmp_path / "page.html").read_text()
    assert run("classify", source, "--report", source).returncode == 2
