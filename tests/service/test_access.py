"""Without a key nothing but health is answered, and a key does what its role says and no more."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from classifier import NOTICE
from classifier.cli import main
from service import app as service_app
from service.access import roles_for
from service.app import create_app
from service.database import open_database
from service.keys import KeyRing
from service.openapi import described
from service.settings import Settings
from tests.service.helpers import JSONL, finish, keys, wait_until
from tests.service.test_problems import SECRET, check_problem, send_raw

ONE = {"documents": [{"title": "quadrotor"}]}
NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
def settings(model_folder: Path) -> Settings:
    return Settings(model=model_folder)


@pytest.fixture
def shown(settings: Settings) -> dict[str, dict[str, str]]:
    return keys(settings)


@pytest.fixture
def locked(settings: Settings, shown: dict[str, dict[str, str]]) -> Iterator[TestClient]:
    with TestClient(create_app(settings)) as client:
        yield client


def test_without_a_key_every_address_but_health_is_answered_401(locked: TestClient) -> None:
    paths = described()["paths"]
    routes = [(method.upper(), path) for path, operations in paths.items() for method in operations]
    assert len(routes) > 12
    for method, path in [*routes, ("GET", "/openapi.json"), ("GET", "/nothing"), ("GET", "/"), ("POST", "/")]:
        answer = locked.request(method, path.replace("{job_id}", "0" * 32))
        if path.startswith("/health/"):
            assert answer.status_code == 200
        else:
            check_problem(answer, 401)
            assert "X-API-Key" in answer.headers["www-authenticate"]


@pytest.mark.parametrize("given", ["", SECRET, "du_" + "A" * 43, "\u00e9".encode("latin-1")])
def test_a_key_that_is_none_is_answered_401_and_not_repeated(locked: TestClient, given: Any) -> None:
    check_problem(locked.post("/v1/classify", json=ONE, headers={"X-API-Key": given}), 401)


def test_of_a_body_sent_without_a_key_nothing_is_read(settings: Settings, shown: Any) -> None:
    assert send_raw(create_app(settings), b"10")[0]["status"] == 401  # to read would fail


ALLOWED = {
    ("POST", "/v1/classify"): {"submit", "admin"},
    ("POST", "/v1/jobs"): {"submit", "admin"},
    ("GET", "/v1/jobs"): {"admin"},
    ("GET", "/v1/jobs/ID"): {"submit", "read", "admin"},
    ("GET", "/v1/jobs/ID/result"): {"read", "admin"},
    ("GET", "/v1/jobs/ID/rejects"): {"submit", "read", "admin"},
    ("POST", "/v1/jobs/ID/cancel"): {"submit", "admin"},
    ("DELETE", "/v1/jobs/ID"): {"submit", "admin"},
    ("GET", "/v1/models/current"): {"submit", "read", "admin"},
    ("GET", "/v1/taxonomy"): {"submit", "read", "admin"},
    ("GET", "/openapi.json"): {"submit", "read", "admin"},
    ("GET", "/metrics"): {"read", "admin"},
}


def test_a_role_may_do_what_the_table_says(locked: TestClient, shown: dict[str, dict[str, str]]) -> None:
    location = locked.post("/v1/jobs", content=JSONL, headers={**NDJSON, **shown["submit"]}).headers["location"]
    finish(locked, location, shown["submit"])
    for (method, path), allowed in ALLOWED.items():
        for role, headers in shown.items():
            if (method, role) == ("DELETE", "admin"):
                continue  # gone by then
            answer = locked.request(method, path.replace("/v1/jobs/ID", location), headers=headers)
            if role in allowed:
                assert answer.status_code not in (401, 403, 404), (method, path, role)
            else:
                assert role in check_problem(answer, 403)["detail"]


def test_whatever_address_is_added_later_is_for_readers_alone() -> None:
    assert roles_for("GET", "/v1/jobs/1/scores") == roles_for("GET", "/x") == {"read", "admin"}
    assert roles_for("GET", "/v1/jobs/1/result/") == {"read", "admin"}


def test_a_submitter_finds_its_own_jobs_alone(settings: Settings, locked: TestClient, shown: Any) -> None:
    location = locked.post("/v1/jobs", content=JSONL, headers={**NDJSON, **shown["admin"]}).headers["location"]
    check_problem(locked.get(location, headers=shown["submit"]), 404)
    check_problem(locked.get(f"{location}/rejects", headers=shown["submit"]), 404)
    check_problem(locked.post(f"{location}/cancel", headers=shown["submit"]), 404)
    check_problem(locked.delete(location, headers=shown["submit"]), 404)
    assert finish(locked, location, shown["read"])["state"] == "done"


def test_keys_are_added_listed_and_revoked_while_the_service_runs(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_app, "REFRESH_SECONDS", 0.02)
    with TestClient(create_app(settings)) as client:
        assert client.post("/v1/classify", json=ONE).status_code == 200
        added = CliRunner().invoke(main, ["keys", "add", "grants", "--role", "submit"])
        key = added.stdout.strip()
        assert added.stdout == f"{key}\n"
        assert "grants may submit" in added.stderr
        wait_until(lambda: client.post("/v1/classify", json=ONE).status_code == 401)
        headers = {"X-API-Key": key}
        assert client.post("/v1/classify", json=ONE, headers=headers).status_code == 200
        listed = CliRunner().invoke(main, ["keys", "list"]).stdout
        assert key not in listed
        assert all(part in listed for part in ("grants", "submit", "in force"))
        assert CliRunner().invoke(main, ["keys", "revoke", "grants"]).exit_code == 0
        wait_until(lambda: client.post("/v1/classify", json=ONE, headers=headers).status_code == 401)
        check_problem(client.post("/v1/classify", json=ONE), 401)  # taking the last key away does not open the door
    for arguments, part in (
        (["revoke", "grants"], "No key in force"),
        (["add", "grants", "--role", "read"], "grants-2"),
    ):
        failed = CliRunner().invoke(main, ["keys", *arguments])
        assert failed.exit_code == 1
        assert part in failed.stderr


def test_a_key_is_stored_hashed(settings: Settings, shown: dict[str, dict[str, str]], data_dir: Path) -> None:
    for path in data_dir.glob("dualuse.sqlite*"):
        for headers in shown.values():
            assert headers["X-API-Key"].encode() not in path.read_bytes()
    assert data_dir.stat().st_mode & 0o077 == 0


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    opened = open_database(settings)
    yield opened
    opened.dispose()


def test_keys_known_go_on_to_count_while_the_database_fails(
    engine: Engine, shown: Any, caplog: pytest.LogCaptureFixture
) -> None:
    ring = KeyRing(engine)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE keys"))
    ring.refresh()
    assert ring.find(shown["read"]["X-API-Key"])
    assert not ring.is_open
    assert "keys not refreshed" in caplog.text


def test_a_key_with_an_unknown_role_is_none_and_keeps_no_other_from_being_revoked(
    engine: Engine, shown: Any, caplog: pytest.LogCaptureFixture
) -> None:
    ring = KeyRing(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE keys SET role = 'owner' WHERE name = 'the-admin'"))
        connection.execute(text("UPDATE keys SET revoked = 1 WHERE name = 'the-read'"))
    for _ in range(2):
        ring.refresh()
    assert [role for role, header in shown.items() if ring.find(header["X-API-Key"])] == ["submit"]
    assert caplog.text.count("key with an unknown role") == 1
    assert "owner" in CliRunner().invoke(main, ["keys", "list"]).stdout


@pytest.mark.parametrize(
    ("client_address", "host", "status"),
    [
        ("127.0.0.1", "localhost:8000", 200),
        ("::1", "[::1]:8000", 200),
        ("127.0.0.1", "127.0.0.1", 200),
        ("192.168.1.7", "localhost", 403),
        ("127.0.0.1", "evil.example", 403),
        ("127.0.0.1", "localhost.evil.example:8000", 403),
        ("127.0.0.1", "", 403),
        ("x", "localhost", 403),
    ],
)
def test_while_there_is_no_key_only_this_machine_under_its_own_names_is_answered(
    settings: Settings, client_address: str, host: str, status: int
) -> None:
    with TestClient(create_app(settings), client=(client_address, 5000)) as client:
        assert client.get("/v1/taxonomy", headers={"Host": host}).status_code == status


def test_with_allowed_hosts_no_other_is_answered_to(settings: Settings) -> None:
    named = settings.model_copy(update={"allowed_hosts": "screen.example.org, Localhost"})
    with TestClient(create_app(named), client=("127.0.0.1", 5000)) as client:
        for host in ("screen.example.org", "SCREEN.example.org:443", "localhost"):
            assert client.get("/v1/taxonomy", headers={"Host": host}).status_code == 200
        check_problem(client.get("/v1/taxonomy", headers={"Host": f"{SECRET}.org"}), 400)
        assert client.get("/health/live", headers={"Host": "10.0.0.3"}).status_code == 200  # as probes ask


@pytest.fixture
def quarantine(settings: Settings, shown: Any) -> Iterator[TestClient]:
    with TestClient(create_app(settings.model_copy(update={"quarantine": True}))) as client:
        yield client


def test_in_quarantine_a_submitter_gets_a_ticket_and_who_may_read_the_scores(
    quarantine: TestClient, shown: dict[str, dict[str, str]]
) -> None:
    documents = [{"id": "x-1", "title": "quadrotor"}, {"abstract": "missile"}]
    answer = quarantine.post("/v1/classify", json={"documents": documents}, headers=shown["submit"])
    assert answer.status_code == 202
    ticket = finish(quarantine, answer.headers["location"], shown["submit"])
    for body in (answer.json(), ticket):
        told = {key: value for key, value in body.items() if key not in ("notice", "progress")}
        assert not any(isinstance(value, float) for value in told.values())
        assert "drones" not in str(told)
    check_problem(quarantine.get(ticket["result"], headers=shown["submit"]), 403)
    direct = quarantine.post("/v1/classify", json={"documents": documents}, headers=shown["admin"]).json()
    assert direct["notice"] == NOTICE
    lines = quarantine.get(ticket["result"], headers=shown["read"])
    assert [json.loads(line) for line in lines.content.splitlines()] == direct["results"]


def test_in_quarantine_a_body_is_still_checked(quarantine: TestClient, shown: dict[str, dict[str, str]]) -> None:
    for body in ({}, {"documents": [{}]}, {**ONE, "profile": SECRET}):
        check_problem(quarantine.post("/v1/classify", json=body, headers=shown["submit"]), 422)


def test_quarantine_without_keys_does_not_start(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"quarantine": True}))
    with pytest.raises(Exception, match="no key is defined"), TestClient(app):
        pass
