"""Three zones by two thresholds, and roles where there is something to say of them: alike on every path."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

from classifier import TAGS, DualuseError, InputError, Model, Result
from classifier.cli import main
from classifier.results import RESULT_COLUMNS, ROLES
from classifier.scoring import shares
from classifier.thresholds import to_file, use_file
from tests.conftest import ROOT

CASES = [
    json.loads(line) for line in (ROOT / "data/cases/minimal_pairs.jsonl").read_text(encoding="utf-8").splitlines()
]
DOCUMENTS = [(pair[side]["title"], pair[side]["abstract"]) for pair in CASES for side in ("inside", "outside")]
LOW, HIGH = dict.fromkeys(TAGS, 0.001), dict.fromkeys(TAGS, 0.9)


@pytest.fixture(scope="module")
def results(shipped: Model) -> list[Result]:
    return shipped.classify(DOCUMENTS)


def test_the_decision_follows_from_probability_and_two_thresholds(shipped: Model, results: list[Result]) -> None:
    seen = set()
    for result in results:
        for tag, judgement in result.judgements.items():
            flag, review = shipped.thresholds["balanced"][tag], shipped.review_thresholds[tag]
            p = judgement.probability
            assert judgement.decision == ("flag" if p >= flag else "review" if p >= review else "clear")
            seen.add(judgement.decision)
    assert seen == {"flag", "review", "clear"}


def test_only_flagged_tags_are_tags_and_reviews_are_told_in_the_notes(results: list[Result]) -> None:
    for result in results:
        by_decision = {d: [t for t, j in result.judgements.items() if j.decision == d] for d in ("flag", "review")}
        assert list(result.tags) == by_decision["flag"]
        told = [note.removeprefix("for review: ").split(", ") for note in result.notes if "review" in note]
        assert told == ([by_decision["review"]] if by_decision["review"] else [])


def test_roles_are_given_for_flagged_and_reviewed_tags_alone_and_sum_to_one(results: list[Result]) -> None:
    for result in results:
        for judgement in result.judgements.values():
            if judgement.decision == "clear":
                assert (judgement.role, judgement.roles) == (None, {})
            else:
                assert tuple(judgement.roles) == ROLES
                assert sum(judgement.roles.values()) == pytest.approx(1, abs=2e-6)
                assert judgement.role == max(judgement.roles, key=lambda role: judgement.roles[role])


def test_defence_against_drones_counters_them_and_a_better_drone_enables(fast: Model) -> None:
    defence = "We detect hostile drones by radar and jam their radio link, to protect airports from attack."
    better = "A controller lets a quadrotor fly faster between trees, with a planner for its path."
    countered, enabled = fast.classify([("Detecting and jamming drones", defence), ("Fast flight of UAVs", better)])
    assert countered.judgements["drones"].role == "counters"
    assert enabled.judgements["drones"].role == "enables"


def test_rows_and_columns_and_compiled_code_tell_the_same(shipped: Model, results: list[Result]) -> None:
    shipped.prepare()
    columns = shipped.judge_arrow(*(pa.array([document[side] for document in DOCUMENTS]) for side in (0, 1)))
    assert tuple(columns.schema.names) == RESULT_COLUMNS
    want = [{name: row[name] for name in RESULT_COLUMNS} for row in (result.as_row() for result in results)]
    assert columns.to_pylist() == want
    for place in range(0, len(DOCUMENTS), 17):
        (alone,) = shipped.classify([DOCUMENTS[place]])
        assert alone.judgements == results[place].judgements


def test_shares_of_equal_logits_are_equal_and_none_overflows() -> None:
    np.testing.assert_allclose(shares(np.array([[3.0, 3.0, 3.0]])), 1 / 3, atol=1e-6)
    np.testing.assert_allclose(shares(np.array([[900.0, -900.0, 0.0]])), [[1, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(shares(np.log(np.array([[0.7, 0.2, 0.1]]))), [[0.7, 0.2, 0.1]], atol=1e-6)


def test_ones_own_thresholds_decide_and_leave_the_model_as_it_was(fast: Model) -> None:
    own = fast.with_thresholds("mine", HIGH, LOW)
    assert "mine" not in fast.thresholds
    for ours, theirs in zip(own.classify(DOCUMENTS[:30], profile="mine"), fast.classify(DOCUMENTS[:30]), strict=True):
        for tag in TAGS:
            p = ours.judgements[tag].probability
            assert p == theirs.judgements[tag].probability
            assert ours.judgements[tag].decision == ("flag" if p >= 0.9 else "review" if p >= 0.001 else "clear")


@pytest.mark.parametrize("bad", [{}, HIGH | {"drones": 0.0}, HIGH | {"drones": 1.1}, HIGH | {"tanks": 0.5}])
def test_thresholds_that_leave_out_a_tag_or_are_no_probability_are_refused(fast: Model, bad: dict[str, float]) -> None:
    with pytest.raises(DualuseError, match="flag thresholds"):
        fast.with_thresholds("mine", bad, LOW)


def test_the_profile_of_a_file_is_named_by_its_values(fast: Model, tmp_path: Path) -> None:
    a, b, c = (tmp_path / name for name in "abc")
    a.write_text(to_file(fast, HIGH, LOW, {"recall": 0.9}))
    b.write_text(to_file(fast, HIGH, LOW, {}))
    c.write_text(to_file(fast, HIGH | {"drones": 0.8}, LOW, {}))
    names = [use_file(fast, path)[1] for path in (a, b, c)]
    assert names[0] == names[1] != names[2]


def test_a_file_for_another_model_or_of_another_kind_is_refused(fast: Model, shipped: Model, tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    path.write_text(to_file(fast, HIGH, LOW, {}))
    with pytest.raises(InputError, match=rf"made for {fast.id}.*{shipped.id}"):
        use_file(shipped, path)
    for content in ("no JSON", "[]", "{}", '{"format": 1, "model": {"digest": "x"}, "flag": {"drones": "a"}}'):
        path.write_text(content)
        with pytest.raises(InputError, match="dualuse thresholds"):
            use_file(fast, path)


def test_a_run_with_ones_own_thresholds_says_so_in_its_record_and_is_not_resumed_with_others(
    fast: Model, tmp_path: Path
) -> None:
    out, own = tmp_path / "out.jsonl", tmp_path / "own.json"
    own.write_text(to_file(fast, HIGH, LOW, {}))
    command = ["classify", str(ROOT / "data/examples/projects.csv"), "--model", "fast", "-o", str(out)]
    done = CliRunner().invoke(main, [*command, "--thresholds", str(own)])
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    decisions = [{row[f"{tag}_decision"] for tag in TAGS} for row in rows]
    reviewed = sum("review" in found and "flag" not in found for found in decisions)
    assert f"for review, with no flag: {reviewed} (" in done.output
    assert all((row["drones_decision"] == "flag") == (row["drones_probability"] >= 0.9) for row in rows)
    record = json.loads((tmp_path / "out.jsonl.run.json").read_text())
    assert record["thresholds"] == {"flag": HIGH, "review": LOW}
    assert record["reviewed"] == reviewed
    assert record["identity"]["options"]["profile"].startswith("thresholds-")
    again = CliRunner().invoke(main, [*command, "--thresholds", str(own)])
    assert "nothing to do" in again.output
    own.write_text(to_file(fast, HIGH | {"drones": 0.2}, LOW, {}))
    other = CliRunner().invoke(main, [*command, "--thresholds", str(own)])
    assert "nothing to do" not in other.output
    assert CliRunner().invoke(main, [*command, "--thresholds", str(own), "--profile", "mine"]).exit_code == 2
