"""The swap report: listed names change nothing, and a redactor that fails is told on."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from classifier import Record, load
from classifier.cli import main
from training import swap
from training.swap import AS_IT_WAS, PLACES, put, swap_names

RECORD = Record("one", "Swarms", "The aircraft was built in Iran and it flies in swarms over the sea for days.", 1, {})


def test_a_name_is_put_where_it_is_said_to_be() -> None:
    texts = {place: (put(RECORD, place, "Peru") or ("", ""))[1] for place in PLACES}
    assert texts["start"].startswith("Peru The aircraft")
    assert texts["end"].endswith("days. Peru")
    assert texts["in place of a name"].startswith("The aircraft was built in Peru and")
    assert " Peru " in texts["middle"]
    assert put(Record("two", "", "No such thing.", 1, {}), "in place of a name", "Peru") is None


def test_listed_names_change_nothing_at_any_place() -> None:
    report = swap_names(load("fast"), [RECORD], 25, 1)
    assert not report["failed"]
    assert {row["place"] for row in report["rows"]} == set(PLACES)
    assert all(row["swaps"] == 25 for row in report["rows"] if row["kind"] != AS_IT_WAS)


def test_the_command_fails_where_a_listed_name_changes_a_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dump = tmp_path / "dump.jsonl"
    dump.write_text(json.dumps({"id": "one", "title": RECORD.title, "abstract": RECORD.abstract}) + "\n")
    arguments = ["data", "swap", str(dump), "--model", "fast", "--names", "1", "-o", str(tmp_path / "report.json")]
    good = CliRunner().invoke(main, arguments)
    assert good.exit_code == 0, good.output
    assert "made-up person" in good.output
    lists = swap.read_list
    not_known = ["Missile Guidance Drone"]
    monkeypatch.setattr(swap, "read_list", lambda at, name: not_known if name == "countries" else lists(at, name))
    bad = CliRunner().invoke(main, arguments)
    assert bad.exit_code == 1
    assert json.loads((tmp_path / "report.json").read_text())["failed"]
