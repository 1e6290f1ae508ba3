"""Batches and encoders: the short ways give what the long ways give."""

import json
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier import DualuseError, Model, Record, Refusal, stream
from classifier.batches import Batch, count_rows, read_batches
from classifier.encoders import JsonLines, output_row
from classifier.engine import judge_batches
from classifier.jsoncells import json_members
from classifier.parquetjoin import MAGIC, Part, joined_end, split
from classifier.readers import read
from classifier.records import Columns
from classifier.results import RESULT_COLUMNS
from classifier.run import classify_dump

text = st.text(st.characters(codec="utf-8"), max_size=12)
cell = text | st.sampled_from(["", " ", "\u2003", "  Soil", "Näher"]) | st.none() | st.integers(-5, 10**18)
name = st.sampled_from(["id", "title", "abstract", "summary", "doi", "tags", "source_tags", "model", "year", "Title"])
rows_of_json = st.lists(
    st.dictionaries(name, cell | st.lists(text, max_size=2) | st.floats(), max_size=6), min_size=1, max_size=8
)
chosen = st.sampled_from([Columns(), Columns(id="doi"), Columns(title="summary"), Columns(abstract="title")])


def parts(batches: list[Batch]) -> tuple[list[tuple[Any, ...]], list[Any]]:
    records = [tuple(row.values()) for batch in batches for row in batch.records.to_pylist()]
    return records, [refusal for batch in batches for refusal in batch.refusals]


def expected(path: Path, columns: Columns) -> tuple[list[tuple[Any, ...]], list[Any]]:
    items = list(read(path, columns=columns))
    records = [(item.row, item.id, item.title, item.abstract) for item in items if isinstance(item, Record)]
    return records, [item for item in items if not isinstance(item, Record)]


def outcome(action: Any) -> Any:
    try:
        return action()
    except Exception as error:
        return str(error)


@settings(max_examples=150, deadline=None)
@given(rows_of_json, chosen, st.integers(1, 4))
def test_json_lines_in_batches_are_the_records_and_refusals_of_the_plain_reader(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], columns: Columns, size: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    got = outcome(lambda: parts(list(read_batches(path, columns=columns, rows=size))))
    assert got == outcome(lambda: expected(path, columns))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(cell.filter(lambda c: not isinstance(c, int)), text | st.none(), text | st.none()), min_size=1),
    st.sampled_from([("id", "title", "abstract"), ("doi", "title", "summary"), ("title", "abstract", "summary")]),
    st.booleans(),
)
def test_parquet_in_batches_is_the_records_and_refusals_of_the_plain_reader(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[Any, ...]], names: tuple[str, ...], large: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.parquet"
    kind = pa.large_string() if large else pa.string()
    pq.write_table(pa.table([pa.array(column, kind) for column in zip(*rows, strict=True)], list(names)), path)
    assert parts(list(read_batches(path, rows=3))) == expected(path, Columns())


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_the_heading_of_a_jats_abstract_is_left_out_in_batches_too(tmp_path: Path, suffix: str) -> None:
    row = {"id": "a", "title": "Bats", "abstract": "<jats:title>Abstract</jats:title><jats:p>We count bats.</jats:p>"}
    source = tmp_path / f"in.{suffix}"
    if suffix == "jsonl":
        source.write_text(json.dumps(row).replace("<", "\\u003c") + "\n" + json.dumps(row) + "\n")
    else:
        pq.write_table(pa.Table.from_pylist([row, row]), source)
    (batch,) = read_batches(source)
    assert batch.records.column("abstract").to_pylist() == ["<jats:p>We count bats.</jats:p>"] * 2


def test_bytes_that_are_not_utf_8_refuse_their_row_alone_in_parquet_too(tmp_path: Path) -> None:
    bad = pa.array([b"Soil", b"Caf\xe9", b"Clay"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"id": ["a", "b", "c"], "title": bad}), tmp_path / "bad.parquet")
    (batch,) = read_batches(tmp_path / "bad.parquet")
    assert batch.records.column("id").to_pylist() == ["a", "c"]
    assert [refusal.row for refusal in batch.refusals] == [2]
    assert batch.table is not None
    assert batch.table.column("id").to_pylist() == ["a", "c"]


@pytest.mark.parametrize("name", ["in.jsonl", "in.csv", "in.parquet", "in.json"])
def test_a_batch_can_be_cut_and_rows_can_be_counted(tmp_path: Path, name: str) -> None:
    rows = [{"id": str(i), "title": "" if i % 3 == 0 else f"t{i}"} for i in range(10)]
    path = tmp_path / name
    if name.endswith("parquet"):
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif name.endswith("csv"):
        path.write_text("id,title\n" + "".join(f"{row['id']},{row['title']}\n" for row in rows))
    else:
        lines = [json.dumps(row) for row in rows]
        path.write_text("\n".join(lines) if name.endswith("jsonl") else f"[{','.join(lines)}]")
    assert count_rows(path) == 10
    (batch,) = read_batches(path)
    for start in range(10):
        for stop in range(start, 12):
            part = batch.part(start, stop)
            ids = [str(i) for i in range(10)][start:stop]
            assert part.records.column("id").to_pylist() == [i for i in ids if int(i) % 3]
            assert [refusal.id for refusal in part.refusals] == [i for i in ids if int(i) % 3 == 0]
            assert (part.table or part.lines) is not None


@pytest.mark.parametrize(
    "row",
    [
        {"title": "Bats", "abstract": "We count bats, see <jats:title>Abstract</jats:title>."},
        {"title": " <jats:title>Summary</jats:title>Bats", "abstract": "We count bats."},
        {"title": "\u00a0", "abstract": "\u2003\u00a0"},
        {"title": "\u2003Bats", "abstract": "\u00c9tude"},
        {"title": "", "abstract": "<p>We count bats.</p>"},
        {"title": "<", "abstract": "{[<"},
        {"id": "", "title": "Bats", "abstract": "We count."},
        {"title": "Bats", "abstract": "We count.", "nested": json.loads("[" * 253 + "]" * 253)},
        {"title": "Bats", "abstract": "We count.", "nested": json.loads("[" * 254 + "]" * 254)},
    ],
)
def test_the_short_way_of_a_json_line_gives_what_the_long_way_gives(tmp_path: Path, row: dict[str, Any]) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(json.dumps({"id": "a"} | row))
    (long,) = read(path)
    (batch,) = read_batches(path)
    if isinstance(long, Refusal):
        assert batch.refusals == [long]
    else:
        found = {"row": long.row, "id": long.id, "title": long.title, "abstract": long.abstract}
        assert batch.records.to_pylist() == [found]


def test_lines_of_every_kind_stand_in_one_output_in_their_order(shipped: Model, tmp_path: Path) -> None:
    rows = [{"id": "a", "title": "Soil"}, {"title": "Soil"}, {"id": "b", "title": "Soil", "model": "mine"}] * 3
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    for batch, results in judge_batches(read_batches(path), shipped):
        lines = bytes(JsonLines("all", True, None).encode(batch, results, 1)).splitlines()
        found = [orjson.loads(line) for line in lines]
    assert [row["id"] for row in found] == ["a", "row-2", "b", "a", "row-5", "b", "a", "row-8", "b"]
    assert [row.get("source_model") for row in found] == [None, None, "mine"] * 3
    assert {row["model"] for row in found} == {shipped.id}
    assert all(row["title"] == "Soil" for row in found)


@settings(max_examples=40, deadline=None)
@given(rows_of_json, chosen.filter(lambda columns: not columns.title and not columns.abstract))
def test_a_spliced_line_reads_as_the_line_written_anew(
    tmp_path_factory: pytest.TempPathFactory, shipped: Model, rows: list[dict[str, Any]], columns: Columns
) -> None:
    path = tmp_path_factory.getbasetemp() / "splice.jsonl"
    rows = [{"doi": "x", "title": "Soil", **row} for row in rows]
    path.write_text("\n".join(f"  {json.dumps(row)}\r" for row in rows), encoding="utf-8")
    for batch, results in judge_batches(read_batches(path, columns=columns), shipped):
        own = columns.id is None
        spliced = bytes(JsonLines("all", own, None).encode(batch, results, 1)).splitlines()
        rows = zip(batch.records.column("id").to_pylist(), batch.lines, results.to_pylist(), strict=True)
        anew = [output_row(id, orjson.loads(line), result, own) for id, line, result in rows]
        assert [orjson.loads(line) for line in spliced] == anew
        assert all(line.startswith(b"{") for line in spliced)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            text | st.none(),
            st.lists(text, max_size=3) | st.none(),
            st.floats(allow_nan=False, allow_infinity=False) | st.none(),
            st.integers(-(2**63), 2**63 - 1) | st.none(),
            st.booleans() | st.none(),
        ),
        min_size=1,
    )
)
def test_columns_written_as_json_read_back_as_they_were(rows: list[tuple[Any, ...]]) -> None:
    kinds = [pa.string(), pa.list_(pa.string()), pa.float64(), pa.int64(), pa.bool_()]
    arrays = [pa.array(column, kind) for column, kind in zip(zip(*rows, strict=True), kinds, strict=True)]
    batch = pa.RecordBatch.from_arrays(arrays, ["a", 'b"', "c", "d", "e"])
    back = [orjson.loads(b'{"first":1' + tail) for tail in json_members(batch).to_pylist()]
    assert back == [{"first": 1, **row} for row in batch.to_pylist()]
    for row in back:
        assert row["c"] is None or isinstance(row["c"], float)


def test_parquet_files_joined_by_their_bytes_are_one_file(tmp_path: Path) -> None:
    tables = [pa.table({"a": [f"x{i}" * 50] * 2000, "b": [[str(i)]] * 2000, "c": [i / 7] * 2000}) for i in range(20)]
    file, offsets = bytearray(MAGIC), []
    for table in [*tables, tables[0].slice(0, 0)]:
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, row_group_size=700, write_page_checksum=True, write_page_index=True)
        pages, footer = split(memoryview(sink.getvalue()))
        offsets.append(Part(footer, len(file)))
        file += pages
    file += joined_end(offsets)
    (tmp_path / "joined.parquet").write_bytes(file)
    joined = pq.read_table(tmp_path / "joined.parquet", page_checksum_verification=True)
    assert joined.equals(pa.concat_tables(tables))
    found = pq.read_table(tmp_path / "joined.parquet", filters=[("c", "==", 3 / 7)])
    assert found.num_rows == 2000


def test_the_stream_open_to_library_users_gives_source_columns_and_results(tmp_path: Path, shipped: Model) -> None:
    rows = [{"id": str(i), "title": f"Quadrotor {i}", "abstract": "", "model": "T-800"} for i in range(50)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "in.parquet")
    lines = pa.Table.from_batches(stream(tmp_path / "in.jsonl", shipped, rows=7))
    table = pa.Table.from_batches(stream(tmp_path / "in.parquet", shipped, rows=7))
    assert lines.column_names == ["row", "id", "source", *RESULT_COLUMNS]
    assert table.column_names == ["row", "id", "title", "abstract", "source_model", *RESULT_COLUMNS]
    assert [json.loads(source) for source in lines["source"].to_pylist()] == rows
    assert lines.select(RESULT_COLUMNS).equals(table.select(RESULT_COLUMNS))
    want = shipped.classify(rows)
    assert [row["drones_probability"] for row in table.to_pylist()] == [
        r.judgements["drones"].probability for r in want
    ]


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_order_and_numbers_do_not_depend_on_threads(tmp_path: Path, shipped: Model, threads: int) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"title": f"Soil {i}" * (1 + i % 40)}) + "\n" for i in range(300)))
    table = pa.Table.from_batches(stream(path, shipped, rows=8, threads=threads))
    assert table["row"].to_pylist() == list(range(1, 301))
    assert table.equals(pa.Table.from_batches(stream(path, shipped, rows=300, threads=1)).combine_chunks())


def test_a_stream_of_files_with_other_columns_has_one_schema_and_loses_nothing_silently(
    tmp_path: Path, shipped: Model
) -> None:
    folder = tmp_path / "dump"
    folder.mkdir()
    pq.write_table(pa.table({"id": ["a"], "title": ["Soil"], "year": [2001], "tags": ["x"]}), folder / "1.parquet")
    pq.write_table(pa.table({"title": ["Clay"], "id": ["b"]}), folder / "2.parquet")
    pq.write_table(pa.table({"id": [7], "title": ["Sand"], "year": ["1999"]}), folder / "3.parquet")
    source, out = str(folder / "[12].parquet"), tmp_path / "out.parquet"
    table = pa.Table.from_batches(stream(source, shipped))
    classify_dump(source, out, shipped)
    assert table.drop_columns("row").equals(pq.read_table(out))
    assert table["row"].to_pylist() == [1, 1]
    assert table["year"].to_pylist() == [2001, None]
    assert table["source_tags"].to_pylist() == ["x", None]
    for source in (str(folder / "[13].parquet"), str(folder)):
        table = pa.Table.from_batches(stream(source, shipped))
        classify_dump(source, out, shipped, restart=True)
        assert table.drop_columns("row").equals(pq.read_table(out))


def test_a_stream_of_text_and_parquet_gives_every_record_as_json(tmp_path: Path, shipped: Model) -> None:
    (tmp_path / "1.csv").write_text("id,title\na,Soil\n")
    pq.write_table(pa.table({"id": ["b"], "title": ["Clay"], "year": [2001]}), tmp_path / "2.parquet")
    table = pa.Table.from_batches(stream(tmp_path, shipped))
    assert [orjson.loads(line) for line in table["source"].to_pylist()] == [
        {"id": "a", "title": "Soil"},
        {"id": "b", "title": "Clay", "year": 2001},
    ]


def test_parquet_whose_later_file_has_a_new_column_stops_a_stream_by_name(tmp_path: Path, shipped: Model) -> None:
    pq.write_table(pa.table({"id": list(map(str, range(5_000))), "title": ["Soil"] * 5_000}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"id": ["b"], "title": ["Clay"], "year": [2001]}), tmp_path / "2.parquet")
    with pytest.raises(DualuseError, match=r"Output row 5001, column 'year': is new"):
        list(stream(tmp_path, shipped))
