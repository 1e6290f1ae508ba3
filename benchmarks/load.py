"""What the service does under load, with wrk on loopback: `python -m benchmarks.load [-o figures.json]`.

In one run, for both models: single documents in turns with an empty FastAPI endpoint that takes the same body, batches
of 64, memory, and ten times as many callers as there are places. On a machine with other work trust ratios, and of
those the one of processor times, more than anything by the clock.
"""

import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from classifier import Record, assets, load
from classifier.readers import read
from service.settings import Settings

CALLERS = 32
BATCH = 64
NORMAL_SECONDS = 5
OVER = 10

EMPTY = """
import socket, uvicorn
from fastapi import FastAPI
from service.schemas import ClassifyRequest
app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})
@app.post("/v1/classify")
async def empty(body: ClassifyRequest) -> dict[str, str]:
    return {}
listener = socket.create_server(("127.0.0.1", 0))
listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
uvicorn.Server(uvicorn.Config(app, log_config=None, log_level="warning", ws="none")).run(sockets=[listener])
"""

# Bodies in turns; what came back is counted by status, which wrk alone does not.
SCRIPT = """
local bodies, at, threads = {BODIES}, 0, {}
local headers = {["Content-Type"] = "application/json"}
local requests
function setup(thread) table.insert(threads, thread) end
function init(arguments)
  counts, requests = {}, {}
  for i, body in ipairs(bodies) do requests[i] = wrk.format("POST", "/v1/classify", headers, body) end
end
function request() at = at % #requests + 1; return requests[at] end
function response(status) counts[status] = (counts[status] or 0) + 1; told = "" ;
  for status, count in pairs(counts) do told = told .. status .. "=" .. count .. " " end end
function done(summary, latency)
  for _, thread in ipairs(threads) do io.write("statuses ", thread:get("told") or "", "\\n") end
  io.write("seconds ", summary.duration / 1e6, " broken ",
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    " p50 ", latency:percentile(50) / 1e3, " p99 ", latency:percentile(99) / 1e3, "\\n")
end
"""


@dataclass(frozen=True, slots=True)
class Shot:
    """What one run of wrk saw, and the processor time that the server took for it."""

    a_second: float  # requests answered 200
    p50_ms: float
    p99_ms: float
    statuses: dict[str, int]
    broken: int  # connections
    processor_us: float  # a request, whatever the answer


@dataclass(frozen=True, slots=True)
class Server:
    """A process that answers at `url`."""

    url: str
    pid: int

    def processor_seconds(self) -> float:
        """Return user and system time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mib(self) -> float:
        """Return what it holds in memory."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@click.command()
@click.option("--seconds", default=10, show_default=True, help="Of each shot.")
@click.option("--turns", default=4, show_default=True, help="Shots at each server in turns, for the ratio.")
@click.option("--memory", default=60, show_default=True, help="Seconds over which memory is watched.")
@click.option("--model", "models", multiple=True, default=tuple(assets.SHIPPED), help="Which of the shipped models.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the figures as JSON, too.")
def main(seconds: int, turns: int, memory: int, models: Sequence[str], output: Path | None) -> None:
    """Print a table; exit code 1 where something other than 200, 429 and 503 came or it was not normal again."""
    if shutil.which("wrk") is None:
        raise click.ClickException("wrk is not installed: apt-get install wrk")
    figures = {}
    with tempfile.TemporaryDirectory() as place, _empty() as empty:
        for name in models:
            with _service(Path(place) / name, name) as service:
                figures[name] = _measure(Path(place), service, empty, seconds, turns, memory)
            _show(name, figures[name])
    if output:
        output.write_text(json.dumps(figures, indent=1) + "\n")
    if not all(figure["statuses_allowed"] and figure["normal_after_s"] is not None for figure in figures.values()):
        raise SystemExit(1)


def _measure(place: Path, service: Server, empty: Server, seconds: int, turns: int, memory: int) -> dict[str, object]:
    documents = [{"title": r.title, "abstract": r.abstract} for r in _records()]
    single = _script(place / "single.lua", [[document] for document in documents])
    batches = [(documents * BATCH)[start : start + BATCH] for start in range(0, len(documents), BATCH)]
    batch = _script(place / "batch.lua", batches)
    _warm_up(service, documents)

    alternating = [
        (_shoot(single, empty, CALLERS, seconds), _shoot(single, service, CALLERS, seconds)) for _ in range(turns)
    ]
    bare, own = ([pair[side] for pair in alternating] for side in (0, 1))
    in_batches = _shoot(batch, service, 2, seconds)
    sizes = list(_watch(batch, single, service, memory))
    calm = _shoot(single, service, 1, seconds)
    over = _shoot(single, service, OVER * _places(), seconds)
    normal = _seconds_until_normal(service, documents, calm)
    return {
        "empty": [asdict(shot) for shot in bare],
        "single": [asdict(shot) for shot in own],
        "ratio_by_clock": statistics.median(b.a_second / a.a_second for a, b in alternating),
        "ratio_by_processor": statistics.median(a.processor_us / b.processor_us for a, b in alternating),
        "batches": asdict(in_batches),
        "batch_documents_a_second": in_batches.a_second * BATCH,
        "memory_mib": sizes,
        "calm": asdict(calm),
        "overload": asdict(over),
        "statuses_allowed": over.statuses.keys() <= {"200", "429", "503"} and not over.broken,
        "normal_after_s": normal,
    }


def _show(name: str, figures: dict[str, object]) -> None:
    own: list[dict[str, float]] = figures["single"]  # type: ignore[assignment]
    sizes: list[float] = figures["memory_mib"]  # type: ignore[assignment]
    calm, over, batches = (figures[part] for part in ("calm", "overload", "batches"))
    third = len(sizes) // 3
    last = figures["normal_after_s"]
    rows = {
        f"single documents a second, {CALLERS} callers": f"{statistics.median(shot['a_second'] for shot in own):,.0f}",
        "... p50 / p99, ms": f"{own[-1]['p50_ms']:.1f} / {own[-1]['p99_ms']:.1f}",
        "... as a share of the empty endpoint's, by the clock": f"{figures['ratio_by_clock']:.2f}",
        "... by processor time a request": f"{figures['ratio_by_processor']:.2f}",
        f"documents a second, in batches of {BATCH}": f"{figures['batch_documents_a_second']:,.0f}",
        "... p50 / p99 of a batch, ms": f"{batches['p50_ms']:.0f} / {batches['p99_ms']:.0f}",  # type: ignore[index]
        "one caller, p50 / p99, ms": f"{calm['p50_ms']:.1f} / {calm['p99_ms']:.1f}",  # type: ignore[index]
        f"memory over {len(sizes)} s: middle third, last third, MiB": (
            f"{statistics.mean(sizes[third : 2 * third]):.0f}, {statistics.mean(sizes[2 * third :]):.0f}"
        ),
        f"{OVER} times as many callers as places": str(over["statuses"]),  # type: ignore[index]
        "... normal again": "no" if last is None else f"after {last:.1f} s",
    }
    click.echo(f"{name}")
    for label, value in rows.items():
        click.echo(f"  {label:58} {value}")


def _records() -> list[Record]:
    found = [*read(assets.data_file("examples/papers.jsonl")), *read(assets.data_file("cases/negative.jsonl"))]
    return [record for record in found if isinstance(record, Record)]


def _script(path: Path, groups: Sequence[Sequence[dict[str, str]]]) -> Path:
    bodies = ", ".join(f"[==[{json.dumps({'documents': group})}]==]" for group in groups)
    path.write_text(SCRIPT.replace("BODIES", bodies))
    return path


def _shoot(script: Path, server: Server, callers: int, seconds: float) -> Shot:
    before = server.processor_seconds()
    command = ["wrk", "-t1", f"-c{callers}", f"-d{seconds}s", "--timeout", "60s", "-s", str(script), server.url]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    taken = server.processor_seconds() - before
    statuses: dict[str, int] = {}
    for status, count in re.findall(r"(\d+)=(\d+)", told):
        statuses[status] = statuses.get(status, 0) + int(count)
    found = re.search(r"seconds (\S+) broken (\d+) p50 (\S+) p99 (\S+)", told)
    if not found or not statuses:
        raise click.ClickException(f"wrk measured nothing: {told}")
    duration, p50, p99 = (float(found[place]) for place in (1, 3, 4))
    answered = sum(statuses.values())
    return Shot(statuses.get("200", 0) / duration, p50, p99, statuses, int(found[2]), taken / answered * 1e6)


def _watch(batch: Path, single: Path, service: Server, seconds: int) -> Iterator[float]:
    """Yield the memory each second, while both kinds of requests come."""
    commands = [
        ["wrk", "-t1", "-c4", f"-d{seconds}s", "--timeout", "60s", "-s", str(script), service.url]
        for script in (single, batch)
    ]
    running = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for command in commands]
    while any(process.poll() is None for process in running):
        yield service.resident_mib()
        time.sleep(1)


def _seconds_until_normal(service: Server, documents: list[dict[str, str]], calm: Shot) -> float | None:
    """Return after how long ten requests in a row are answered 200 as fast as when it was calm; None: not in time."""
    started = time.monotonic()
    while time.monotonic() - started < NORMAL_SECONDS:
        begun = time.monotonic()
        answers = []
        for document in documents[:10]:
            sent = time.monotonic()
            answers.append((_post(service, [document]), (time.monotonic() - sent) * 1000))
        if all(status == 200 for status, _ in answers) and statistics.median(ms for _, ms in answers) <= calm.p99_ms:
            return begun - started
    return None


def _warm_up(service: Server, documents: list[dict[str, str]]) -> None:
    _post(service, documents)  # loads the encoder of a model that has one


def _post(service: Server, documents: list[dict[str, str]]) -> int:
    body = json.dumps({"documents": documents}).encode()
    request = urllib.request.Request(f"{service.url}/v1/classify", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def _places() -> int:
    settings = Settings.model_construct()
    return settings.max_concurrent + settings.max_waiting


@contextmanager
def _empty() -> Iterator[Server]:
    process = subprocess.Popen([sys.executable, "-c", EMPTY], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    with _stopping(process):
        yield Server(process.stdout.readline().strip(), process.pid)


@contextmanager
def _service(folder: Path, name: str) -> Iterator[Server]:
    folder.mkdir()
    log = folder / "log"
    settings = {"DUALUSE_DATA_DIR": str(folder / "data"), "DUALUSE_MODEL": str(load(name).folder)}
    command = [sys.executable, "-m", "classifier.cli", "serve", "--port", "0"]
    with log.open("w") as errors:
        process = subprocess.Popen(command, env=os.environ | settings, stderr=errors)
    with _stopping(process):
        while True:
            if process.poll() is not None:
                raise click.ClickException(log.read_text())
            if found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text()):
                with suppress(OSError), urllib.request.urlopen(f"{found[0]}/health/ready"):
                    break
            time.sleep(0.1)
        yield Server(found[0], process.pid)


@contextmanager
def _stopping(process: "subprocess.Popen[str]") -> Iterator[None]:
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


if __name__ == "__main__":
    main()
