"""The shipped model must be rebuilt from what the project holds, and stored features must be what scoring sees."""

import json
from pathlib import Path

import joblib
import numpy as np
import pytest
from click.testing import CliRunner

from classifier import TAGS, InputError, Model, load
from classifier.cli import main
from classifier.records import Record
from tests.conftest import ROOT
from training.calibrate import best_f1_threshold, expected_f1_threshold, fit_curve
from training.featurestore import count_matrix, extract_features, read_features, write_features
from training.fit import Settings, fit, folds, idf_levels, near_duplicate_groups, unit_vectors
from training.train import train, training_records

LABELS, FEATURES = ROOT / "data/labels", ROOT / "data/features"


@pytest.fixture(scope="module")
def examples() -> list[Record]:
    lines = (ROOT / "data/cases/minimal_pairs.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        Record(id=f"{pair['id']}/{side}", title=pair[side]["title"], abstract=pair[side]["abstract"], row=1, source={})
        for pair in map(json.loads, lines)
        for side in ("inside", "outside")
    ]


def test_training_on_what_the_project_holds_rebuilds_the_default_model(tmp_path: Path, shipped: Model) -> None:
    out = tmp_path / shipped.id
    result = CliRunner().invoke(main, ["train", "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert load(out).digest == shipped.digest


def test_training_the_fast_model_rebuilds_it_and_its_pipeline(tmp_path: Path, fast: Model) -> None:
    out = tmp_path / fast.id
    result = CliRunner().invoke(main, ["train", "--model", "fast", "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert load(out).digest == fast.digest
    # The pipeline beside it gives the same probabilities inside scikit-learn.
    pipeline = joblib.load(out / "pipeline.joblib")
    documents = [("Quadrotor swarm control", "We fly many drones."), ("Soil", "Earthworms in clay."), ("", "Deepfakes")]
    np.testing.assert_allclose(pipeline.predict_proba(documents), fast.probabilities(documents), atol=2e-6)
    flags = [[judgement.decision == "flag" for judgement in r.judgements.values()] for r in fast.classify(documents)]
    assert pipeline.predict(documents).astype(bool).tolist() == flags


def test_stored_features_give_the_margins_that_scoring_gives(tmp_path: Path, examples: list[Record]) -> None:
    features = extract_features(examples)
    write_features(features, tmp_path / "a")
    again = read_features(tmp_path / "a")
    assert again.ids == features.ids
    assert (again.counts != features.counts).nnz == 0
    by_id = {record.id: (record.title, record.abstract) for record in examples}
    documents = [by_id[identifier] for identifier in again.ids]
    assert (count_matrix(documents, again.ngrams) != again.counts).nnz == 0
    write_features(extract_features(examples[::-1]), tmp_path / "b")
    for name in ("ngrams.npy", "records.parquet"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_shipped_model_scores_its_stored_records_as_training_saw_them(shipped: Model) -> None:
    _, features = training_records(LABELS, FEATURES)
    np.testing.assert_array_equal(features.ngrams, shipped.ngrams)


def test_features_without_a_label_are_named(tmp_path: Path, examples: list[Record]) -> None:
    write_features(extract_features(examples), tmp_path)
    with pytest.raises(InputError, match=r"pair-001/inside.*dualuse data extract"):
        training_records(LABELS, tmp_path)


def test_train_does_not_overwrite_a_folder_that_is_no_model(tmp_path: Path) -> None:
    precious = tmp_path / "thesis.txt"
    precious.write_text("four years of work")
    with pytest.raises(InputError, match="not a model folder"):
        train(LABELS, FEATURES, tmp_path)
    assert precious.exists()


def test_an_encoder_folder_without_its_readings_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["train", "-o", str(tmp_path / "out"), "--encoder", str(tmp_path)])
    assert result.exit_code == 1
    assert "encoder.onnx is missing" in result.output


def test_near_duplicates_stay_in_one_fold(examples: list[Record]) -> None:
    records = [*examples, *(Record(r.id + "+", r.title, r.abstract + " Indeed.", 1, {}) for r in examples)]
    features = extract_features(records)
    groups = near_duplicate_groups(unit_vectors(features.counts, idf_levels(features.counts)))
    group = dict(zip(features.ids, groups, strict=True))
    assert all(group[r.id] == group[r.id + "+"] for r in examples)
    assert len(set(groups)) > 20
    for train_rows, test_rows in folds(groups):
        assert not set(groups[train_rows]) & set(groups[test_rows])


def test_fitting_twice_gives_the_same_bits_and_learns_the_pairs(examples: list[Record]) -> None:
    features = extract_features(examples)
    unit = unit_vectors(features.counts, idf_levels(features.counts))
    tags = np.array([[identifier.endswith("/inside")] for identifier in features.ids])
    first, second = fit(unit, tags, Settings()), fit(unit, tags, Settings())
    assert first.weights.tobytes() == second.weights.tobytes()
    assert ((first.margins(unit) > 0) == tags).mean() > 0.95


def test_calibration_recovers_the_curve_that_made_the_data() -> None:
    rng = np.random.default_rng(0)
    margin = rng.normal(0, 2, 40_000)
    tag = rng.random(40_000) < 1 / (1 + np.exp(-(1.5 * margin - 2)))
    curve = fit_curve(margin, tag, np.ones(40_000))
    assert (curve.slope, curve.offset) == pytest.approx((1.5, -2.0), abs=0.06)
    # Dropping nine tenths of the negatives and weighing the rest ten times gives the same curve.
    kept = tag | (rng.random(40_000) < 0.1)
    weighed = fit_curve(margin[kept], tag[kept], np.where(tag[kept], 1.0, 10.0))
    assert (weighed.slope, weighed.offset) == pytest.approx((1.5, -2.0), abs=0.15)


def test_the_threshold_of_the_best_expected_f1_is_half_of_it() -> None:
    probability = np.random.default_rng(0).beta(0.4, 1.2, 20_000)
    threshold = expected_f1_threshold(probability)
    flagged = probability >= threshold
    f1 = 2 * probability[flagged].sum() / (flagged.sum() + probability.sum())
    assert threshold == pytest.approx(f1 / 2, abs=0.002)


def test_the_threshold_is_where_f1_is_best() -> None:
    probability = np.array([0.9, 0.8, 0.8, 0.4, 0.3, 0.1])
    tag = np.array([True, True, False, True, False, False])
    threshold = best_f1_threshold(probability, tag)
    assert threshold == pytest.approx(0.35)
    candidates = [(probability >= t) for t in np.linspace(0, 1, 101)]
    best = max(2 * (flag & tag).sum() / (flag.sum() + tag.sum()) for flag in candidates)
    flag = probability >= threshold
    assert 2 * (flag & tag).sum() / (flag.sum() + tag.sum()) == best


def test_every_tag_has_all_its_parameters(shipped: Model) -> None:
    for part in ("scale", "intercept", "slope", "offset"):
        assert set(shipped.parameters[part]) == set(TAGS)
    assert set(shipped.thresholds["balanced"]) == set(TAGS)
