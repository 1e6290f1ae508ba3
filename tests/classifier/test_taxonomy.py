"""The taxonomy: what the shipped file must say, and that a fault in it is named, not carried on with."""

import json
from dataclasses import FrozenInstanceError
from datetime import date
from pathlib import Path

import pytest

from classifier.errors import TaxonomyError
from classifier.results import NOTICE, ROLES, TAGS
from classifier.taxonomy import Taxonomy, load_taxonomy

SHIPPED = Path(__file__).parents[2] / "data" / "taxonomy.toml"

READ = {
    ("EU Annex I", "9A012"),
    ("EU Annex I", "9A112"),
    ("EU Annex I", "7A103"),
    ("MTCR Annex", "1.A.1"),
    ("MTCR Annex", "1.A.2"),
    ("MTCR Annex", "2.A.1.d"),
    ("MTCR Annex", "19.A.1"),
    ("MTCR Annex", "19.A.2"),
    ("UNSCR 2270", "paragraph 17"),
    ("UNSCR 2321", "paragraph 11"),
}
POINTERS = {
    *(("EU Annex I", entry) for entry in ("4A005", "4D004", "5A001.f", "5A001.j", "6A003", "8A001")),
    *(("EU Annex I", entry) for entry in ("7A001", "7A002", "7A003", "7A117", "7D", "7E")),
    *(("EU Common Military List", entry) for entry in ("ML4", "ML5", "ML10", "ML14", "ML15", "ML21")),
}

HEAD = """
version = "1.0.0"
date = 2026-01-31
notice = "Ask a person."
rule = "A tag applies when the text shows it."
list_dates_note = "Check the list in force."
"""
TAG = """
[[tags]]
id = "{id}"
name = "A name"
definition = "A definition"
in = ["something"]
out = ["something else"]
roles = {{ enables = "makes", counters = "stops", studies = "measures" }}
"""
NO_ITEM = 'no_list_item = "No control-list item is known for this tag."\n'
ENTRY = """
[[crosswalk]]
id = "entry-{tag}"
tag = "{tag}"
list = "A list"
entry = "1.A"
title = "What it covers"
strength = "direct"
list_date = 2016-03-02
text = "read"
"""
CROSSED = [tag for tag in TAGS if tag != "disinformation"]
VALID = (
    HEAD
    + "".join(TAG.format(id=tag) + (NO_ITEM if tag == "disinformation" else "") for tag in TAGS)
    + "".join(ENTRY.format(tag=tag) for tag in CROSSED)
)


@pytest.fixture(scope="module")
def shipped() -> Taxonomy:
    return load_taxonomy(SHIPPED)


def fault(tmp_path: Path, text: str) -> str:
    path = tmp_path / "broken.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TaxonomyError) as caught:
        load_taxonomy(path)
    assert str(path) in str(caught.value), "an error must name the file"
    return str(caught.value)


def test_the_shipped_file_defines_the_five_tags_in_the_order_of_results(shipped: Taxonomy) -> None:
    assert tuple(tag.id for tag in shipped.tags) == TAGS
    assert all(tuple(tag.roles) == ROLES for tag in shipped.tags)


def test_the_shipped_notice_is_the_one_results_carry(shipped: Taxonomy) -> None:
    assert shipped.notice == NOTICE == "A flag is a question, not a verdict: a person decides."


def test_without_a_path_the_shipped_file_is_loaded(shipped: Taxonomy) -> None:
    assert load_taxonomy() == shipped


def test_the_crosswalk_says_which_entries_were_read_and_which_are_pointers(shipped: Taxonomy) -> None:
    assert {(e.list_name, e.entry) for e in shipped.crosswalk if e.text == "read"} == READ
    assert {(e.list_name, e.entry) for e in shipped.crosswalk if e.text == "pointer"} == POINTERS


def test_united_nations_texts_carry_their_dates_of_adoption(shipped: Taxonomy) -> None:
    dates = {entry.list_name: entry.list_date for entry in shipped.crosswalk}
    assert dates["UNSCR 2270"] == date(2016, 3, 2)
    assert dates["UNSCR 2321"] == date(2016, 11, 30)


def test_one_list_has_one_date(shipped: Taxonomy) -> None:
    pairs = {(entry.list_name, entry.list_date) for entry in shipped.crosswalk}
    assert len(pairs) == len({name for name, _ in pairs})


def test_disinformation_says_that_no_list_item_is_known_and_has_no_entry(shipped: Taxonomy) -> None:
    tag = next(tag for tag in shipped.tags if tag.id == "disinformation")
    assert tag.no_list_item == "No control-list item is known for this tag."
    assert shipped.entries("disinformation") == ()


@pytest.mark.parametrize("tag", CROSSED)
def test_every_other_tag_has_an_entry_that_names_its_capability(shipped: Taxonomy, tag: str) -> None:
    assert "direct" in {entry.strength for entry in shipped.entries(tag)}
    assert {entry.tag for entry in shipped.entries(tag)} == {tag}


def test_a_loaded_taxonomy_cannot_be_changed(shipped: Taxonomy) -> None:
    with pytest.raises(FrozenInstanceError):
        shipped.version = "2.0.0"  # type: ignore[misc]
    with pytest.raises(TypeError):
        shipped.tags[0].roles["enables"] = "anything"  # type: ignore[index]


def test_as_dict_survives_json_and_keeps_the_keys_of_the_file(shipped: Taxonomy) -> None:
    table = json.loads(json.dumps(shipped.as_dict()))
    assert table["tags"][0]["in"] == list(shipped.tags[0].included)
    assert table["tags"][0]["out"] == list(shipped.tags[0].excluded)
    first = table["crosswalk"][0]
    assert (first["list"], first["entry"], first["text"]) == ("EU Annex I", "9A012", "read")
    assert first["list_date"] == shipped.crosswalk[0].list_date.isoformat()


def test_the_file_of_the_fault_tests_is_valid_before_it_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "valid.toml"
    path.write_text(VALID, encoding="utf-8")
    taxonomy = load_taxonomy(path)
    assert taxonomy.date == date(2026, 1, 31)
    assert [entry.note for entry in taxonomy.crosswalk] == [None] * 4


TAG_1, ENTRY_1 = "[[tags]] number 1 (id 'drones')", "[[crosswalk]] number 1 (id 'entry-drones')"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('version = "1.0.0"', 'version = "1.0"', "version is '1.0'; it must be three numbers"),
        ('version = "1.0.0"\n', "", "the top level: the key version is missing"),
        ("date = 2026-01-31", 'date = "2026-01-31"', "date is '2026-01-31'; it must be a date"),
        ("date = 2026-01-31", "date = 2026-01-31T10:00:00", "date is 2026-01-31 10:00:00; it must"),
        ('notice = "Ask a person."', 'notice = " "', "the top level: notice is ' '; it must be text"),
        ('notice = "Ask', 'remark = ""\nnotice = "Ask', "the key remark is not known; the keys allowed are"),
        ('id = "drones"', 'id = "drone"', "id is 'drone'; it must be one of drones, guidance"),
        ('id = "drones"', "id = 7", "[[tags]] number 1 (id 7): id is 7; it must be one of drones"),
        ('id = "drones"\n', "", "[[tags]] number 1 (id missing): the key id is missing"),
        ('id = "guidance"', 'id = "drones"', "[[tags]]: the id 'drones' is used 2 times"),
        ('id = "guidance"', 'id = "drones"', "[[tags]]: the tag guidance is missing"),
        ('in = ["something"]', 'in = "something"', f"{TAG_1}: in is 'something'; it must be"),
        ('in = ["something"]', "in = []", f"{TAG_1}: in is []; it must be a list"),
        ('out = ["something else"]', "out = [1]", f"{TAG_1}: out is [1]; it must be a list"),
        ('out = ["something else"]\n', "", f"{TAG_1}: the key out is missing"),
        ('name = "A name"', 'name = "A"\ncolour = "red"', f"{TAG_1}: the key colour is not known"),
        ('roles = { enables = "makes", ', "roles = { ", f"roles of {TAG_1}: the key enables is missing"),
        ('counters = "stops"', "counters = 3", f"roles of {TAG_1}: counters is 3; it must be text in quotes"),
        ("roles = { enables", 'roles = { uses = "x", enables', f"roles of {TAG_1}: the key uses is"),
        ('strength = "direct"', 'strength = "strong"', "it must be one of direct, partial, enabling"),
        ('text = "read"', 'text = "seen"', f"{ENTRY_1}: text is 'seen'; it must be one of read, pointer"),
        ('tag = "drones"', 'tag = "lasers"', f"{ENTRY_1}: tag is 'lasers'; it must be one of drones"),
        ("list_date = 2016-03-02", "list_date = 2016", f"{ENTRY_1}: list_date is 2016; it must be"),
        ('title = "What it covers"\n', "", f"{ENTRY_1}: the key title is missing; add it as text"),
        ('entry = "1.A"', 'entry = "1.A"\nurl = "x"', f"{ENTRY_1}: the key url is not known; the keys"),
        ('entry = "1.A"', 'entry = "1.A"\nnote = false', f"{ENTRY_1}: note is False; it must be text"),
        ('id = "entry-guidance"', 'id = "entry-drones"', "the id 'entry-drones' is used 2 times"),
        (NO_ITEM, "", "[[tags]] disinformation: no [[crosswalk]] entry names it; add one or set"),
        ('tag = "wargaming"', 'tag = "drones"', "[[tags]] wargaming: no [[crosswalk]] entry names it"),
        ('tag = "wargaming"', 'tag = "disinformation"', "[[tags]] disinformation: no_list_item is set, yet"),
    ],
)
def test_a_fault_is_named_with_its_place_the_value_seen_and_those_allowed(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in VALID
    assert message in fault(tmp_path, VALID.replace(old, new, 1))


def test_a_crosswalk_that_is_no_list_of_tables_is_a_fault(tmp_path: Path) -> None:
    head, _, _ = VALID.partition("[[crosswalk]]")
    message = fault(tmp_path, 'crosswalk = "none"\n' + head)
    assert "the top level: crosswalk is 'none'; it must be one or more tables" in message


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    broken = VALID.replace('version = "1.0.0"', "version = 1").replace('text = "read"', "text = 1")
    assert fault(tmp_path, broken).count("\n- ") == 1 + len(CROSSED)


def test_a_long_value_is_cut_in_the_message(tmp_path: Path) -> None:
    assert len(fault(tmp_path, VALID.replace('tag = "drones"', f'tag = "{"x" * 5000}"', 1))) < 1000


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('version = "1.0.0"\ndate = yesterday\n', "line 2"),
        ('version = "1.0.0"\nversion = "1.0.1"\n', "line 2"),
        ('version = "1.0.0"\n\nnotice = """never closed\n', "line 4, the end of the file"),
    ],
)
def test_invalid_toml_is_refused_with_its_line(tmp_path: Path, text: str, line: str) -> None:
    message = fault(tmp_path, text)
    assert "is not valid TOML" in message
    assert line in message


def test_a_file_that_is_not_utf_8_is_refused_with_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes('notice = "naïve"'.encode("latin-1"))
    with pytest.raises(TaxonomyError, match=r"latin\.toml is not UTF-8 at byte 12; save it as UTF-8"):
        load_taxonomy(path)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(TaxonomyError, match=r"nowhere\.toml cannot be read \(No such file or directory\)"):
        load_taxonomy(tmp_path / "nowhere.toml")
