"""Records a second through Spark's local mode against the command line, on the same Parquet file in one run.

    python benchmarks/spark.py [RECORDS]

Needs the extra `spark` and Java. Spark's first run pays for its workers and their models; the second shows the rate.
"""

import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from classifier.readers import read
from classifier.records import Record
from classifier.spark import classify_dataframe

ROOT = Path(__file__).parent.parent


@click.command()
@click.argument("records", default=50_000)
@click.option("--cores", default=2, show_default=True)
def main(records: int, cores: int) -> None:
    """Compare Spark's local mode with the command line on RECORDS made-up records."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "in.parquet")
        pq.write_table(_make(records), source, row_group_size=5_000)
        command = [sys.executable, "-m", "classifier.cli", "classify", str(source), "-o", f"{folder}/local.parquet"]
        local = _time(lambda: subprocess.run(command, check=True, capture_output=True, cwd=ROOT))
        session = SparkSession.builder.master(f"local[{cores}]").config("spark.ui.enabled", "false").getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        session.conf.set("spark.sql.files.maxPartitionBytes", str(source.stat().st_size // (4 * cores)))
        df = session.read.parquet(str(source))
        plain = _time(lambda: df.write.parquet(f"{folder}/plain"))
        first, second = (
            _time(lambda n=n: classify_dataframe(df).write.parquet(f"{folder}/spark{n}"))  # type: ignore[misc]
            for n in (1, 2)
        )
        session.stop()
    for name, seconds in {
        "command line": local,
        f"Spark local[{cores}], first run": first,
        f"Spark local[{cores}], second run": second,
        "Spark, reading and writing alone": plain,
    }.items():
        click.echo(f"{name:34} {seconds:7.1f} s {records / seconds:10,.0f} records/s {local / seconds:6.2f} x")


def _make(records: int) -> pa.Table:
    found = read(ROOT / "data/examples/papers.jsonl")
    texts = [(item.title.split(), item.abstract.split()) for item in found if isinstance(item, Record)]
    chance = random.Random(1)
    rows = [chance.choice(texts) for _ in range(records)]
    mixed = [" ".join(chance.sample(abstract, len(abstract))) for _, abstract in rows]
    titles = [" ".join(title) for title, _ in rows]
    return pa.table({"id": [f"r{n}" for n in range(records)], "title": titles, "abstract": mixed})


def _time(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
