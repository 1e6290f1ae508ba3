"""Excel sheets in and out; folders, patterns and archives of many files; all texts are our own."""

import io
import json
import zipfile
from datetime import datetime

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier import sheet
from classifier.errors import DualuseError, InputError
from classifier.readers import read
from classifier.records import Columns, Record, Refusal
from classifier.writers import open_writer


def workbook(*sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets, 1):
        page = book.create_sheet(f"Sheet {number}")
        for row in rows:
            page.append(row)
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


def rebuilt(data, change):
    """The archive with every part as `change` leaves it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(packed, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return packed.getvalue()


def names(found):
    return [(one.id, one.title) for one in found]


# Reading sheets --------------------------------------------------------------------------------------------------

SHEET = [
    [],
    ["Award ID", "Award Title", "Abstract", "Start", None, "Amount"],
    [101, "Quiet pumps", "They hum\nless.", datetime(2024, 1, 2), None, 1.5],
    [],
    ["A-2", "Sails", None, None, "a note", None, "beyond"],
    ["A-3", None, None, None, None, 7],
]


def test_the_first_sheet_is_read_with_its_first_filled_row_as_names(tmp_path):
    path = tmp_path / "awards.XLSX"
    path.write_bytes(workbook(SHEET, [["title"], ["Another sheet"]]))
    first, second, empty = read(path)
    assert (first.id, first.title, first.abstract, first.row) == ("101", "Quiet pumps", "They hum\nless.", 3)
    assert first.source["Start"] == datetime(2024, 1, 2)
    assert second.source["column E"] == "a note"
    assert second.source["column G"] == "beyond"
    assert isinstance(empty, Refusal)
    assert (empty.row, empty.id) == (6, "A-3")


def test_records_on_another_sheet_than_the_first_are_told():
    for first in ([["readme"]], [["readme"], ["Exported in May."]]):
        data = workbook(first, [["title"], ["Sails"]])
        with pytest.raises(InputError, match="first sheet"):
            list(read(io.BytesIO(data), format="xlsx"))
    with pytest.raises(InputError, match="seem to stand in row 2"):
        list(read(io.BytesIO(workbook([["Awards"], ["title", "abstract"]])), format="xlsx"))


def test_a_sheet_is_read_whole_though_its_tool_wrote_a_wrong_size():
    def shrink(name, part):
        return part.replace(b'ref="A1:G6"', b'ref="A1"')

    data = rebuilt(workbook(SHEET), shrink)
    assert len(list(read(io.BytesIO(data), format="xlsx"))) == 3


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (workbook([], [["title"], ["Moss"]]), r"empty first sheet, 'Sheet 1'; its sheets: Sheet 1, Sheet 2"),
        (workbook([["name", "place"], ["a", "b"]]), r"no column known as a title.*name, place"),
        (workbook([["title", "title"], ["a", "b"]]), "several columns named title"),
        (workbook(SHEET)[:-400], "cannot be read as an Excel workbook"),
        (b"PK\x03\x04 and no more", "cannot be read as an Excel workbook"),
        (b"\xd0\xcf\x11\xe0 an old .xls", "cannot be read as an Excel workbook"),
    ],
)
def test_a_workbook_that_cannot_be_used_says_why(data, message):
    with pytest.raises(InputError, match=message):
        list(read(io.BytesIO(data), format="xlsx"))


def test_a_chosen_column_that_a_sheet_lacks_is_told():
    with pytest.raises(InputError, match="no column 'Text'"):
        list(read(io.BytesIO(workbook(SHEET)), format="xlsx", columns=Columns(abstract="Text")))


def test_a_bomb_in_a_workbook_is_refused_before_it_is_expanded():
    def plant(name, part):
        if not name.endswith("sheet1.xml"):
            return part
        bomb = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'
        return b"<!-- " + b"far down " * 10_000 + b"-->" + bomb + part

    with pytest.raises(InputError, match="document type"):
        list(read(io.BytesIO(rebuilt(workbook(SHEET), plant)), format="xlsx"))


# Writing sheets --------------------------------------------------------------------------------------------------


def cells(path):
    page = openpyxl.load_workbook(path).active
    return [[(cell.value, cell.data_type) for cell in row] for row in page.iter_rows()]


def test_a_sheet_holds_texts_as_texts_and_numbers_as_numbers(tmp_path):
    path = tmp_path / "out.xlsx"
    row = {"id": "=1+1", "n": -1.5, "whole": 3, "long": 2**70, "yes": True, "none": None, "tags": ["a", "b"], "d": [1]}
    with open_writer(path) as out:
        out.write([row])
    header, written = cells(path)
    assert [value for value, _ in header] == list(row)
    assert written == [
        ("=1+1", "s"),
        (-1.5, "n"),
        (3, "n"),
        (str(2**70), "s"),
        (True, "b"),
        (None, "n"),
        ("a b", "s"),
        ("[1]", "s"),
    ]
    assert openpyxl.load_workbook(path).active["A2"].quotePrefix


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=5))
def test_any_text_comes_back_from_a_sheet(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("sheet") / "out.xlsx"
    with open_writer(path) as out:
        out.write([{"title": "t", "value": value} for value in values])
    assert [one.source["value"] for one in read(path)] == values


@pytest.mark.parametrize("name", ["out.xlsx", "out.xlsx.gz"])
def test_the_same_rows_give_the_same_sheet_at_any_time(tmp_path, monkeypatch, name):
    rows = [{"id": str(number), "title": "Moss"} for number in range(20)]
    written = []
    for step in (20, 3):
        monkeypatch.setattr("time.time", lambda: 1_000_000_000.0 + step)  # noqa: B023
        with open_writer(tmp_path / name) as out:
            for at in range(0, len(rows), step):
                out.write(rows[at : at + step])
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]
    assert len(list(read(tmp_path / name))) == 20


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"title": "x"}] * 4, "at most 3 rows"),
        ([{str(number): number for number in range(5)}], "5 columns; an Excel sheet holds at most 4"),
    ],
)
def test_what_a_sheet_cannot_hold_is_an_error_and_the_old_file_stays(tmp_path, monkeypatch, rows, message):
    monkeypatch.setattr(sheet, "MAX_ROWS", 3)
    monkeypatch.setattr(sheet, "MAX_COLUMNS", 4)
    path = tmp_path / "out.xlsx"
    path.write_bytes(b"old")
    with pytest.raises(DualuseError, match=message), open_writer(path) as out:
        out.write(rows)
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["out.xlsx"]


def test_a_text_too_long_for_a_cell_says_that_it_was_cut(tmp_path):
    path = tmp_path / "out.xlsx"
    fits, long = "\U0001f600" * 16_383, "\U0001f600" * 16_384
    with open_writer(path) as out:
        out.write([{"title": fits}, {"title": long}])
    first, second = (one.title for one in read(path))
    assert first == fits
    assert second.endswith("\U0001f600 [cut: 32,768 characters, more than an Excel cell holds]")
    assert len(second.encode("utf-16-le")) // 2 in (32_766, 32_767)


# Many files ------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    top = tmp_path / "dump"
    (top / "b").mkdir(parents=True)
    (top / "b" / "part.jsonl").write_text('{"title": "Third"}\n{"title": ""}\n')
    (top / "a.ris").write_text("TY  - GEN\nTI  - First\nER  -\n")
    (top / "a2.json").write_text(json.dumps({"awd_id": "7", "awd_titl_txt": "Second"}))
    (top / "_SUCCESS").write_text("")
    (top / ".hidden.jsonl").write_text("not for us")
    return top


EXPECTED = [("a.ris:row-1", "First"), ("7", "Second"), ("b/part.jsonl:row-1", "Third")]


def test_a_folder_is_read_in_the_order_of_names_with_ids_that_say_where(folder):
    *records, refusal = read(folder)
    assert names(records) == EXPECTED
    assert isinstance(refusal, Refusal)
    assert (refusal.row, refusal.id) == (2, "b/part.jsonl:row-2")
    assert refusal.reason.startswith("in b/part.jsonl: title and abstract are both empty")


def test_a_zip_archive_is_read_as_its_folder_would_be(folder):
    path = folder.parent / "2024.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*"), reverse=True):
            archive.write(file, file.relative_to(folder))
        archive.writestr("__MACOSX/._a.ris", "no")
    *records, _ = read(path)
    assert names(records) == EXPECTED
    folder.joinpath("c.zip").write_bytes(path.read_bytes())
    assert [one.id for one in read(folder)][-2] == "c.zip:b/part.jsonl:row-1"


def test_a_pattern_is_read_as_its_files_are(folder, monkeypatch):
    assert names(read(str(folder / "*.*"))) == EXPECTED[:2]
    assert next(iter(read(str(folder / "**" / "*.jsonl")))).id == "b/part.jsonl:row-1"
    monkeypatch.chdir(folder)
    assert [one.id for one in read("*/*.jsonl")] == ["b/part.jsonl:row-1", "b/part.jsonl:row-2"]
    with pytest.raises(InputError, match=r"holds no file"):
        read("*.parquet")


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tmp_path):
    path = tmp_path / "dump[1].jsonl"
    path.write_text('{"title": "Moss"}\n')
    assert names(read(path)) == [("row-1", "Moss")]


def test_files_of_no_known_format_are_named_and_not_left_out(folder):
    (folder / "notes.docx").write_text("x")
    with pytest.raises(InputError, match=r"no known format: notes\.docx\..*\.jsonl"):
        read(folder)


def test_a_funders_broken_file_is_refused_and_the_rest_goes_on(folder):
    (folder / "a1.json").write_text('{"awd_id": "6", "awd_titl')
    (folder / "a3.xml").write_text("")
    found = list(read(folder))
    assert names(one for one in found if isinstance(one, Record)) == EXPECTED
    refused = [one for one in found if isinstance(one, Refusal)]
    assert [one.id for one in refused] == ["a1.json:row-1", "a3.xml:row-1", "b/part.jsonl:row-2"]
    assert "not valid JSON" in refused[0].reason


def test_all_empty_files_of_a_folder_are_named_at_once_before_anything_is_read(tmp_path):
    for name in ("a.csv", "b.csv", "c.jsonl"):
        (tmp_path / name).write_bytes(b"title\nSails\n" if name == "a.csv" else b"")
    with pytest.raises(InputError, match=r"empty files: b\.csv, c\.jsonl\."):
        read(tmp_path)


def test_a_table_that_cannot_be_used_stops_a_folder(folder):
    (folder / "z.csv").write_text("name,place\na,b\n")
    with pytest.raises(InputError, match=r"z\.csv has no column known as a title"):
        list(read(folder))


@pytest.mark.parametrize("flip", [True, False])
def test_a_damaged_archive_says_so(folder, flip):
    path = folder.parent / "2024.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(folder / "a.ris", "a.ris")
    data = path.read_bytes()
    path.write_bytes(data.replace(b"First", b"Worst") if flip else data[:40])
    with pytest.raises(InputError, match="damaged"):
        list(read(path))
