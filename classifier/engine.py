"""Score a source batch by batch: the caller's thread reads, other threads score, and order is kept.

Reading and writing JSON hold Python's lock, scoring does not. What is in flight is bounded by the number of threads,
so memory does not grow with the source.
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from classifier.batches import BATCH_ROWS, Batch, read_batches
from classifier.encoders import join_columns, table_columns
from classifier.model import Model, load
from classifier.records import BY_ALIAS, Columns

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
    `source` (each record as a JSON object) for any other format, then one per name of `RESULT_COLUMNS`.

    Raises InputError as `readers.read` does.
    """
    import pyarrow as pa

    batches = read_batches(source, format=format, columns=columns, rows=rows)
    own_id = is_own_id(columns)
    for batch, results in judge_batches(batches, model or load(), profile=profile, threads=threads):
        kept: dict[str, Any] = {"source": pa.array(batch.lines, pa.binary()).cast(pa.string())}
        if batch.table is not None:
            kept = table_columns(batch.table, own_id)
        yield join_columns({name: batch.records.column(name) for name in ("row", "id")} | kept, results)


def judge_batches(
    batches: Iterable[Batch], model: Model, *, profile: str = "balanced", threads: int | None = None
) -> "Generator[tuple[Batch, pa.RecordBatch], None, None]":
    """Yield every batch with its results, in order."""
    return in_order(batches, lambda batch: judge_batch(batch, model, profile), threads)


def judge_batch(batch: Batch, model: Model, profile: str) -> "pa.RecordBatch":
    """Judge one batch."""
    texts = (batch.records.column(name) for name in ("title", "abstract"))
    return model.judge_arrow(*texts, profile=profile)


def in_order(items: Iterable[T], task: Callable[[T], R], threads: int | None) -> Generator[tuple[T, R], None, None]:
    """Do a task on several threads; yield every item with what came of it, in order."""
    threads = threads or os.cpu_count() or 1
    waiting: deque[tuple[T, Future[R]]] = deque()
    pool = ThreadPoolExecutor(threads, "dualuse-score")
    try:
        for item in items:
            waiting.append((item, pool.submit(task, item)))
            if len(waiting) > threads * _AHEAD:
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
