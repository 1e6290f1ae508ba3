import datetime as dt
import gzip
import io
import os
import resource
import stat
import sys
from decimal import Decimal

import orjson
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.errors import DualuseError
from classifier.readers import read
from classifier.records import Record
from classifier.writers import open_writer

ROWS = [
    {
        "id": "A1",
        "title": "Sails, tuned",
        "abstract": 'The "blue"\nheron',
        "year": 2020,
        "tags": ["drones", "guidance"],
    },
    {"id": "A2", "title": "Näher", "abstract": "", "year": None, "tags": []},
]
FORMATS = ("jsonl", "csv", "tsv", "parquet")
SUFFIXES = ("", ".gz", ".zst")


def write(path, rows, format=None, batch=1000):
    with open_writer(path, format) as writer:
        for start in range(0, len(rows), batch):
            writer.write(rows[start : start + batch])
    return path.read_bytes()


def write_and_fail(path, error, format=None):
    with open_writer(path, format) as writer:
        writer.write([{"title": "t"}] * 6000)
        raise error


def read_back(path):
    outcomes = list(read(path))
    assert all(isinstance(outcome, Record) for outcome in outcomes), outcomes
    return [dict(outcome.source) for outcome in outcomes]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("format", FORMATS)
def test_rows_written_in_any_format_are_read_back(tmp_path, format, suffix):
    path = tmp_path / f"out.{format}{suffix}"
    write(path, ROWS)
    expected = ROWS
    if format in ("csv", "tsv"):
        expected = [ROWS[0] | {"year": "2020", "tags": "drones guidance"}, ROWS[1] | {"year": "", "tags": ""}]
    assert read_back(path) == expected


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("format", FORMATS)
def test_the_same_rows_give_the_same_bytes_however_they_are_batched(tmp_path, format, suffix):
    rows = [{"id": str(i), "title": f"t{i * 7919 % 10007}", "score": i / 7} for i in range(11_000)]
    one = write(tmp_path / f"one.{format}{suffix}", rows, batch=11_000)
    assert write(tmp_path / f"two.{format}{suffix}", rows, batch=997) == one


texts = st.text(st.characters(codec="utf-8"))
titled = texts.filter(lambda text: text and not text.isspace())
rows_of_text = st.lists(st.fixed_dictionaries({"title": titled, "abstract": texts, "note": texts}), min_size=1)


@settings(max_examples=40, deadline=None)
@given(rows_of_text)
def test_any_text_comes_back_from_json_lines(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    write(path, rows)
    assert read_back(path) == rows


@settings(max_examples=40, deadline=None)
@given(rows_of_text)
def test_any_text_comes_back_from_parquet(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "any.parquet"
    write(path, rows)
    assert read_back(path) == rows


@settings(max_examples=40, deadline=None)
@given(rows_of_text, st.sampled_from(["csv", "tsv"]))
def test_any_text_comes_back_from_a_table_but_for_the_mark_before_formulas(tmp_path_factory, rows, format):
    path = tmp_path_factory.getbasetemp() / f"any.{format}"
    write(path, rows)
    for row, back in zip(rows, read_back(path), strict=True):
        for name, text in row.items():
            assert back[name] in (text, f"'{text}")
            assert back[name] == text or text[0] in "=+-@\t\r"


values = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
nested = st.recursive(values | texts, lambda inside: st.lists(inside) | st.dictionaries(texts, inside), max_leaves=8)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["a", "b", "c"]), nested), min_size=1))
def test_values_of_any_kind_can_be_written_in_every_format(tmp_path_factory, rows):
    folder = tmp_path_factory.getbasetemp()
    rows = [{"title": "t", **row} for row in rows]
    for format in FORMATS:
        path = folder / f"kinds.{format}"
        write(path, rows)
        assert len(read_back(path)) == len(rows)
    assert read_back(folder / "kinds.jsonl") == rows


def test_json_lines_keep_the_order_of_columns_and_end_in_a_line_feed(tmp_path):
    assert write(tmp_path / "o.jsonl", [{"b": 1, "a": "ü"}]) == '{"b":1,"a":"ü"}\n'.encode()


def test_table_cells_are_plain_and_lists_of_ours_read_well(tmp_path):
    row = {
        "id": "1",
        "tags": ["drones", "guidance"],
        "notes": ["no title", "letters of several scripts mixed"],
        "drones_probability": 0.25,
        "open": True,
        "people": [{"name": "A"}],
        "none": None,
    }
    assert write(tmp_path / "o.csv", [row]).decode() == (
        "id,tags,notes,drones_probability,open,people,none\n"
        '1,drones guidance,no title; letters of several scripts mixed,0.25,true,"[{""name"":""A""}]",\n'
    )


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-x", "@sum", "\t=1", "\r=1", "+1 555 0100", "-1+1", "=", "-"])
def test_a_text_that_a_spreadsheet_would_run_is_marked(tmp_path, text):
    write(tmp_path / "o.csv", [{"title": text}])
    assert read_back(tmp_path / "o.csv") == [{"title": f"'{text}"}]


@pytest.mark.parametrize("number", [-5, "-5", "+3.25", "-1e-5", -0.5, "-1,250.00"])
def test_a_negative_number_is_no_formula(tmp_path, number):
    write(tmp_path / "o.csv", [{"title": "t", "n": number}])
    (row,) = read_back(tmp_path / "o.csv")
    assert row["n"] in (str(number), "-1e-05")
    assert not row["n"].startswith("'")


def test_a_formula_hidden_in_a_column_name_or_a_tag_is_marked(tmp_path):
    assert write(tmp_path / "o.csv", [{"=evil()": "a", "tags": ["=b"]}]) == b"'=evil(),tags\na,'=b\n"


def test_columns_that_only_some_rows_have_are_empty_elsewhere(tmp_path):
    rows = [{"title": "a"}, {"title": "b", "year": 2020}]
    assert write(tmp_path / "o.csv", rows) == b"title,year\na,\nb,2020\n"
    write(tmp_path / "o.parquet", rows)
    assert read_back(tmp_path / "o.parquet") == [{"title": "a", "year": None}, {"title": "b", "year": 2020}]


def test_parquet_columns_keep_simple_types_and_write_the_rest_as_json(tmp_path):
    day = dt.date(2024, 5, 1)
    moment = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)
    rows = [
        {
            "title": "a",
            "n": 1,
            "x": 1,
            "ok": True,
            "mix": 1,
            "list": [1],
            "tags": [],
            "day": day,
            "at": moment,
            "nil": None,
        },
        {"title": "b", "n": 2, "x": 0.5, "ok": None, "mix": "s", "list": {"k": "v"}, "tags": ["t"], "day": None},
        {"title": "c", "amount": Decimal("1.50"), "raw": b"\x00\xff", "big": 2**63, "took": dt.timedelta(seconds=1)},
    ]
    path = tmp_path / "o.parquet"
    write(path, rows)
    types = {field.name: str(field.type) for field in pq.read_schema(path)}
    assert types == {
        "title": "string",
        "n": "int64",
        "x": "double",
        "ok": "bool",
        "mix": "string",
        "list": "string",
        "tags": "list<element: string>",
        "day": "date32[day]",
        "at": "timestamp[us, tz=UTC]",
        "nil": "string",
        "amount": "string",
        "raw": "binary",
        "big": "string",
        "took": "duration[us]",
    }
    first, second, third = read_back(path)
    assert (first["mix"], second["mix"]) == ("1", '"s"')
    assert (first["list"], second["list"]) == ("[1]", '{"k":"v"}')
    assert (first["day"], first["at"], second["tags"]) == (day, moment, ["t"])
    assert (third["amount"], third["raw"], third["big"]) == ('"1.50"', b"\x00\xff", str(2**63))


def test_parquet_pages_carry_checksums(tmp_path):
    path = tmp_path / "o.parquet"
    data = bytearray(write(path, [{"title": f"t{i}"} for i in range(500)]))
    data[60] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(OSError, match=r"(?i)crc|checksum"):
        pq.read_table(path, page_checksum_verification=True)


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_a_column_that_turns_up_too_late_is_an_error_and_not_lost(tmp_path, format):
    rows = [{"title": "t"} for _ in range(6000)] + [{"title": "t", "late": 1}]
    path = tmp_path / f"o.{format}"
    with pytest.raises(DualuseError, match=r"Output row 6001, column 'late': is new.*Use JSONL output"):
        write(path, rows)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("early", "late"),
    [
        (1, "x"),
        (1, 0.5),
        ("x", 1),
        (True, 1),
        (0.5, 2**60),
        (1, 2**70),
        (None, 3),
        ("x", ["y"]),
        (dt.date(2024, 1, 1), "x"),
    ],
)
def test_a_parquet_value_of_another_type_that_turns_up_late_is_an_error(tmp_path, early, late):
    rows = [{"title": "t", "v": early} for _ in range(5000)] + [{"title": "t", "v": late}]
    with pytest.raises(DualuseError, match=r"Output row 5001, column 'v': is an? .*Use JSONL output"):
        write(tmp_path / "o.parquet", rows)
    assert list(tmp_path.iterdir()) == []


def test_json_lines_take_new_columns_and_types_at_any_row(tmp_path):
    rows = [{"title": "t", "v": 1} for _ in range(6000)] + [{"title": "t", "v": ["x"], "late": {}}]
    write(tmp_path / "o.jsonl", rows)
    assert read_back(tmp_path / "o.jsonl") == rows


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("format", FORMATS)
def test_a_probability_that_is_no_number_never_reaches_a_file(tmp_path, format, value):
    with pytest.raises(DualuseError, match="row 2, column 'drones_probability'"):
        write(tmp_path / f"o.{format}", [{"drones_probability": 0.5}, {"drones_probability": value}])
    assert list(tmp_path.iterdir()) == []


def test_a_missing_number_of_the_source_is_no_error(tmp_path):
    assert orjson.loads(write(tmp_path / "o.jsonl", [{"title": "t", "year": float("nan")}]))["year"] is None
    write(tmp_path / "o.csv", [{"title": "t", "year": float("nan")}])
    assert read_back(tmp_path / "o.csv")[0]["year"] == "nan"


@pytest.mark.parametrize("value", [object(), "\ud800", ["\ud800"], {"k": object()}])
@pytest.mark.parametrize("format", FORMATS)
def test_a_value_that_cannot_be_written_is_named_by_row_and_column(tmp_path, format, value):
    with pytest.raises(DualuseError, match="Output row 2, column 'bad'"):
        write(tmp_path / f"o.{format}", [{"title": "t", "bad": "fine"}, {"title": "t", "bad": value}])
    assert list(tmp_path.iterdir()) == []


def test_values_that_only_parquet_brings_become_text_elsewhere(tmp_path):
    row = {"t": dt.date(2024, 5, 1), "d": Decimal("1.50"), "b": b"\x00\xff", "s": dt.timedelta(seconds=90)}
    assert write(tmp_path / "o.jsonl", [row]) == b'{"t":"2024-05-01","d":"1.50","b":"AP8=","s":"0:01:30"}\n'
    assert write(tmp_path / "o.csv", [row]) == b"t,d,b,s\n2024-05-01,1.50,AP8=,0:01:30\n"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("name", ["o.jsonl", "o.csv.gz", "o.tsv", "o.jsonl.zst", "o.parquet"])
def test_a_failure_half_way_leaves_the_old_file_and_nothing_beside_it(tmp_path, name, error):
    path = tmp_path / name
    path.write_bytes(b"old")
    with pytest.raises(error):
        write_and_fail(path, error)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_old_file_stands_until_the_new_one_is_complete(tmp_path):
    path = tmp_path / "o.jsonl"
    path.write_bytes(b"old")
    with open_writer(path) as writer:
        writer.write([{"title": "t"}] * 10_000)
        assert path.read_bytes() == b"old"
    assert len(read_back(path)) == 10_000
    assert list(tmp_path.iterdir()) == [path]


def test_a_replaced_file_keeps_its_rights_and_a_link_its_file(tmp_path):
    path = tmp_path / "o.jsonl"
    path.write_bytes(b"old")
    path.chmod(0o640)
    link = tmp_path / "link.jsonl"
    link.symlink_to(path)
    write(link, ROWS)
    assert link.is_symlink()
    assert read_back(path) == ROWS
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("format", FORMATS)
def test_no_rows_make_a_file_without_rows(tmp_path, format):
    path = tmp_path / f"o.{format}"
    data = write(path, [])
    if format == "parquet":
        assert pq.read_table(path).num_rows == 0
    else:
        assert data == b""


def test_gzip_output_carries_no_time_and_no_name(tmp_path):
    data = write(tmp_path / "o.jsonl.gz", ROWS)
    assert data[3:8] == b"\0\0\0\0\0"
    assert gzip.decompress(data).count(b"\n") == 2


class Stdout(io.TextIOWrapper):
    """Stands in for sys.stdout and keeps what was written."""

    def __init__(self):
        super().__init__(io.BytesIO())

    def written(self):
        return self.buffer.getvalue()


@pytest.mark.parametrize("format", [None, *FORMATS])
def test_standard_output_takes_every_format_and_stays_open(monkeypatch, tmp_path, format):
    monkeypatch.setattr(sys, "stdout", Stdout())
    with open_writer("-", format) as writer:
        writer.write(ROWS)
    assert not sys.stdout.buffer.closed
    assert sys.stdout.written() == write(tmp_path / "same", ROWS, format or "jsonl")


def test_a_failure_leaves_no_parquet_that_looks_whole_on_standard_output(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Stdout())
    with pytest.raises(RuntimeError):
        write_and_fail("-", RuntimeError, "parquet")
    assert sys.stdout.written() == b""


@pytest.mark.parametrize("format", FORMATS)
def test_a_pipe_is_written_to_and_not_replaced(tmp_path, format):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with open_writer(pipe, format) as writer:
        writer.write(ROWS)
    received = os.read(reader, 65536)
    os.close(reader)
    assert pipe.is_fifo()
    assert received == write(tmp_path / "same", ROWS, format)


@pytest.mark.parametrize("name", ["o.jsonl", "o.csv", "o.parquet", "o.jsonl.gz", "o.jsonl.zst"])
def test_running_out_of_room_is_an_error_that_names_the_target_and_leaves_the_old_file(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"old")
    rows = [{"title": "t", "noise": os.urandom(500).hex()} for _ in range(2000)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(DualuseError, match=rf"{name} cannot be written: File too large"):
            write(path, rows)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("target", "format", "message"),
    [
        ("o.json", None, r"The suffix of .*o\.json is not one that is written.*jsonl, csv, tsv, parquet"),
        ("o", None, "The suffix of"),
        ("o.csv", "json", "Format 'json' is not one that is written"),
        ("missing/o.csv", None, r"o\.csv cannot be written: No such file or directory"),
        ("", "csv", "is a folder"),
    ],
)
def test_a_target_that_cannot_be_written_is_told_before_any_row(tmp_path, target, format, message):
    with pytest.raises(DualuseError, match=message), open_writer(tmp_path / target, format):
        pytest.fail("opened")
    assert list(tmp_path.iterdir()) == []
