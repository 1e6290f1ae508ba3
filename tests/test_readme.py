"""README's commands give the output that stands below them, and its figures are those that were measured."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from classifier import Model
from tests.conftest import ROOT
from training.card import counts, figures
from training.labels import read_labels
from training.page import to_markdown
from training.sections import card

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [block.partition("\n") for block in re.findall(r"```console\n\$ (.*?)```", README, re.DOTALL)]
SCRIPTS = [command for command, _, _ in COMMANDS if command.startswith(("dualuse classify", "dualuse taxonomy"))]


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """An environment in which `dualuse` and `python` are those under test."""
    (tmp_path / "dualuse").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m classifier.cli "$@"\n')
    (tmp_path / "dualuse").chmod(0o755)
    (tmp_path / "python").symlink_to(sys.executable)
    (ROOT / "build").mkdir(exist_ok=True)
    for path in (ROOT / "build").glob("projects.csv*"):
        path.unlink()  # a finished run would not be done again
    return os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


def run(command: str, env: dict[str, str]) -> str:
    done = subprocess.run(command, shell=True, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def matches(shown: str, got: str) -> bool:
    """Compare output with what README shows, where "..." stands for anything."""
    pattern = ".*".join(re.escape(part) for part in shown.strip().split("..."))
    return re.fullmatch(pattern, got.strip(), re.DOTALL) is not None


@pytest.mark.parametrize("command", SCRIPTS)
def test_a_command_gives_the_output_shown(command: str, shell: dict[str, str]) -> None:
    (shown,) = (output for name, _, output in COMMANDS if name == command)
    got = run(command, shell)
    assert matches(shown, got), got


def test_the_curl_line_answers_as_shown(shell: dict[str, str]) -> None:
    (block,) = re.findall(r"```console\n\$ dualuse serve --port 8000 &\n\$ (curl .*?)\n(.*?)```", README, re.DOTALL)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "classifier.cli", "serve", "--port", str(port)], env=shell, stderr=subprocess.PIPE
    )
    try:
        for _ in range(200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready").close()
                break
            except OSError:
                time.sleep(0.1)
        assert matches(block[1], run(block[0].replace("8000", str(port)), shell))
    finally:
        server.terminate()
        server.communicate(timeout=20)


def test_the_python_lines_run(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(code, {})
    assert "('drones',) 0." in capsys.readouterr().out


def test_the_figures_are_those_that_were_measured_with_the_shipped_models(shipped: Model, fast: Model) -> None:
    measured = []
    for model in (shipped, fast):
        measured.append(json.loads((model.folder / "metrics.json").read_text()))
        assert measured[-1]["model"]["digest"] == model.digest
        assert (model.folder / "README.md").read_text() == to_markdown(card(model))
    assert figures(*measured) in README
    assert counts(read_labels(ROOT / "data/labels")) in (ROOT / "data/README.md").read_text()


def test_readme_is_short_enough_to_be_read() -> None:
    assert len(README.splitlines()) < 200
