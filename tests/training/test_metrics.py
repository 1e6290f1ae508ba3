"""Figures must agree with scikit-learn's where it has them, and intervals must hold what they say."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_fscore_support

from training.metrics import Judged, measure, reading_order, reliability, role_figures


@pytest.fixture
def data() -> tuple[np.ndarray, Judged, np.ndarray]:
    rng = np.random.default_rng(1)
    truth = rng.random((300, 2)) < 0.3
    score = np.round(truth * 0.3 + rng.random((300, 2)), 1)  # rounded: many ties
    return truth, Judged(score, score >= 0.7), rng.random(300) * 50


@pytest.mark.parametrize("weighted", [False, True])
def test_figures_agree_with_scikit_learn(data: tuple[np.ndarray, Judged, np.ndarray], weighted: bool) -> None:
    truth, judged, weight = data
    sample_weight = weight if weighted else None
    figures = measure(truth, judged, ("a", "b"), sample_weight)
    for k, tag in enumerate(("a", "b")):
        precision, recall, f1, _ = precision_recall_fscore_support(
            truth[:, k], judged.flag[:, k], average="binary", sample_weight=sample_weight
        )
        ap = average_precision_score(truth[:, k], judged.score[:, k], sample_weight=sample_weight)
        got = [figures[tag][name]["value"] for name in ("precision", "recall", "f1", "average_precision")]
        assert got == pytest.approx([precision, recall, f1, ap], abs=6e-5)
    mean = (figures["a"]["f1"]["value"] + figures["b"]["f1"]["value"]) / 2
    assert figures["macro"]["f1"]["value"] == pytest.approx(mean, abs=1e-4)


def test_intervals_hold_the_value_and_narrow_with_more_records(data: tuple[np.ndarray, Judged, np.ndarray]) -> None:
    truth, judged, _ = data
    few = measure(truth[:60], Judged(judged.score[:60], judged.flag[:60]), ("a", "b"))["macro"]["f1"]
    many = measure(truth, judged, ("a", "b"))["macro"]["f1"]
    for figure in (few, many):
        assert figure["low"] < figure["value"] < figure["high"]
    assert many["high"] - many["low"] < few["high"] - few["low"]


def test_a_tag_without_positives_has_no_recall_and_stays_out_of_the_mean() -> None:
    truth = np.array([[True, False], [False, False], [True, False]])
    judged = Judged(
        np.array([[0.9, 0.1], [0.2, 0.8], [0.8, 0.1]]), np.array([[True, False], [False, True], [True, False]])
    )
    figures = measure(truth, judged, ("a", "b"))
    assert figures["b"]["recall"]["value"] is None
    assert figures["b"]["f1"]["value"] is None
    assert figures["macro"]["f1"]["value"] == figures["a"]["f1"]["value"] == 1.0


def test_true_probabilities_lie_on_the_line_and_exaggerated_ones_do_not() -> None:
    rng = np.random.default_rng(0)
    p = np.clip(rng.beta(0.5, 2.0, (1000, 1)), 1e-4, 1 - 1e-4)
    truth = rng.random(p.shape) < p
    weight = np.ones(len(p))
    true = reliability(truth, p, ("a",), weight)["a"]
    assert true["calibration_slope"]["low"] < 1 < true["calibration_slope"]["high"]
    assert true["calibration_intercept"]["low"] < 0 < true["calibration_intercept"]["high"]
    assert true["brier"]["value"] == pytest.approx(float(((p - truth) ** 2).mean()), abs=1e-4)
    odds = (p / (1 - p)) ** 2
    loud = reliability(truth, odds / (1 + odds), ("a",), weight)["a"]
    assert loud["calibration_slope"]["value"] == pytest.approx(0.5, abs=0.1)
    assert loud["brier_skill"]["value"] < true["brier_skill"]["value"]


def test_saying_the_base_rate_has_no_skill_and_no_line() -> None:
    truth = np.arange(400)[:, None] % 4 == 0
    figures = reliability(truth, np.full((400, 1), 0.25), ("a",), np.ones(400))["a"]
    assert figures["brier_skill"]["value"] == pytest.approx(0)
    assert figures["calibration_slope"]["value"] is None


def test_dropping_negatives_and_weighing_the_others_up_changes_no_reliability() -> None:
    rng = np.random.default_rng(2)
    p = np.clip(rng.beta(0.5, 4.0, (2000, 1)), 1e-4, 1 - 1e-4)
    truth = rng.random(p.shape) < p
    kept = truth[:, 0] | (rng.random(len(p)) < 0.3)
    weight = np.where(truth[kept, 0], 1.0, 1 / 0.3)
    whole = reliability(truth, p, ("a",), np.ones(len(p)))["a"]
    part = reliability(truth[kept], p[kept], ("a",), weight)["a"]
    for name in ("brier_skill", "calibration_slope"):
        assert part[name]["value"] == pytest.approx(whole[name]["value"], abs=0.15)


def test_reading_the_top_of_the_stream_finds_what_stands_there() -> None:
    p = np.linspace(0.99, 0.01, 100)[:, None]
    truth = np.zeros((100, 1), dtype=bool)
    truth[[0, 3, 7, 50]] = True
    found = reading_order(truth, p, np.ones(100))
    assert found["top 5%"]["recall"]["value"] == 0.5
    assert found["top 10%"]["recall"]["value"] == 0.75
    heavy = np.ones(100)
    heavy[1] = 99.0  # one record stands for half of the stream: nothing behind it is within the top
    assert reading_order(truth, p, heavy)["top 10%"]["recall"]["value"] == 0.25


def test_roles_are_measured_where_one_was_due_and_given() -> None:
    due = np.array([[0], [0], [0], [0], [1], [1], [2], [-1], [1]])
    given = np.array([[0], [0], [0], [1], [1], [0], [1], [1], [-1]])
    figures = role_figures(due, given, ("a",))["a"]
    assert figures["count"] == {"records": 7, "unusual": 3}
    assert figures["accuracy"]["value"] == pytest.approx(4 / 7, abs=1e-4)
    assert figures["usual"]["value"] == pytest.approx(4 / 7, abs=1e-4)
    assert figures["unusual_f1"]["value"] == pytest.approx(2 * 1 / (3 + 3), abs=1e-4)
