"""All that the OpenAPI document allows, and what it does not, is answered as the document says."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from tests.service.helpers import JSONL, Server

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def described(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    server = Server(model=model_folder, data_dir=tmp_path_factory.mktemp("data"), max_jobs=100_000)
    httpx2.post(f"{server.url}/v1/jobs?format=jsonl", content=JSONL).raise_for_status()
    yield schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    log = server.stop()
    assert '"failure"' not in log, log


schema = schemathesis.pytest.from_fixture("described")


@schema.parametrize()
@settings(max_examples=int(os.environ.get("EXAMPLES", "30")), deadline=None, suppress_health_check=list(HealthCheck))
def test_every_address_keeps_to_its_description(case: Any) -> None:
    case.call_and_validate()
