"""What several tests of the service do: wait for a job, add a key, make rows."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2

from classifier import Model
from classifier.run import Options, classify_dump
from service.database import open_database
from service.keys import Role, add_key
from service.settings import Settings

ROWS = [
    {"id": "a-1", "title": "quadrotor", "abstract": "A quadrotor lands."},
    {"id": "a-2", "title": "=1+1", "abstract": "missile brigade"},
    {"id": "a-3", "title": "", "abstract": ""},
    {"id": "a-4", "title": "mint", "abstract": "crowd of mint"},
]
"""Four rows: one is refused, one would be a formula in a sheet."""

PATIENCE = 120
"""Seconds after which something is taken to hang; a machine with other work to do is slow."""

JSONL = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)


def finish(client: Any, location: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """Ask for a job until it is finished; return its status."""
    deadline = time.monotonic() + PATIENCE
    while True:
        answer = client.get(location, headers=headers)
        assert answer.status_code == 200, answer.text
        status: dict[str, Any] = answer.json()
        if status["state"] not in ("queued", "running"):
            return status
        assert answer.headers["retry-after"]
        assert time.monotonic() < deadline, status
        time.sleep(0.02)


def wait_until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def keys(settings: Settings) -> dict[str, dict[str, str]]:
    """Add a key for each role; return the headers that show them."""
    engine = open_database(settings)
    found = {role.value: {"X-API-Key": add_key(engine, f"the-{role}", role)} for role in Role}
    engine.dispose()
    return found


def by_command(model: Model, source: Path, target: Path, **options: Any) -> bytes:
    """Return what the engine of the command line makes of a file."""
    classify_dump(source, target, model, Options(**options), rejects=target.with_name("rejects"))
    return target.read_bytes()


class Held(Model):
    """A model that scores batches only once it is let go."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.gate = threading.Event()

    def judge_arrow(self, *arguments: Any, **options: Any) -> Any:
        assert self.gate.wait(PATIENCE)
        return super().judge_arrow(*arguments, **options)


class Server:
    """`dualuse serve` in a process of its own."""

    def __init__(self, **settings: Any) -> None:
        environment = {f"DUALUSE_{name.upper()}": str(value) for name, value in settings.items()}
        pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        code = "from service.cli import serve; serve(['--port', '0'])"
        self.process = subprocess.Popen([sys.executable, "-c", code], env=os.environ | environment, **pipes)
        assert self.process.stdout
        line = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found, line + self.process.stdout.read()
        self.url = found[0]
        while True:  # until it answers
            try:
                httpx2.get(f"{self.url}/health/ready", timeout=PATIENCE).raise_for_status()
                return
            except httpx2.HTTPError:
                assert self.process.poll() is None, self.process.stdout.read()
                time.sleep(0.02)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def stop(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=PATIENCE)[0]
