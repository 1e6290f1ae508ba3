from pathlib import Path

import pytest

from classifier import Model, load

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shipped() -> Model:
    return load()
