"""The shipped model: same numbers on every path, only content counts, and a damaged folder is named."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier import DualuseError, Model, ModelError, Record, load, modelfolder
from tests.conftest import ROOT, in_threads

TEXTS = [json.loads(line) for line in (ROOT / "data/examples/papers.jsonl").read_text().splitlines()]
DOCUMENTS = [(t["title"] or "", t.get("abstract") or "") for t in TEXTS if t["title"]]
any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@given(st.lists(st.tuples(any_text, st.sampled_from(DOCUMENTS)), min_size=1, max_size=8), st.randoms())
@settings(max_examples=50, deadline=None)
def test_a_text_gets_the_same_bits_alone_in_a_batch_and_in_any_order(
    shipped: Model, parts: list[tuple[str, tuple[str, str]]], random: object
) -> None:
    batch = [(title, f"{abstract} {noise}") for noise, (title, abstract) in parts]
    together = shipped.probabilities(batch)
    for place, document in enumerate(batch):
        assert shipped.probabilities([document]).tobytes() == together[place : place + 1].tobytes()
    assert shipped.probabilities(batch[::-1]).tobytes() == together[::-1].tobytes()


def test_threads_sharing_a_model_get_the_same_bits(shipped: Model) -> None:
    want = shipped.probabilities(DOCUMENTS).tobytes()
    got = in_threads(lambda: shipped.probabilities(DOCUMENTS).tobytes(), 4)
    assert got == [want] * 4


def test_words_never_seen_in_training_change_nothing_for_the_fast_model(fast: Model) -> None:
    title, abstract = "Quadrotor landing on a moving deck", "A controller lands a small uncrewed aircraft."
    unseen = " Qwxyzzy Vrblgrph Zzyxqt"
    plain = fast.probabilities([(title, abstract)])
    assert fast.probabilities([(title + unseen, abstract + unseen)]).tobytes() == plain.tobytes()


def test_other_columns_never_reach_the_model(shipped: Model) -> None:
    document = {"title": DOCUMENTS[0][0], "abstract": DOCUMENTS[0][1]}
    swapped = document | {
        "authors": "missile drone",
        "institution": "Academy of Missiles",
        "country": "X",
        "funder": "Y",
    }
    plain, other = shipped.classify([document, swapped])
    assert plain.judgements == other.judgements


def test_documents_of_every_kind_are_judged_alike(shipped: Model) -> None:
    title, abstract = DOCUMENTS[0]
    record = Record(id="row-1", title=title, abstract=abstract, row=1, source={})
    kinds = [(title, abstract), {"title": title, "abstract": abstract}, record]
    assert len({tuple(shipped.classify([kind])[0].judgements.items()) for kind in kinds}) == 1


def test_a_plain_text_is_an_abstract_and_the_result_says_that_the_title_is_missing(shipped: Model) -> None:
    (result,) = shipped.classify(["Swarms of quadrotors plan collision-free paths."])
    assert result.notes[:1] == ("no title",)
    assert result.id == "row-1"
    assert "drones" in result.tags


def test_a_document_without_text_is_named(shipped: Model) -> None:
    with pytest.raises(DualuseError, match="Document 2"):
        shipped.classify(["A fine text about soil.", ""])


def test_an_unknown_profile_is_named_with_those_known(shipped: Model) -> None:
    with pytest.raises(DualuseError, match=r"'strict'.*balanced"):
        shipped.classify(["A text."], profile="strict")


def test_the_decision_follows_probability_and_stored_threshold(shipped: Model) -> None:
    for result in shipped.classify(DOCUMENTS):
        for tag, judgement in result.judgements.items():
            reached = judgement.probability >= shipped.thresholds["balanced"][tag]
            assert (judgement.decision == "flag") == (reached and judgement.decision != "abstain")
            assert (judgement.decision == "flag") == (tag in result.tags)


@pytest.fixture
def folder(tmp_path: Path, shipped: Model) -> Path:
    return Path(shutil.copytree(shipped.folder, tmp_path / "model"))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != modelfolder.MANIFEST)


def test_changing_any_byte_of_any_file_is_noticed_and_the_file_named(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for name in names(folder):
        path = folder / name
        original = path.read_bytes()
        for place in rng.integers(0, len(original), 3):
            changed = bytearray(original)
            changed[place] ^= 1
            path.write_bytes(changed)
            with pytest.raises(ModelError, match=name):
                load(folder)
        path.write_bytes(original)
    load(folder)


def test_missing_unlisted_and_linked_files_are_named(folder: Path) -> None:
    (folder / "extra.py").write_text("print('hello')")
    with pytest.raises(ModelError, match=r"extra\.py"):
        load(folder)
    (folder / "extra.py").unlink()
    (folder / "idf.npy").rename(folder.parent / "idf.npy")
    with pytest.raises(ModelError, match=r"idf\.npy"):
        load(folder)
    (folder / "idf.npy").symlink_to(folder.parent / "idf.npy")
    with pytest.raises(ModelError, match=r"idf\.npy"):
        load(folder)


def test_a_manifest_cannot_point_outside_its_folder(folder: Path) -> None:
    manifest = json.loads((folder / modelfolder.MANIFEST).read_text())
    manifest["files"]["../outside"] = {"bytes": 0, "sha256": "0" * 64}
    (folder.parent / "outside").write_bytes(b"")
    (folder / modelfolder.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match="outside"):
        load(folder)


def test_a_folder_that_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=modelfolder.MANIFEST):
        load(tmp_path)
    with pytest.raises(ModelError, match="no such model folder"):
        load(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "format 99"),
        ({"tags": ["a", "b", "c", "d", "e"]}, "trained for tags"),
        ({"versions": {"features": 0, "cleaning": 0}}, "trained with"),
    ],
)
def test_a_model_made_for_something_else_is_refused(folder: Path, change: dict[str, object], message: str) -> None:
    parameters = json.loads((folder / modelfolder.PARAMETERS).read_text()) | change
    (folder / modelfolder.PARAMETERS).write_text(json.dumps(parameters))
    modelfolder.write_manifest(folder)
    with pytest.raises(ModelError, match=message):
        load(folder)


def test_an_array_that_would_run_code_is_refused(folder: Path) -> None:
    np.save(folder / "idf.npy", np.array([object()]), allow_pickle=True)
    modelfolder.write_manifest(folder)
    with pytest.raises(ModelError, match=r"idf\.npy"):
        load(folder)
