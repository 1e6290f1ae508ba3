"""Kill the service a hundred times amid jobs and compare what comes out: `python -m benchmarks.kills [KILLS]`.

Every job's result has to be the very bytes of an undisturbed run. The moments are random, from a seed, and range from
the start of the process to well into the work.
"""

import hashlib
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from classifier import load
from classifier.run import Options, classify_dump

ROWS = 20_000
SEGMENT = 1_000
SEED = 20261124
_SUBJECTS = ("quadrotors", "interceptors", "false rumours", "crowd cameras", "brigade planning", "mint", "soil")
_WORK = ("land on a ship", "steer to a target", "spread in networks", "count people", "are simulated", "grow in shade")


def main() -> None:
    """Run jobs, kill the service until the number of kills is reached, and print what was seen."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    chance = random.Random(SEED)
    amid = jobs = done = 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        source, wanted = _make(folder, chance)
        process, url = _start(folder / "data")
        while done < kills:
            location = _send(url, source)
            jobs += 1
            while done < kills and _look(url, location)["state"] in ("queued", "running"):
                time.sleep(chance.uniform(0, 2))
                status = _look(url, location)
                amid += status["state"] == "running" and bool(status["rows"])
                process.kill()
                process.wait()
                done += 1
                process, url = _start(folder / "data")
            while _look(url, location)["state"] in ("queued", "running"):
                time.sleep(0.1)
            with urllib.request.urlopen(f"{url}{location}/result") as answer:
                found = hashlib.sha256(answer.read()).hexdigest()
            if found != wanted:
                raise SystemExit(f"After {done} kills job {jobs} came out otherwise.")
        process.kill()
        process.wait()
    print(f"{done} kills, {amid} of them amid the work of {jobs} jobs of {ROWS:,} rows: the same bytes each time")  # noqa: T201


def _make(folder: Path, chance: random.Random) -> tuple[Path, str]:
    source, target = folder / "in.jsonl", folder / "out.parquet"
    with source.open("w") as file:
        for place in range(ROWS):
            text = ". ".join(f"{chance.choice(_SUBJECTS)} {chance.choice(_WORK)}" for _ in range(8))
            file.write(json.dumps({"id": f"r-{place}", "title": "", "abstract": text}) + "\n")
    classify_dump(source, target, load("fast"), Options(segment_rows=SEGMENT))
    return source, hashlib.sha256(target.read_bytes()).hexdigest()


def _start(data: Path) -> tuple[subprocess.Popen[str], str]:
    settings = {
        "DUALUSE_DATA_DIR": str(data),
        "DUALUSE_MODEL": str(load("fast").folder),
        "DUALUSE_JOB_SEGMENT_ROWS": str(SEGMENT),
    }
    command = [sys.executable, "-m", "classifier.cli", "serve", "--port", "0"]
    log = data.with_name("log").open("w+")
    process = subprocess.Popen(command, env=os.environ | settings, stderr=log, text=True)
    while True:
        found = re.search(r"http://127\.0\.0\.1:\d+", data.with_name("log").read_text())
        if found and _answers(found[0]):
            log.close()
            return process, found[0]
        if process.poll() is not None:
            raise SystemExit(data.with_name("log").read_text())
        time.sleep(0.02)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health/ready"):
            return True
    except OSError:
        return False


def _send(url: str, source: Path) -> str:
    request = urllib.request.Request(f"{url}/v1/jobs?output=parquet&format=jsonl", source.read_bytes())
    with urllib.request.urlopen(request) as answer:
        return str(answer.headers["Location"])


def _look(url: str, location: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}{location}") as answer:
        status: dict[str, Any] = json.loads(answer.read())
        return status


if __name__ == "__main__":
    main()
