"""The flat shape holds the very judgement of /v1/classify, in values that any form can take."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from classifier import NOTICE, TAGS

DOCUMENT = {"id": "award-1", "title": "A quadrotor and a missile", "description": "A brigade waits."}


def post(client: TestClient, body: dict[str, Any]) -> Any:
    return client.post("/v1/classify/flat", json=body)


def test_it_tells_what_classify_tells(client: TestClient) -> None:
    flat = post(client, DOCUMENT).json()
    asked = {"id": "award-1", "title": DOCUMENT["title"], "abstract": DOCUMENT["description"]}
    (result,) = client.post("/v1/classify", json={"documents": [asked]}).json()["results"]
    assert result["tags"], "nothing is flagged: the comparison would prove little"
    for tag in TAGS:
        assert flat[f"{tag}_probability"] == result[f"{tag}_probability"]
        assert flat[f"{tag}_decision"] == result[f"{tag}_decision"]
        assert flat[f"{tag}_role"] == (result.get(f"{tag}_role") or "")
    assert flat["tags"] == ",".join(result["tags"])
    assert (flat["flagged"], flat["id"], flat["notice"]) == (True, "award-1", NOTICE)


def test_every_value_fits_a_form_field_whatever_the_text(client: TestClient) -> None:
    names = list(post(client, DOCUMENT).json())
    for body in (DOCUMENT, {"title": "Worms"}, {"abstract": "Soil \u200b", "description": ""}):
        answer = post(client, body).json()
        assert all(isinstance(value, (str, float, int)) for value in answer.values())
        assert list(answer) == names
    assert answer["tags"] == ""
    assert answer["flagged"] is False


@pytest.mark.parametrize(
    ("body", "pointer", "said"),
    [
        ({}, "", "title"),
        ({"title": " "}, "", "title"),
        ({"title": 3}, "/title", "Is not a string"),
        ({"abstract": "a", "description": "b"}, "/description", "beside abstract"),
        ({"titel": "secret words"}, "", "Known are: id, title, abstract, description, profile."),
        ({"title": "a", "profile": "none"}, "/profile", "Is not a profile"),
        ([], "", "Is not a JSON object"),
    ],
)
def test_what_is_wrong_is_named_and_not_repeated(client: TestClient, body: Any, pointer: str, said: str) -> None:
    answer = post(client, body)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert said in error["message"]
    assert "secret" not in answer.text


def test_the_description_of_it_is_true_and_its_example_works(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    operation = document["paths"]["/v1/classify/flat"]["post"]
    (example,) = operation["requestBody"]["content"]["application/json"]["examples"].values()
    answer = post(client, example["value"])
    assert answer.status_code == 200
    schema = document["components"]["schemas"]["FlatResult"]
    assert list(schema["properties"]) == list(answer.json())
