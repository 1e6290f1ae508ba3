"""What the service says of itself is what it does, and its figures tell no secret."""

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastapi.testclient import TestClient

from classifier import NOTICE, Model
from classifier.errors import DualuseError
from classifier.taxonomy import load_taxonomy
from service.app import create_app
from service.settings import Settings
from tests.service.helpers import JSONL, finish
from tests.service.test_problems import SECRET

NDJSON = {"Content-Type": "application/x-ndjson"}


def test_the_model_and_the_limits_are_told(client: TestClient, model: Model) -> None:
    told = client.get("/v1/models/current").json()
    assert (told["id"], told["digest"], told["notice"]) == (model.id, model.digest, NOTICE)
    assert told["thresholds"] == model.thresholds
    assert told["limits"]["body_bytes"] == 10_000_000
    assert told["limits"]["documents"] == 1_000


def test_the_taxonomy_is_the_command_lines(client: TestClient) -> None:
    assert client.get("/v1/taxonomy").json() == json.loads(json.dumps(load_taxonomy().as_dict()))


def test_figures_count_requests_documents_and_jobs(model_folder: Path) -> None:
    with TestClient(create_app(Settings(model=model_folder))) as client:
        client.post("/v1/classify", json={"documents": [{"title": SECRET}] * 3})
        client.post("/v1/classify", json={})
        client.get(f"/{SECRET}")
        client.request(SECRET, "/v1/classify")
        job = finish(client, client.post("/v1/jobs", content=JSONL, headers=NDJSON).headers["location"])
        shown = client.get("/metrics").text
        lines = shown.splitlines()
        for line in (
            'dualuse_requests_total{method="POST",route="/v1/classify",status="200"} 1.0',
            'dualuse_requests_total{method="POST",route="/v1/classify",status="422"} 1.0',
            'dualuse_requests_total{method="GET",route="none",status="404"} 1.0',
            "dualuse_documents_total 3.0",
            'dualuse_jobs{state="done"} 1.0',
            'dualuse_jobs{state="queued"} 0.0',
            "dualuse_job_rows_total 4.0",
            "dualuse_ready 1.0",
            'dualuse_model{id="tiny-1.0.0"} 1.0',
        ):
            assert line in lines
        assert SECRET not in shown
        assert job["id"] not in shown


def test_settings_come_from_a_file_and_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "dualuse.toml"
    file.write_text('max_documents = 7\nquarantine = true\nmax_waiting = 3\ndata_dir = "/srv/dualuse"\n')
    monkeypatch.setenv("DUALUSE_CONFIG", str(file))
    monkeypatch.setenv("DUALUSE_MAX_WAITING", "4")
    monkeypatch.delenv("DUALUSE_DATA_DIR")
    settings = Settings()
    assert (settings.max_documents, settings.quarantine, settings.max_waiting) == (7, True, 4)
    assert settings.data_dir == Path("/srv/dualuse")
    file.write_text("max_document = 7\n")
    with pytest.raises(ValueError, match="max_document"):
        Settings()
    monkeypatch.setenv("DUALUSE_CONFIG", str(tmp_path / "none.toml"))
    with pytest.raises(DualuseError, match="no such file"):
        Settings()


@pytest.mark.parametrize(
    ("url", "part"), [("mysql://localhost/x", "is for mysql"), ("nonsense", "is not a URL"), ("", "")]
)
def test_a_database_of_another_kind_is_refused(model_folder: Path, url: str, part: str) -> None:
    app = create_app(Settings(model=model_folder, **({"database_url": url} if url else {})))
    if not url:
        with TestClient(app):
            return
    with pytest.raises(DualuseError, match=part), TestClient(app):
        pass


def test_a_body_that_comes_too_slowly_is_answered_408(model_folder: Path) -> None:
    app = create_app(Settings(model=model_folder, read_timeout=0.2))
    for path in (b"/v1/classify", b"/v1/jobs"):
        sent = anyio.run(_send_slowly, app, path)
        assert sent[0]["status"] == 408
    assert not list((app.state.folder.path / "jobs").iterdir())


async def _send_slowly(app: Any, path: bytes) -> list[Any]:
    sent: list[Any] = []
    first = [{"type": "http.request", "body": b"{", "more_body": True}]

    async def receive() -> Any:
        if first:
            return first.pop()
        await anyio.sleep(60)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"content-length", b"100")]
    scope = {"type": "http", "method": "POST", "path": path.decode(), "query_string": b"", "headers": headers}
    async with app.router.lifespan_context(app):
        await app(scope, receive, send)
    return sent
