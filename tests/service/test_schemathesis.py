"""All that the OpenAPI document allows, and what it does not, is answered as the document says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode

from service.openapi import described
from tests.service.helpers import JSONL, Server

pytestmark = pytest.mark.heavy
OPERATIONS = [(method, path) for path, operations in described()["paths"].items() for method in operations]


@pytest.fixture(scope="module")
def schema(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    server = Server(model=model_folder, data_dir=tmp_path_factory.mktemp("data"), max_jobs=100_000)
    httpx2.post(f"{server.url}/v1/jobs?format=jsonl", content=JSONL).raise_for_status()
    yield schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    log = server.stop()
    assert '"failure"' not in log, log


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_address_keeps_to_its_description(schema: Any, method: str, path: str, mode: GenerationMode) -> None:
    @given(case=schema[path][method].as_strategy(generation_mode=mode))
    @settings(max_examples=15, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def check(case: Any) -> None:
        case.call_and_validate()

    check()
