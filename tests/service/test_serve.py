"""`dualuse serve` as a person starts it: on this machine alone, and stopped without losing a request."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from classifier import NOTICE, Model
from classifier.cli import main
from classifier.errors import DualuseError
from service.cli import serve
from service.settings import Settings
from tests.service.helpers import wait_until

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.7", "8.8.8.8", "example.org", "localhost.org", "", "127.0.0.1.org"]
)
def test_an_address_that_others_can_reach_is_refused_with_the_way_out(
    host: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DUALUSE_MODEL", "/no/such/folder")  # so that it ends where the address is not refused
    run = CliRunner().invoke(serve, ["--host", host])
    assert run.exit_code == 2
    assert "no key is defined yet" in run.output
    assert "dualuse keys add" in run.output


def test_a_setting_that_cannot_be_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUALUSE_MAX_DOCUMENTS", "many")
    run = CliRunner().invoke(serve, [])
    assert run.exit_code == 2
    assert "DUALUSE_MAX_DOCUMENTS: Input should be a valid integer" in run.output


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (
            b'databse_url = "postgresql://u:hunter2@h/x"',
            "databse_url in the file that DUALUSE_CONFIG names is no setting",
        ),
        (b'quarantine = "hunter2"', "DUALUSE_QUARANTINE"),
        (b'database_url = "postgresql://u:hunter2@h/x', "is not TOML"),
        (b'database_url = "hunter2\xff"', "is not UTF-8"),
    ],
)
def test_a_file_of_settings_with_a_mistake_is_told_in_a_line_and_no_value_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes, part: str
) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes(content)
    monkeypatch.setenv("DUALUSE_CONFIG", str(path))
    run = CliRunner().invoke(main, ["serve"])
    assert run.exit_code in (1, 2)
    assert part in run.output
    assert "hunter2" not in run.output
    assert not run.exception or isinstance(run.exception, SystemExit)
    with pytest.raises((DualuseError, ValidationError)) as raised:  # as `uvicorn service.app:app` would print it
        Settings()
    assert "hunter2" not in str(raised.value)


def test_a_database_that_does_not_answer_is_told_in_a_line_without_the_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]  # closed again: nothing listens there
    monkeypatch.setenv("DUALUSE_DATABASE_URL", f"postgresql://u:hunter2@127.0.0.1:{port}/x")
    for command in (["serve"], ["keys", "list"]):
        run = CliRunner().invoke(main, command)
        assert run.exit_code == 1
        assert "The database does not answer" in run.output
        assert "hunter2" not in run.output
        assert isinstance(run.exception, SystemExit)


def test_a_taken_port_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch, model_folder: Path) -> None:
    monkeypatch.setenv("DUALUSE_MODEL", str(model_folder))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        run = CliRunner().invoke(serve, ["--port", str(taken.getsockname()[1])])
    assert run.exit_code == 1
    assert "--port" in run.output


def start(model_folder: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = os.environ | {"DUALUSE_MODEL": str(model_folder), "DUALUSE_MAX_CONCURRENT": "1"}
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen([sys.executable, *arguments], env=environment, **pipes)


@pytest.fixture
def served(model_folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    code = "from service.cli import serve; serve(['--host', 'localhost', '--port', '0'])"
    process = start(model_folder, "-c", code)
    assert process.stdout
    found = re.match(r"tiny-1\.0\.0 answers on (http://127\.0\.0\.1:\d+);", process.stdout.readline())
    assert found
    assert process.stdout.readline().strip() == NOTICE
    yield process, found[1]
    process.kill()
    process.communicate()


def test_it_answers_logs_no_query_and_stops_in_good_order(
    served: tuple[subprocess.Popen[str], str], model: Model
) -> None:
    process, url = served
    documents = [{"title": "quadrotor"}]
    answer = httpx2.post(f"{url}/v1/classify?q=Zebrawing", json={"documents": documents})
    assert answer.json()["results"] == [result.as_row() for result in model.classify(documents)]
    process.send_signal(signal.SIGINT)
    logged, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    requests = [json.loads(line) for line in logged.splitlines() if line.startswith("{")]
    assert [request["route"] for request in requests] == ["/v1/classify"]
    assert "Zebrawing" not in logged


def test_a_page_of_another_site_is_not_answered_whatever_address_it_claims(
    served: tuple[subprocess.Popen[str], str],
) -> None:
    for headers in (
        {"Host": "evil.example", "X-Forwarded-For": "x"},  # as once took it for a Unix socket
        {"Host": "evil.example", "X-Forwarded-For": "testclient"},
        {"Host": "evil.example", "X-Forwarded-For": "127.0.0.1"},
        {"Host": "evil.example"},
        {"X-Forwarded-For": "192.0.2.1"},  # by a proxy here that leaves the Host as it is
    ):
        assert httpx2.get(f"{served[1]}/v1/taxonomy", headers=headers).status_code == 403, headers
    assert httpx2.get(f"{served[1]}/v1/taxonomy").status_code == 200


def test_over_a_unix_socket_it_is_this_machine_that_asks(model_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    process = start(model_folder, "-m", "uvicorn", "service.app:app", "--uds", str(path))
    try:
        wait_until(path.exists)
        with httpx2.Client(transport=httpx2.HTTPTransport(uds=str(path)), base_url="http://any") as client:
            wait_until(lambda: _status(client) == 200)
            assert client.get("/v1/taxonomy", headers={"X-Forwarded-For": "192.0.2.1"}).status_code == 403
    finally:
        process.kill()
        process.communicate()


def _status(client: httpx2.Client) -> int | None:
    try:
        return client.get("/v1/taxonomy").status_code
    except httpx2.TransportError:
        return None


def test_all_of_the_log_is_json_what_libraries_say_too_and_no_byte_of_a_broken_upload(
    served: tuple[subprocess.Popen[str], str],
) -> None:
    process, url = served
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert httpx2.post(f"{url}/v1/jobs", content=b"--y Zebrawing", headers=headers).status_code == 400
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as raw:
        raw.sendall(b"Zebrawing\r\n\r\n")  # no HTTP: the server warns of it
        raw.recv(1000)
    process.send_signal(signal.SIGINT)
    logged, _ = process.communicate(timeout=20)
    entries = [json.loads(line) for line in logged.splitlines() if not line.startswith("No key is defined")]
    assert all(datetime.fromisoformat(entry["time"]).tzinfo for entry in entries)
    loggers = {entry["logger"].partition(".")[0] for entry in entries if entry["event"] == "library"}
    assert loggers == {"uvicorn"}
    assert "Zebrawing" not in logged


def test_uvicorn_on_its_own_logs_no_query_either(model_folder: Path) -> None:
    process = start(model_folder, "-m", "uvicorn", "service.app:app", "--port", "0")
    assert process.stdout
    url = None
    while url is None:
        line = process.stdout.readline()
        assert line, "it ended before it listened"
        url = re.search(r"http://127\.0\.0\.1:\d+", line)
    assert httpx2.get(f"{url[0]}/health/ready?q=Zebrawing").json()["model"] == "tiny-1.0.0"
    process.send_signal(signal.SIGINT)
    logged, _ = process.communicate(timeout=20)
    assert "Finished server process" in logged
    assert "Zebrawing" not in logged


def test_a_body_over_the_limit_gets_its_answer_through(served: tuple[subprocess.Popen[str], str]) -> None:
    for content in (b" " * 12_000_000, (b" " * 100_000 for _ in range(120))):
        answer = httpx2.post(f"{served[1]}/v1/classify", content=content, headers=JSON)
        assert answer.status_code == 413


def test_stopped_under_load_it_answers_what_it_has_taken(served: tuple[subprocess.Popen[str], str]) -> None:
    process, url = served
    documents = [{"title": "quadrotor and missile", "abstract": "brigade crowd mint " * 150}] * 1000
    with ThreadPoolExecutor(8) as pool:
        body = {"documents": documents}
        posts = [pool.submit(httpx2.post, f"{url}/v1/classify", json=body, timeout=60) for _ in range(8)]
        next(as_completed(posts))  # they are scored one at a time, so by now the others wait for their turn
        process.send_signal(signal.SIGTERM)
        assert not all(post.done() for post in posts), "they were too few to stop under load"
        assert [post.result().status_code for post in posts] == [200] * 8
