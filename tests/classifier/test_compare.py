"""`dualuse compare`: nothing that changed is missed, whatever the order of rows, and the words name the cause."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from classifier import Model, load
from classifier.cli import main
from classifier.compare import compare_outputs, explain_changes
from classifier.errors import InputError
from classifier.results import TAGS


def row(id: str, drones: float, decision: str, model: str = "old-1") -> dict[str, object]:
    rest = {f"{tag}_{part}": value for tag in TAGS for part, value in (("probability", 0.01), ("decision", "clear"))}
    return {"id": id} | rest | {"drones_probability": drones, "drones_decision": decision, "model": model}


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return path


def test_changed_decisions_are_counted_by_direction_and_listed_largest_first(tmp_path: Path) -> None:
    old = write(tmp_path / "old.jsonl", [row("a", 0.9, "flag"), row("b", 0.1, "clear"), row("c", 0.1, "clear")])
    new = write(
        tmp_path / "new.jsonl", [row("a", 0.4, "review"), row("b", 0.95, "flag"), row("c", 0.2, "clear", "new-2")]
    )
    found = compare_outputs(old, new)
    assert found.both == 3
    assert found.records_changed == 2
    assert dict(found.counts["drones"]) == {("flag", "review"): 1, ("clear", "flag"): 1}
    assert not any(found.counts[tag] for tag in TAGS if tag != "drones")
    assert [change.id for change in found.changes] == ["b", "a"]
    assert (found.old_model, found.new_model) == ("old-1", "new-2")
    assert [change.id for change in compare_outputs(old, new, limit=1).changes] == ["b"]


def test_rows_are_joined_by_id_in_any_order_and_those_of_one_side_are_counted(tmp_path: Path) -> None:
    rows = [row(str(n), n / 100, "flag" if n > 50 else "clear") for n in range(100)]
    order = np.random.default_rng(0).permutation(100)
    old = write(tmp_path / "old.jsonl", [*rows, row("gone", 0.9, "flag")])
    new = write(tmp_path / "new.jsonl", [row("fresh", 0.9, "flag"), *(rows[n] for n in order)])
    found = compare_outputs(old, new)
    assert (found.both, found.records_changed, found.only_old, found.only_new) == (100, 0, 1, 1)


def test_an_id_that_stands_twice_is_matched_first_with_first(tmp_path: Path) -> None:
    old = write(tmp_path / "old.jsonl", [row("a", 0.1, "clear"), row("x", 0.1, "clear"), row("a", 0.9, "flag")])
    new = write(tmp_path / "new.jsonl", [row("a", 0.1, "clear"), row("a", 0.9, "flag"), row("x", 0.1, "clear")])
    found = compare_outputs(old, new)
    assert (found.both, found.records_changed) == (3, 0)


def test_outputs_of_other_records_and_files_that_are_no_outputs_are_refused(tmp_path: Path) -> None:
    old = write(tmp_path / "old.jsonl", [row("a", 0.1, "clear")])
    other = write(tmp_path / "other.jsonl", [row("b", 0.1, "clear")])
    with pytest.raises(InputError, match="no id in common"):
        compare_outputs(old, other)
    plain = write(tmp_path / "plain.jsonl", [{"id": "a", "title": "Soil"}])
    with pytest.raises(InputError, match="Give an output of `dualuse classify`"):
        compare_outputs(old, plain)


def test_the_words_named_are_those_whose_weight_differs(tmp_path: Path, fast: Model) -> None:
    text = {"id": "a", "title": "Quadrotor landing", "abstract": "A controller lands a quadrotor on a moving ship."}
    dump = write(tmp_path / "dump.jsonl", [text])
    other = load("fast")
    other._weights = np.array(other._weights)
    result = fast.classify([text])[0]
    before = result.as_row()
    # A model to which no n-gram of drones means anything: every word of the change must speak for drones.
    other._weights[:, TAGS.index("drones")] = 0
    after = other.classify([text])[0].as_row()
    old, new = write(tmp_path / "old.jsonl", [after]), write(tmp_path / "new.jsonl", [before])
    found = compare_outputs(old, new)
    (change,) = explain_changes(found.changes, dump, other, fast)
    assert (change.old_decision, change.new_decision) == ("clear", "flag")
    assert "quadrotor" in [word for word, _ in change.words]
    assert all(part > 0 for _, part in change.words)


def test_the_command_compares_what_classify_wrote_in_any_format(tmp_path: Path) -> None:
    dump = write(tmp_path / "dump.jsonl", [{"id": "a", "title": "Fake news detection on social networks"}])
    for name in ("old.csv", "new.parquet"):
        done = CliRunner().invoke(main, ["classify", str(dump), "-o", str(tmp_path / name), "--model", "fast"])
        assert done.exit_code == 0, done.output
    arguments = ["compare", str(tmp_path / "old.csv"), str(tmp_path / "new.parquet"), "--dump", str(dump)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert "records with a changed decision: 0 (0.0%)" in done.output
    assert json.loads(CliRunner().invoke(main, [*arguments, "--json"]).stdout)["both"] == 1
