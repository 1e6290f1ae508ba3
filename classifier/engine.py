"""Score a source batch by batch: the caller's thread reads, other threads score, and order is kept.

Reading and writing JSON hold Python's lock, scoring does not. What is in flight is bounded by the number of threads,
so memory does not grow with the source.
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import orjson

from classifier.batches import BATCH_ROWS, Batch, read_batches
from classifier.encoders import Parquet, join_columns, source_rows
from classifier.model import Model, load
from classifier.records import BY_ALIAS, Columns
from classifier.writers import BLOCK_ROWS, as_plain

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")
R = TypeVar("R")

_AHEAD = 2  # batches per thread that may be read before they can be scored


def stream(
    source: str | Path | BinaryIO,
    model: Model | None = None,
    *,
    format: str | None = None,
    columns: Columns = BY_ALIAS,
    profile: str = "balanced",
    rows: int = BATCH_ROWS,
    threads: int | None = None,
) -> "Iterator[pa.RecordBatch]":
    """Judge a dump of any size, as Arrow record batches in the source's order; refused rows are left out.

    The columns: `row` and `id`, then the source's own for Parquet (those with one of our names as `source_{name}`),
    `source` (each record as a JSON object) for any other format, then one per name of `RESULT_COLUMNS`. They are the
    same for all batches: of many files, the first 5,000 records settle them as they do in a Parquet output.

    Raises InputError as `readers.read` does, DualuseError where a later file of Parquet has a column more.
    """
    import pyarrow as pa

    batches = read_batches(source, format=format, columns=columns, rows=rows)
    first, batches = look_ahead(batches)
    encoder = Parquet("all", is_own_id(columns)) if all(batch.table is not None for batch in first) else None
    if encoder:
        encoder.settle(first, pa.schema([]))
    seen = 0
    for batch, results in judge_batches(batches, model or load(), profile=profile, threads=threads):
        if encoder:
            kept = encoder.source_columns(batch, seen + 1)
        else:
            lines = batch.lines or [orjson.dumps(row, default=as_plain) for row in source_rows(batch)]
            kept = {"id": batch.records.column("id"), "source": pa.array(lines, pa.binary()).cast(pa.string())}
        seen += batch.records.num_rows
        yield join_columns({"row": batch.records.column("row")} | kept, results)


def look_ahead(batches: Iterator[Batch]) -> tuple[list[Batch], Iterator[Batch]]:
    """Return the batches of the first records, which settle an output's columns, and all batches."""
    first: list[Batch] = []
    while sum(batch.records.num_rows for batch in first) < BLOCK_ROWS and (batch := next(batches, None)):
        first.append(batch)
    return first, chain(first, batches)


def judge_batches(
    batches: Iterable[Batch], model: Model, *, profile: str = "balanced", threads: int | None = None
) -> "Generator[tuple[Batch, pa.RecordBatch], None, None]":
    """Yield every batch with its results, in order."""
    return in_order(batches, lambda batch: judge_batch(batch, model, profile), threads)


def judge_batch(batch: Batch, model: Model, profile: str) -> "pa.RecordBatch":
    """Judge one batch."""
    texts = (batch.records.column(name) for name in ("title", "abstract"))
    return model.judge_arrow(*texts, profile=profile)


def in_order(
    items: Iterable[T | None], task: Callable[[T], R], threads: int | None
) -> Generator[tuple[T, R], None, None]:
    """Do a task on several threads; yield every item with what came of it, in order.

    Where `items` gives None, it is asked for its next item only after all before it were yielded.
    """
    threads = threads or os.cpu_count() or 1
    waiting: deque[tuple[T, Future[R]]] = deque()
    pool = ThreadPoolExecutor(threads, "dualuse-score")
    try:
        for item in items:
            if item is not None:
                waiting.append((item, pool.submit(task, item)))
            while len(waiting) > (threads * _AHEAD if item is not None else 0):
                first, results = waiting.popleft()
                yield first, results.result()
        while waiting:
            first, results = waiting.popleft()
            yield first, results.result()
    finally:
        pool.shutdown(cancel_futures=True)


def is_own_id(columns: Columns) -> bool:
    """Tell whether a source column `id` is what goes out as `id`."""
    return columns.id is None or columns.id == "id"
