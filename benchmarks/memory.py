"""`python -m benchmarks.memory [--records N]`: peak memory of a run over 100,000 records and over N.

Each run is a process of its own, with the shipped model, from generated JSON lines to OUT; the peak is the process's
highest resident set as the kernel counts it.
"""

import argparse
import subprocess
import sys
import tempfile
from itertools import cycle
from pathlib import Path

import click

from benchmarks.endtoend import EXAMPLES

CODE = """
import sys
from pathlib import Path
from benchmarks.endtoend import Costless
from classifier import load
from classifier.run import classify_dump
model = load()
classify_dump(sys.argv[1], sys.argv[2], Costless(model) if sys.argv[3] == "costless" else model)
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


def main() -> None:
    """Print the peaks and their difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000, help="such as 10000000")
    parser.add_argument("--format", default="jsonl", choices=["jsonl", "csv", "parquet"])
    parser.add_argument("--costless", action="store_true", help="a model that gives every record the same result")
    arguments = parser.parse_args()
    peaks = [peak(count, arguments.format, arguments.costless) for count in (100_000, arguments.records)]
    click.echo(f"{arguments.records:,} records take {peaks[1] - peaks[0]:+,} MiB more than 100,000 (goal: at most 200)")


def peak(count: int, format: str, costless: bool) -> int:
    """Return a run's peak resident set in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in.jsonl"
        lines = cycle(EXAMPLES.read_bytes().splitlines(keepends=True))
        with source.open("wb") as file:
            file.writelines(line for line, _ in zip(lines, range(count), strict=False))
        arguments = [str(source), f"{folder}/out.{format}", "costless" if costless else "model"]
        done = subprocess.run([sys.executable, "-c", CODE, *arguments], capture_output=True, text=True, check=True)
    found = int(done.stdout) // 1024
    click.echo(f"{count:>12,} records -> {format}: peak {found:,} MiB")
    return found


if __name__ == "__main__":
    main()
