"""What a caller gets for texts: the library's numbers, whatever the text holds."""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier import NOTICE, Model
from classifier.cli import main

DOCUMENTS: list[dict[str, str | None]] = [
    {"id": "award-1", "title": "A quadrotor for mint growers", "abstract": "It counts plants."},
    {"title": "Cloned voices on the telephone"},
    {"id": None, "title": None, "abstract": "A missile is followed; the missile turns; the brigade waits."},
    {"id": " 10.1/x ", "title": "   ", "abstract": "Crowd counts at a station, in a crowd."},
    {"id": "ω-5", "title": "Nothing the model knows", "abstract": "Βήτα \u200b p\u0430per \u0000 end"},
]


JSON = {"Content-Type": "application/json"}


def classify(client: TestClient, documents: Any, **more: Any) -> list[dict[str, Any]]:
    answer = client.post("/v1/classify", json={"documents": documents, **more})
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def test_the_answer_holds_the_very_rows_of_the_library(client: TestClient, model: Model) -> None:
    answer = client.post("/v1/classify", json={"documents": DOCUMENTS})
    rows = [result.as_row() for result in model.classify(DOCUMENTS)]
    assert any(row["tags"] for row in rows), "nothing is flagged: the comparison would prove little"
    assert answer.headers["content-type"] == "application/json"
    assert answer.content == orjson.dumps({"model": "tiny-1.0.0", "notice": NOTICE, "results": rows})


def test_the_service_and_the_command_line_give_the_same_rows(
    client: TestClient, model_folder: Path, tmp_path: Path
) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps(document) + "\n" for document in DOCUMENTS))
    arguments = ["classify", str(source), "-o", str(target), "--keep", "id", "--model", str(model_folder)]
    run = CliRunner().invoke(main, arguments)
    assert run.exit_code == 0, run.output
    assert classify(client, DOCUMENTS) == [json.loads(line) for line in target.read_text().splitlines()]


def test_a_document_without_an_id_is_named_by_its_place(client: TestClient) -> None:
    assert [result["id"] for result in classify(client, DOCUMENTS)] == [
        "award-1",
        "row-2",
        "row-3",
        "10.1/x",
        "ω-5",
    ]


def test_the_profile_decides_and_leaves_the_probabilities_alone(client: TestClient, model: Model) -> None:
    wide = classify(client, DOCUMENTS, profile="wide")
    assert wide == [result.as_row() for result in model.classify(DOCUMENTS, profile="wide")]
    balanced = classify(client, DOCUMENTS)
    assert sum(len(row["tags"]) for row in wide) > sum(len(row["tags"]) for row in balanced)
    probabilities = [[row["drones_probability"] for row in rows] for rows in (wide, balanced)]
    assert probabilities[0] == probabilities[1]


@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_a_byte_order_mark_before_the_json_is_no_fault(client: TestClient, start: str) -> None:
    body = (start + '{"documents": [{"title": "quadrotor"}]}').encode()
    answer = client.post("/v1/classify", content=body, headers={"Content-Type": "application/json"})
    assert answer.json()["results"][0]["tags"] == ["drones"]


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
    ],
)
def test_json_in_utf_8_may_be_announced_in_every_usual_way(client: TestClient, content_type: str) -> None:
    body = b'{"documents": [{"title": "quadrotor"}]}'
    answer = client.post("/v1/classify", content=body, headers={"Content-Type": content_type})
    assert answer.status_code == 200


def body_of(documents: list[dict[str, Any]]) -> bytes:
    return json.dumps({"documents": documents}).encode()  # escapes half surrogate pairs, as browsers do


some_words = st.sampled_from(["quadrotor", "missile", "Crowd", "<b>brigade</b>", "mint", "\u00ad"])
any_text = st.text(st.characters(), max_size=60) | st.lists(some_words, max_size=12).map(" ".join)
any_document = st.fixed_dictionaries({}, optional=dict.fromkeys(("title", "abstract"), st.none() | any_text))


@given(st.lists(any_document, min_size=1, max_size=6))
@settings(max_examples=150, deadline=None)
def test_any_text_is_judged_or_refused_and_alone_as_in_a_batch(
    client: TestClient, documents: list[dict[str, Any]]
) -> None:
    judged = []
    for document in documents:
        alone = client.post("/v1/classify", content=body_of([document]), headers=JSON)
        assert alone.status_code in (200, 422)
        if alone.status_code == 200:
            judged.append((document, alone.json()["results"][0]))
    if judged:
        batch = body_of([document for document, _ in judged])
        together = client.post("/v1/classify", content=batch, headers=JSON).json()["results"]
        assert [row | {"id": "row-1"} for row in together] == [row for _, row in judged]


any_name = st.sampled_from(["documents", "profile", "id", "title", "abstract"]) | st.text(max_size=5)
any_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_name, inner, max_size=4),
)


@given(any_json | st.fixed_dictionaries({"documents": any_json | st.lists(any_json, max_size=3)}))
@settings(max_examples=150, deadline=None)
def test_any_json_at_all_is_answered_without_a_failure(client: TestClient, content: Any) -> None:
    answer = client.post("/v1/classify", content=json.dumps(content), headers=JSON)
    assert answer.status_code in (200, 422)
