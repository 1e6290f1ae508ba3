"""Roles must be learned where there are examples, and not invented where there are none."""

import numpy as np
import pytest

from classifier import TAGS, load
from classifier.results import ROLES
from tests.conftest import ROOT
from training.fit import idf_levels
from training.metrics import role_figures
from training.roles import fit_logits, fit_roles, role_numbers
from training.train import training_records


def test_out_of_fold_roles_beat_the_usual_role_and_are_those_of_the_shipped_model() -> None:
    labels, features = training_records(ROOT / "data/labels", ROOT / "data/features")
    fitted = fit_roles(labels, features, idf_levels(features.counts))
    numbers = role_numbers(labels)
    figures = role_figures(numbers, np.where(numbers >= 0, fitted.logits.argmax(axis=2), -1), TAGS)["all"]
    assert figures["accuracy"]["low"] > figures["usual"]["high"]
    assert figures["unusual_f1"]["value"] > 0.6
    assert fitted.section == load("fast").parameters["roles"]


def test_fitted_slopes_and_constants_recover_those_that_made_the_data() -> None:
    rng = np.random.default_rng(0)
    parts = [rng.normal(0, 2, (20_000, 3)), rng.normal(0, 2, (20_000, 3))]
    logits = 0.8 * parts[0] + 0.3 * parts[1] + [0.0, -1.0, 1.0]
    roles = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    slopes, constant = fit_logits(parts, roles)
    assert slopes == pytest.approx([0.8, 0.3], abs=0.05)
    assert constant == pytest.approx([0.0, -1.0, 1.0], abs=0.1)


def test_a_role_that_was_never_seen_gets_next_to_no_probability() -> None:
    model = load("fast").with_thresholds("all", dict.fromkeys(TAGS, 1e-6), dict.fromkeys(TAGS, 1e-6))
    text = (
        "We defend the staff against wargames by jamming, spoofing and detecting them, for its protection from attack."
    )
    (result,) = model.classify([("Countering wargames", text)], profile="all")
    assert result.judgements["wargaming"].roles["counters"] < 0.05
    assert set(result.judgements["wargaming"].roles) == set(ROLES)
