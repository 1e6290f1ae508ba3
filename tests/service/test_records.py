"""A determination record proves what was judged, and holds no word of it."""

import csv
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result
from fastapi import FastAPI
from fastapi.testclient import TestClient

from classifier import TAGS, Model
from classifier.cli import main
from service.app import create_app
from service.records import CASRAI_FIELDS, FILE_NAME, input_digest
from service.settings import Settings
from tests.service.helpers import JSONL, finish

DOCUMENTS = [
    {"id": "award-1", "title": "A quadrotor for mint growers", "abstract": "It counts plants in the <b>field</b>."},
    {"id": "award-2", "title": "Cloned voices on the telephone", "abstract": "Cloned voices, cloned voices."},
    {"title": "Worms", "abstract": ""},
]


@pytest.fixture
def app(tmp_path: Path, model_folder: Path) -> FastAPI:
    return create_app(Settings(model=model_folder, data_dir=tmp_path / "data", records=True))


@pytest.fixture
def recording(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app) as client:
        yield client


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / FILE_NAME


def lines(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def command(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["records", *map(str, arguments)])


def post(client: TestClient, documents: Any = DOCUMENTS) -> list[dict[str, Any]]:
    answer = client.post("/v1/classify", json={"documents": documents}, headers={"X-Request-ID": "asked-1"})
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def test_an_entry_says_what_the_caller_was_told(recording: TestClient, path: Path, model: Model) -> None:
    results = post(recording)
    entries = lines(path)
    assert [entry["document"] for entry in entries] == [1, 2, 3]
    for entry, result, document in zip(entries, results, DOCUMENTS, strict=True):
        assert entry["probabilities"] == {tag: result[f"{tag}_probability"] for tag in TAGS}
        assert entry["decisions"] == {tag: result[f"{tag}_decision"] for tag in TAGS}
        assert entry["thresholds"] == model.thresholds["balanced"]
        assert entry["input_sha256"] == input_digest(document["title"], document["abstract"])
        assert (entry["model"], entry["model_sha256"]) == (model.id, model.digest)
        assert (entry["request_id"], entry["key_id"], entry["route"]) == ("asked-1", "local", "/v1/classify")
    assert entries[0]["cleaned_sha256"] != entries[0]["input_sha256"], "markup was cleaned, and nobody could tell"


def test_no_word_and_no_id_of_a_document_stands_in_the_file(recording: TestClient, path: Path) -> None:
    post(recording)
    held = path.read_text().lower()
    for word in ("quadrotor", "mint", "growers", "telephone", "worms", "award-1"):
        assert word not in held


def test_the_digest_keeps_title_and_abstract_apart() -> None:
    assert input_digest("ab", "c") != input_digest("a", "bc")
    assert input_digest("", "") != input_digest("", "\x00")


def test_every_way_of_judging_is_recorded(recording: TestClient, path: Path) -> None:
    assert recording.post("/v1/classify/flat", json={"title": "A quadrotor"}).status_code == 200
    file = ("papers.csv", b"title,abstract\nWorms,Soil\nA quadrotor,Flies\n", "text/csv")
    assert recording.post("/file", files={"file": file}).status_code == 200
    assert [entry["route"] for entry in lines(path)] == ["/v1/classify/flat", "/file", "/file"]


def test_a_job_has_one_entry_that_proves_its_result(recording: TestClient, path: Path) -> None:
    headers = {"Content-Type": "application/x-ndjson"}
    location = recording.post("/v1/jobs", content=JSONL, headers=headers).headers["location"]
    assert finish(recording, location)["state"] == "done"
    result = recording.get(f"{location}/result").content
    (entry,) = lines(path)
    assert entry["kind"] == "job"
    assert location.endswith(entry["job_id"])
    assert entry["inputs"] == [{"bytes": len(JSONL), "sha256": hashlib.sha256(JSONL).hexdigest()}]
    assert entry["outputs"][0]["sha256"] == hashlib.sha256(result).hexdigest()
    assert (entry["rows"], entry["scored"], entry["refused"]) == (4, 3, 1)
    assert command("verify", "--file", path).exit_code == 0
    assert command("export", "--file", path, "--format", "json").stdout == "[]\n"


def test_nothing_is_written_where_records_are_off(client: TestClient, tmp_path: Path) -> None:
    post(client)
    assert client.app.state.recorder is None  # type: ignore[attr-defined]


def test_what_cannot_be_recorded_is_not_answered(
    recording: TestClient, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, data: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.write", full)
        answer = recording.post("/v1/classify", json={"documents": DOCUMENTS})
    assert answer.status_code == 503
    assert "No space left" in answer.json()["detail"]
    assert "probability" not in answer.text
    post(recording)
    assert command("verify", "--file", path).exit_code == 0


def test_where_the_file_of_records_was_changed_nothing_is_answered_until_it_is_looked_into(
    recording: TestClient, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    post(recording)
    path.write_bytes(path.read_bytes().replace(b'"decisions":{', b'"decisions": {'))
    answer = recording.post("/v1/classify", json={"documents": DOCUMENTS})
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert "was changed" in answer.json()["detail"]
    assert str(path.parent) not in answer.text
    assert "not recorded" in caplog.text


def test_a_line_torn_by_a_kill_is_mended_at_the_start_and_logged(
    app: FastAPI, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with TestClient(app) as client:
        post(client)
    path.write_bytes(path.read_bytes()[:-100])
    with TestClient(app) as client:
        post(client)
    assert [record for record in caplog.records if "records mended" in record.getMessage()]
    checked = command("verify", "--file", path)
    assert checked.exit_code == 0
    assert "note: line 3: a write was cut short" in checked.output


def test_verify_finds_a_changed_score(recording: TestClient, path: Path) -> None:
    post(recording)
    assert command("verify", "--file", path).exit_code == 0
    path.write_bytes(path.read_bytes().replace(b'"clear"', b'"flag"', 1))
    checked = command("verify", "--file", path)
    assert checked.exit_code == 1
    assert "PROBLEM: line 1: line 1 is changed or damaged" in checked.output


def test_a_head_kept_elsewhere_shows_a_missing_end_and_a_chain_written_anew(
    app: FastAPI, path: Path, tmp_path: Path
) -> None:
    with TestClient(app) as client:
        post(client)
    printed = CliRunner().invoke(main, ["records", "head", "--file", str(path)])
    head = printed.stdout.strip()
    assert head == f"{lines(path)[-1]['hash']}:3"
    assert command("verify", "--file", path, "--head", head).exit_code == 0

    whole = path.read_bytes()
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:2]))
    assert command("verify", "--file", path).exit_code == 0, "a missing end cannot show without a head"
    short = command("verify", "--file", path, "--head", head)
    assert (short.exit_code, "the end is gone" in short.output) == (1, True)

    path.unlink()
    with TestClient(app) as client:
        post(client)
        post(client)
    assert command("verify", "--file", path).exit_code == 0, "a new chain is sound in itself"
    anew = command("verify", "--file", path, "--head", head)
    assert (anew.exit_code, "written anew" in anew.output) == (1, True)


def test_a_later_file_still_agrees_with_an_earlier_head(recording: TestClient, path: Path) -> None:
    post(recording)
    head = command("head", "--file", path).stdout.strip()
    post(recording)
    checked = command("verify", "--file", path, "--head", head, "--head", f"{'0' * 64}:0")
    assert checked.exit_code == 0, checked.output


def test_a_text_is_replayed_to_the_bit(recording: TestClient, path: Path, model_folder: Path, tmp_path: Path) -> None:
    post(recording)
    first = DOCUMENTS[0]
    arguments = ("replay", "--file", path, "--model", model_folder)
    done = command(*arguments, "--title", first["title"], "--text", first["abstract"])
    assert done.exit_code == 0, done.output
    assert "entry 1 of " in done.output
    assert "the same to the bit" in done.output

    source = tmp_path / "papers.jsonl"
    source.write_text("".join(json.dumps(document) + "\n" for document in DOCUMENTS))
    assert command(*arguments, source).output.count("the same to the bit") == 3

    other = command(*arguments, "--title", first["title"], "--text", first["abstract"] + " ")
    assert (other.exit_code, "no entry" in other.output) == (1, True)


def test_a_replay_says_what_differs(recording: TestClient, path: Path) -> None:
    post(recording)
    done = command("replay", "--file", path, "--model", "fast", "--title", "Worms")
    assert done.exit_code == 1
    assert "model: recorded tiny-1.0.0" in done.output
    assert "probabilities, drones: recorded" in done.output
    assert "thresholds, drones: recorded 0.5" in done.output


def test_an_export_leaves_the_determination_to_the_officer(recording: TestClient, path: Path, tmp_path: Path) -> None:
    results = post(recording)
    target = tmp_path / "determinations.csv"
    assert command("export", "--file", path, "-o", target).exit_code == 0
    with target.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    for row, result in zip(rows, results, strict=True):
        assert all(row[name] == "" for name in CASRAI_FIELDS)
        assert row["screening_flagged"] == ",".join(result["tags"])
        assert float(row["screening_drones_probability"]) == result["drones_probability"]
    shown = command("export", "--file", path, "--format", "json", "--flagged").stdout
    flagged = json.loads(shown)
    assert [row["screening_document"] for row in flagged] == [
        place for place, result in enumerate(results, 1) if result["tags"]
    ]
    assert flagged[0]["finding"] is None


def test_a_broken_chain_is_not_exported(recording: TestClient, path: Path, tmp_path: Path) -> None:
    post(recording)
    path.write_bytes(path.read_bytes().replace(b'"clear"', b'"flag"', 1))
    done = command("export", "--file", path, "-o", tmp_path / "out.csv")
    assert done.exit_code == 1
    assert not (tmp_path / "out.csv").exists()


def test_wrong_use_is_told(tmp_path: Path, recording: TestClient, path: Path) -> None:
    post(recording)
    assert command("verify", "--file", tmp_path / "none").exit_code == 2
    assert command("replay", "--file", path).exit_code == 2
    assert command("verify", "--file", path, "--head", "abc").exit_code == 2  # no finding of tampering
    two = command("verify", "--file", path, "--head", f"{'1' * 64}:2", "--head", f"{'2' * 64}:2")
    assert (two.exit_code, "different hashes" in two.output) == (2, True)
