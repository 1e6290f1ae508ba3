"""`python -m benchmarks.memory [--records N]`: peak memory of a run over 100,000 records and over N.

Each run is a process of its own, with the fast model, over short made-up records, from JSON lines to OUT; the peak is
the process's highest resident set as the kernel counts it. Ten million records take some 600 MB on disk, and their
output as much again with the default `--keep none`.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import click

CODE = """
import sys
from pathlib import Path
from benchmarks.endtoend import Costless
from classifier import load
from classifier.run import Options, classify_dump
source, target, keep, costless = sys.argv[1:]
model = load("fast")
classify_dump(source, target, Costless(model) if costless == "True" else model, Options(keep=keep))
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


@click.command()
@click.option("--records", default=1_000_000, show_default=True, help="Such as 10000000.")
@click.option("--format", "format_", type=click.Choice(["jsonl", "csv", "parquet"]), default="parquet")
@click.option("--keep", type=click.Choice(["all", "id", "none"]), default="none", show_default=True)
@click.option("--costless", is_flag=True, help="A model that gives every record the same result.")
def main(records: int, format_: str, keep: str, costless: bool) -> None:
    """Print the peaks and their difference."""
    peaks = [peak(count, format_, keep, costless) for count in (100_000, records)]
    click.echo(f"{records:,} records take {peaks[1] - peaks[0]:+,} MiB more than 100,000 (goal: at most 200)")


def peak(count: int, format: str, keep: str, costless: bool) -> int:
    """Return a run's peak resident set in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in.jsonl"
        with source.open("w") as file:
            file.writelines(make_line(number) for number in range(count))
        arguments = [str(source), f"{folder}/out.{format}", keep, str(costless)]
        done = subprocess.run([sys.executable, "-c", CODE, *arguments], capture_output=True, text=True, check=True)
    found = int(done.stdout) // 1024
    click.echo(f"{count:>12,} records -> {format}: peak {found:,} MiB")
    return found


def make_line(number: int) -> str:
    """Return a short record."""
    return f'{{"id":"r{number}","title":"Soil no. {number}","abstract":"We count worms."}}\n'


if __name__ == "__main__":
    main()
