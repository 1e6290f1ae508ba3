"""docs/records.md: its commands give the output shown, and the compose file and the unit keep what they promise."""

import os
import re
import subprocess
import sys
from pathlib import Path

from service.records import CASRAI_FIELDS
from tests.conftest import ROOT
from tests.service.helpers import Server
from tests.test_readme import matches

PAGE = (ROOT / "docs" / "records.md").read_text(encoding="utf-8")
MARK = "=== next ==="


def test_its_commands_give_the_output_shown(tmp_path: Path, data_dir: Path) -> None:
    blocks = re.findall(r"```console\n\$ (.*?)```", PAGE, re.DOTALL)
    commands = [part.partition("\n") for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE)]
    (tmp_path / "dualuse").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m classifier.cli "$@"\n')
    (tmp_path / "dualuse").chmod(0o755)
    (ROOT / "build").mkdir(exist_ok=True)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    server = Server(records=1)
    port = server.url.rpartition(":")[2]
    script = f"\necho; echo '{MARK}'\n".join(
        "" if " serve " in command else command.replace(":8000", f":{port}") for command, _, _ in commands
    )
    done = subprocess.run(
        ["bash", "-c", f"exec 2>&1\n{script}"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    server.stop()
    got = done.stdout.split(MARK)
    assert len(got) == len(commands) == 6
    for (command, _, shown), output in zip(commands, got, strict=True):
        assert matches(shown, output), f"{command}\n{output}"


def test_it_names_the_fields_of_an_export() -> None:
    assert all(f"`{name}`" in PAGE for name in CASRAI_FIELDS)


def test_the_image_runs_without_rights_and_with_its_data_in_the_volume() -> None:
    image = (ROOT / "Dockerfile").read_text()
    compose = (ROOT / "compose.yaml").read_text()
    assert image.rindex("USER 10001:10001") > image.rindex("RUN ")
    for promise in ("read_only: true", "cap_drop: [ALL]", "no-new-privileges:true", "127.0.0.1:8000:8000"):
        assert promise in compose
    assert "DUALUSE_DATA_DIR=/data" in image
    assert "data:/data" in compose
