"""The description of the service tells what the service does."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from classifier import NOTICE
from service.openapi import described
from service.problems import TITLES
from tests.conftest import ROOT


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    answer: dict[str, Any] = client.get("/openapi.json").json()
    return answer


def test_its_examples_work_when_posted(client: TestClient, document: dict[str, Any]) -> None:
    content = document["paths"]["/v1/classify"]["post"]["requestBody"]["content"]["application/json"]
    assert len(content["examples"]) == 2
    for example in content["examples"].values():
        answer = client.post("/v1/classify", json=example["value"])
        assert answer.status_code == 200
        assert len(answer.json()["results"]) == len(example["value"]["documents"])


def test_it_gives_the_notice_and_the_limits(document: dict[str, Any]) -> None:
    told = "which with keep=all (the default) holds all columns of the upload, titles and abstracts among them"
    for part in (NOTICE, "10,000,000 bytes", "1,000 documents", "1,000,000 characters", told):
        assert part in document["info"]["description"]


def test_it_names_just_the_fields_that_an_answer_has(client: TestClient, document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    answer = client.post("/v1/classify", json={"documents": [{"title": "a"}]}).json()
    assert list(schemas["ClassifyResponse"]["properties"]) == list(answer)
    assert schemas["Result"]["required"] == list(answer["results"][0])
    explained = client.post("/v1/classify", json={"documents": [{"title": "a"}], "evidence": True}).json()
    assert list(schemas["Result"]["properties"]) == list(explained["results"][0])
    problem = client.post("/v1/classify", json={}).json()
    assert list(schemas["Problem"]["properties"]) == list(problem)
    assert list(schemas["FieldError"]["properties"]) == list(problem["errors"][0])


def test_every_error_is_declared_as_a_problem(document: dict[str, Any]) -> None:
    for path in document["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if not status.startswith("2"):
                    assert list(response["content"]) == ["application/problem+json"]
    declared = document["paths"]["/v1/classify"]["post"]["responses"]
    assert declared["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/ClassifyResponse")
    assert declared.keys() == {"200", "202"} | {str(status) for status in TITLES if status not in (404, 405, 409)}
    assert "409" not in document["paths"]["/v1/jobs"]["post"]["responses"], "nothing there answers so"


def test_the_document_in_the_repository_is_that_of_the_service() -> None:
    # `python -m service.openapi` writes it; callers generate clients from it.
    written = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
    assert written == described()


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = set(_references(document))
    assert references
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert references == known


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + [found for value in node.values() for found in _references(value)]
    if isinstance(node, list):
        return [found for value in node for found in _references(value)]
    return []
