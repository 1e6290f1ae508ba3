"""`dualuse evaluate` and `dualuse data ...` on a small labelled dump of our own."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from classifier import load
from classifier.cli import main
from tests.conftest import ROOT
from training.evaluate import read_labelled
from training.featurestore import read_features
from training.labels import read_labels

PAIRS = [
    json.loads(line) for line in (ROOT / "data/cases/minimal_pairs.jsonl").read_text(encoding="utf-8").splitlines()
]


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    rows = []
    for number, pair in enumerate(PAIRS):
        for side in ("inside", "outside"):
            tags = [pair["tag"]] if side == "inside" else []
            rows.append(
                pair[side]
                | {
                    "id": f"{pair['id']}/{side}",
                    "tags": tags,
                    "hard": number % 3 == 0,
                    "weight": 2.0 if number % 2 else None,
                }
                | {"split": "dev" if number < 30 else "train", "source": "arxiv" if number % 2 else "nsf", "year": 2020}
                | {"license": "arXiv metadata CC0 1.0"}
            )
    path = tmp_path / "labelled.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_evaluate_writes_what_the_decisions_say(labelled: Path, tmp_path: Path) -> None:
    shown = run("evaluate", labelled, "--no-baselines", "-o", tmp_path / "metrics.json")
    report = json.loads((tmp_path / "metrics.json").read_text())
    rows = [json.loads(line) for line in labelled.read_text().splitlines()]
    results = load().classify(rows)
    truth = np.array(["drones" in row["tags"] for row in rows])
    flag = np.array(["drones" in result.tags for result in results])
    figures = report["systems"][load().id]["all"]["drones"]
    assert figures["precision"]["value"] == pytest.approx((truth & flag).sum() / flag.sum(), abs=1e-4)
    assert figures["recall"]["value"] == pytest.approx((truth & flag).sum() / truth.sum(), abs=1e-4)
    assert figures["count"] == {"positives": int(truth.sum()), "flagged": int(flag.sum())}
    assert set(report["systems"][load().id]) == {"all", "not hard", "papers", "projects", "natural prevalence"}
    assert report["model"]["digest"] == load().digest
    assert "language-model annotators" in report["labels"]
    assert "drones" in shown


def test_evaluate_measures_both_baselines_and_one_split(labelled: Path, tmp_path: Path) -> None:
    run("evaluate", labelled, "--split", "dev", "-o", tmp_path / "metrics.json")
    report = json.loads((tmp_path / "metrics.json").read_text())
    assert list(report["systems"]) == [load().id, "keyword list", "TF-IDF + logistic regression"]
    assert report["records"]["measured"] == 60
    assert report["systems"]["keyword list"]["all"]["drones"]["recall"]["value"] > 0.5


def test_records_without_tags_are_named(tmp_path: Path) -> None:
    path = tmp_path / "plain.jsonl"
    path.write_text('{"id": "x1", "title": "Soil", "tags": []}\n{"id": "x2", "title": "Clay"}\n')
    assert "x2" in run("evaluate", path, "--no-baselines", code=1)
    path.write_text('{"id": "x1", "title": "Soil", "tags": ["droned"]}\n')
    assert "'droned' is not one of drones" in run("evaluate", path, "--no-baselines", code=1)


def test_labels_extract_and_hydrate_fit_together(labelled: Path, tmp_path: Path) -> None:
    labels, features, again = tmp_path / "labels", tmp_path / "features", tmp_path / "again.jsonl"
    run("data", "labels", "--from", labelled, "-o", labels)
    assert len(read_labels(labels)) == 2 * len(PAIRS)
    assert "in clay" not in (labels / "train.csv").read_text()
    shown = run("data", "extract", "--from", labelled, "--labels", labels, "-o", features)
    assert f"{2 * len(PAIRS) - 60} of {2 * len(PAIRS) - 60} labelled training records" in shown
    run("data", "hydrate", labelled, "--labels", labels, "-o", again)
    want = [json.loads(line) for line in labelled.read_text().splitlines()]
    got = [json.loads(line) for line in again.read_text().splitlines()]
    for name in ("id", "title", "abstract", "tags", "hard", "split", "weight"):
        assert [row[name] for row in got] == [row[name] for row in want]
    run("evaluate", again, "--no-baselines", "--split", "dev")


def test_a_dump_joins_in_whatever_way_it_writes_arxivs_identifiers(tmp_path: Path) -> None:
    ways = [
        ("arxiv:1001.42", "arxiv:1001.4200"),
        ("arxiv:1803.0103399999998", "https://arxiv.org/abs/1803.01034v2"),
        ("1502.00831", "arXiv:1502.00831"),
        ("arxiv:705.2633", "0705.2633"),
        ("arxiv:cs/0505070", "cs/0505070v1"),
    ]
    files = [tmp_path / name for name in ("labelled.jsonl", "dump.jsonl")]
    for side, file in enumerate(files):
        rows = [
            {"id": pair[side], "title": "Quadrotor landing", "abstract": "A controller lands it.", "tags": ["drones"]}
            | {"split": "train", "license": "arXiv metadata CC0 1.0"}
            for pair in ways
        ]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    labels, features, joined = tmp_path / "labels", tmp_path / "features", tmp_path / "joined.jsonl"
    run("data", "labels", "--from", files[0], "-o", labels)
    canonical = ["arxiv:1001.4200", "arxiv:1803.01034", "arxiv:1502.00831", "arxiv:0705.2633", "arxiv:cs/0505070"]
    assert [label.id for label in read_labels(labels)] == sorted(canonical)
    for file in files:
        assert "5 of 5 labelled records" in run("data", "hydrate", file, "--labels", labels, "-o", joined)
        assert [json.loads(line)["id"] for line in joined.read_text().splitlines()] == canonical
        run("data", "extract", "--from", file, "--labels", labels, "-o", features)
        assert read_features(features).ids == tuple(sorted(canonical))
        assert [record.id for record in read_labelled(file).records] == canonical


def test_labels_of_one_paper_under_two_identifiers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "labelled.jsonl"
    row = {"title": "Soil", "tags": [], "license": "arXiv metadata CC0 1.0"}
    path.write_text("".join(json.dumps(row | {"id": one}) + "\n" for one in ("arxiv:1705.0063", "1705.00630v1")))
    assert "'arxiv:1705.00630' is labelled twice" in run(
        "data", "labels", "--from", path, "-o", tmp_path / "labels", code=1
    )
    assert not (tmp_path / "labels").exists()


def test_extract_says_when_a_dump_holds_none_of_the_records(tmp_path: Path) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text('{"id": "unknown", "title": "Soil"}\n')
    assert "None of the" in run("data", "extract", "--from", path, "-o", tmp_path / "features", code=1)
