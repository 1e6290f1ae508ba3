"""The second reading: who gets it, that it changes only them, and that it gives the same bits on every path."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from classifier import TAGS, Model, ModelError, load
from classifier.scoring import probabilities
from classifier.second import Tokens
from tests.conftest import ROOT, in_threads

PAIRS = [
    json.loads(line) for line in (ROOT / "data/cases/minimal_pairs.jsonl").read_text(encoding="utf-8").splitlines()
]
DOCUMENTS = [(pair[side]["title"], pair[side]["abstract"]) for pair in PAIRS[:30] for side in ("inside", "outside")]


def test_only_doubtful_texts_are_read_again_and_the_others_keep_their_numbers(shipped: Model, fast: Model) -> None:
    again = shipped.read_again(DOCUMENTS)
    assert 5 < again.sum() < len(DOCUMENTS) - 5
    first, both = fast.probabilities(DOCUMENTS), shipped.probabilities(DOCUMENTS)
    assert (first >= shipped.parameters["second"]["read_from"]).any(axis=1).tolist() == again.tolist()
    np.testing.assert_array_equal(both[~again], first[~again])
    assert (np.abs(both[again] - first[again]).max(axis=1) > 1e-6).all()


def test_a_text_gets_the_same_bits_alone_in_a_batch_in_arrow_and_under_threads(shipped: Model) -> None:
    together = shipped.probabilities(DOCUMENTS)
    for place in range(0, len(DOCUMENTS), 7):
        assert shipped.probabilities([DOCUMENTS[place]]).tobytes() == together[place].tobytes()
    assert shipped.probabilities(DOCUMENTS[::-1]).tobytes() == together[::-1].tobytes()
    columns = shipped.judge_arrow(*(pa.array([document[side] for document in DOCUMENTS]) for side in (0, 1)))
    arrow = np.column_stack([columns.column(f"{tag}_probability").to_numpy() for tag in TAGS])
    assert arrow.tobytes() == together.tobytes()
    got = in_threads(lambda: shipped.probabilities(DOCUMENTS).tobytes(), 3)
    assert got == [together.tobytes()] * 3


def test_a_record_that_was_read_once_is_never_flagged(shipped: Model) -> None:
    assert min(shipped.thresholds["balanced"].values()) >= shipped.parameters["second"]["read_from"]


def test_both_readings_add_up_as_the_model_says(shipped: Model) -> None:
    rows = np.flatnonzero(shipped.read_again(DOCUMENTS))[:3]
    documents = [DOCUMENTS[row] for row in rows]
    assert shipped._second is not None
    logits, roles = shipped._second._loaded().read(documents)
    assert roles.shape == (len(rows), len(TAGS), 3)
    margins = shipped.margins(documents)
    parts = shipped.parameters["second"]["combination"]
    for k, tag in enumerate(TAGS):
        total = margins[:, k] * parts[tag]["first"] + logits[:, k] * parts[tag]["second"] + parts[tag]["constant"]
        want = probabilities(total, np.ones(1), np.zeros(1))
        np.testing.assert_array_equal(shipped.probabilities(documents)[:, k], want)


def test_a_long_text_is_read_from_its_start_and_its_end(shipped: Model) -> None:
    tokens = Tokens(shipped.folder, 20, 4)
    ids, segments = tokens.encode(("one two three four five six", " ".join(f"w{i}" for i in range(100)) + " the end"))
    assert len(ids) == len(segments) == 20
    assert segments == [0] * 6 + [1] * 14
    start, _ = tokens.encode(("one two three four", "w0 w1"))
    end, _ = tokens.encode(("", "the end"))
    assert ids[:10] == start[:10]
    assert ids[-3:] == end[-3:]


def test_markup_and_disguise_do_not_change_what_the_encoder_sees(shipped: Model) -> None:
    tokens = Tokens(shipped.folder, 160, 48)
    assert tokens.encode(("", "A dr\u200bone <i>swarm</i> of $k$ UAVs")) == tokens.encode(
        ("", "A drone swarm of k UAVs")
    )


def test_the_other_model_is_one_option_away(fast: Model, shipped: Model) -> None:
    assert load("careful").digest == load().digest == shipped.digest
    assert fast.id.startswith("fast")
    assert shipped.id.startswith("careful")
    with pytest.raises(ModelError, match="no such model folder"):
        load("slow")


def test_a_missing_package_is_named_with_the_way_out(shipped: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    model = load("careful")
    with pytest.raises(ModelError, match=r"onnxruntime.*--model fast"):
        model.probabilities(DOCUMENTS)


def test_a_changed_encoder_is_noticed(shipped: Model, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shipped.folder, tmp_path / "model"))
    with (folder / "encoder.onnx").open("r+b") as file:
        file.seek(1_000_000)
        byte = file.read(1)
        file.seek(1_000_000)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(ModelError, match=r"encoder\.onnx"):
        load(folder)
