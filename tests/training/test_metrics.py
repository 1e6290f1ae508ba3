"""Figures must agree with scikit-learn's where it has them, and intervals must hold what they say."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_fscore_support

from training.metrics import Judged, measure


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
