"""A tiny model, made by hand, behind the service: its few words and weights can be read below."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from classifier import TAGS, Model, load, modelfolder
from classifier.cleaning import CLEANING_VERSION
from classifier.features import FEATURES_VERSION, extract
from classifier.results import ROLES
from service.app import create_app
from service.settings import Settings

WORDS = {
    "quadrotor": (900, 50, -100, 20, 10),
    "missile": (-50, 950, -20, 0, 300),
    "cloned voices": (-30, -10, 800, 100, -5),
    "crowd": (40, -80, 60, 700, 15),
    "brigade": (10, 200, -40, 30, 850),
    "mint": (-300, -300, -300, -300, -300),
}


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny-1.0.0"
    # The last n-gram of a phrase is the whole of it.
    entries = sorted((extract([("", phrase)]).hash[-1], weights) for phrase, weights in WORDS.items())
    parameters: dict[str, Any] = {
        "id": "tiny-1.0.0",
        "tags": list(TAGS),
        "versions": {"features": FEATURES_VERSION, "cleaning": CLEANING_VERSION},
        "thresholds": {"balanced": dict.fromkeys(TAGS, 0.5), "wide": dict.fromkeys(TAGS, 0.05)},
        "tf_levels": [100, 169, 210],
        "scale": dict.fromkeys(TAGS, 0.003),
        "intercept": dict.fromkeys(TAGS, -0.7),
        "slope": dict.fromkeys(TAGS, 2.5),
        "offset": dict.fromkeys(TAGS, -0.3),
        "review": dict.fromkeys(TAGS, 0.2),
        "roles": {
            "scale": dict.fromkeys(TAGS, dict.fromkeys(ROLES, 0.001)),
            "intercept": {tag: dict(zip(ROLES, (1.0, 0.0, -1.0), strict=True)) for tag in TAGS},
        },
    }
    arrays: modelfolder.Arrays = {
        "ngrams": np.array([entry[0] for entry in entries], dtype=np.uint64),
        "idf": np.array([310, 420, 250, 500, 480, 390], dtype=np.uint16),
        "weights": np.array([entry[1] for entry in entries], dtype=np.int16),
        "role_ngrams": np.array([entry[0] for entry in entries], dtype=np.uint64),
        "role_idf": np.full(len(entries), 300, dtype=np.uint16),
        "role_weights": np.zeros((len(entries), len(TAGS) * len(ROLES)), dtype=np.int16),
    }
    modelfolder.write(folder, parameters, arrays)
    return folder


@pytest.fixture(scope="session")
def model(model_folder: Path) -> Model:
    return load(model_folder)


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of this test's own, for whatever it starts."""
    folder = tmp_path / "data"
    monkeypatch.setenv("DUALUSE_DATA_DIR", str(folder))
    return folder


@pytest.fixture(scope="session")
def client(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    settings = Settings(model=model_folder, data_dir=tmp_path_factory.mktemp("data"))
    with TestClient(create_app(settings)) as client:
        yield client
