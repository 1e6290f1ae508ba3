"""On PostgreSQL the service does what it does on SQLite."""

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import create_engine, make_url

from classifier import Model
from classifier.errors import DualuseError
from service.app import create_app
from service.database import Base, open_database
from service.settings import Settings
from tests.service.helpers import JSONL, Held, by_command, finish, keys, wait_until
from tests.service.postgresql import find_binaries, postgresql
from tests.service.test_problems import check_problem

pytestmark = pytest.mark.heavy
NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    binaries = find_binaries()
    assert binaries, "PostgreSQL is not installed: `make test-all` does that on Debian"
    with tempfile.TemporaryDirectory() as folder:  # pytest's own lie where only their owner may look
        Path(folder).chmod(0o755)
        with postgresql(binaries, Path(folder)) as url:
            yield url


@pytest.fixture
def settings(server: str, model_folder: Path, data_dir: Path) -> Settings:
    """Settings with a database that is empty."""
    name = f"test_{data_dir.parent.name.lower()}"[:60]
    engine = create_engine(make_url(server).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
    engine.dispose()
    url = make_url(server).set(database=name).render_as_string(hide_password=False)
    return Settings(model=model_folder, database_url=SecretStr(url), job_threads=1)


def test_the_steps_to_the_tables_make_just_what_the_program_expects(settings: Settings) -> None:
    with ThreadPoolExecutor(3) as pool:  # as `keys add` beside a service that starts
        engines = list(pool.map(open_database, [settings] * 3))
    with engines[0].connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    for engine in engines:
        engine.dispose()


def test_keys_jobs_and_results_work(settings: Settings, model: Model, tmp_path: Path) -> None:
    shown = keys(settings)
    with TestClient(create_app(settings)) as client:
        check_problem(client.get("/v1/jobs"), 401)
        headers = {**NDJSON, "Idempotency-Key": "once", **shown["submit"]}
        first, second = (client.post("/v1/jobs", content=JSONL, headers=headers) for _ in range(2))
        location = first.headers["location"]
        assert second.headers["location"] == location
        check_problem(client.post("/v1/jobs", content=JSONL * 2, headers=headers), 422)
        status = finish(client, location, shown["submit"])
        check_problem(client.get(status["result"], headers=shown["submit"]), 403)
        (tmp_path / "in.jsonl").write_bytes(JSONL)
        wanted = by_command(model, tmp_path / "in.jsonl", tmp_path / "out.jsonl")
        assert client.get(status["result"], headers=shown["read"]).content == wanted
        listed = client.get("/v1/jobs", headers=shown["admin"]).json()["jobs"]
        assert [job["id"] for job in listed] == [status["id"]]
        assert 'dualuse_jobs{state="done"} 1.0' in client.get("/metrics", headers=shown["read"]).text
        assert client.delete(location, headers=shown["admin"]).status_code == 204
        check_problem(client.get(location, headers=shown["admin"]), 404)


def test_what_was_under_way_goes_on_at_the_next_start(settings: Settings, data_dir: Path) -> None:
    model = Held(settings.model)  # type: ignore[arg-type]
    with TestClient(create_app(settings, model)) as client:
        locations = [client.post("/v1/jobs", content=JSONL, headers=NDJSON).headers["location"] for _ in range(2)]
        wait_until(lambda: client.get(locations[0]).json()["state"] == "running")
        client.app.state.worker._stop.set()  # type: ignore[attr-defined]
        model.gate.set()
    with TestClient(create_app(settings)) as client:
        assert [finish(client, location)["state"] for location in locations] == ["done", "done"]


def test_a_second_service_on_the_same_database_is_turned_away(settings: Settings, tmp_path: Path) -> None:
    other: Any = settings.model_copy(update={"data_dir": tmp_path / "other"})
    with (
        TestClient(create_app(settings)),
        pytest.raises(DualuseError, match="works this database"),
        TestClient(create_app(other)),
    ):
        pass


def test_without_the_url_of_its_database_it_does_not_start(settings: Settings) -> None:
    with TestClient(create_app(settings)) as client:
        status = finish(client, client.post("/v1/jobs", content=JSONL, headers=NDJSON).headers["location"])
    forgotten: Any = settings.model_copy(update={"database_url": None})
    with pytest.raises(DualuseError, match="another database"), TestClient(create_app(forgotten)):
        pass
    with TestClient(create_app(settings)) as client:
        assert client.get(status["result"]).status_code == 200


def test_a_failure_that_names_a_column_it_cannot_hold_is_told(settings: Settings) -> None:
    with TestClient(create_app(settings)) as client:
        answer = client.post("/v1/jobs?format=csv", content=b"col\x00our,size\nred,3\n")
        status = finish(client, answer.headers["location"])
    assert status["state"] == "failed"
    assert "no column known as a title" in status["failure"]
