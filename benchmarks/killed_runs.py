"""`python -m benchmarks.killed_runs [--kills N]`: runs killed at random and taken up until they end, bytes compared.

Each process gets SIGKILL at a random moment of the time that a whole run takes, so kills fall into start, reading,
scoring, writing and the last renames alike. A run that ends is compared with one that was never stopped, byte by byte
(output and refused rows), and the next begins.
"""

import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import orjson

ROOT = Path(__file__).parent.parent


@click.command()
@click.option("--kills", default=200, show_default=True)
@click.option("--records", default=30_000, show_default=True)
@click.option("--format", "format_", type=click.Choice(["jsonl", "jsonl.gz", "csv", "parquet"]), default="parquet")
@click.option("--seed", default=1, show_default=True)
def main(kills: int, records: int, format_: str, seed: int) -> None:
    """Kill and take up; print how many runs ended and what came of them."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, whole, out = folder / "in.jsonl", folder / f"whole.{format_}", folder / f"out.{format_}"
        source.write_bytes(b"".join(make_line(number) for number in range(records)))
        seconds = run(source, whole, None)
        expected = outputs(whole)
        killed = taken_up = ended = 0
        while killed < kills or out.exists() or (folder / f"{out.name}.partial").exists():
            if run(source, out, chance.uniform(0, seconds) if killed < kills else None) < 0:
                killed += 1
                taken_up += (folder / f"{out.name}.partial" / "journal").exists()
                continue
            ended += 1
            if outputs(out) != expected:
                raise click.ClickException(f"after {killed} kills, run {ended} gave other bytes (seed {seed})")
            for path in folder.glob(f"{out.name}*"):
                path.unlink()
    click.echo(
        f"{killed} kills in runs of {records:,} records to {format_} ({seconds:.1f} s each); {taken_up} left work to "
        f"be taken up; {ended} runs ended, each with the bytes of one never stopped"
    )


def run(source: Path, target: Path, seconds: float | None) -> float:
    """Run the command, killed after some seconds; return how long it took, or -1 where it was killed."""
    command = [sys.executable, "-m", "classifier.cli", "classify", str(source), "-o", str(target)]
    command += ["--model", "fast", "--segment-rows", "4000"]
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        code = process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        code = process.wait()
    if code == -signal.SIGKILL:
        return -1
    if code != 3:  # done, some records refused
        raise click.ClickException(f"the command ended with {code}")
    return time.perf_counter() - started


def outputs(target: Path) -> list[bytes]:
    """Return the bytes of an output and of its refused rows."""
    return [path.read_bytes() for path in (target, target.with_name(f"{target.name}.rejects.jsonl"))]


def make_line(number: int) -> bytes:
    """Return a record, every hundredth of which will be refused."""
    title = f"Worms no. {number}" if number % 100 else ""
    abstract = "We count worms in clay and sand. " * (number % 40) if title else ""
    return orjson.dumps({"id": f"r{number}", "title": title, "abstract": abstract}) + b"\n"


if __name__ == "__main__":
    main()
