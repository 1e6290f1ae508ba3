"""What the service takes of memory and disk, for docs/operators.md: `python -m benchmarks.operators`.

Linux only. Times are left to other benchmarks: memory and bytes are the same on a busy machine.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from classifier.readers import read
from classifier.records import Record
from service.records import FILE_NAME

ROOT = Path(__file__).parent.parent
BATCHES, BATCH = 5, 1_000  # enough for the compiled code to be loaded


def measure() -> Iterator[tuple[str, str]]:
    """Yield what was measured, and its figure in words."""
    examples = [r for r in read(ROOT / "data/examples/papers.jsonl") if isinstance(r, Record)]
    documents = [{"title": r.title, "abstract": r.abstract} for r in examples]
    plain = [{"title": f"Soil sample {place}", "abstract": "Worms live in it."} for place in range(BATCH)]
    with tempfile.TemporaryDirectory() as folder, _server(Path(folder)) as (process, url):
        yield "Memory after the start", _memory(process)
        _post(f"{url}/v1/classify", orjson.dumps({"documents": documents}))
        entries = (Path(folder) / FILE_NAME).read_bytes().splitlines(keepends=True)
        yield f"... and {len(documents)} documents, some of them read twice", _memory(process)
        for _ in range(BATCHES):
            _post(f"{url}/v1/classify", orjson.dumps({"documents": plain}))
        yield f"... and {BATCHES} requests of {BATCH:,} documents", _memory(process)
        _post(f"{url}/", urllib.parse.urlencode(documents[0]).encode(), "application/x-www-form-urlencoded")
        yield "... and one text on the page, with its evidence", _memory(process)
        yield "A determination record, bytes a document", f"{round(sum(map(len, entries)) / len(entries)):,}"


@contextmanager
def _server(folder: Path) -> Iterator[tuple[int, str]]:
    environment = os.environ | {"DUALUSE_DATA_DIR": str(folder), "DUALUSE_RECORDS": "1"}
    command = [sys.executable, "-m", "classifier.cli", "serve", "--port", "0"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    found = re.search(r"http://127\.0\.0\.1:\d+", process.stderr.readline())
    assert found
    try:
        request = urllib.request.Request(f"{found[0]}/health/ready")
        urllib.request.urlopen(request, timeout=120).close()
        yield process.pid, found[0]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)


def _post(url: str, body: bytes, kind: str = "application/json") -> None:
    urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": kind}), timeout=600).read()


def _memory(process: int) -> str:
    status = Path(f"/proc/{process}/status").read_text()
    (kilobytes,) = re.findall(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    return f"{int(kilobytes) / 1000:,.0f} MB"


if __name__ == "__main__":
    lines = [f"| {name} | {figure} |" for name, figure in measure()]
    sys.stdout.write("\n".join(["| | |", "| --- | --- |", *lines]) + "\n")
