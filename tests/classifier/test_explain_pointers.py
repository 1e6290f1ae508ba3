"""What an explanation points to beside the score: terms, list entries, codebook rules, labelled records, background."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.background import made_up
from classifier import TAGS, Model, TaxonomyError, terms
from classifier.background import is_background
from classifier.explain import explain
from classifier.precedents import load_precedents
from classifier.results import Judgement
from classifier.sentences import Sentence
from classifier.taxonomy import load_taxonomy
from classifier.terms import load_lexicon, spellings
from tests.conftest import ROOT
from training.labels import read_labels

DATA = ROOT / "data"


@pytest.mark.parametrize("tag", TAGS)
def test_each_lexicon_covers_its_tag_and_names_only_what_the_taxonomy_has(tag: str) -> None:
    lexicon = load_lexicon(tag)
    assert len(lexicon.terms) >= 25
    assert set(lexicon.nearby) & set(lexicon.terms)
    known = {entry.id for entry in load_taxonomy().entries(tag)}
    assert {entry.id for _, entries in lexicon.terms.values() for entry in entries} <= known


@pytest.mark.parametrize(("rule", "entries"), [("no such rule", []), ("detecting, tracking", ["eu-0x000"])])
def test_a_lexicon_that_points_nowhere_is_refused(
    rule: str, entries: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "drones.toml"
    path.write_text(f'[[groups]]\nrule = "{rule}"\nentries = {entries}\nterms = ["drone"]\n[nearby]\n')
    monkeypatch.setattr(terms, "data_file", lambda name: path)
    with pytest.raises(TaxonomyError, match="drones"):
        load_lexicon.__wrapped__("drones")


def test_terms_are_found_in_plural_with_hyphens_and_through_markup(fast: Model) -> None:
    abstract = "<p>Strap\u00addown <b>seekers</b> use proportional-navigation.</p> Face Recognition; courses of action."
    tags = explain(fast, ("", abstract)).tags
    found = {term.term: abstract[term.start : term.end] for tag in tags.values() for term in tag.terms}
    assert found == {
        "strapdown seeker": "Strap\u00addown <b>seekers",
        "proportional navigation": "proportional-navigation",
        "face recognition": "Face Recognition",
        "courses of action": "courses of action",
    }
    entries = {(entry.list, entry.entry) for term in tags["guidance"].terms for entry in term.entries}
    assert ("MTCR Annex", "2.A.1.d") in entries


def test_a_term_is_spelled_in_the_usual_ways() -> None:
    assert {"fact-checking", "fact checking", "fact-checkings"} <= set(spellings("fact-checking"))
    assert "conspiracy theories" in spellings("conspiracy theory")
    assert "kill chains" in spellings("kill chain")


def test_the_nearest_rules_are_those_that_a_reader_would_turn_to(fast: Model) -> None:
    title, abstract = "Drone music", "A festival of drone music and other long sounds of a single note."
    recourse = explain(fast, (title, abstract)).tags["drones"].recourse
    assert recourse.excluded is not None
    assert recourse.excluded.text.startswith("the word in other senses")
    recourse = (
        explain(fast, ("", "A guidance law for interceptors by proportional navigation.")).tags["guidance"].recourse
    )
    assert recourse.included is not None
    assert recourse.included.text.startswith("guidance laws")
    assert "proportional navigation" in recourse.included.shared


def test_no_rule_is_near_by_one_word_in_common(fast: Model) -> None:
    recourse = explain(fast, ("", "Nobody measured the length of these worms.")).tags["surveillance"].recourse
    assert (recourse.included, recourse.excluded) == (None, None)


def test_precedents_are_labelled_records_with_and_without_the_tag(fast: Model) -> None:
    precedents = load_precedents(fast, DATA / "features", DATA / "labels")
    assert precedents is not None
    text = ("Impact-time guidance", "A guidance law by proportional navigation for missiles with a seeker.")
    near = explain(fast, text, precedents=precedents).tags["guidance"].recourse.precedents
    assert [("guidance" in one.tags) for one in near] == [True] * 3 + [False] * (len(near) - 3)
    labels = {label.id: label.tags for label in read_labels(DATA / "labels") if label.split == "train"}
    assert all(labels[one.id] == one.tags for one in near)
    assert near[0].likeness >= near[1].likeness >= near[2].likeness > 0


def test_there_are_no_precedents_without_fitting_features(fast: Model, tmp_path: Path) -> None:
    assert load_precedents(fast, tmp_path, DATA / "labels") is None
    for name in ("records.parquet", "ngrams.npy"):
        (tmp_path / name).write_bytes((DATA / "features" / name).read_bytes())
    np.save(tmp_path / "ngrams.npy", fast.ngrams[1:])
    assert load_precedents(fast, tmp_path, DATA / "labels") is None


def test_the_background_rule_is_as_good_as_told() -> None:
    pairs = list(made_up())
    assert len(pairs) == 120
    assert sum(is_so for is_so, _ in pairs) == 60
    assert sum(is_so == said for is_so, said in pairs) / len(pairs) >= 0.95


def test_a_title_is_never_background() -> None:
    text = "Applications such as drones have become important in recent years"
    assert is_background(Sentence("abstract", 1, 5, 0, len(text), text))
    assert not is_background(Sentence("title", 0, 0, 0, len(text), text))


def test_an_abstention_is_explained_by_its_notes(fast: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    real = fast.judge

    def abstain(*args: object, **kwargs: object) -> object:
        import dataclasses

        return [
            dataclasses.replace(one, judgements={tag: Judgement(0.4, "abstain") for tag in TAGS})
            for one in real(*args, **kwargs)  # type: ignore[arg-type]
        ]

    monkeypatch.setattr(fast, "judge", abstain)
    assert explain(fast, ("", "Ein Text.")).tags["drones"].recourse.text == ("Not judged: the notes say why.",)
