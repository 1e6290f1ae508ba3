"""A kill, a stop and a second process change nothing of what comes out, and lose nothing that was taken."""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from click.testing import CliRunner
from fastapi.testclient import TestClient

from classifier import Model
from classifier.errors import DualuseError
from service.app import create_app
from service.cli import serve
from service.database import Base, open_database
from service.settings import Settings
from tests.service.helpers import JSONL, PATIENCE, Held, Server, by_command, finish, keys, wait_until
from tests.service.test_problems import check_problem

NDJSON = {"Content-Type": "application/x-ndjson"}
ROWS = 30_000
SEGMENT = 1_000
WORDS = ("quadrotor", "missile", "cloned voices", "crowd", "brigade", "mint", "soil")


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dump") / "in.jsonl"
    chance = random.Random(7)
    with path.open("w") as file:
        for place in range(ROWS):
            text = " ".join(chance.choices(WORDS, k=40)) if place % 500 else ""
            file.write(json.dumps({"id": f"r-{place}", "title": "", "abstract": text}) + "\n")
    return path


@pytest.fixture
def kept() -> Iterator[list[Server]]:
    servers: list[Server] = []
    yield servers
    for server in servers:
        server.kill()


def test_killed_ten_times_a_job_gives_the_same_bytes(
    model_folder: Path, model: Model, dump: Path, tmp_path: Path, kept: list[Server]
) -> None:
    settings = {"model": model_folder, "job_segment_rows": SEGMENT, "job_threads": 1}
    chance = random.Random(11)
    kept.append(Server(**settings))
    with dump.open("rb") as file:
        posted = httpx2.post(
            f"{kept[-1].url}/v1/jobs?output=parquet", content=file.read(), headers=NDJSON, timeout=PATIENCE
        )
    location = posted.headers["location"]
    amid = 0
    for place in range(10):
        if place % 2:  # amid the work; else whatever the moment brings, also the start
            wait_until(lambda: look(kept[-1], location)["rows"])
        time.sleep(chance.uniform(0, 0.02 if place % 2 else 0.3))
        status = look(kept[-1], location)
        amid += status["state"] == "running" and bool(status["rows"])
        kept.pop().kill()
        kept.append(Server(**settings))
    assert amid >= 2, "the job was done too soon for the kills to prove anything"
    with httpx2.Client(base_url=kept[-1].url) as client:
        status = finish(client, location)
        assert (status["state"], status["rows"], status["refused"]) == ("done", ROWS, ROWS // 500)
        wanted = by_command(model, dump, tmp_path / "out.parquet", segment_rows=SEGMENT)
        assert client.get(status["result"]).content == wanted
        assert client.get(status["rejects"]).content == (tmp_path / "rejects").read_bytes()


def look(server: Server, location: str) -> dict[str, Any]:
    status: dict[str, Any] = httpx2.get(f"{server.url}{location}", timeout=PATIENCE).json()
    return status


def test_stopped_amid_a_job_the_next_start_goes_on_from_where_it_was(
    model_folder: Path, model: Model, dump: Path, tmp_path: Path
) -> None:
    settings = Settings(model=model_folder, job_segment_rows=SEGMENT, job_threads=1)
    app = create_app(settings)
    with TestClient(app) as client, dump.open("rb") as file:
        location = client.post("/v1/jobs", content=file.read(), headers=NDJSON).headers["location"]
        wait_until(lambda: app.state.worker.progress and app.state.worker.progress.rows > 2 * SEGMENT)
    again = create_app(settings)
    with TestClient(again) as client:
        status = finish(client, location)
        assert client.get(status["result"]).content == by_command(model, dump, tmp_path / "out.jsonl")
        assert again.state.worker.rows < ROWS, "it began again"


def test_a_job_begun_with_another_model_is_done_with_the_present_one(
    model_folder: Path, fast: Model, dump: Path, tmp_path: Path
) -> None:
    settings = Settings(model=model_folder, job_segment_rows=SEGMENT, job_threads=1)
    app = create_app(settings)
    small = b"".join(dump.read_bytes().splitlines(keepends=True)[: 3 * SEGMENT])
    (tmp_path / "in.jsonl").write_bytes(small)
    with TestClient(app) as client:
        location = client.post("/v1/jobs", content=small, headers=NDJSON).headers["location"]
        wait_until(lambda: app.state.worker.progress and app.state.worker.progress.rows > SEGMENT)
    with TestClient(create_app(settings, fast)) as client:
        status = finish(client, location)
        assert status["model"] == fast.id
        assert client.get(status["result"]).content == by_command(fast, tmp_path / "in.jsonl", tmp_path / "out.jsonl")


def test_an_upload_broken_off_by_a_kill_is_removed_at_the_next_start(model_folder: Path, data_dir: Path) -> None:
    left = data_dir / "jobs" / ("0" * 32)
    left.mkdir(parents=True)
    (left / "receiving").write_bytes(b"{")
    with TestClient(create_app(Settings(model=model_folder))):
        assert not left.exists()


def test_a_second_service_in_the_same_folder_is_turned_away_with_the_way_out(
    model_folder: Path, data_dir: Path
) -> None:
    with TestClient(create_app(Settings(model=model_folder))):
        with pytest.raises(DualuseError, match="DUALUSE_DATA_DIR") as told:
            create_app_and_start(model_folder)
        assert str(data_dir) in str(told.value)
    create_app_and_start(model_folder)


def create_app_and_start(model_folder: Path) -> None:
    with TestClient(create_app(Settings(model=model_folder))):
        pass


def test_the_command_says_that_the_folder_is_taken(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUALUSE_MODEL", str(model_folder))
    with TestClient(create_app(Settings(model=model_folder))):
        done = subprocess.run(
            [sys.executable, "-m", "classifier.cli", "serve", "--port", "0"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert "Another process works the data folder" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_steps_to_the_tables_make_just_what_the_program_expects(model_folder: Path) -> None:
    engine = open_database(Settings(model=model_folder))
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1}
    engine.dispose()


def test_told_to_stop_it_is_not_ready_any_more_and_still_answers_until_the_delay_is_over(
    model_folder: Path, kept: list[Server]
) -> None:
    kept.append(Server(model=model_folder, drain_seconds=8))
    process, url = kept[-1].process, kept[-1].url
    with ThreadPoolExecutor(4) as pool:

        def load() -> list[int]:
            body = {"documents": [{"title": "quadrotor"}] * 20}
            statuses = []
            until = time.monotonic() + 1.5
            while time.monotonic() < until:
                statuses.append(httpx2.post(f"{url}/v1/classify", json=body, timeout=PATIENCE).status_code)
            return statuses

        posts = [pool.submit(load) for _ in range(4)]
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: httpx2.get(f"{url}/health/ready", timeout=PATIENCE).status_code == 503)
        check_problem(httpx2.get(f"{url}/health/ready", timeout=PATIENCE), 503)
        assert httpx2.get(f"{url}/health/live", timeout=PATIENCE).status_code == 200
        assert {status for post in posts for status in post.result()} == {200}
    process.communicate(timeout=PATIENCE)
    assert process.returncode in (0, -signal.SIGTERM)


def test_a_stop_does_not_wait_for_a_job(model_folder: Path, dump: Path, kept: list[Server]) -> None:
    kept.append(Server(model=model_folder, job_threads=1))
    with dump.open("rb") as file:
        posted = httpx2.post(
            f"{kept[-1].url}/v1/jobs?output=xlsx", content=file.read(), headers=NDJSON, timeout=PATIENCE
        )
    wait_until(lambda: look(kept[-1], posted.headers["location"])["rows"])
    log = kept[-1].stop()
    assert '"request"' in log
    assert '"event":"job"' not in log, "the job was done before it stopped"


def test_sigterm_under_load_loses_no_request_and_no_job(
    model_folder: Path, model: Model, dump: Path, tmp_path: Path, kept: list[Server]
) -> None:
    settings = {"model": model_folder, "job_segment_rows": SEGMENT, "job_threads": 1}
    kept.append(Server(**settings))
    url = kept[-1].url
    small = tmp_path / "in.jsonl"
    small.write_bytes(b"".join(dump.read_bytes().splitlines(keepends=True)[: 8 * SEGMENT]))
    answered: list[int] = []

    def ask() -> None:
        body = {"documents": [{"title": "quadrotor"}] * 20}
        with httpx2.Client(base_url=url, timeout=PATIENCE) as client, suppress(httpx2.TransportError):
            while True:  # until it takes no more
                answered.append(client.post("/v1/classify", json=body).status_code)

    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(ask)
        wait_until(lambda: len(answered) > 20)
        locations = [
            httpx2.post(f"{url}/v1/jobs", content=small.read_bytes(), headers=NDJSON, timeout=PATIENCE).headers[
                "location"
            ]
            for _ in range(2)
        ]
        log = kept.pop().stop()
    assert set(answered) == {200}
    judged = [json.loads(line) for line in log.splitlines() if '"/v1/classify"' in line]
    assert len(judged) == len(answered), "of a request that was taken the answer did not arrive"
    assert '"event":"job"' not in log, "a job was done before it stopped"
    kept.append(Server(**settings))
    wanted = by_command(model, small, tmp_path / "out.jsonl")
    with httpx2.Client(base_url=kept[-1].url, timeout=PATIENCE) as client:
        for location in locations:
            assert client.get(finish(client, location)["result"]).content == wanted


def test_a_remote_address_is_served_once_there_is_a_key(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUALUSE_MODEL", "/no/such/folder")  # so that it ends there
    assert CliRunner().invoke(serve, ["--host", "0.0.0.0"]).exit_code == 2
    keys(Settings(model=model_folder))
    run = CliRunner().invoke(serve, ["--host", "0.0.0.0"])
    assert "no such model folder" in str(run.exception)


def test_a_held_job_waits_its_turn_in_the_order_of_coming(model_folder: Path) -> None:
    model = Held(model_folder)
    with TestClient(create_app(Settings(), model)) as client:
        locations = [client.post("/v1/jobs", content=JSONL, headers=NDJSON).headers["location"] for _ in range(3)]
        model.gate.set()
        moments = [finish(client, location)["finished"] for location in locations]
    assert moments == sorted(moments)
