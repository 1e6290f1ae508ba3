"""What thresholds promise must hold for streams that the examples were drawn like, and be withheld where it cannot."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import binomtest

from classifier import TAGS, Model
from classifier.cli import main
from tests.conftest import ROOT
from training.sample import CALIBRATION, Sample, drawn, read_sample, review_thresholds, share_cut, write_sample
from training.thresholds import (
    TOO_FEW,
    at_prevalence,
    effective_size,
    for_capacity,
    for_recall,
    lower_bound,
    promise_of,
    shift,
)


def stream(rng: np.random.Generator, size: int, share: float = 0.2) -> Sample:
    """Records of a stream whose probabilities are true."""
    p = np.clip(rng.beta(share * 2, 2 - share * 2, (size, len(TAGS))), 1e-6, 1 - 1e-6)
    return Sample(tuple(map(str, range(size))), rng.random(p.shape) < p, p, np.ones(size))


def test_the_bound_is_that_of_clopper_and_pearson() -> None:
    for hits, size in ((39, 39), (95, 100), (10, 40), (0, 5)):
        want = binomtest(hits, size, alternative="greater").proportion_ci(0.95, "exact").low
        assert lower_bound(hits / size, size) == pytest.approx(want, abs=1e-9)
    assert lower_bound(1.0, 39) == pytest.approx(0.926, abs=0.001)  # no miss among 39 proves no more
    assert lower_bound(1.0, 59) > 0.95 > lower_bound(1.0, 58)


def test_a_recall_that_was_promised_is_kept_in_the_stream_in_95_of_100_tries() -> None:
    rng = np.random.default_rng(0)
    world = stream(rng, 40_000)
    tags = world.truth[:, 0]
    kept = tries = 0
    for _ in range(150):
        rows = rng.integers(0, len(tags), 400)
        examples = Sample(world.ids[:400], world.truth[rows], world.probability[rows], np.ones(400))
        promise = for_recall(examples, 0.9)["drones"]
        assert promise.bound is not None
        kept += (world.probability[tags, 0] >= promise.threshold).mean() >= 0.9
        tries += 1
    assert 0.92 <= kept / tries <= 1.0


def test_too_few_examples_promise_nothing() -> None:
    sample = stream(np.random.default_rng(1), 150)
    promise = for_recall(sample, 0.95)["drones"]
    assert promise.examples < 59
    assert promise.bound is None
    assert promise.recall is not None
    assert promise.recall >= 0.95


def test_a_tag_without_examples_has_no_figures_and_flags_next_to_nothing() -> None:
    sample = stream(np.random.default_rng(1), 100)
    sample.truth[:, 2] = False
    promise = for_recall(sample, 0.9)["disinformation"]
    assert (promise.recall, promise.bound) == (None, None)
    assert promise.flags == 0


def test_capacity_is_used_but_never_exceeded() -> None:
    rng = np.random.default_rng(2)
    sample = stream(rng, 5000, 0.05)
    promises = for_capacity(sample, 0.1, np.ones(len(TAGS)))
    thresholds = np.array([promises[tag].threshold for tag in TAGS])
    share = (sample.probability >= thresholds).any(axis=1).mean()
    assert 0.09 < share <= 0.1
    assert np.ptp(thresholds) < 1e-5  # the most probable are read, whatever the tag


def test_weights_count_in_place_of_copies() -> None:
    sample = stream(np.random.default_rng(3), 300)
    weight = np.where(np.arange(300) % 3 == 0, 4.0, 1.0)
    weighed = Sample(sample.ids, sample.truth, sample.probability, weight)
    copied = np.repeat(np.arange(300), weight.astype(int))
    copies = Sample(tuple(map(str, copied)), sample.truth[copied], sample.probability[copied], np.ones(len(copied)))
    a, b = promise_of(weighed, 0, 0.3), promise_of(copies, 0, 0.3)
    assert (a.flags, a.false_alarms, a.recall) == pytest.approx((b.flags, b.false_alarms, b.recall))
    assert a.examples < b.examples  # copies tell nothing new
    assert effective_size(np.ones(7)) == pytest.approx(7)


def test_a_prevalence_is_reached_and_shifts_odds_by_its_ratio() -> None:
    sample = stream(np.random.default_rng(4), 4000)
    shifted, ratio = at_prevalence(sample, {"drones": 0.5, "guidance": 0.05})
    prevalence = shifted.weight @ shifted.truth / shifted.weight.sum()
    assert prevalence[:2] == pytest.approx([0.5, 0.05], abs=1e-6)
    before = sample.truth[:, 0].mean()
    assert ratio[0] == pytest.approx(1 / (before / (1 - before)), rel=1e-6)
    assert shift(np.array([[0.2, 0.5, 0.9]]), np.array([4.0, 1.0, 1 / 9])) == pytest.approx(np.array([[0.5, 0.5, 0.5]]))
    more = promise_of(shifted, 0, 0.5).flags
    assert more > promise_of(sample, 0, 0.5).flags


def test_equal_scores_are_not_cut_apart() -> None:
    score = np.array([0.9, 0.5, 0.5, 0.1])
    assert share_cut(score, np.ones(4), 0.5) == 0.9
    assert share_cut(score, np.ones(4), 0.75) == 0.5
    assert share_cut(score, np.ones(4), 0.1) == 1.0


def test_a_sample_is_read_as_it_was_written(tmp_path: Path) -> None:
    sample = stream(np.random.default_rng(5), 20)
    write_sample(sample, tmp_path / CALIBRATION)
    again = read_sample(tmp_path / CALIBRATION)
    place = [sample.ids.index(identifier) for identifier in again.ids]
    np.testing.assert_array_equal(again.truth, sample.truth[place])
    np.testing.assert_allclose(again.probability, sample.probability[place], atol=1e-6)


@pytest.mark.parametrize("name", ["fast", "careful"])
def test_flags_and_reviews_of_a_shipped_model_stay_within_a_tenth_of_the_stream(name: str) -> None:
    from classifier import load

    model = load(name)
    sample = read_sample(model.folder / CALIBRATION)
    flag = dict(model.thresholds["balanced"])
    assert review_thresholds(sample, flag) == pytest.approx(dict(model.review_thresholds), abs=1e-6)
    review = np.array([min(model.review_thresholds[tag], flag[tag]) for tag in TAGS])
    read = sample.weight[(sample.probability >= review).any(axis=1)].sum() / sample.weight.sum()
    assert 0.05 < read <= 0.1


def test_only_records_of_the_stratified_sample_are_kept() -> None:
    from training.labels import Label

    labels = [Label("a", "train", {"drones": "enables"}, weight=3.0), Label("b", "train")]
    sample = drawn(labels, np.full((2, len(TAGS)), 0.5))
    assert (sample.ids, sample.weight.tolist()) == (("a",), [3.0])
    assert sample.truth[0].tolist() == [True, False, False, False, False]


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_the_commands_of_the_page_run_and_their_file_is_taken_by_classify(tmp_path: Path) -> None:
    page = (ROOT / "docs/thresholds.md").read_text(encoding="utf-8")
    commands = re.findall(r"^\$ dualuse (.*)$", page, re.MULTILINE)
    assert len(commands) >= 4
    for command in commands:
        run(*command.replace("build/", f"{tmp_path}/").split())
    rows = (tmp_path / "projects.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) > 20


def test_on_labelled_records_of_ones_own_the_figures_are_theirs(fast: Model, tmp_path: Path) -> None:
    pairs = [json.loads(line) for line in (ROOT / "data/cases/minimal_pairs.jsonl").read_text().splitlines()]
    path = tmp_path / "own.jsonl"
    rows = [
        {**pair[side], "id": f"{pair['id']}/{side}", "tags": [pair["tag"]] if side == "inside" else []}
        for pair in pairs
        for side in ("inside", "outside")
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    shown = run("thresholds", path, "--recall", ".95", "--model", "fast")
    assert TOO_FEW in shown
    assert f"From {len(rows):,} records: {path}" in shown
    shown = run("thresholds", path, "--capacity", "100/1000", "--model", "fast")
    assert float(shown.split("any tag")[1].split()[0]) <= 100


def test_a_wrong_goal_is_told_how_to_be_mended() -> None:
    assert "either --capacity or --recall" in run("thresholds", code=2)
    assert "such as 30/1000" in run("thresholds", "--capacity", "3%", code=2)
    assert "drones=.03" in run("thresholds", "--recall", ".9", "--prevalence", "tanks=.1", code=2)
