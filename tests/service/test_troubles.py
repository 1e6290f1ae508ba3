"""When database, disk or process fail, no job is lost, none is tried for ever, and no result is deleted."""

import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from classifier.errors import DualuseError
from classifier.records import BY_ALIAS
from classifier.writers import cannot_write
from service import database, uploads, worker
from service.app import create_app
from service.database import open_database, writing
from service.jobs import MAX_TRIES, Job, Jobs, Order, State
from service.settings import Settings
from tests.conftest import ROOT
from tests.service.helpers import JSONL, Held, finish, wait_until
from tests.service.test_problems import check_problem

NDJSON = {"Content-Type": "application/x-ndjson"}
ORDER = Order("local", "jsonl", "jsonl", "all", "balanced", BY_ALIAS, "0" * 64)


@pytest.fixture
def settings(model_folder: Path) -> Settings:
    return Settings(model=model_folder, job_threads=1)


@pytest.fixture
def jobs(settings: Settings) -> Iterator[Jobs]:
    engine = open_database(settings)
    yield Jobs(engine)
    engine.dispose()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_DATABASE_SECONDS", 0.01)
    monkeypatch.setattr(worker, "_AGAIN_SECONDS", 0.01)


def hand_in(client: TestClient, content: bytes = JSONL, query: str = "") -> str:
    location: str = client.post(f"/v1/jobs{query}", content=content, headers=NDJSON).headers["location"]
    return location


def queue(jobs: Jobs, data_dir: Path) -> str:
    """Queue a job as the service does, and return where it is."""
    id = "0" * 32
    jobs.add(id, ORDER)
    folder = data_dir / "jobs" / id
    folder.mkdir(parents=True)
    (folder / "upload").write_bytes(JSONL)
    return f"/v1/jobs/{id}"


def found(jobs: Jobs, id: str) -> Job:
    job = jobs.find(id)
    assert job
    return job


def test_a_job_that_ends_the_process_again_and_again_is_failed_and_not_tried_any_more(
    settings: Settings, jobs: Jobs, data_dir: Path
) -> None:
    location = queue(jobs, data_dir)
    for start in range(MAX_TRIES):
        assert jobs.requeue("") == [], f"{start} tries were too many"
        assert jobs.take()  # and now the process is killed
    with TestClient(create_app(settings)) as client:
        status = finish(client, location)
        assert status["state"] == "failed"
        assert f"{MAX_TRIES} times" in status["failure"]
        assert "Split the file" in status["failure"]
    assert not list((data_dir / "jobs").iterdir())


def test_kills_do_not_count_against_a_job_that_gets_on(jobs: Jobs) -> None:
    jobs.add("a", ORDER)
    for kept in range(3 * MAX_TRIES):
        assert jobs.requeue("") == []
        assert jobs.take()
        jobs.get_on("a", kept)
    for _ in range(MAX_TRIES - 1):  # from now on it stays where it is
        assert jobs.requeue("") == []
        assert jobs.take()
        jobs.get_on("a", kept)
    assert jobs.requeue("too often") == ["a"]
    assert found(jobs, "a").failure == "too often"


def test_a_job_tried_in_vain_lets_others_pass(jobs: Jobs) -> None:
    for id in "ab":
        jobs.add(id, ORDER)
    first = jobs.take()
    jobs.requeue("")
    assert [job.id for job in (first, jobs.take(), jobs.take()) if job] == ["a", "b", "a"]


def test_stops_in_good_order_do_not_count_against_a_job(
    settings: Settings, model_folder: Path, jobs: Jobs, data_dir: Path
) -> None:
    location = queue(jobs, data_dir)
    for _ in range(MAX_TRIES + 2):
        model = Held(model_folder)
        app = create_app(settings, model)
        with TestClient(app) as client:
            wait_until(lambda: client.get(location).json()["state"] == "running")
            app.state.worker._stop.set()
            model.gate.set()
    with TestClient(create_app(settings)) as client:
        assert finish(client, location)["state"] == "done"


def failing(change: Callable[..., Any], times: int, *, after: bool = False) -> Callable[..., Any]:
    """Wrap a change in the database so that the connection breaks off, before or after it is made."""
    left = iter(range(times))

    def changed(*arguments: Any, **options: Any) -> Any:
        done = change(*arguments, **options) if after else None
        if next(left, None) is not None:
            raise OperationalError("UPDATE jobs", {}, Exception("server closed the connection"))
        return done if after else change(*arguments, **options)

    return changed


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("name", ["take", "get_on", "finish", "fail"])
def test_a_database_that_fails_for_a_moment_costs_no_job_and_no_result(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, after: bool
) -> None:
    monkeypatch.setattr(Jobs, name, failing(getattr(Jobs, name), 2, after=after))
    with TestClient(create_app(settings)) as client:
        location = hand_in(client, b"colour,size\n", "?format=csv") if name == "fail" else hand_in(client)
        status = finish(client, location)
        if name == "fail":
            assert status["state"] == "failed"
            assert "no column known as a title" in status["failure"]
        else:
            assert status["state"] == "done"
            assert client.get(status["result"]).status_code == 200
        assert client.delete(location).status_code == 204
    assert "OperationalError" in caplog.text


def test_a_database_that_fails_while_it_stops_does_not_keep_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Jobs, "finish", failing(Jobs.finish, 1_000_000))
        app = create_app(settings)
        with TestClient(app) as client:
            location = hand_in(client)
            wait_until(lambda: app.state.worker.progress and app.state.worker.progress.rows)
    with TestClient(create_app(settings)) as client:
        assert finish(client, location)["state"] == "done"


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch, data_dir: Path) -> Callable[[Exception, int], None]:
    """Make the engine fail a number of times."""
    sound = worker.classify_dump

    def break_(error: Exception, times: int) -> None:
        left = iter(range(times))

        def classify_dump(*arguments: Any, **options: Any) -> Any:
            if next(left, None) is not None:
                raise error
            return sound(*arguments, **options)

        monkeypatch.setattr(worker, "classify_dump", classify_dump)

    return break_


def full(folder: Path) -> Exception:
    try:
        raise OSError(errno.ENOSPC, "No space left on device")
    except OSError as error:
        told = cannot_write(folder / "jobs" / "result.csv", error, folder / "jobs" / "result.csv.partial")
        told.__cause__ = error
        return told


def test_on_a_full_disk_a_job_waits_until_there_is_room(
    settings: Settings, broken: Callable[[Exception, int], None], data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken(full(data_dir), MAX_TRIES - 1)
    with TestClient(create_app(settings)) as client:
        assert finish(client, hand_in(client))["state"] == "done"
    assert caplog.text.count("No space left on device") == MAX_TRIES - 1


@pytest.mark.parametrize("kind", ["full", "room", "rights"])
def test_a_job_that_can_never_be_written_fails_with_words_for_callers(
    settings: Settings, broken: Callable[[Exception, int], None], data_dir: Path, kind: str
) -> None:
    errors: dict[str, Exception] = {
        "full": full(data_dir),
        "room": DualuseError(f"{data_dir}/jobs/x/result.csv cannot be written: its disk has room for 1 MB."),
        "rights": PermissionError(errno.EACCES, "Permission denied", f"{data_dir}/jobs"),
    }
    broken(errors[kind], 1_000)
    with TestClient(create_app(settings)) as client:
        status = finish(client, hand_in(client))
    assert status["state"] == "failed"
    assert status["failure"] == worker.UNWRITTEN
    assert not list((data_dir / "jobs").iterdir())


def test_what_is_the_callers_to_mend_is_told_in_the_words_of_a_query_at_once(
    settings: Settings, broken: Callable[[Exception, int], None]
) -> None:
    broken(DualuseError("An Excel sheet holds at most 1,048,576 rows. Keep fewer columns (--keep id)."), 1)
    with TestClient(create_app(settings)) as client:
        failure = finish(client, hand_in(client))["failure"]
    assert failure == "An Excel sheet holds at most 1,048,576 rows. Keep fewer columns (keep=id)."


def test_a_column_name_that_no_database_holds_does_not_stop_the_queue(settings: Settings) -> None:
    with TestClient(create_app(settings)) as client:
        failure = finish(client, hand_in(client, b"col\x00our,size\nred,3\n", "?format=csv"))["failure"]
        assert "\x00" not in failure
        assert finish(client, hand_in(client))["state"] == "done"


def test_a_job_is_not_done_while_its_record_cannot_be_written(settings: Settings, data_dir: Path) -> None:
    recording = settings.model_copy(update={"records": True})
    with TestClient(create_app(recording)) as client:
        assert finish(client, hand_in(client))["state"] == "done"
        path = data_dir / "determinations.jsonl"
        path.write_bytes(path.read_bytes().replace(b'"rows":', b'"rows": '))
        status = finish(client, hand_in(client))
    assert (status["state"], status["failure"]) == ("failed", worker.UNWRITTEN)


def test_an_upload_for_which_there_is_no_room_is_answered_503_and_leaves_nothing(
    settings: Settings, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def append(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(uploads, "_append", append)
    with TestClient(create_app(settings)) as client:
        answer = client.post("/v1/jobs", content=JSONL, headers=NDJSON)
        assert "no room" in check_problem(answer, 503)["detail"]
        assert int(answer.headers["retry-after"]) > 0
    assert not list((data_dir / "jobs").iterdir())


def test_with_another_database_it_does_not_start_and_deletes_nothing(settings: Settings, data_dir: Path) -> None:
    with TestClient(create_app(settings)) as client:
        result = data_dir / "jobs" / finish(client, hand_in(client))["id"] / "result.jsonl"
    held = result.read_bytes()
    for path in data_dir.glob("dualuse.sqlite*"):  # as where DUALUSE_DATABASE_URL is forgotten
        path.rename(path.with_name(f"away-{path.name}"))
    with pytest.raises(DualuseError, match="another database") as told, TestClient(create_app(settings)):
        pass
    assert "DUALUSE_DATABASE_URL" in str(told.value)
    assert result.read_bytes() == held
    (data_dir / "database-id").unlink()  # as the message says
    with TestClient(create_app(settings)):
        assert result.read_bytes() == held, "results are kept as long as they are said to be"
    month = time.time() - 31 * 86_400
    os.utime(result, (month, month))
    os.utime(result.with_name("result.jsonl.run.json"), (month, month))
    with TestClient(create_app(settings)):
        assert not result.exists()


def test_what_failed_or_was_cancelled_leaves_no_file_where_a_kill_came_before_they_were_removed(
    settings: Settings, jobs: Jobs, data_dir: Path
) -> None:
    for id in "ab":
        jobs.add(id, ORDER)
        (data_dir / "jobs" / id).mkdir(parents=True)
        (data_dir / "jobs" / id / "result.jsonl").write_text("{}")
    jobs.cancel("a")
    jobs.take()
    jobs.fail("b", "")
    with TestClient(create_app(settings)):
        assert not list((data_dir / "jobs").iterdir())


def test_who_reads_does_not_wait_for_who_writes(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0)
    engine = open_database(settings)
    with writing(engine) as session:
        session.execute(text("UPDATE keys SET revoked = 1"))
        assert Jobs(engine).latest(1) == []
        with pytest.raises(OperationalError, match="locked"), writing(engine) as other:
            other.execute(text("SELECT 1"))
    engine.dispose()


def test_tables_of_the_version_before_are_brought_up_to_date_with_what_is_in_them(settings: Settings) -> None:
    engine = open_database(settings)
    with engine.begin() as connection:
        for table in ("jobs", "keys", "database_id", "alembic_version"):
            connection.execute(text(f"DROP TABLE {table}"))
    config = Config()
    config.set_main_option("script_location", str(ROOT / "service" / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(
            text(
                "INSERT INTO jobs (id, caller, state, output, keep, profile, body_sha256, created) "
                "VALUES ('a', 'local', 'running', 'csv', 'all', 'balanced', '', 1)"
            )
        )
    engine.dispose()
    engine = open_database(settings)
    jobs = Jobs(engine)
    assert jobs.requeue("") == []
    taken = jobs.take()
    assert taken
    assert (taken.id, taken.state) == ("a", State.RUNNING)
    engine.dispose()


def test_tables_of_a_later_version_are_left_alone_and_told_of(settings: Settings) -> None:
    engine = open_database(settings)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(DualuseError, match="newer version"):
        open_database(settings)
