import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings

from classifier import Model, load

# How fast examples are made tells of the machine's other work, not of the project.
settings.register_profile("dualuse", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("dualuse")

T = TypeVar("T")
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shipped() -> Model:
    """The default model."""
    return load()


@pytest.fixture(scope="session")
def fast() -> Model:
    """The n-gram model, whose scores depend on nothing but its table."""
    return load("fast")


def in_threads(task: Callable[[], T], count: int) -> list[T]:
    """Do a task in several threads at once; return what each got."""
    got: list[T] = []
    threads = [threading.Thread(target=lambda: got.append(task())) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return got
