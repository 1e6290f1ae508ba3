"""Scores must be the same to the last bit whatever the batch, and the arithmetic must be what it says."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from classifier.scoring import Counts, probabilities, sums, weighted


def test_probabilities_follow_the_logistic_curve() -> None:
    margin = np.linspace(-50, 50, 2001)[:, None]
    got = probabilities(margin, np.array([1.3]), np.array([-0.2]))[:, 0]
    want = [1 / (1 + math.exp(-min(max(1.3 * m - 0.2, -40), 40))) for m in margin[:, 0]]
    assert np.max(np.abs(got - want)) <= 1.1e-6  # a unit of the sixth decimal
    assert got.min() > 0
    assert got.max() < 1
    assert np.all(np.diff(got) >= 0)


def test_a_margin_is_the_weights_times_the_unit_vector_plus_the_intercept() -> None:
    counts = Counts(np.array([0, 0, 2]), np.array([0, 2, 1]), np.array([1, 3, 500]))
    idf, tf = np.array([300, 512, 700], np.uint16), np.array([64, 108, 134])
    weights = np.array([[100, -5], [7, 7], [-20, 30]], np.int16)
    got = weighted(*sums(counts, 3, idf, tf, weights), np.array([0.01, 0.02]), np.array([-1.0, 0.5]))
    vector = np.array([64 * 300, 134 * 700], float)
    vector /= np.linalg.norm(vector)
    np.testing.assert_allclose(got[0], vector @ weights[[0, 2]] * [0.01, 0.02] + [-1, 0.5], rtol=1e-12)
    np.testing.assert_array_equal(got[1], [-1.0, 0.5])  # nothing known: the intercepts
    np.testing.assert_allclose(got[2], np.array([7, 7]) * [0.01, 0.02] + [-1, 0.5], rtol=1e-12)  # count capped


@given(st.lists(st.floats(-60, 60), min_size=1, max_size=40), st.integers(0, 39))
def test_a_probability_does_not_depend_on_its_neighbours(values: list[float], place: int) -> None:
    place %= len(values)
    column = np.array(values)[:, None]
    alone = probabilities(column[place : place + 1], np.array([0.7]), np.array([0.1]))
    assert probabilities(column, np.array([0.7]), np.array([0.1]))[place, 0] == alone[0, 0]
