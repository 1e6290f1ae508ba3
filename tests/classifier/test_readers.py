import gzip
import io
import json
import subprocess
import sys
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.errors import ChoiceError, InputError
from classifier.readers import read
from classifier.records import Columns, Record, Refusal
from classifier.results import TAGS
from classifier.writers import open_writer

ROWS = [
    {"id": "A1", "title": "Sails for small boats", "abstract": "We measure, and tune, sails."},
    {"id": "A2", "title": 'The "blue" heron', "abstract": "Two lines\nof text; naïve ones."},
    {"id": "A3", "title": "", "abstract": "Untitled notes on moss."},
]
JSONL = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)


def zstd(data):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


def as_csv(rows, delimiter=","):
    def cell(text):
        return '"' + text.replace('"', '""') + '"'

    lines = [delimiter.join(rows[0]), *(delimiter.join(map(cell, row.values())) for row in rows)]
    return ("\n".join(lines) + "\n").encode()


def as_parquet(rows, **options):
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink, **options)
    return sink.getvalue()


FILES = {
    "jsonl": JSONL,
    "json": json.dumps(ROWS, indent=2).encode(),
    "csv": as_csv(ROWS),
    "tsv": as_csv(ROWS, "\t"),
    "parquet": as_parquet(ROWS),
}
PACKERS = {"": bytes, ".gz": gzip.compress, ".zst": zstd}


def sources(outcomes):
    return [outcome.source for outcome in outcomes]


def read_bytes(data, format, columns=None):
    return list(read(io.BytesIO(data), format=format, columns=columns or Columns()))


def read_until_error(source, format):
    seen = []
    with pytest.raises(InputError) as caught:
        seen.extend(read(source, format=format))
    return seen, str(caught.value)


def read_or_explain(data, format):
    try:
        return read_bytes(data, format)
    except InputError as error:
        return str(error)


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("format", FILES)
def test_every_format_is_read_plain_and_compressed(tmp_path, format, packer):
    path = tmp_path / f"dump.{format}{packer}"
    path.write_bytes(PACKERS[packer](FILES[format]))
    assert sources(read(path)) == ROWS
    assert sources(read(str(path), format=format)) == ROWS


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("format", FILES)
def test_every_format_is_read_from_a_stream_which_stays_open(format, packer):
    stream = io.BytesIO(PACKERS[packer](FILES[format]))
    assert sources(read(stream, format=format)) == ROWS
    assert not stream.closed


@pytest.mark.parametrize(
    ("name", "format"),
    [("a.ndjson", "jsonl"), ("a.tab", "tsv"), ("A.CSV", "csv"), ("b.JSONL.GZ", "jsonl"), ("v1.2.parquet", "parquet")],
)
def test_suffixes_are_known_in_all_spellings(tmp_path, name, format):
    path = tmp_path / name
    path.write_bytes(PACKERS[".gz"](FILES[format]) if name.endswith("GZ") else FILES[format])
    assert sources(read(path)) == ROWS


def test_compression_is_recognised_without_its_suffix_too(tmp_path):
    path = tmp_path / "dump.jsonl"
    for pack in (gzip.compress, zstd):
        path.write_bytes(pack(JSONL))
        assert sources(read(path)) == ROWS
    skippable_frame = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"
    path.write_bytes(skippable_frame + zstd(JSONL))
    assert sources(read(path)) == ROWS


def test_joined_gzip_files_are_read_to_the_end():
    assert sources(read_bytes(gzip.compress(JSONL) + gzip.compress(b"") + gzip.compress(JSONL), "jsonl")) == ROWS * 2


def test_rows_are_numbered_by_the_line_they_begin_on():
    csv_rows = b'\ntitle,abstract\nfirst,"two\nlines"\n\nsecond,x\n'
    assert [record.row for record in read_bytes(csv_rows, "csv")] == [3, 6]
    jsonl_rows = b'{"title": "a"}\n\n  \r\n{"title": "b"}\r\n{"title": "c"}'
    assert [(record.row, record.title) for record in read_bytes(jsonl_rows, "jsonl")] == [(1, "a"), (4, "b"), (5, "c")]
    assert [record.row for record in read_bytes(FILES["json"], "json")] == [1, 2, 3]
    assert [record.row for record in read_bytes(FILES["parquet"], "parquet")] == [1, 2, 3]


def test_a_record_without_an_id_is_named_by_its_row():
    assert [record.id for record in read_bytes(b"title\na\nb\n", "csv")] == ["row-2", "row-3"]


@pytest.mark.parametrize("format", ["jsonl", "json", "csv", "tsv"])
def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path, format):
    path = tmp_path / f"dump.{format}"
    path.write_bytes(b"\xef\xbb\xbf" + FILES[format])
    assert sources(read(path)) == ROWS


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (JSONL, ROWS),
        (b"\n \n" + JSONL, ROWS),
        (json.dumps(ROWS).encode(), ROWS),
        (json.dumps({"results": ROWS}).encode(), ROWS),
        (json.dumps({"results": ROWS}, indent=1).encode(), ROWS),
        (json.dumps(ROWS[0]).encode(), ROWS[:1]),
        (FILES["parquet"], ROWS),
        (gzip.compress(JSONL), ROWS),
    ],
)
def test_a_stream_tells_json_and_parquet_by_itself(monkeypatch, data, expected):
    assert sources(read(io.BytesIO(data))) == expected
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert sources(read("-")) == expected


def test_a_stream_that_cannot_be_told_asks_for_its_format():
    with pytest.raises(InputError, match=r"Say --format \(jsonl, json, csv, tsv, parquet, xlsx, ris"):
        list(read(io.BytesIO(b"Notes about sails, and moss.\n")))


def test_json_lines_named_json_are_read_as_lines(tmp_path):
    path = tmp_path / "snapshot.json"
    path.write_bytes(JSONL + b"{broken\n")
    *records, refusal = read(path)
    assert sources(records) == ROWS
    assert refusal.row == 4


class Drip(io.RawIOBase):
    """A pipe that gives one byte at a time."""

    def __init__(self, data):
        self.rest = io.BytesIO(data)

    def readable(self):
        return True

    def readinto(self, buffer):
        piece = self.rest.read(1)
        buffer[: len(piece)] = piece
        return len(piece)


@pytest.mark.parametrize("packer", PACKERS)
def test_a_pipe_that_gives_a_byte_at_a_time_is_read_whole(packer):
    assert sources(read(Drip(PACKERS[packer](JSONL)))) == ROWS


@pytest.mark.parametrize(
    "wrapped",
    [
        {"meta": {"count": 3}, "results": ROWS, "group_by": []},
        {"data": ROWS},
        {"Awards": ROWS},
        {"message": {"items": ROWS, "total": 3}},
        {"resultList": {"result": ROWS}},
        {"hits": {"hits": ROWS, "total": 3}},
        {"title": "A feed", "description": "of awards", "items": ROWS},
        {"results": ROWS, "documents": []},
    ],
)
def test_the_one_list_of_records_in_a_json_object_is_found(wrapped):
    assert sources(read_bytes(json.dumps(wrapped).encode(), "json")) == ROWS


def test_an_empty_list_of_results_gives_no_records_and_no_error():
    assert read_bytes(b'{"resultList": {"result": []}}', "json") == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"papers": [{"title": "a"}], "projects": [{"title": "b"}]}', "several lists of records: papers, projects"),
        (b'{"count": 3}', "holds no records"),
        (b'"text"', "holds no records"),
        (b'[{"title": "a"},', "not valid JSON"),
        (b'{"title": "a"}\n{"title": "b"}', "--format jsonl"),
        (b"[" * 200_000 + b"]" * 200_000, "not valid JSON"),
    ],
)
def test_a_json_document_without_one_list_of_records_is_an_error_that_says_why(data, message):
    with pytest.raises(InputError, match=message):
        read_bytes(data, "json")


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (b"7", "a bare value, not an object"),
        (b'{"title": "t", "x": NaN}', "holds the number nan"),
        (b'{"title": "t", "x": [{"y": "\xe9"}]}', "not valid UTF-8"),
        (b'{"title": "t\\ud800"}', "half of a surrogate pair"),
        (b'{"title": "t", "x": ' + b"[" * 300 + b"]" * 300 + b"}", "nested more than 254 deep"),
    ],
)
def test_one_bad_item_does_not_spoil_a_json_document(item, reason):
    first, refusal, last = read_bytes(b'[{"title": "a"},' + item + b',{"title": "c"}]', "json")
    assert (first.title, last.title) == ("a", "c")
    assert refusal.row == 2
    assert reason in refusal.reason


@pytest.mark.parametrize(
    ("line", "field", "reason"),
    [
        (b'{"title": "cut', None, "not valid JSON at byte offset"),
        (b'{"title": "a"} {"title": "b"}', None, "not valid JSON at byte offset 15"),
        (b"[1, 2]", None, "is a list, not an object"),
        (b"null", None, "a bare value, not an object"),
        (b'{"title": "a", "score": NaN}', "score", "holds the number nan"),
        (b'{"title": "a", "score": 1e999}', "score", "holds the number inf"),
        ('{"title": "a", "abstract": "caf\xe9 au lait"}'.encode("latin-1"), "abstract", "byte offset 3 of its value"),
        (b'{"title": "a", "x": {"y": ["\xff"]}}', "x", "byte offset 0 of its value"),
        (b'{"title": "a", "x\xff": 1}', None, "not valid UTF-8"),
        (b'{"title": "a\xff', None, "not valid UTF-8 at byte offset 12 of the line"),
        (b'{"title": "\\ud83d"}', "title", "half of a surrogate pair"),
        (b'{"title": "a", "x": ' + b"[" * 300 + b"]" * 300 + b"}", None, "nested more than 254 deep"),
        (b'{"title": "a", "x": ' + b"[" * 90_000 + b"]" * 90_000 + b"}", None, "nested more than 254 deep"),
        (b'{"title": 5}', "title", "the number 5"),
    ],
)
def test_one_bad_line_is_refused_by_its_number_and_the_rest_goes_on(line, field, reason):
    lines = [b'{"id": "a%d", "title": "ok"}' % number for number in range(1, 10)]
    lines[6] = line
    outcomes = read_bytes(b"\n".join(lines), "jsonl")
    refusal = outcomes.pop(6)
    assert len(outcomes) == 8
    assert all(isinstance(outcome, Record) for outcome in outcomes)
    assert (refusal.row, refusal.field) == (7, field)
    assert reason in refusal.reason
    assert refusal.mend


def test_a_refused_row_keeps_its_id_where_that_can_be_read():
    (refusal,) = read_bytes(b'{"id": "A7", "title": "t", "score": NaN}', "jsonl")
    assert refusal.id == "A7"
    (refusal,) = read_bytes(b"id,title\nA7,caf\xe9\n", "csv")
    assert refusal.id == "A7"


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_an_abstract_of_fifty_megabytes_is_refused_with_its_size_and_the_next_one_read(format):
    text = b"a" * 50_000_000
    if format == "jsonl":
        data = b'{"id": "big", "abstract": "' + text + b'"}\n{"id": "ok", "abstract": "b"}\n'
    else:
        data = b"id,abstract\nbig," + text + b"\nok,b\n"
    refusal, record = read_bytes(data, format)
    assert (refusal.id, refusal.field) == ("big", "abstract")
    assert "50,000,000 characters; at most 1,000,000" in refusal.reason
    assert record.id == "ok"


def test_a_line_or_cell_without_end_is_refused_and_the_rest_goes_on(monkeypatch):
    monkeypatch.setattr("classifier.readers._MAX_LINE", 100)
    refusal, record = read_bytes(b'{"title": "' + b"a" * 1000 + b'"}\n{"title": "b"}\n', "jsonl")
    assert (refusal.row, record.row) == (1, 2)
    assert "more than 100 bytes" in refusal.reason


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_separator_of_a_csv_file_is_told_from_its_header(delimiter):
    assert sources(read_bytes(as_csv(ROWS, delimiter), "csv")) == ROWS


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_csv_lines_may_end_as_on_any_system(end):
    assert [record.title for record in read_bytes(end.join([b"id,title", b"1,a", b'2,"b"', b""]), "csv")] == ["a", "b"]


def test_csv_cells_may_hold_nul_quotes_and_line_ends():
    (record,) = read_bytes(b'title,abstract\n"a ""b""","x\0y\r\nz"\n', "csv")
    assert (record.title, record.abstract) == ('a "b"', "x\0y\r\nz")


def test_a_quote_inside_an_unquoted_cell_is_just_a_quote():
    (record,) = read_bytes(b'title,abstract\nthe "blue" heron,x\n', "csv")
    assert record.title == 'the "blue" heron'


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"2,b", "2 cells, where the header has 3"),
        (b"2,b,c,d", "4 cells, where the header has 3"),
        (b"2,b,caf\xe9", "not valid UTF-8 at byte offset 3 of its value"),
        (b'2,"b"x,c', "quotes are not closed"),
        (b"2,,", "both empty"),
        (b'2,"b\n3,"c",d', "from line 3 to line 4"),
    ],
)
def test_one_bad_csv_row_is_refused_by_its_line_and_the_rest_goes_on(row, reason):
    first, refusal, last = read_bytes(b"id,title,abstract\n1,a,x\n" + row + b"\n9,z,z\n", "csv")
    assert (first.id, last.id) == ("1", "9")
    assert refusal.row == 3
    assert reason in refusal.reason
    assert refusal.mend


def test_a_quote_that_is_never_closed_does_not_pass_as_a_long_abstract():
    first, refusal = read_bytes(b'title,abstract\na,x\nb,"y\nc,z\nd,w\n', "csv")
    assert isinstance(first, Record)
    assert refusal.row == 3
    assert "from line 3 to line 5" in refusal.reason


@pytest.mark.parametrize("format", ["csv", "tsv", "parquet"])
def test_a_table_without_text_columns_lists_those_it_has_and_what_to_say(format):
    rows = [{"key": "1", "heading": "a"}]
    data = as_parquet(rows) if format == "parquet" else as_csv(rows, "\t" if format == "tsv" else ",")
    with pytest.raises(InputError, match=r"Columns seen: key, heading.*project.?title.*--title-column"):
        read_bytes(data, format)
    (record,) = read_bytes(data, format, Columns(title="heading"))
    assert record.title == "a"


def test_a_csv_without_header_does_not_spill_an_abstract_into_the_message():
    with pytest.raises(InputError, match="a name of 900 characters") as caught:
        read_bytes(b"1," + b"secret " * 128 + b"aims\n", "csv")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("format", FILES)
def test_a_chosen_column_that_no_row_has_is_an_error_that_lists_the_columns(format):
    with pytest.raises(InputError, match=r"no column 'abtsract'\. Columns seen: id, title, abstract"):
        read_bytes(FILES[format], format, Columns(abstract="abtsract"))


def test_a_chosen_column_that_some_json_rows_lack_is_no_error():
    data = b'{"t": "a"}\n{"t": "b", "note": "c"}\n'
    assert [r.abstract for r in read_bytes(data, "jsonl", Columns(title="t", abstract="note"))] == ["", "c"]


def test_duplicate_column_names_are_an_error_that_names_them(tmp_path):
    with pytest.raises(InputError, match=r"several columns named title, \(empty\)"):
        read_bytes(b"title,title,,,abstract\na,b,,,c\n", "csv")
    path = tmp_path / "twice.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array(["a"])] * 2, names=["title", "title"]), path)
    with pytest.raises(InputError, match="several columns named title"):
        list(read(path))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("title\ncafé\n".encode("utf-16"), r"UTF-16.*iconv -f utf-16"),
        ("title\n".encode("utf-16-le"), "UTF-16"),
        (b"caf\xe9,title\na,b\n", r"column names that are not valid UTF-8.*iconv -f cp1252"),
        (b"\n\n", "blank lines only"),
        (b'"title,abstract\na,b\n', "no readable column names"),
        (b"PK\x03\x04rest", "Excel workbook"),
    ],
)
def test_a_table_that_cannot_be_read_at_all_says_why(data, message):
    with pytest.raises(InputError, match=message):
        read_bytes(data, "csv")


@pytest.mark.parametrize("format", FILES)
@pytest.mark.parametrize("empty", [b"", gzip.compress(b""), zstd(b"")])
def test_an_empty_file_is_an_error(format, empty):
    with pytest.raises(InputError, match="is empty"):
        read_bytes(empty, format)


def test_a_table_with_a_header_only_has_no_records():
    assert read_bytes(b"id,title\n", "csv") == []
    assert read_bytes(as_parquet([{"title": "a"}]), "parquet")
    empty = pa.table({"title": pa.array([], pa.string())})
    sink = io.BytesIO()
    pq.write_table(empty, sink)
    assert read_bytes(sink.getvalue(), "parquet") == []


@pytest.mark.parametrize(("pack", "name"), [(gzip.compress, "gzip"), (zstd, "zstd")])
@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_a_truncated_file_gives_its_whole_rows_and_then_an_error(format, pack, name):
    rows = [{"id": str(i), "title": f"{i * 7919 % 10007} sails", "abstract": "x"} for i in range(40_000)]
    plain = as_csv(rows) if format == "csv" else b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    packed = pack(plain)
    seen, message = read_until_error(io.BytesIO(packed[: len(packed) * 3 // 4]), format=format)
    assert f"is truncated: its {name} data" in message
    assert len(seen) > 1000
    assert sources(seen) == rows[: len(seen)]


def test_a_flipped_bit_in_compressed_data_is_an_error():
    packed = bytearray(gzip.compress(JSONL * 1000))
    packed[len(packed) // 2] ^= 0xFF
    with pytest.raises(InputError, match=r"is (damaged|truncated)"):
        read_bytes(bytes(packed), "jsonl")


def test_a_name_that_promises_compression_must_keep_it(tmp_path):
    path = tmp_path / "dump.jsonl.gz"
    path.write_bytes(JSONL)
    with pytest.raises(InputError, match="named as gzip but does not begin like gzip"):
        list(read(path))


@pytest.mark.parametrize("damage", ["cut", "flip", "other"])
def test_a_damaged_parquet_file_is_an_error(damage):
    rows = [{"title": f"Title {i}", "abstract": f"{i * 7919 % 10007}"} for i in range(3000)]
    data = bytearray(as_parquet(rows, compression="none", write_page_checksum=True))
    if damage == "cut":
        data = data[: len(data) // 2]
    elif damage == "flip":
        data[len(data) // 3] ^= 0x01
    else:
        data = bytearray(JSONL)
    with pytest.raises(InputError, match=r"cannot be read as Parquet: it is damaged"):
        read_bytes(bytes(data), "parquet")


def test_parquet_values_of_every_kind_come_through():
    when = datetime(2024, 5, 1, 12, 30)
    table = pa.table(
        {
            "title": pa.array(["Näher"], pa.large_string()),
            "abstract": pa.array([b"as bytes"], pa.binary()),
            "amount": pa.array([Decimal("1.50")], pa.decimal128(9, 2)),
            "fine": pa.array([1_714_566_600_000_000_001], pa.timestamp("ns")),
            "coarse": pa.array([when], pa.timestamp("ns")),
            "kind": pa.array(["grant"]).dictionary_encode(),
            "people": pa.array([[{"name": "A"}]]),
            "missing": pa.array([None], pa.null()),
        }
    )
    sink = io.BytesIO()
    pq.write_table(table, sink)
    (record,) = read_bytes(sink.getvalue(), "parquet")
    assert (record.title, record.abstract) == ("Näher", "as bytes")
    assert record.source["amount"] == Decimal("1.50")
    assert record.source["fine"] == "2024-05-01 12:30:00.000000001"
    assert record.source["coarse"] == when
    assert (record.source["kind"], record.source["people"]) == ("grant", [{"name": "A"}])
    assert record.source["missing"] is None


def test_bad_bytes_in_a_parquet_text_refuse_only_their_row():
    titles = pa.Array.from_buffers(
        pa.string(), 3, [None, pa.array([0, 1, 3, 4], pa.int32()).buffers()[1], pa.py_buffer(b"ab\xffc")]
    )
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": ["1", "2", "3"], "title": titles}), sink)
    first, refusal, last = read_bytes(sink.getvalue(), "parquet")
    assert (first.title, last.title) == ("a", "c")
    assert (refusal.row, refusal.field, refusal.id) == (2, "title", "2")
    assert "byte offset 1" in refusal.reason


def test_a_file_that_is_not_there_is_told_before_anything_is_read(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read(tmp_path / "none.jsonl")
    with pytest.raises(InputError, match="holds no file to read"):
        read(tmp_path)


def test_a_file_of_an_unknown_suffix_is_told_by_how_it_begins_and_else_names_the_known_ones(tmp_path):
    for name in ("export", "export.dat", "export.docx"):
        for data in FILES.values():
            (tmp_path / name).write_bytes(data)
            assert sources(read(tmp_path / name)) == ROWS
    path = tmp_path / "export.docx"
    path.write_bytes(b"PK")
    with pytest.raises(InputError, match=r"cannot be told.*--format.*jsonl.*bibtex.*\.jsonl"):
        list(read(path))
    with pytest.raises(InputError, match=r"Format 'docx' is not known.*jsonl"):
        read(path, format="docx")


def test_format_overrides_the_suffix(tmp_path):
    path = tmp_path / "export.txt"
    path.write_bytes(FILES["tsv"])
    assert sources(read(path, format="tsv")) == ROWS


def test_an_array_named_as_lines_is_read_as_the_array_it_is(tmp_path):
    path = tmp_path / "export.jsonl"
    for indent in (None, 1):
        path.write_text(json.dumps(ROWS, indent=indent))
        assert sources(read(path)) == ROWS


def test_a_table_is_cut_at_what_its_header_shows_whatever_its_name_says(tmp_path):
    for name, delimiter in (("a.tsv", ","), ("a.csv", "|"), ("a.csv", "\t"), ("a", "|")):
        (tmp_path / name).write_bytes(as_csv(ROWS, delimiter))
        assert sources(read(tmp_path / name)) == ROWS
    assert [row.title for row in read_bytes(b"title\nSails, moss\n", "tsv")] == ["Sails, moss"]


def test_excels_line_about_the_separator_is_no_header():
    outcomes = read_bytes(b"sep=;\r\n" + as_csv(ROWS, ";"), "csv")
    assert sources(outcomes) == ROWS
    assert outcomes[0].row == 3


def test_rows_above_the_column_names_are_told():
    for columns in (Columns(), Columns(title="title")):
        with pytest.raises(InputError, match="seem to stand in row 3: delete the rows above"):
            read_bytes(b"Export of awards\n\n" + as_csv(ROWS, ";"), "csv", columns)


def test_a_chosen_column_spelled_otherwise_is_offered():
    with pytest.raises(ChoiceError, match="Did you mean ' Abstract '"):
        read_bytes(b"Title, Abstract \na,b\n", "csv", Columns(abstract="abstract"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"%PDF-1.4\n", "is a PDF"),
        (b"<!DOCTYPE html><html>login</html>", "is a web page"),
        (gzip.compress(gzip.compress(JSONL)), "compressed twice"),
        (b"PK\x03\x04", "--format xlsx"),
    ],
)
def test_a_file_that_is_something_else_is_called_by_its_name(data, message):
    for format in ("csv", "jsonl", None):
        with pytest.raises(InputError, match=message):
            read_bytes(data, format)


def test_a_number_too_long_is_told_as_that():
    (refusal,) = read_bytes(b'{"title": "a", "x": ' + b"9" * 5_000 + b"}", "jsonl")
    assert "as a text, in quotes" in refusal.mend


@pytest.mark.parametrize(
    "header", ["Titre;R\u00e9sum\u00e9", "Titel;Kurzfassung", "T\u00edtulo;Resumen", "Titre;Re\u0301sume\u0301"]
)
def test_common_names_in_other_languages_are_known(header):
    (record,) = read_bytes(f"{header}\nSails;On sails.\n".encode(), "csv")
    assert (record.title, record.abstract) == ("Sails", "On sails.")


def test_what_we_wrote_as_a_table_comes_back_without_the_guard_before_formulas(tmp_path):
    texts = ["=1", "'=1", "-12", "'-12", "+a", "@b", "'plain", "\tc", "''", "a=b"]
    ours = {"model": "m", **{f"{tag}_probability": 0.5 for tag in TAGS}}
    for name in ("a.csv", "a.tsv"):
        with open_writer(tmp_path / name) as writer:
            writer.write([{"title": "t", "x": text, "=n": text} | ours for text in texts])
        assert [row.source["x"] for row in read(tmp_path / name)] == texts
        assert [row.source["=n"] for row in read(tmp_path / name)] == texts
    assert only_source(b"title,x\nt,'=1\n")["x"] == "'=1"  # a table of somebody else's


def only_source(data):
    (record,) = read_bytes(data, "csv")
    return record.source


lines = st.sampled_from(
    [
        b'{"title": "ok"}',
        b'{"title": ""}',
        b"{",
        b"[]",
        b"\xff",
        b'{"title": "\xff"}',
        b'{"x": NaN}',
        b'{"abstract": 1}',
    ]
)


@given(st.lists(lines))
def test_json_rows_in_are_records_plus_refusals(given_lines):
    outcomes = read_bytes(b"\n".join([b'{"title": "first"}', *given_lines]), "jsonl")
    assert [outcome.row for outcome in outcomes] == list(range(1, len(given_lines) + 2))
    good = sum(line == b'{"title": "ok"}' for line in given_lines) + 1
    assert sum(isinstance(outcome, Record) for outcome in outcomes) == good


@given(st.lists(st.sampled_from([b"a,b", b"a", b"a,b,c", b",", b'"a\nb",c', b"\xff,b", b'"a"b,c'])))
def test_csv_rows_in_are_records_plus_refusals(given_rows):
    outcomes = read_bytes(b"\n".join([b"title,abstract", *given_rows]), "csv")
    assert len(outcomes) == len(given_rows)
    good = sum(row in (b"a,b", b'"a\nb",c') for row in given_rows)
    assert sum(isinstance(outcome, Record) for outcome in outcomes) == good


@settings(deadline=None)
@given(st.binary(), st.sampled_from(list(FILES)))
def test_no_bytes_at_all_make_a_reader_crash(data, format):
    outcomes = read_or_explain(data, format)
    assert isinstance(outcomes, str) or all(isinstance(outcome, (Record, Refusal)) for outcome in outcomes)


@settings(deadline=None)
@given(st.integers(0, len(FILES["parquet"]) - 1), st.integers(1, 255))
def test_a_changed_byte_in_a_parquet_file_never_makes_a_reader_crash(place, change):
    data = bytearray(FILES["parquet"])
    data[place] ^= change
    outcomes = read_or_explain(bytes(data), "parquet")
    assert isinstance(outcomes, str) or len(outcomes) <= len(ROWS)


CHANGE_EACH_BYTE = """
import sys
from tests.classifier.test_readers import read_or_explain
data = bytearray(sys.stdin.buffer.read())
for place in range(len(data)):
    data[place] ^= 1
    read_or_explain(bytes(data), "parquet")
    data[place] ^= 1
"""


def test_no_changed_byte_in_a_parquet_file_ends_the_process():
    # Arrow ends it where it is asked for the figures of a damaged column: hence in a process of its own.
    command = [sys.executable, "-c", CHANGE_EACH_BYTE]
    done = subprocess.run(command, input=FILES["parquet"], capture_output=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr.decode()
