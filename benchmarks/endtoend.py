"""`python -m benchmarks.endtoend [DUMP]`: a whole run against a plain read and write of the same dump.

The plain way uses the same libraries: orjson, line by line; pyarrow, batch by batch. The ways take turns, three times
each, and the best of each counts: of the time on the clock, and of the processor time of all threads, which other work
on the machine disturbs less. "instead of scoring" stands for a model that costs nothing: what the run adds. Without
DUMP (JSONL, plain or gzip) the records of data/examples are repeated: they are there to be flagged and to be odd, and
cost more to read and to judge than a dump as it comes.
"""

import argparse
import gzip
import json
import tempfile
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Any, cast

import click
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from classifier import Model, load
from classifier.batches import read_batches
from classifier.run import Options, classify_dump

EXAMPLES = Path(__file__).parent.parent / "data/examples/papers.jsonl"
RUNS = 3


class Costless:
    """Gives every record the same result: what is left is reading and writing."""

    def __init__(self, model: Model) -> None:
        """Take identity and result columns from a real model."""
        self.id, self.digest, self.folder = model.id, model.digest, model.folder
        self.thresholds, self.review_thresholds = model.thresholds, model.review_thresholds
        self._result = model.judge_arrow(pa.array(["Soil"]), pa.array(["Worms."]))

    def prepare(self) -> bool:
        """Have nothing to prepare."""
        return True

    def judge_arrow(self, titles: pa.Array, abstracts: pa.Array, *, profile: str = "balanced") -> pa.RecordBatch:
        """Return the same result for every record."""
        return self._result.take(pa.array([0] * len(titles), pa.int64()))


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dump", nargs="?", type=Path)
    parser.add_argument("--records", type=int, default=50_000)
    parser.add_argument("--threads", type=int, default=None)
    arguments = parser.parse_args()
    model = load("fast")
    with tempfile.TemporaryDirectory() as folder:
        lines, table, rows = prepare(Path(folder), arguments.dump, arguments.records)
        click.echo(f"{rows:,} records, {lines.stat().st_size / rows:,.0f} bytes each as JSON")
        scoring = best(lambda: score(model, lines))
        click.echo(f"scoring alone, one thread: {rows / scoring:,.0f} records/s")
        for name, source, plain in (("JSONL", lines, copy_lines), ("Parquet", table, copy_table)):
            click.echo(f"{name} -> {name}")
            compare(model, source, plain, rows, Options(threads=arguments.threads))


def compare(model: Model, source: Path, plain: Callable[[Path, Path], None], rows: int, options: Options) -> None:
    """Let the plain way and the whole run take turns; print their times."""
    out = source.with_name(f"out{source.suffix}")
    costless = cast(Model, Costless(model))
    ways: dict[str, Callable[[], Any]] = {
        "plain": lambda: plain(source, out),
        "run": lambda: classify_dump(source, out, model, options, restart=True),
        "instead of scoring": lambda: classify_dump(source, out, costless, options, restart=True),
    }
    times: dict[str, list[float]] = {label: [] for label in ways}
    processor: dict[str, list[float]] = {label: [] for label in ways}
    for _ in range(RUNS):
        for label, way in ways.items():
            used = time.process_time()
            times[label].append(clock(way))
            processor[label].append(time.process_time() - used)
    for label, taken in times.items():
        ratios = (min(found[label]) / min(found["plain"]) for found in (times, processor))
        shown = "{:6.2f} x plain on the clock, {:5.2f} x its processor time".format(*ratios)
        click.echo(f"  {label:20} {min(taken):7.2f} s  {rows / min(taken):10,.0f} records/s  {shown}")


def prepare(folder: Path, dump: Path | None, records: int) -> tuple[Path, Path, int]:
    """Write the dump as plain JSONL and as Parquet."""
    lines, table = folder / "in.jsonl", folder / "in.parquet"
    rows = []
    dump = dump or EXAMPLES
    with gzip.open(dump) if dump.suffix == ".gz" else dump.open("rb") as opened, lines.open("wb") as file:
        source = cycle(opened.readlines()) if dump == EXAMPLES else opened
        for line in islice(source, records):
            file.write(line)
            rows.append(
                {key: json.dumps(v) if isinstance(v, (list, dict)) else v for key, v in orjson.loads(line).items()}
            )
    pq.write_table(pa.Table.from_pylist(rows), table, compression="zstd", row_group_size=20_000)
    return lines, table, len(rows)


def copy_lines(source: Path, target: Path) -> None:
    """Read and write JSON lines, and nothing else."""
    with source.open("rb") as lines, target.open("wb") as out:
        for line in lines:
            out.write(orjson.dumps(orjson.loads(line), option=orjson.OPT_APPEND_NEWLINE))


def copy_table(source: Path, target: Path) -> None:
    """Read and write Parquet, and nothing else."""
    with pq.ParquetFile(source) as file, pq.ParquetWriter(target, file.schema_arrow, compression="zstd") as writer:
        for batch in file.iter_batches(20_000):
            writer.write_batch(batch)


def score(model: Model, lines: Path) -> None:
    """Judge the first records of a dump and nothing else."""
    for batch in islice(read_batches(lines), 10):
        model.judge_arrow(batch.records.column("title"), batch.records.column("abstract"))


def best(action: Callable[[], Any]) -> float:
    """Return the best time of a few runs."""
    return min(clock(action) for _ in range(RUNS))


def clock(action: Callable[[], Any]) -> float:
    """Return the seconds that something takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
