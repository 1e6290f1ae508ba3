"""The keyword baseline: a fair list, and matching as an office's search box would do it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.errors import InputError
from classifier.results import TAGS
from training.keywords import KeywordScreen, load_keywords

SHIPPED = Path(__file__).parents[2] / "data" / "keywords.toml"
VALID = 'version = "1.0.0"\n[keywords]\n' + "".join(f'{tag} = ["term {tag}"]\n' for tag in TAGS)

SCREEN = KeywordScreen(load_keywords(SHIPPED))


def found(term: str, text: str) -> bool:
    return bool(KeywordScreen({"drones": (term,)}).tags(text))


def fault(tmp_path: Path, text: str) -> str:
    path = tmp_path / "broken.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_keywords(path)
    assert str(path) in str(caught.value), "an error must name the file"
    return str(caught.value)


def test_the_shipped_list_has_25_to_60_terms_for_each_tag() -> None:
    keywords = load_keywords(SHIPPED)
    assert tuple(keywords) == TAGS
    assert {tag: len(terms) for tag, terms in keywords.items() if not 25 <= len(terms) <= 60} == {}


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("Path planning for UAVs over a harbour", "drones"),
        ("An impact-angle guidance law for a missile", "guidance"),
        ("How fake news spreads among voters", "disinformation"),
        ("Face recognition across age", "surveillance"),
        ("A wargame of two fleets", "wargaming"),
    ],
)
def test_plain_cases_are_found_by_the_shipped_list(text: str, tag: str) -> None:
    assert SCREEN.tags(text) == {tag}


def test_a_text_without_terms_gets_no_tag_and_no_hits() -> None:
    text = "The yield of winter wheat on three soils"
    assert SCREEN.tags(text) == frozenset()
    assert SCREEN.hits(text) == dict.fromkeys(TAGS, 0)


def test_a_star_takes_any_ending_of_the_word() -> None:
    assert found("drone*", "Swarms of drones")
    assert found("drone*", "a drone.")
    assert found("fact-check*", "automatic fact checking")


def test_without_a_star_the_word_must_end_there() -> None:
    assert found("troll", "a troll, again")
    assert not found("troll", "the trolley problem")


def test_nothing_is_found_inside_a_word() -> None:
    assert not found("UAS", "quasar")
    assert not found("drone*", "hydrones")
    assert not found("red team*", "a bored team")
    assert not found("drone*", "air_drone")


@pytest.mark.parametrize("joint", [" ", "-", "  ", "\n", "\u00a0", "\u2010", "\u2011", "\u2013", "- "])
@pytest.mark.parametrize("term", ["face recognition", "face-recognition"])
def test_hyphens_and_spaces_of_every_kind_count_alike(term: str, joint: str) -> None:
    assert found(term, f"on Face{joint}Recognition at night")


def test_words_run_together_or_apart_are_not_the_term() -> None:
    assert not found("face recognition", "facerecognition")
    assert not found("face recognition", "face, recognition")


def test_hits_count_distinct_terms_however_often_they_stand() -> None:
    screen = KeywordScreen({"drones": ("UAV*", "UAV swarm*", "quadrotor*"), "guidance": ("missile*",)})
    assert screen.hits("UAV swarms and UAVs, UAVs, UAVs") == {"drones": 2, "guidance": 0}


@given(st.text(alphabet="UAV dronesmil-fakew\n.,*", max_size=80))
def test_a_tag_is_given_exactly_where_it_has_hits(text: str) -> None:
    assert SCREEN.tags(text) == {tag for tag, count in SCREEN.hits(text).items() if count}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('version = "1.0.0"\n', "", "has the keys ['keywords']; the keys needed are"),
        ('version = "1.0.0"', "version = 1", "version must be text in quotes"),
        ('version = "1.0.0"', 'author = ""\nversion = "1"', "has the keys ['author', 'keywords'"),
        ("[keywords]", "[words]", "has the keys ['version', 'words']"),
        ('drones = ["term drones"]\n', "", "lists terms for ['disinformation', 'guidance', 'su"),
        ("drones = [", 'lasers = ["x"]\ndrones = [', "the tags needed are ['disinformation', 'drones'"),
        ('["term drones"]', "[]", "drones is []; it must be a list of one or more terms"),
        ('["term drones"]', '"drone"', "drones is 'drone'; it must be a list"),
        ('["term drones"]', "[3]", "drones has the term 3; a term must be words joined by single spaces"),
        ('["term drones"]', '[""]', "drones has the term ''; a term must be"),
        ('["term drones"]', '["*"]', "drones has the term '*'; a term must be"),
        ('["term drones"]', '["dro*ne"]', "drones has the term 'dro*ne'; a term must be"),
        ('["term drones"]', '["drone "]', "drones has the term 'drone '; a term must be"),
        ('["term drones"]', '["air drone", "Air-Drone*"]', "has the term 'Air-Drone*' twice, in effect"),
        ("[keywords]", "[keywords", "cannot be read (Expected ']' at the end of a table"),
    ],
)
def test_a_fault_in_the_list_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in VALID
    assert message in fault(tmp_path, VALID.replace(old, new, 1))


def test_a_missing_list_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.toml cannot be read"):
        load_keywords(tmp_path / "nowhere.toml")
