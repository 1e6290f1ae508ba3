"""Every error has the one shape, says how to mend it, and repeats nothing of what was sent."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from classifier import Model
from classifier.records import MAX_CHARS
from service.app import create_app
from service.settings import Settings

SECRET = "Zebrawing"
"""A word that stands in for a text someone entrusts to the service."""

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def small(model_folder: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(model=model_folder, max_body_bytes=200, max_documents=3))) as client:
        yield client


def check_problem(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert list(problem) == ["type", "title", "status", "detail", "instance", "errors"]
    assert problem["status"] == status
    assert problem["instance"] == answer.headers["x-request-id"]
    assert SECRET not in answer.text + str(answer.headers)
    return problem


def errors(answer: Any) -> dict[str, str]:
    listed = check_problem(answer, 422)["errors"]
    found = {error["pointer"]: error["message"] for error in listed}
    assert len(found) == len(listed)
    return found


def logged(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [json.loads(record.message) for record in caplog.records if record.name == "dualuse.service"]


BAD_BODIES: dict[str, tuple[Any, dict[str, str]]] = {
    "no documents": ({}, {"/documents": "Is missing"}),
    "a list of documents alone": ([{"title": SECRET}], {"": "Is not a JSON object"}),
    "one document alone": ({"title": SECRET}, {"": "Known are: documents", "/documents": "Is missing"}),
    "documents not a list": ({"documents": {"title": SECRET}}, {"/documents": "Put the document into [ ]"}),
    "no document in the list": ({"documents": []}, {"/documents": "Is empty"}),
    "a text for a document": ({"documents": [SECRET]}, {"/documents/0": "Is not a JSON object"}),
    "a mistyped name": (
        {"documents": [{"title": "a"}, {"Abstract": SECRET}]},
        {"/documents/1": "Known are: id, title, abstract"},
    ),
    "a text for a name": ({"documents": [{SECRET: "a", SECRET + "2": 3}]}, {"/documents/0": "not known"}),
    "a text for a name above": ({"documents": [{"title": "a"}], SECRET: 1}, {"": "not known"}),
    "a number for a text": ({"documents": [{"abstract": 17}]}, {"/documents/0/abstract": "Is not a string"}),
    "a list for a text": ({"documents": [{"abstract": [SECRET]}]}, {"/documents/0/abstract": "not a string"}),
    "a number for an id": ({"documents": [{"id": 4, "title": SECRET}]}, {"/documents/0/id": "not a string"}),
    "a text for an id": (
        {"documents": [{"id": SECRET * 200, "title": "a"}]},
        {"/documents/0/id": "longer than 1,000 characters"},
    ),
    "no text": ({"documents": [{"title": SECRET}, {"id": SECRET}]}, {"/documents/1": "both empty"}),
    "blank text": ({"documents": [{"title": " ", "abstract": "\n"}]}, {"/documents/0": "both empty"}),
    "too long a text": (
        {"documents": [{"title": "a"}, {"abstract": SECRET + "x" * MAX_CHARS}]},
        {"/documents/1/abstract": "longer than 1,000,000 characters. Shorten it"},
    ),
    "half a surrogate pair": (
        {"documents": [{"title": "a"}, {"title": SECRET + "\ud800"}]},
        {"/documents/1/title": "half of a surrogate pair"},
    ),
    "half a surrogate pair in an id": ({"documents": [{"id": "\udfff"}]}, {"/documents/0/id": "half"}),
    "half a surrogate pair for a name": ({"documents": [{"\ud83d": "a"}]}, {"/documents/0": "half"}),
    "an unknown profile": (
        {"documents": [{"title": "a"}], "profile": SECRET},
        {"/profile": "not a profile of tiny-1.0.0. Known are: balanced, wide"},
    ),
    "half a surrogate pair for a profile": (
        {"documents": [{"title": "a"}], "profile": "\ud800"},
        {"/profile": "Known"},
    ),
    "no string for a profile": ({"documents": [{"title": "a"}], "profile": 1}, {"/profile": "not a string"}),
}


@pytest.mark.parametrize("case", BAD_BODIES)
def test_a_body_that_is_not_as_it_should_be_is_answered_with_the_place_and_the_mend(
    client: TestClient, case: str
) -> None:
    body, expected = BAD_BODIES[case]
    answer = client.post("/v1/classify", content=json.dumps(body), headers=JSON)
    found = errors(answer)
    assert found.keys() == expected.keys()
    for pointer, part in expected.items():
        assert part in found[pointer]


def test_of_very_many_errors_the_first_hundred_are_listed(client: TestClient) -> None:
    problem = check_problem(client.post("/v1/classify", json={"documents": [{}] * 500}), 422)
    assert "500 errors" in problem["detail"]
    assert [error["pointer"] for error in problem["errors"]] == [f"/documents/{n}" for n in range(100)]


@pytest.mark.parametrize(
    ("body", "part"),
    [
        (b"", "line 1, column 1"),
        (b'{"documents": [{"title": "Zebrawing" "a"}]}', "line 1, column 38"),
        (b'{"documents": [{"title": "Zebrawing \\x"}]}', "not JSON"),
        (b'{"documents": [{"title": "Zebrawing \n"}]}', "not JSON"),
        ('{"documents": [{"title": "Zebrawing é"}]}'.encode("latin-1"), "not UTF-8, at byte 36"),
        ('{"documents": [{"title": "Zebrawing"}]}'.encode("utf-16"), "not UTF-8, at byte 0"),
        (b'{"documents": ' + b"[" * 200_000, "too deep"),
        (b'{"documents": ' + b'{"a":' * 200_000, "too deep"),
        (b'{"documents": [{"id": ' + b"9" * 5_000 + b"}]}", "too long"),
    ],
)
def test_what_is_not_json_in_utf_8_is_answered_400(client: TestClient, body: bytes, part: str) -> None:
    assert part in check_problem(client.post("/v1/classify", content=body, headers=JSON), 400)["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/jsonlines"},
        {"Content-Type": "application/problem+json"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": f"application/{SECRET}"},
        {**JSON, "Content-Encoding": "gzip"},
    ],
)
def test_another_media_type_or_encoding_is_answered_415(client: TestClient, headers: dict[str, str]) -> None:
    body = b'{"documents": [{"title": "Zebrawing"}]}'
    check_problem(client.post("/v1/classify", content=body, headers=headers), 415)


def test_a_body_over_the_limit_is_answered_413_with_the_limit(small: TestClient) -> None:
    body = json.dumps({"documents": [{"title": SECRET * 100}]})
    assert "200 bytes" in check_problem(small.post("/v1/classify", content=body, headers=JSON), 413)["detail"]


def test_a_body_over_the_limit_that_announces_no_length_is_answered_413(small: TestClient) -> None:
    chunks = (SECRET.encode() for _ in range(100))
    check_problem(small.post("/v1/classify", content=chunks, headers=JSON), 413)


def test_a_body_of_just_the_limit_is_taken(small: TestClient) -> None:
    body = b'{"documents": [{"title": "a"}]}'.ljust(200)
    assert small.post("/v1/classify", content=body, headers=JSON).status_code == 200
    check_problem(small.post("/v1/classify", content=body + b" ", headers=JSON), 413)


def test_too_many_documents_are_answered_with_both_numbers(small: TestClient) -> None:
    assert small.post("/v1/classify", json={"documents": [{"title": "a"}] * 3}).status_code == 200
    answer = small.post("/v1/classify", json={"documents": [{"title": "a"}] * 4})
    assert errors(answer) == {
        "/documents": "4 documents; at most 3 are taken. Send them in several requests.",
    }


def test_an_unknown_address_or_method_has_the_same_shape(client: TestClient) -> None:
    check_problem(client.get(f"/v1/{SECRET}?q={SECRET}"), 404)
    check_problem(client.post("/v1/classify/", json={}), 404)
    check_problem(client.get("/docs"), 404)
    answer = client.get("/v1/classify")
    assert "POST" in check_problem(answer, 405)["detail"]
    assert answer.headers["allow"] == "POST"


class _Failing(Model):
    def classify(self, *_: Any, **__: Any) -> Any:
        raise ValueError(f"cannot digest {SECRET}")


def test_a_failure_of_our_own_tells_neither_client_nor_log_of_the_text(
    model_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with TestClient(create_app(Settings(), _Failing(model_folder))) as client:
        answer = client.post("/v1/classify", json={"documents": [{"title": SECRET}]})
        problem = check_problem(answer, 500)
        assert "Traceback" not in answer.text
        assert client.get("/health/live").status_code == 200
    assert SECRET not in caplog.text
    failure = next(line for line in logged(caplog) if line["event"] == "failure")
    assert (failure["error"], failure["request_id"]) == ("ValueError", problem["instance"])
    assert any("_judge" in place for place in failure["where"])


def test_nothing_of_a_text_or_an_address_comes_into_the_log(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    documents = [{"id": SECRET, "title": SECRET}, {"abstract": SECRET}]
    client.post(f"/v1/classify?q={SECRET}", json={"documents": documents})
    client.post(f"/v1/{SECRET}", json={"documents": [{"title": SECRET}]})
    client.get(f"/health/live?{SECRET}", headers={"X-Request-ID": f"{SECRET} and more"})
    for body, _ in BAD_BODIES.values():
        client.post("/v1/classify", content=json.dumps(body), headers=JSON)
    ours = "".join(r.getMessage() + str(r.exc_info) for r in caplog.records if not r.name.startswith("httpx"))
    assert SECRET not in ours
    lines = logged(caplog)
    assert len(lines) == 3 + len(BAD_BODIES)
    first = lines[0]
    assert first.keys() == {"time", "event", "request_id", "method", "route", "status", "ms", "documents"}
    assert (first["method"], first["route"], first["status"]) == ("POST", "/v1/classify", 200)
    assert first["documents"] == 2
    assert (lines[1]["route"], lines[1]["status"]) == (None, 404)


def test_a_request_id_comes_back_and_is_logged(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    given = "trace-1.B_" + "x" * 54
    answer = client.get("/health/live", headers={"X-Request-ID": given})
    assert answer.headers["x-request-id"] == given
    assert [line["request_id"] for line in logged(caplog)] == [given]


def send_raw(app: FastAPI, announced: bytes, *received: dict[str, Any]) -> list[Any]:
    """Post to /v1/classify message by message, as a server does; return what was sent back."""
    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/v1/classify", "query_string": b""}
    scope["headers"] = [(b"content-type", b"application/json"), (b"content-length", announced)]
    messages = iter(received)
    sent: list[Any] = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    async def exchange() -> None:
        async with app.router.lifespan_context(app):
            await app(scope, receive, send)

    anyio.run(exchange)
    return sent


def test_a_caller_who_leaves_is_no_failure(model_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    start, end = {"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}
    assert not send_raw(create_app(Settings(model=model_folder)), b"100", start, end)
    assert [(line["event"], line["status"]) for line in logged(caplog)] == [("request", 499)]


def test_of_a_body_announced_too_long_nothing_is_read(model_folder: Path) -> None:
    sent = send_raw(create_app(Settings(model=model_folder)), b"10000001")  # to read would fail
    assert sent[0]["status"] == 413


@pytest.mark.parametrize("given", ["", "a" * 65, "two words", "a/b", "id\u00e9", 'id"', "a,b"])
def test_a_request_id_that_could_carry_more_than_an_id_is_replaced(client: TestClient, given: str) -> None:
    answer = client.get("/health/live", headers={b"X-Request-ID": given.encode("latin-1")})
    fresh = answer.headers["x-request-id"]
    assert fresh != given
    assert re.fullmatch(r"[0-9a-f]{32}", fresh)
