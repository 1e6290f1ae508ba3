"""Every format and many files at once, through the engine: the records of the plain reader, and runs taken up."""

import json
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from classifier import DualuseError, Model, Record, ResumeError
from classifier.batches import count_rows, read_batches
from classifier.partial import partial_folder
from classifier.readers import read
from classifier.run import Options, Summary, classify_dump
from classifier.runrecord import record_path, verify_run
from tests.classifier.test_engine_runs import StopError, judged_by, make_rows, stop_after

RIS = "TY  - JOUR\nTI  - Soil\nAB  - Worms.\nC1  - x\nER  - \n\nTY  - JOUR\nY1  - 2020\nER  - \n"
BIB = "@article{a1, title = {Clay}, abstract = {Worms.}, id = {old}}\n"
XML = "<rootTag><Award><AwardTitle>Loam</AwardTitle><AbstractNarration>Worms.</AbstractNarration></Award></rootTag>"


@pytest.fixture
def quick(shipped: Model) -> Any:
    return judged_by(shipped)


def make_folder(folder: Path) -> Path:
    """Write files of several formats, rows without ids, rows that are refused and the same row numbers in each."""
    folder.mkdir()
    rows = [{"title": f"Clay {i}" if i % 4 else "", "n": i} for i in range(40)]
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pa.Table.from_pylist(rows[5:25]), folder / "b.parquet")
    (folder / "c.csv").write_text("title,n\nSoil,1\n,2\n")
    (folder / "d.ris").write_text(RIS)
    (folder / "e.bib").write_text(BIB)
    (folder / "f.xml").write_text(XML)
    for i in range(6):
        (folder / f"g{i}.json").write_text(json.dumps({"id": "row-1", "title": f"Award {i}"} if i % 3 else {"x": 1}))
    with zipfile.ZipFile(folder / "h.zip", "w") as archive:
        archive.write(folder / "a.jsonl", "in/a.jsonl")
    return folder


def test_many_files_in_batches_are_the_records_and_refusals_of_the_plain_reader(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "in")
    for source in (folder, folder / "h.zip", tmp_path / "in" / "*.json*"):
        items = list(read(source))
        assert count_rows(source) == len(items)
        for size in (1, 3, 2_048):
            got: list[Any] = []
            for batch in read_batches(source, rows=size):
                parts = [batch.part(place, place + 1) for place in range(batch.rows)]
                for part in parts:
                    got += [(*row.values(),) for row in part.records.to_pylist()] or part.refusals
            want = [(i.row, i.id, i.title, i.abstract) if isinstance(i, Record) else i for i in items]
            assert got == want


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet", "xlsx"])
def test_a_run_over_many_files_is_taken_up_and_its_inputs_are_verified(tmp_path: Path, quick: Any, kind: str) -> None:
    folder, out, whole = make_folder(tmp_path / "in"), tmp_path / f"out.{kind}", tmp_path / f"whole.{kind}"
    options = Options(segment_rows=7, threads=1)
    done = classify_dump(folder, whole, quick, options)
    ids = [item.id for item in read(folder) if isinstance(item, Record)]
    assert (done.scored, done.rows) == (len(ids), len(list(read(folder))))
    for stop in (10, 30, 60, 90):
        with pytest.raises(StopError):
            classify_dump(folder, out, quick, options, on_batch=stop_after(stop))
        assert not out.exists()
    assert classify_dump(folder, out, quick, options).resumed > 80
    assert out.read_bytes() == whole.read_bytes()
    assert [row["id"] for row in rows_of(out)] == ids
    assert not partial_folder(out).exists()
    assert not any(finding.problem for finding in verify_run(out))
    inputs = {Path(entry["path"]).name for entry in json.loads(record_path(out).read_text())["inputs"]}
    assert inputs == {path.name for path in folder.iterdir()}
    (folder / "c.csv").write_text("title,n\nLoam,1\n,2\n")
    assert [finding.subject for finding in verify_run(out) if finding.problem] == [str(folder / "c.csv")]
    with pytest.raises(ResumeError, match=r"c\.csv"):  # what is finished is not replaced unasked
        classify_dump(folder, out, quick, options)
    assert classify_dump(folder, out, quick, options, restart=True).finished_before is False


def rows_of(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return list(pq.read_table(path).to_pylist())
    if path.suffix == ".jsonl":
        return [orjson.loads(line) for line in path.read_bytes().splitlines()]
    return [{"id": item.id, **item.source} for item in read(path) if isinstance(item, Record)]


@pytest.mark.parametrize("keep", ["all", "id", "none"])
def test_a_workbook_holds_the_rows_of_the_other_formats(tmp_path: Path, quick: Any, keep: str) -> None:
    source = tmp_path / "in.jsonl"
    source.write_bytes(b"".join(orjson.dumps(row | {"x": [row["n"]]}) + b"\n" for row in make_rows(300)))
    for kind in ("xlsx", "csv"):
        classify_dump(source, tmp_path / f"out.{kind}", quick, Options(keep=keep, segment_rows=50))
    book = openpyxl.load_workbook(tmp_path / "out.xlsx")
    names, *rows = book.worksheets[0].iter_rows(values_only=True)
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert list(names) == lines[0].split(",")
    assert len(rows) == len(lines) - 1 == 300
    assert not any(finding.problem for finding in verify_run(tmp_path / "out.xlsx"))


def test_a_workbook_goes_through_a_pipe_too(
    tmp_path: Path, quick: Any, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    source = tmp_path / "in.jsonl"
    source.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in make_rows(30)))
    classify_dump(source, tmp_path / "out.xlsx", quick)
    classify_dump(source, "-", quick, Options(output_format="xlsx"))
    assert capfdbinary.readouterr().out == (tmp_path / "out.xlsx").read_bytes()
    with pytest.raises(DualuseError, match="compressed within"):
        classify_dump(source, tmp_path / "out.xlsx.gz", quick)


def test_a_sheet_that_cannot_hold_the_rows_is_told_on_the_way_and_not_at_the_end(
    tmp_path: Path, quick: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("classifier.sheet.MAX_ROWS", 100)
    source, seen = tmp_path / "in.jsonl", []
    source.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in make_rows(5_000)))

    def watch(summary: Summary) -> None:
        seen.append(summary.rows)

    with pytest.raises(DualuseError, match="at most 100 rows"):
        classify_dump(source, tmp_path / "out.xlsx", quick, Options(segment_rows=50), on_batch=watch)
    assert max(seen) <= 100
    assert not (tmp_path / "out.xlsx").exists()


def test_parquet_files_with_other_columns_are_one_output_or_the_column_is_named(tmp_path: Path, quick: Any) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    pq.write_table(pa.table({"id": ["a"], "title": ["Soil"], "n": pa.array([1], pa.int64())}), folder / "1.parquet")
    for size, name in enumerate(("2.parquet", "3.parquet")):
        table = pa.table({"title": pa.array(["Clay"], pa.large_string()), "n": pa.array([size], pa.int16())})
        pq.write_table(table, folder / name)
    classify_dump(folder, tmp_path / "out.parquet", quick, Options())
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [(row["id"], row["title"], row["n"]) for row in rows] == [
        ("a", "Soil", 1),
        ("2.parquet:row-1", "Clay", 0),
        ("3.parquet:row-1", "Clay", 1),
    ]


KINDS_OF_ID = [
    ({"id": {"$oid": "x"}, "doi": "10.1/a", "title": "Soil"}, "10.1/a", {"$oid": "x"}),
    ({"id": None, "doi": "10.1/a", "title": "Soil"}, "10.1/a", None),
    ({"id": 7, "title": "Soil"}, "7", None),
    ({"id": " A ", "title": "Soil"}, "A", None),
    ({"id": ["x"], "title": "Soil"}, "row-1", ["x"]),
]


@pytest.mark.parametrize(("row", "id", "kept"), KINDS_OF_ID)
@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet", "xlsx"])
def test_a_source_id_that_is_not_the_records_is_kept_beside_it(
    tmp_path: Path, quick: Any, row: dict[str, Any], id: str, kept: Any, kind: str
) -> None:
    (tmp_path / "in.jsonl").write_text(json.dumps(row) + "\n")
    classify_dump(tmp_path / "in.jsonl", tmp_path / f"out.{kind}", quick)
    (out,) = rows_of(tmp_path / f"out.{kind}")
    assert out["id"] == id
    found = out.get("source_id")
    assert (orjson.loads(found) if isinstance(found, str) else found) == kept
    assert ("source_id" in out) == (kept is not None)


def test_a_parquet_struct_called_id_is_kept_as_it_is(tmp_path: Path, quick: Any) -> None:
    table = pa.table({"id": [{"oid": "x"}, {"oid": "y"}], "doi": ["a", "b"], "title": ["Soil", "Clay"]})
    pq.write_table(table, tmp_path / "in.parquet")
    classify_dump(tmp_path / "in.parquet", tmp_path / "out.parquet", quick)
    out = pq.read_table(tmp_path / "out.parquet")
    assert out["id"].to_pylist() == ["a", "b"]
    assert out["source_id"].equals(table["id"])
