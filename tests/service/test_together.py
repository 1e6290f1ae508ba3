"""Requests that are judged in one pass get what each would get alone, and none pays for another."""

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from classifier import Model
from service.app import create_app
from service.settings import Settings
from service.together import BYTES
from tests.service.helpers import PATIENCE, wait_until

POISON = "poison"


class _Counting(Model):
    """Tells how many documents each pass had; holds the first pass until it is let go, fails on POISON."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.gate = threading.Event()
        self.passes: list[int] = []

    def classify(self, documents: Iterable[Any], **options: Any) -> Any:
        given = list(documents)
        self.passes.append(len(given))
        assert self.gate.wait(PATIENCE)
        if any(POISON in record.title for record in given):
            raise ValueError("indigestible")
        return super().classify(given, **options)


def _ask_together(model: _Counting, bodies: list[tuple[str, Any]]) -> list[Any]:
    """Send a first request, and these while it is judged; return their answers."""
    settings = Settings(max_concurrent=1)
    app = create_app(settings, model)
    with TestClient(app) as client, ThreadPoolExecutor(len(bodies) + 1) as pool:
        all_places = app.state.slots.free
        first = pool.submit(client.post, "/v1/classify", json={"documents": [{"title": "mint"}]})
        wait_until(lambda: model.passes)
        sent = []
        for place, (path, body) in enumerate(bodies):
            sent.append(pool.submit(client.post, path, json=body))
            wait_until(lambda place=place: app.state.slots.free == all_places - 2 - place)
        model.gate.set()
        assert first.result().status_code == 200
        answers = [one.result() for one in sent]
        assert app.state.slots.free == all_places
        return answers


def test_what_waits_is_judged_in_one_pass_and_each_gets_its_own(model_folder: Path, model: Model) -> None:
    counting = _Counting(model_folder)
    titles = ["quadrotor", "missile brigade", "crowd", "mint"]
    bodies: list[tuple[str, Any]] = [("/v1/classify", {"documents": [{"title": t}, {"title": "mint"}]}) for t in titles]
    bodies.append(("/v1/classify/flat", {"title": "cloned voices"}))
    *answers, flat = _ask_together(counting, bodies)
    assert counting.passes == [1, 9]
    for title, answer in zip(titles, answers, strict=True):
        wanted = [result.as_row() for result in model.classify([{"title": title}, {"title": "mint"}])]
        assert answer.json()["results"] == wanted
    (alone,) = model.classify([{"title": "cloned voices"}])
    assert flat.json()["disinformation_probability"] == alone.judgements["disinformation"].probability


def test_what_cannot_be_read_or_judged_hurts_no_other(model_folder: Path) -> None:
    counting = _Counting(model_folder)
    bodies: list[tuple[str, Any]] = [
        ("/v1/classify", {"documents": [{"title": title}], **more})
        for title, more in (("quadrotor", {}), (POISON, {}), ("crowd", {"profile": "none"}), ("mint", {}), ("", {}))
    ]
    answers = _ask_together(counting, bodies)
    assert [answer.status_code for answer in answers] == [200, 500, 422, 200, 422]


def test_one_profile_does_not_decide_for_another(model_folder: Path, model: Model) -> None:
    bodies: list[tuple[str, Any]] = [
        ("/v1/classify", {"documents": [{"title": "A crowd"}], "profile": profile}) for profile in ("wide", "balanced")
    ]
    answers = _ask_together(_Counting(model_folder), bodies)
    for profile, answer in zip(("wide", "balanced"), answers, strict=True):
        assert answer.json()["results"] == [r.as_row() for r in model.classify([{"title": "A crowd"}], profile=profile)]


def test_long_bodies_and_explanations_keep_none_waiting(model_folder: Path) -> None:
    counting = _Counting(model_folder)
    long = {"documents": [{"title": "mint", "abstract": "a " * (BYTES // 2)}]}
    short = {"documents": [{"title": "mint"}]}
    why = short | {"evidence": True}
    answers = _ask_together(counting, [("/v1/classify", body) for body in (short, short, long, short, why, short)])
    assert [answer.status_code for answer in answers] == [200] * 6
    assert counting.passes[:6] == [1, 2, 1, 1, 1, 1]
    assert "evidence" in answers[4].json()["results"][0]
