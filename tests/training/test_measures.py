"""Robustness, breakdown and agreement on small examples whose figures can be counted by hand."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier import Model, Record
from classifier.cleaning import clean
from classifier.errors import InputError
from classifier.results import TAGS
from tests.conftest import ROOT
from training import agreement, breakdown, cost, robustness
from training.disguises import DISGUISES, disguise
from training.evaluate import LabelledRecords
from training.labels import Label
from training.measured import f1_with_interval, wilson

TEXT = "A controller lands a small unmanned aircraft on a moving ship; fifty landings in wind were flown at sea."
HARMLESS = ("zero-width characters", "line-break hyphens", "markup", "full-width letters")


@pytest.mark.parametrize("name", HARMLESS)
@given(seed=st.text(max_size=8))
@settings(max_examples=30, deadline=None)
def test_cleaning_takes_a_disguise_off_whole(name: str, seed: str) -> None:
    assert clean(disguise(name, TEXT, seed)).split() == TEXT.split()


@pytest.mark.parametrize("name", DISGUISES)
def test_a_disguise_changes_the_text_and_is_the_same_for_the_same_seed(name: str) -> None:
    once = disguise(name, TEXT * 5, "a")
    assert once != TEXT * 5
    assert once == disguise(name, TEXT * 5, "a")
    assert disguise(name, "", "a") == ""


def test_noise_is_of_the_size_that_its_name_says() -> None:
    text = "m" * 20_000
    for name, rate in (("OCR noise 1 %", 0.01), ("OCR noise 5 %", 0.05)):
        kept = disguise(name, text, "s").count("m")
        assert abs(kept - len(text) * (1 - rate * 0.75)) < len(text) * 0.005


def small() -> LabelledRecords:
    pairs = [json.loads(line) for line in (ROOT / "data/cases/minimal_pairs.jsonl").read_text("utf-8").splitlines()]
    records, labels = [], []
    for number, pair in enumerate(pairs[:12]):
        for side in ("inside", "outside"):
            text, id = pair[side], f"{number}/{side}"
            records.append(Record(id, text["title"], text["abstract"], number, {}))
            roles = {pair["tag"]: "enables"} if side == "inside" else {}
            source = "arxiv_x" if number % 2 else "nsf_x"
            labels.append(Label(id, "dev", roles, weight=2.0, source=source, license="CC0-1.0", year=1990 + number))
    return LabelledRecords(records, labels, [])


def test_robustness_counts_tags_lost_of_those_found(fast: Model) -> None:
    report = robustness.measure(fast, small())
    rows = {row["disguise"]: row for row in report["disguises"]}
    assert list(rows) == ["clean", *DISGUISES]
    assert report["tags"] == 12
    found = rows["clean"]["recall"]["hits"]
    for name in HARMLESS:
        assert rows[name]["lost"] == wilson(0, found)
        assert rows[name]["may_lose"] == 0.02
    assert rows["OCR noise 1 %"]["may_lose"] == 0.05
    assert rows["OCR noise 5 %"]["may_lose"] is None
    assert report["model"]["digest"] == fast.digest
    assert "OVER" not in robustness.table(report).replace("OVER 5%", "")


def test_breakdown_adds_up(fast: Model) -> None:
    labelled = small()
    report = breakdown.measure(fast, labelled)
    results = fast.classify(labelled.records)
    right = sum(len(set(r.tags) & set(label.tags)) for r, label in zip(results, labelled.labels, strict=True))
    false = sum(len(set(r.tags) - set(label.tags)) for r, label in zip(results, labelled.labels, strict=True))
    assert sum(row[tag]["right"] for row in report["sources"] for tag in TAGS) == right
    assert sum(row[tag]["false"] for row in report["sources"] for tag in TAGS) == false
    assert sum(report["confusion"][tag][tag] for tag in TAGS) == right
    for part in ("source", "kind", "year", "text length"):
        assert sum(row["records"] for row in report["groups"] if row["part"] == part) == len(results)
        assert sum(row["recall"]["hits"] for row in report["groups"] if row["part"] == part) == right
    assert sum(found["false alarms"]["count"] for found in report["wrong"].values()) == false
    for bins in report["reliability"].values():
        assert sum(row["share_of_stream"] for row in bins) == pytest.approx(1, abs=1e-3)
        assert sum(row["records"] for row in bins) == len(results)


def test_ids_of_records_without_an_open_licence_are_not_listed() -> None:
    labels = [
        Label("open", "dev", license="CC0-1.0"),
        Label("closed", "dev"),
        Label("h", "dev", hard=True, license="x"),
    ]
    truth, flag = np.zeros((3, len(TAGS)), bool), np.zeros((3, len(TAGS)), bool)
    flag[:, 0] = True
    found = breakdown.wrong(truth, flag, labels)["drones"]["false alarms"]
    assert found == {"count": 3, "hard": 1, "clear ones": ["open"]}


def test_agreement_is_what_a_hand_count_gives(tmp_path: Path) -> None:
    path, out = tmp_path / "readings.csv", tmp_path / "agreement.json"
    path.write_text("id,first,second\na,drones guidance,drones\nb,drones,\nc,,\nd,drones,drones\n")
    done = CliRunner().invoke(agreement.main, [str(path), "-o", str(out)])
    assert done.exit_code == 0, done.output
    report = json.loads(out.read_text())
    drones = report["tags"]["drones"]
    assert drones["count"] == {"first": 3, "second": 2}
    assert drones["f1"]["value"] == pytest.approx(2 * 2 / 5)
    # 3 of 4 alike; by chance 3/4 * 2/4 + 1/4 * 2/4 = 1/2
    assert drones["kappa"]["value"] == pytest.approx(0.5)
    assert report["tags"]["guidance"]["f1"]["value"] == 0
    assert report["tags"]["wargaming"]["f1"]["value"] is None
    assert report["tags"]["macro"]["f1"]["value"] is not None
    assert report["records"] == 4


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("id,first\na,drones\n", "columns are"),
        ("id,first,second\na,droned,\n", "line 2: tag 'droned'"),
        ("id,first,second\na,,\na,,\n", "line 3: id 'a' stands twice"),
        ("id,first,second\narxiv:1705.0063,,\narxiv:1705.00630,,\n", "line 3: id 'arxiv:1705.00630' stands twice"),
        ("id,first,second\n", "holds no readings"),
    ],
)
def test_readings_that_cannot_be_used_are_named(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "readings.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=told):
        agreement.read_readings(path)


def test_intervals_hold_their_value_and_nothing_is_no_share() -> None:
    for hits, total in ((0, 5), (5, 5), (3, 40)):
        share = wilson(hits, total)
        assert share["low"] <= share["value"] <= share["high"]  # type: ignore[operator]
    assert wilson(0, 0)["value"] is None
    truth = np.eye(5, dtype=bool)
    assert f1_with_interval(truth, truth) == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert f1_with_interval(~truth & False, ~truth & False)["value"] is None


def test_cost_is_measured_and_energy_is_not_guessed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cost, "_COUNTERS", tmp_path)
    spent = cost.measured(lambda: time.sleep(0.2))
    assert spent["joules"] is None
    assert spent["seconds"] >= 0.2
    assert spent["processor_seconds"] < 0.2
    assert spent["peak_memory_mb"] > 1
    counter = tmp_path / "intel-rapl:0"
    counter.mkdir()
    (counter / "energy_uj").write_text("1000000")
    assert cost.measured(lambda: (counter / "energy_uj").write_text("6000000"))["joules"] == 5
