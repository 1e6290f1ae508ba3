"""Names go whole and leave nothing behind; what only looks like a name stays; every path sees the same text."""

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from classifier import Model, assets, scoring
from classifier.features import extract
from classifier.redaction import CONTENT_LIST, NAME_LISTS, SEAM_LIST, names_in, read_list, redact
from tests.classifier.test_model import DOCUMENTS
from training.seams import seams

FOLDER = assets.data_file("names")
LISTED = [name for name_list in NAME_LISTS for name in read_list(FOLDER, name_list)]
GIVEN, SURNAMES = (read_list(FOLDER, part) for part in ("given", "surnames"))


def words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", redact(text))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Drones of the National University of Defense Technology fly", "Drones of fly"),
        ("Drones of the NATIONAL UNIVERSITY OF DEFENSE TECHNOLOGY fly", "Drones of fly"),
        ("a drone made in the Netherlands, an Iranian drone, Iran's drone", "a drone made in drone drone"),
        ("Iran-based and U.S.-funded work of the U.S. Navy", "based and funded work of Navy"),
        ("held in Washington, D.C., by South Koreans", "held in by"),
        ("Funded by NSF, DARPA, the Office of Naval Research, or Horizon 2020", "Funded by or"),
        ("written by Maria Gonzalez, Dr. Quorfen and J. Smith", "written by and"),
        ("as Zhang Wei et al. and John F. Kennedy told", "as and told"),
        (
            "here at the University of Lower Quorfen some people build better tools",
            "here at some people build better tools",
        ),
        ("this tool was once built by Quorfen Robotics, Inc. for them", "this tool was once built by for them"),
        ("in Côte d'Ivoire, Türkiye or São Paulo", "in or"),
        ("Bolivia, Plurinational State of, and Holy See (Vatican City State)", "and"),
        ("paid by a grant of the Republic of Korea's army", "paid by a grant of army"),
    ],
)
def test_a_name_goes_whole_with_its_article_and_possessive(text: str, left: str) -> None:
    assert " ".join(words(text)) == left


@pytest.mark.parametrize(
    "text",
    [
        "A Kalman filter, Lanchester equations, Colonel Blotto, Stackelberg and Nash games, Lyapunov functions",
        "Tor relays, Twitter, Facebook and Weibo posts, GPS, Galileo and BeiDou receivers, DJI airframes",
        "Naval forces, the Army, the navy and an air force train for military command",
        "Monte Carlo sampling, Iris recognition, the Wassenaar Arrangement",
        "Mobile Robots Reading Nice Signs", "Who shares fake news with us? It may be all of us, and will be.",
        "turkey farms and the march of progress", "SAM sites, ANN and BERT models, ROC curves, TF-IDF, LEO orbits",
        "Marks of Max Pooling, Ray Tracing, Iris Recognition", "A virtual laboratory and university students",
        "matrices U, S and V of rank r", "the Great Wall of text",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_name_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("name_list", [*NAME_LISTS])
def test_every_listed_name_is_taken_out_as_listed_and_in_capitals(name_list: str) -> None:
    missed = [
        form
        for name in read_list(FOLDER, name_list)
        for form in (name, name.upper())
        if form.lower() == name.lower()  # not so for a Turkish dotless i
        and words(f"we say {form} here") != ["we", "say", "here"]
    ]
    assert not missed


def test_every_country_of_the_world_is_listed() -> None:
    assert len(set(read_list(FOLDER, "countries"))) > 800
    for name in (
        "Afghanistan",
        "Korea, Democratic People's Republic of",
        "Åland Islands",
        "Zimbabwe",
        "Virgin Islands, U.S.",
    ):
        assert name in read_list(FOLDER, "countries")


def test_lists_are_sorted_and_small() -> None:
    for name in (*NAME_LISTS, CONTENT_LIST, "given", "surnames"):
        entries = read_list(FOLDER, name)
        assert entries == sorted(set(entries)), name
        assert all(entry[0].isupper() for entry in entries), name
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 400_000


def test_spans_lie_in_order_and_hold_the_names() -> None:
    text = "In China, and the U.S. too: Holy See (Vatican City State)!"
    assert [text[start:end] for start, end in names_in(text)] == ["China", "the U.S.", "Holy See (Vatican City State)"]


plain_words = [
    "we",
    "steer",
    "swarms",
    "of",
    "drones",
    "by",
    "radar",
    "and",
    "track",
    "people",
    "with",
    "it",
    "under",
    "fire",
]
listed = st.sampled_from(LISTED) | st.sampled_from(LISTED).filter(lambda name: "ı" not in name).map(str.upper)
sentences = st.lists(st.sampled_from([*plain_words, "The", "Swarm", "Laboratory", "UAVs,", "(GPS)"]), max_size=12)


@given(sentences, sentences, listed, listed)
@example(["The"], [], "Iran", "Virgin Islands, U.S.")
@settings(max_examples=300, deadline=None)
def test_any_listed_name_leaves_the_words_that_were_there_without_it(
    before: list[str], after: list[str], one: str, other: str
) -> None:
    texts = [" ".join([*before, name, *after]) for name in (one, other)]
    assert redact(texts[0]) == redact(texts[1])
    assume(before[-1:] != ["The"] and after[:1] != ["Laboratory"])  # go with the name
    assert words(texts[0]) == words(" ".join([*before, *after]))


# What could join a name from beside it: the words of names, and whatever the rules ask of a neighbour.
several_words = [name for name in LISTED if " " in name or "-" in name]
name_words = sorted({word for name in several_words for word in re.findall(r"[^\W_]+", name)})
other_words = [
    *(
        "The",
        "a",
        "of",
        "for",
        "and",
        "de",
        "Dr.",
        "Prof.",
        "J.",
        "S",
        "M",
        "et",
        "al",
        "s",
        "University",
        "UNIVERSITY",
    ),
    *("Laboratory", "Department", "Inc.", "Ltd", "Quorfen", "Robotics", "Navy", "Air", "Force", "Missile", "Defense"),
    *("UAVs", "Kalman", "Monte", "Carlo", "drones", "fly"),
]
neighbours = (
    st.sampled_from(name_words)
    | st.sampled_from(read_list(FOLDER, SEAM_LIST)).map(lambda seam: seam.strip("_ ,"))
    | st.sampled_from([*GIVEN, *SURNAMES])
    | st.sampled_from(LISTED)
    | st.sampled_from(other_words)
)
signs = st.sampled_from([*[" "] * 8, ", ", ". ", "-", "'", "'s ", "' ", " (", ") ", ").", ".", "; ", "\n", "&", "/"])
whole_names = (
    listed
    | st.sampled_from(several_words)
    | st.builds(lambda given, surname: f"{given} {surname}", st.sampled_from(GIVEN), st.sampled_from(SURNAMES))
)
before_name = st.lists(st.tuples(neighbours, signs).map("".join), max_size=4).map("".join)
after_name = st.lists(st.tuples(signs, neighbours).map("".join), max_size=4).map("".join)


@given(before_name, after_name, whole_names, whole_names)
@example("in ", ". Then", "Texas A&M", "Iran")
@example("New ", "", "York", "Paris")
@example("by ", " Drones fly", "Jordan", "Maria Gonzalez")
@example("the plans of ", "' and", "the Philippines", "Iran")
@example("seen (", ") of University", "Holy See (Vatican City State)", "U.S.")
@settings(max_examples=1500, deadline=None)
def test_a_listed_name_in_the_place_of_another_leaves_the_same_text(
    before: str, after: str, one: str, other: str
) -> None:
    assert redact(f"{before}{one}{after}") == redact(f"{before}{other}{after}")


@given(before_name, after_name, whole_names, whole_names)
@settings(max_examples=200, deadline=None)
def test_a_listed_name_in_the_place_of_another_leaves_every_sum_as_it_was(
    before: str, after: str, one: str, other: str
) -> None:
    texts = [f"{before}{name}{after}" for name in (one, other)]
    batch = [(text, text) for text in texts]
    table = np.unique(extract(batch).hash)
    idf, levels = np.full(len(table), 7, dtype=np.uint16), np.arange(1, 20)
    weights = np.random.default_rng(0).integers(-99, 99, (len(table), 3)).astype(np.int16)
    dot, norm = scoring.sums(scoring.look_up(extract(batch), table), 2, idf, levels, weights)
    assert dot[0].tolist() == dot[1].tolist()
    assert norm[0] == norm[1]
    kernel = pytest.importorskip("classifier.kernel")
    got = kernel.Kernel(table, idf, weights, levels).score(
        *(pa.array(side, pa.string()) for side in zip(*batch, strict=True))
    )
    assert got.dot.tolist() == dot.tolist()
    assert got.norm.tolist() == norm.tolist()


def test_the_list_of_seams_is_closed() -> None:
    given, surnames = (frozenset(map(str.lower, part)) for part in (GIVEN, SURNAMES))
    missing = set(seams(LISTED, given, surnames)) ^ set(read_list(FOLDER, SEAM_LIST))
    assert not missing, "Run `python -m training.seams` after a change of the lists."


@pytest.mark.parametrize("term", read_list(FOLDER, CONTENT_LIST))
def test_a_term_that_is_kept_holds_and_touches_no_name(term: str) -> None:
    for name in ("Iran", "U.S.", "Maria Gonzalez"):
        assert words(f"{name} {term} {name}") == words(term) == re.findall(r"[^\W_]+", term)
    persons = {word.lower() for word in (*GIVEN, *SURNAMES)}
    whole = words(term)
    assert persons.isdisjoint(word.lower() for word in whole)
    for name in LISTED:
        parts = re.findall(r"[^\W_]+", name)
        assert not any(
            whole[:size] == parts[-size:] or whole[-size:] == parts[:size] for size in range(1, len(whole) + 1)
        )


def test_a_dot_behind_a_name_belongs_to_it_in_every_entry_or_in_none() -> None:
    dotted = {tuple(re.findall(r"[^\W_]+", name.lower())) for name in LISTED if name.endswith(".")}
    plain = {tuple(re.findall(r"[^\W_]+", name.lower())) for name in LISTED if not name.endswith(".")}
    assert not dotted & plain
    # Nor may one that has none end as another does that has one: "the U.S." and "Virgin Islands, U.S."
    assert not [name for name in plain for end in dotted if name[-len(end) :] == end]


ascii_listed = listed.filter(str.isascii)
pieces = (
    ascii_listed
    | st.sampled_from([text for document in DOCUMENTS for text in document])
    | st.sampled_from(
        [
            "Dr.",
            "J.",
            "Maria",
            "Smith",
            "Zhang",
            "Wei",
            "et",
            "al",
            "University",
            "of",
            "for",
            "the",
            "The",
            "A",
            "Inc.",
            "'s",
            "'",
            "-",
            ".",
            ",",
            "(",
            ")",
            "Laboratory",
            "Army",
        ]
    )
    | st.text("aB1 .-'\n", max_size=6)
    | st.sampled_from(["University", "Quorfen", "Institute", "Ltd", "UNIVERSITY", "Schrödinger", "~"])
)
texts = st.lists(pieces, max_size=12).flatmap(
    lambda parts: st.sampled_from([" ", "-", ", ", ""]).map(lambda gap: gap.join(parts))
)


@given(st.lists(st.tuples(texts, texts), max_size=4))
@settings(max_examples=300, deadline=None)
def test_the_compiled_code_takes_out_what_the_array_code_takes_out(batch: list[tuple[str, str]]) -> None:
    kernel = pytest.importorskip("classifier.kernel")
    ngrams = extract(batch)
    table = np.unique(ngrams.hash)
    idf, levels = np.full(len(table), 7, dtype=np.uint16), np.arange(1, 20)
    weights = np.random.default_rng(0).integers(-99, 99, (len(table), 3)).astype(np.int16)
    got = kernel.Kernel(table, idf, weights, levels).score(
        *(pa.array(side, pa.string()) for side in list(zip(*batch, strict=True)) or ([], []))
    )
    dot, norm = scoring.sums(scoring.look_up(ngrams, table), len(batch), idf, levels, weights)
    assert got.dot.tolist() == dot.tolist()
    assert got.norm.tolist() == norm.tolist()


def test_both_readings_see_no_listed_name(shipped: Model) -> None:
    title, abstract = DOCUMENTS[0]
    want = shipped.probabilities([(title, abstract)])
    for name in ("Iran", "National University of Defense Technology", "Maria Gonzalez", "DARPA", "Ho Chi Minh City"):
        for text in (f"{name} {abstract}", f"{abstract} {name}"):
            assert shipped.probabilities([(title, text)]).tobytes() == want.tobytes(), name
