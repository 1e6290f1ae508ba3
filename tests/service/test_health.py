"""Who watches the service gets an answer at once, whatever the scoring does."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from classifier import Model, ModelError
from service.app import create_app
from service.settings import Settings
from tests.service.test_problems import check_problem

ONE = {"documents": [{"title": "quadrotor"}]}


def test_before_the_model_is_loaded_the_service_lives_but_is_not_ready(model_folder: Path) -> None:
    app = create_app(Settings(model=model_folder))
    unstarted = TestClient(app)
    assert unstarted.get("/health/live").json() == {"status": "live"}
    for answer in (unstarted.get("/health/ready"), unstarted.post("/v1/classify", json=ONE)):
        check_problem(answer, 503)
        assert answer.headers["retry-after"] == "1"
    with TestClient(app) as started:
        assert started.get("/health/ready").json() == {"status": "ready", "model": "tiny-1.0.0"}
    check_problem(unstarted.get("/health/ready"), 503)


def test_a_model_folder_that_cannot_be_loaded_stops_the_start(tmp_path: Path) -> None:
    with (
        pytest.raises(ModelError, match="no such model folder"),
        TestClient(create_app(Settings(model=tmp_path / "none"))),
    ):
        pass


def test_no_environment_makes_it_report_elsewhere(
    model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # FastAPI would export requests' queries and exceptions' messages, or complain that it cannot.
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    with TestClient(create_app(Settings(model=model_folder))) as client:
        assert client.get("/health/ready").status_code == 200
    assert not [record for record in caplog.records if record.name.startswith(("fastapi", "opentelemetry"))]


class _Held(Model):
    """A model that scores only once it is let go."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.gate = threading.Event()
        self.most_at_once = self._now = 0
        self._lock = threading.Lock()

    def classify(self, *arguments: Any, **options: Any) -> Any:
        with self._lock:
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        assert self.gate.wait(20)
        with self._lock:
            self._now -= 1
        return super().classify(*arguments, **options)


def test_while_every_slot_is_taken_health_answers_and_more_work_is_turned_away(model_folder: Path) -> None:
    model = _Held(model_folder)
    app = create_app(Settings(max_concurrent=2, max_waiting=1), model)
    with TestClient(app) as client, ThreadPoolExecutor(3) as pool:
        taken = [pool.submit(client.post, "/v1/classify", json=ONE) for _ in range(3)]
        _wait_until(lambda: app.state.slots.free == 0)
        started = time.perf_counter()
        answer = client.post("/v1/classify", json=ONE)
        check_problem(answer, 429)
        assert answer.headers["retry-after"] == "1"
        assert client.get("/health/live").status_code == 200
        assert client.get("/health/ready").status_code == 200
        assert time.perf_counter() - started < 5
        model.gate.set()
        assert [future.result().status_code for future in taken] == [200, 200, 200]
        assert model.most_at_once == 2
        assert client.post("/v1/classify", json=ONE).status_code == 200


def test_work_that_fails_gives_its_slot_back(model_folder: Path) -> None:
    with TestClient(create_app(Settings(model=model_folder, max_concurrent=1, max_waiting=0))) as client:
        for _ in range(3):
            assert client.post("/v1/classify", json={"documents": []}).status_code == 422
        assert client.post("/v1/classify", json=ONE).status_code == 200


def _wait_until(condition: Any) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
