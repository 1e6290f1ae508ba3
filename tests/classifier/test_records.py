import sys
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.records import MAX_CHARS, MAX_ID_CHARS, Columns, Record, Refusal, show_names, to_record


def accepted(row, place=7, columns=None):
    outcome = to_record(row, place, columns or Columns())
    assert isinstance(outcome, Record), outcome
    return outcome


def refused(row, place=7, columns=None):
    outcome = to_record(row, place, columns or Columns())
    assert isinstance(outcome, Refusal), outcome
    return outcome


def test_a_plain_row_becomes_a_record_with_all_its_columns_kept_in_order():
    row = {"year": 2021, "title": "Kite tethers", "id": "A-1", "abstract": "We tie kites.", "funder": None}
    record = accepted(row)
    assert record == Record("A-1", "Kite tethers", "We tie kites.", 7, row)
    assert list(record.source) == ["year", "title", "id", "abstract", "funder"]


@pytest.mark.parametrize(
    ("id_name", "title_name", "abstract_name"),
    [
        ("id", "title", "abstract"),
        ("paper_id", "paper_title", "paper_abstract"),
        ("Award ID", "Award Title", "Award Abstract"),
        ("AwardID", "AwardTitle", "AbstractNarration"),
        ("projectId", "project-title", "project.abstract"),
        ("DOI", "Article Title", "Abstract"),
        ("arxiv_id", "document_title", "summary"),
        ("openalex_id", "display_name", "description"),
        ("EID", "TITLE", "ABSTRACT"),
        ("UT", "TI", "AB"),
        ("pmid", "title", "abstractText"),
        ("corpusid", "title", "abstract_text"),
        ("rcn", "Title", "objective"),
        ("Reference", "Project Title", "Public Abstract"),
        ("Grant Number", "grant_title", "Project Summary"),
        ("contract", "proposal_title", "technical abstract"),
    ],
)
def test_columns_are_found_under_the_names_that_indexes_and_funders_use(id_name, title_name, abstract_name):
    record = accepted({"page": "1", id_name: "X9", title_name: "A title", abstract_name: "An abstract"})
    assert (record.id, record.title, record.abstract) == ("X9", "A title", "An abstract")


def test_a_persons_name_is_never_taken_for_a_title():
    assert accepted({"name": "Ada Example", "abstract": "On looms."}).title == ""


def test_the_first_filled_alias_wins_row_by_row():
    assert accepted({"description": "long", "abstract": "short"}).abstract == "short"
    assert accepted({"description": "long", "abstract": " "}).abstract == "long"
    assert accepted({"description": "long", "abstract": None}).abstract == "long"


def test_of_two_spellings_the_exact_one_wins():
    assert accepted({"Title": "loud", "title": "exact"}).title == "exact"


def test_chosen_columns_are_used_and_no_others():
    columns = Columns(id="key", title="head", abstract="body")
    row = {"id": "no", "title": "no", "abstract": "no", "key": "K", "head": "Head", "body": "Body"}
    record = accepted(row, columns=columns)
    assert (record.id, record.title, record.abstract) == ("K", "Head", "Body")
    assert "empty" in refused({"title": "ignored", "head": ""}, columns=columns).reason


def test_missing_parts_are_empty_and_spaces_alone_count_as_missing():
    assert accepted({"title": None, "abstract": "Text."}).title == ""
    assert accepted({"title": " \n", "abstract": "Text."}).title == ""
    assert accepted({"title": "Only a title"}).abstract == ""


def test_texts_are_kept_as_they_came_so_that_evidence_can_point_into_them():
    assert accepted({"title": "  two  spaces\n", "abstract": ""}).title == "  two  spaces\n"


def test_a_row_without_any_text_is_refused_with_its_id():
    refusal = refused({"id": "A-1", "title": "", "abstract": "\t "})
    assert (refusal.row, refusal.field, refusal.id) == (7, None, "A-1")
    assert "both empty" in refusal.reason


def test_a_row_without_known_columns_lists_what_was_seen_and_what_to_do():
    refusal = refused({"heading": "x", "body": "y"})
    assert "heading, body" in refusal.reason
    assert "--title-column" in refusal.mend


def test_a_list_of_strings_is_joined():
    assert accepted({"title": ["One", "work"], "abstract": []}).title == "One work"


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (12, "the number 12"),
        (1.5, "the number 1.5"),
        (True, "true or false"),
        (["a", 1], "a list, not all of strings"),
        ({"en": "text"}, "an object"),
    ],
)
def test_a_text_of_another_kind_is_refused_by_its_column(value, seen):
    refusal = refused({"Award Title": "fine", "Summary": value})
    assert refusal.field == "Summary"
    assert seen in refusal.reason
    assert refusal.mend


def test_a_field_at_the_limit_is_read_and_one_over_it_is_refused_uncut():
    assert len(accepted({"abstract": "a" * MAX_CHARS}).abstract) == MAX_CHARS
    refusal = refused({"id": "big", "abstract": "a" * (MAX_CHARS + 1)})
    assert (refusal.field, refusal.id) == ("abstract", "big")
    assert "1,000,001 characters" in refusal.reason
    assert "1,000,000" in refusal.reason
    assert "aaa" not in refusal.reason
    assert refused({"abstract": ["a" * 600_000, "b" * 600_000]}).field == "abstract"


def test_bytes_are_read_as_utf8_or_refused_with_the_place():
    assert accepted({"title": "Straße".encode()}).title == "Straße"
    refusal = refused({"title": "Straße".encode("latin-1")})
    assert refusal.field == "title"
    assert "byte offset 4" in refusal.reason
    assert "UTF-8" in refusal.mend


def test_half_a_surrogate_pair_is_refused():
    refusal = refused({"id": "s", "abstract": "é\ud800"})
    assert (refusal.field, refusal.id) == ("abstract", "s")
    assert "byte offset 2" in refusal.reason


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (" 10.1/x ", "10.1/x"),
        (42, "42"),
        (42.0, "42"),
        (Decimal("123456789012345678901234"), "123456789012345678901234"),
        (b"b-1", "b-1"),
        (0, "0"),
        ("", "row-7"),
        (None, "row-7"),
        (float("nan"), "row-7"),
        ({"$oid": "1"}, "row-7"),
    ],
)
def test_ids_become_text_and_a_missing_one_is_named_by_its_place(value, expected):
    assert accepted({"id": value, "title": "t"}).id == expected


def test_the_next_id_column_serves_where_the_first_is_empty_or_no_id():
    assert accepted({"_id": {"$oid": "1"}, "doi": "10.1/x", "title": "t"}).id == "10.1/x"


@pytest.mark.parametrize("value", [704.0001, 1e17, float("inf"), Decimal("0.5")])
def test_a_number_that_lost_the_id_as_written_is_refused(value):
    refusal = refused({"id": value, "title": "t"})
    assert refusal.field == "id"
    assert "as text" in refusal.mend


def test_a_chosen_id_column_must_hold_ids():
    assert refused({"key": [1], "title": "t"}, columns=Columns(id="key")).field == "key"
    assert refused({"key": True, "title": "t"}, columns=Columns(id="key")).field == "key"


def test_a_text_in_the_id_column_is_refused_and_not_repeated():
    refusal = refused({"id": "word " * MAX_ID_CHARS, "title": "t"})
    assert refusal.field == "id"
    assert refusal.id is None
    assert "word" not in refusal.reason


def test_an_openalex_inverted_index_is_rebuilt_by_position():
    index = {"boats": [2, 5], "Small": [0], "sail": [1], "and": [3], "big": [4]}
    assert accepted({"title": None, "abstract_inverted_index": index}).abstract == "Small sail boats and big boats"
    as_json = '{"boats": [1], "Red": [0]}'
    assert accepted({"abstract_inverted_index": as_json}).abstract == "Red boats"


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=("Z", "C")), min_size=1), min_size=1))
def test_any_text_survives_the_way_through_an_inverted_index(words):
    index: dict[str, list[int]] = {}
    for position, word in enumerate(words):
        index.setdefault(word, []).append(position)
    assert accepted({"abstract_inverted_index": index}).abstract == " ".join(words)


@pytest.mark.parametrize(
    "index", [{"word": 1}, {"word": ["1"]}, {"word": [None]}, {"word": [True]}, "{broken", "[1]", "plain text"]
)
def test_a_broken_inverted_index_is_refused(index):
    refusal = refused({"title": "t", "abstract_inverted_index": index})
    assert refusal.field == "abstract_inverted_index"
    assert "positions" in refusal.mend


def test_an_inverted_index_that_would_unfold_to_gigabytes_is_refused_before_it_does():
    refusal = refused({"abstract_inverted_index": {"x" * 900_000: list(range(100_000)), "y": [10**15]}})
    assert "90,000,100,001 characters" in refusal.reason


def test_column_names_in_messages_are_few_and_never_a_whole_text():
    shown = show_names(["a", "", "b" * 500, *map(str, range(100))])
    assert shown.startswith("a, (empty), (a name of 500 characters), 0, ")
    assert shown.endswith("and 73 more")
    assert sys.getsizeof(shown) < 1000


row_values = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text(), max_size=2)


@given(
    st.dictionaries(st.sampled_from(["id", "doi", "title", "abstract", "summary", "year"]), row_values),
    st.integers(1, 9),
)
def test_every_row_gives_a_record_with_text_or_a_refusal_with_a_mend(row, place):
    outcome = to_record(row, place, Columns())
    assert outcome.row == place
    if isinstance(outcome, Record):
        assert (outcome.title + outcome.abstract).strip()
        assert outcome.id
        assert outcome.source == row
    else:
        assert outcome.reason.endswith(".")
        assert outcome.mend.endswith(".")
