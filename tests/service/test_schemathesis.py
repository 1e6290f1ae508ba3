"""All that the OpenAPI document allows, and what it does not, is answered as the document says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from service.openapi import described
from tests.service.helpers import JSONL, Server

pytestmark = pytest.mark.heavy
OPERATIONS = [
    (method, path, mode)
    for path, operations in described()["paths"].items()
    for method, operation in operations.items()
    for mode in GenerationMode
    # where nothing is sent, nothing wrong can be
    if mode is GenerationMode.POSITIVE or {"parameters", "requestBody"} & operation.keys()
]
NOT_IN_SCHEMA = {"/v1/classify", "/v1/classify/flat", "/v1/jobs"}
"""Where more is asked than a schema can say: a text in every document, a known profile, a file's format."""


@pytest.fixture(scope="module")
def schema(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("data")
    server = Server(model=model_folder, data_dir=folder, max_jobs=100_000, max_body_bytes=10**9)
    httpx2.post(f"{server.url}/v1/jobs?format=jsonl", content=JSONL).raise_for_status()
    yield schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    log = server.stop()
    assert '"failure"' not in log, log


@pytest.mark.parametrize(("method", "path", "mode"), OPERATIONS)
def test_every_address_keeps_to_its_description(schema: Any, method: str, path: str, mode: GenerationMode) -> None:
    @given(case=schema[path][method].as_strategy(generation_mode=mode))
    @settings(max_examples=15, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def check(case: Any) -> None:
        case.call_and_validate(excluded_checks=[positive_data_acceptance] if path in NOT_IN_SCHEMA else [])

    check()
