"""What docs/service.md tells callers is so: its commands are run, its table of settings is compared."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.settings import Settings
from tests.conftest import ROOT
from tests.service.helpers import Server
from tests.test_readme import matches

PAGE = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
MARK = "=== next ==="


@pytest.fixture
def server(model_folder: Path, data_dir: Path) -> Iterator[Server]:
    server = Server(model=model_folder)
    yield server
    server.kill()


def test_its_commands_give_the_output_shown(server: Server, tmp_path: Path) -> None:
    blocks = re.findall(r"```console\n\$ (.*?)```", PAGE, re.DOTALL)
    commands = [part.partition("\n") for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE)]
    (tmp_path / "dualuse").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m classifier.cli "$@"\n')
    (tmp_path / "dualuse").chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    port = server.url.rpartition(":")[2]
    script = f"\necho; echo '{MARK}'\n".join(
        "sleep 3" if " serve " in command else command.replace(":8000", f":{port}") for command, _, _ in commands
    )
    done = subprocess.run(
        ["bash", "-c", f"exec 2>&1\n{script}"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600,
        check=False,
    )  # fmt: skip
    got = done.stdout.split(MARK)
    assert len(got) == len(commands) >= 9
    for (command, _, shown), output in zip(commands, got, strict=True):
        assert matches(shown, output), f"{command}\n{output}"


def test_its_table_names_every_setting_with_its_default() -> None:
    told = dict(re.findall(r"^\| `DUALUSE_(\w+)` \|(.*?)\|", PAGE, re.MULTILINE))
    assert set(told) == {name.upper() for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        if name not in ("data_dir", "max_concurrent", "job_threads"):
            default = {None: "", False: "0"}.get(field.default, str(field.default))
            assert told[name.upper()].strip(" `") == default
