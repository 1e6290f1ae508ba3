from pathlib import Path

import pytest

from classifier import Model, load

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shipped() -> Model:
    """The default model."""
    return load()


@pytest.fixture(scope="session")
def fast() -> Model:
    """The n-gram model, whose scores depend on nothing but its table."""
    return load("fast")
