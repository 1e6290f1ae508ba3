"""Small files made to exhaust whoever reads them: each is refused or read at a cost that its size explains.

Where time would be the trouble, the size is such that the quadratic way would take minutes.
"""

import gzip
import io
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from classifier.batches import read_batches
from classifier.cli import main
from classifier.errors import InputError
from classifier.formats.sniff import tell
from classifier.readers import read
from classifier.records import Columns, Record, Refusal, to_record
from tests.classifier.test_formats_files import rebuilt, workbook

SECONDS = 10.0  # of processor time; the files below take well under one, and took minutes
MB = 1_000_000


def outcomes(data: bytes, format: str | None = None) -> list[Record | Refusal]:
    return list(read(io.BytesIO(data), format=format, columns=Columns()))


def reasons(found: list[Record | Refusal]) -> list[str]:
    return [one.reason for one in found if isinstance(one, Refusal)]


@pytest.fixture
def quick() -> Iterator[None]:
    begun = time.process_time()
    yield
    assert time.process_time() - begun < SECONDS


def peak(work: Callable[[], object]) -> int:
    """The most bytes of Python objects that a piece of work holds at once."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# BibTeX ----------------------------------------------------------------------------------------------------------


def test_bibtex_names_that_double_each_other_are_refused() -> None:
    doubling = "".join(f"@string{{a{n}=a{n - 1} # a{n - 1}}}\n" for n in range(1, 25))
    data = ('@string{a0="moss"}\n' + doubling + "@misc{k, title={Ferns}, note=a24}\n").encode()
    assert peak(lambda: outcomes(data, "bibtex")) < 10 * MB
    found = outcomes(data, "bibtex")
    assert "stand for more than 100,000 characters" in reasons(found)[0]


def test_bibtex_names_are_bounded_in_one_entry_and_in_all() -> None:
    long = b"@string{a = {" + b"m" * 90_000 + b"}}\n"
    record, refusal = outcomes(long + b"@misc{x, title=a}\n@misc{y, title=a # a}\n", "bibtex")
    assert isinstance(record, Record)
    assert isinstance(refusal, Refusal)
    assert refusal.row == 3
    many = b"".join(b"@string{n%d = {%b}}\n" % (n, b"m" * 90_000) for n in range(12))
    assert "all names and their texts" in reasons(outcomes(many + b"@misc{x, title=m}\n", "bibtex"))[0]
    again = b"@string{a = {" + b"m" * 90_000 + b"}}\n"
    assert len(outcomes(again * 30 + b"@misc{x, title=a}\n", "bibtex")) == 1, "the same library, joined thirty times"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("data", "count"),
    [
        (b"@misc{a,title={b}}" * 200_000, 200_000),  # one line
        (b"@a\n" * 300_000 + b"@misc{a,title={b}}\n", 1),  # words that might be entries
        (b"@misc{a,title={b}\n@b{" + b" " * 300_000 + b"\n}}\n", 1),  # blanks where a key should stand
        (b"@misc{a,title={b}," + b"k={moss and fern}," * 200_000 + b"}", 1),  # one field given again and again
    ],
    ids=["line", "words", "blanks", "fields"],
)
def test_bibtex_takes_no_more_time_than_its_length_explains(data: bytes, count: int) -> None:
    assert len(outcomes(data, "bibtex")) == count


# Tagged formats --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", [b"KW  - \n", b"x\n"])
def test_a_record_of_lines_without_end_is_refused_and_not_kept(line: bytes) -> None:
    data = b"TY  - JOUR\n" + line * 300_000 + b"ER  - \nTY  - JOUR\nTI  - Moss\nER  - \n"
    found = outcomes(data, "ris")
    assert "counting 100 more for every line" in reasons(found)[0]
    assert isinstance(found[1], Record)
    assert peak(lambda: outcomes(data, "ris")) < 60 * MB


# Tables ----------------------------------------------------------------------------------------------------------


def test_a_first_line_without_end_is_an_error_and_is_not_held() -> None:
    data = gzip.compress(b"title," + b"x" * 25 * MB)

    def work() -> None:
        with pytest.raises(InputError, match=r"more than 1,000,000 characters where its column names"):
            outcomes(data, "csv")

    assert peak(work) < 20 * MB


@pytest.mark.parametrize("row", [b"x" * 3000, b'"x\n' * 1000, b"," * 200], ids=["line", "quote", "cells"])
def test_a_row_without_end_is_refused_by_its_place_and_reading_goes_on(
    monkeypatch: pytest.MonkeyPatch, row: bytes
) -> None:
    monkeypatch.setattr("classifier.readers._MAX_ROW", 2000)
    found = outcomes(b"\ntitle,abstract\n" + row + b"\na,b\n", "csv")
    assert isinstance(found[0], Refusal)
    assert found[0].row == 3
    assert isinstance(found[-1], Record)
    assert found[-1].row == 4 + row.count(b"\n")


# JSON ------------------------------------------------------------------------------------------------------------


def test_a_json_line_of_brackets_is_refused_and_the_next_one_read() -> None:
    line = b'{"title": "a", "x": [' + b"[]," * 1_200_000 + b"0]}\n"
    found = outcomes(line + b'{"title": "b"}\n', "jsonl")
    assert "more than 1,000,000 values" in reasons(found)[0]
    assert isinstance(found[1], Record)
    assert len(outcomes(line + b'{"title": "b"}\n')) == 2, "also where the format is told by its content"


def test_a_json_document_too_large_to_be_held_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("classifier.readers._MAX_DOCUMENT_MARKS", 1000)
    with pytest.raises(InputError, match=r"JSON lines \(jq"):
        outcomes(b"[" + b"[]," * 2000 + b"0]", "json")


def test_long_column_names_are_not_kept() -> None:
    rows = (b'{"' + b"%06d" % n + b"k" * 100_000 + b'": 1, "title": "a"}\n' for n in range(200))
    data = b"".join(rows)
    held = peak(lambda: sum(1 for _ in read(io.BytesIO(data), format="jsonl")))
    assert held < 10 * MB, held


@pytest.mark.usefixtures("quick")
def test_blanks_inside_an_abstract_take_no_time() -> None:
    abstract = "<jats:title>Background" + " " * 300_000 + "</jats:title>Moss."
    assert isinstance(to_record({"title": "a", "abstract": abstract}, 1), Record)


def test_places_that_repeat_a_full_text_are_refused() -> None:
    places = [{"start": 0, "end": 100_000}] * 5_000
    row = {"content": {"text": "m" * 100_000, "annotations": {"abstract": places}}}
    assert peak(lambda: to_record(row, 1)) < 10 * MB
    refusal = to_record(row, 1)
    assert isinstance(refusal, Refusal)
    assert "more than 1,000,000 characters" in refusal.reason


# What a format is told by, and XML -------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("head", [b"x" + b"\n" * 65_000, b"x\n" + b"\t \n" * 21_000])
def test_telling_a_format_takes_no_time(head: bytes) -> None:
    assert tell(head) is None


@pytest.mark.usefixtures("quick")
def test_declarations_before_the_first_record_take_no_time() -> None:
    data = b"<?xml " * 150_000 + b"<rootTag><Award><AwardTitle>Moss</AwardTitle></Award></rootTag>"
    assert len(outcomes(data, "xml")) == 1


def test_an_xml_record_of_many_elements_is_refused_alone() -> None:
    big = b"<Award>" + b"<a/>" * 600_000 + b"</Award>"
    found = outcomes(b"<rootTag>" + big + b"<Award><AwardTitle>Moss</AwardTitle></Award></rootTag>", "xml")
    assert "more than 500,000 tags" in reasons(found)[0]
    assert isinstance(found[1], Record)


# Sheets ----------------------------------------------------------------------------------------------------------

ROW = b'<row r="1"><c r="A1" t="inlineStr"><is><t>title</t></is></c></row>'
HEAD = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'


def sheet(rows: bytes) -> bytes:
    data = rebuilt(
        workbook([["title"]]),
        lambda name, part: HEAD + ROW + rows + b"</sheetData></worksheet>" if name.endswith("sheet1.xml") else part,
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return packed.getvalue()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (b'<row r="2000000000"><c><v>1</v></c></row>', "1,048,576 rows"),
        (b"<row>" + b"<c/>" * 250_000 + b"</row>", "200,000 elements"),
        (b"<row>" + (b"<c/>" * 1000 + b"<row/>") * 300 + b"</row>", "200,000 elements"),
        (b"<c/>" * 150_000, "100,000 elements beside"),
        (b"<row><c><is><t>" + b"x" * 3 * MB + b"</t></is></c></row>", "a text of more than"),
        (b" " * 90 * MB, "200 times its bytes"),
    ],
    ids=["number", "cells", "nested", "strewn", "text", "blanks"],
)
def test_a_sheet_made_to_swell_is_an_error(monkeypatch: pytest.MonkeyPatch, rows: bytes, message: str) -> None:
    monkeypatch.setattr("classifier.formats.guardedzip._MAX_OUTSIDE", 100_000)
    data = sheet(rows)
    assert len(data) < MB
    with pytest.raises(InputError, match=message):
        outcomes(data, "xlsx")


def test_one_cell_far_to_the_right_does_not_multiply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("classifier.formats.xlsx._MAX_CELLS", 100_000)
    with pytest.raises(InputError, match="100,000 cells"):
        outcomes(sheet(b'<row><c r="XFD1"><v>1</v></c></row>' * 10), "xlsx")


# Archives and Parquet --------------------------------------------------------------------------------------------


def test_the_list_of_an_archive_is_read_once_and_not_for_each_member(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "awards.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(50):
            archive.writestr(f"{number:03}.json", b'{"title": "Moss"}')
    opened = []
    plain = zipfile.ZipFile.__init__

    def counting(self: zipfile.ZipFile, *args: object, **options: object) -> None:
        opened.append(args)
        plain(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(zipfile.ZipFile, "__init__", counting)
    assert sum(isinstance(one, Record) for one in read(path)) == 50
    assert len(opened) == 2, "once to list, once to read"


TABLES = {
    "text": pa.table({"title": ["Moss"] * 600, "note": ["m" * 500_000] * 600}),
    "list": pa.table({"title": ["Moss"] * 600, "note": [["m" * 250_000] * 2] * 600}),
    "first is null": pa.table({"title": ["Moss"] * 600, "note": [None] + ["m" * 500_000] * 599}),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_parquet_dictionary_of_long_values_is_decoded_in_pieces(tmp_path: Path, name: str) -> None:
    path = tmp_path / "dump.parquet"
    pq.write_table(TABLES[name], path, compression="zstd", dictionary_pagesize_limit=1 << 30)
    assert path.stat().st_size < 100_000
    sizes, rows = [], 0
    for batch in read_batches(path):
        assert batch.table is not None
        sizes.append(batch.table.nbytes)
        assert batch.table.schema == TABLES[name].schema
        assert batch.table.equals(TABLES[name].slice(rows, batch.rows).combine_chunks().to_batches()[0])
        rows += batch.rows
    assert rows == 600
    assert max(sizes) < 80 * MB


# Options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["drift", "a", "b", "--sample", "0"], ["compare", "a", "b", "--limit", "-1"]])
def test_a_number_of_nothing_is_wrong_use(arguments: list[str]) -> None:
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert "is not in the range x>=1" in done.output
