"""The wheel, alone in an empty environment and called from outside the repository, gives the checkout's bytes."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAPERS = ROOT / "data/examples/papers.jsonl"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_three_packages_and_its_assets_inside_classifier(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"classifier", "training", "service"}
    assert "classifier/_assets/data/taxonomy.toml" in names
    assert any(name.startswith("classifier/_assets/models/") and name.endswith("MANIFEST.json") for name in names)


def test_the_wheel_gives_the_bytes_of_the_checkout(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", str(wheel)], check=True, capture_output=True)
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    got = subprocess.run(
        [python.parent / "dualuse", "classify", str(PAPERS)], cwd=tmp_path, env=env, capture_output=True, check=True
    )
    want = subprocess.run(
        [sys.executable, "-m", "classifier.cli", "classify", str(PAPERS)], cwd=ROOT, capture_output=True
    )
    assert got.stdout == want.stdout
    taxonomy = subprocess.run([python.parent / "dualuse", "taxonomy"], cwd=tmp_path, env=env, capture_output=True)
    assert taxonomy.returncode == 0
    train = subprocess.run([python.parent / "dualuse", "train"], cwd=tmp_path, env=env, capture_output=True)
    assert b"pip install 'dualuse[train]'" in train.stderr
