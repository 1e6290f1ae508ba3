"""`dualuse drift`: a stream that moved is told from one that only varies by chance, and the advice names what to do."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from classifier import Model
from classifier.cli import main
from classifier.drift import Stream, measure_drift, read_stream, stability
from classifier.errors import InputError
from classifier.results import TAGS
from tests.conftest import ROOT


def stream(seed: int, scores: float = 0.02, text: str = "", size: int = 1000, decision: str = "clear") -> Stream:
    generator = np.random.default_rng(seed)
    probability = np.clip(generator.beta(1, 1 / scores, (size, len(TAGS))), 1e-6, 1)
    return Stream(size, "m-1", probability, [(decision,) * len(TAGS)] * size, [text] * size)


def test_two_samples_of_one_stream_give_no_alarm(fast: Model) -> None:
    found = measure_drift(stream(1), stream(2), fast)
    assert {row.verdict for row in found.tags.values()} == {"as before"}
    assert found.advice == ["Nothing to do: NEW looks like BASELINE."]


def test_scores_that_moved_are_told_for_the_tag_that_moved(fast: Model) -> None:
    new = stream(2)
    new.probability[:, 0] = stream(3, scores=0.1).probability[:, 0]
    found = measure_drift(stream(1), new, fast)
    assert found.tags["drones"].verdict == "moved much"
    assert {found.tags[tag].verdict for tag in TAGS[1:]} == {"as before"}
    assert any("Scores of drones have moved much" in line for line in found.advice)


def test_an_index_grows_with_the_shift_and_small_samples_need_more() -> None:
    generator = np.random.default_rng(0)
    base, near, far = (generator.normal(shift, 1, 2000) for shift in (0, 0.2, 1))
    assert stability(base, near)[0] < stability(base, far)[0]
    assert stability(base[:50], near[:50])[1] > stability(base, near)[1]


def test_unknown_words_other_lengths_and_abstentions_are_told(fast: Model) -> None:
    old = stream(1, text="we study the control of a small aircraft in wind")
    new = stream(2, text="wir untersuchen die regelung " * 10, decision="abstain")
    found = measure_drift(old, new, fast)
    told = " ".join(found.advice)
    assert "unknown to the model" in told
    assert "another length" in told
    assert "not judged at all" in told
    assert ("untersuchen", False) in found.risen
    assert ("aircraft", True) in found.fallen


def test_outputs_without_texts_are_compared_by_scores_alone(fast: Model) -> None:
    found = measure_drift(stream(1), stream(2, text="a text"), fast)
    assert found.unknown_words is None
    assert found.risen == []


def test_a_small_side_and_two_models_are_pointed_out(fast: Model) -> None:
    few = stream(1, size=30)
    other = Stream(few.rows, "m-2", few.probability, few.decisions, few.texts)
    told = " ".join(measure_drift(stream(2), other, fast).advice)
    assert "30 records: too few" in told
    assert "different models (m-1, m-2)" in told


def test_a_dump_and_its_own_output_are_the_same_stream(tmp_path: Path, fast: Model) -> None:
    dump, out = ROOT / "data/examples/papers.jsonl", tmp_path / "out.jsonl"
    done = CliRunner().invoke(main, ["classify", str(dump), "-o", str(out), "--model", "fast"])
    assert done.exit_code == 0, done.output
    scored, plain = read_stream(out, fast), read_stream(dump, fast)
    assert scored.probability.tolist() == plain.probability.tolist()
    assert (scored.decisions, scored.texts, scored.model) == (plain.decisions, plain.texts, plain.model)
    shown = CliRunner().invoke(main, ["drift", str(dump), str(out), "--model", "fast"])
    assert shown.exit_code == 0, shown.output
    assert "0.000" in shown.output
    as_json = CliRunner().invoke(main, ["drift", str(dump), str(out), "--model", "fast", "--json"])
    assert json.loads(as_json.stdout)["tags"]["drones"]["psi"] == 0


def test_the_sample_is_even_and_the_same_at_every_call(tmp_path: Path, fast: Model) -> None:
    path = tmp_path / "many.jsonl"
    path.write_text("".join(json.dumps({"title": f"Text number {n}"}) + "\n" for n in range(300)))
    first, second = read_stream(path, fast, 50), read_stream(path, fast, 50)
    assert first.texts == second.texts
    assert (first.rows, len(first.texts)) == (300, 50)
    numbers = [int(text.split()[2]) for text in first.texts]
    assert numbers == sorted(numbers)
    assert max(numbers) > 200


def test_an_empty_side_is_an_error(tmp_path: Path, fast: Model) -> None:
    path = tmp_path / "none.csv"
    path.write_text("title,abstract\n")
    with pytest.raises(InputError, match="no records"):
        read_stream(path, fast)
