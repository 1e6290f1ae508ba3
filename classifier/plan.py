"""`--dry-run`: what a run would do, told from the source's first rows and its size; nothing is written."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from classifier.batches import count_rows, read_batches
from classifier.compression import format_of
from classifier.engine import judge_batches
from classifier.errors import InputError
from classifier.formats import READERS
from classifier.model import Model
from classifier.reading import Reading
from classifier.records import find_columns
from classifier.run import Options
from classifier.runrecord import source_files

_TRIED = 4  # batches


@dataclass(frozen=True, slots=True)
class Plan:
    """Rows and bytes of the source (`exact` False: rows are estimated), and the seconds that scoring may take."""

    rows: int
    exact: bool
    bytes: int
    refused: int  # of the rows tried
    tried: int
    seconds: float
    model: str
    thresholds: Mapping[str, float]
    columns: Mapping[str, tuple[str, ...]]  # where id, title and abstract are looked for, the best first

    def describe(self, source: object, target: object, format: str) -> str:
        """Say it in lines."""
        thresholds = ", ".join(f"{tag} {value:.3f}" for tag, value in self.thresholds.items())
        columns = "; ".join(f"{name}: {', else '.join(found) or 'none'}" for name, found in self.columns.items())
        return (
            f"would read  {source}: {'' if self.exact else 'about '}{self.rows:,} rows, {self.bytes:,} bytes\n"
            f"would write {target}: {format}\n"
            f"columns     {columns}\n"
            f"model       {self.model}\n"
            f"thresholds  {thresholds}\n"
            f"first rows  {self.tried:,} tried, {self.refused:,} of them would be refused\n"
            f"time        about {max(1, round(self.seconds)):,} s\n"
            "Nothing was written."
        )


def plan_run(source: str | Path | BinaryIO, model: Model, options: Options) -> Plan:
    """Try a run on the first rows.

    Raises InputError where the source cannot be used or is a stream, whose rows would be used up.
    """
    files = source_files(source, options.format)
    if not files:
        raise InputError(f"{source} is no file: a dry run would use up what it reads. Save it first.")
    reading = Reading()
    batches = read_batches(source, format=options.format, columns=options.columns, on_open=reading)
    started = time.perf_counter()
    tried = refused = 0
    names: tuple[str, ...] = ()
    some = islice(batches, _TRIED)
    for batch, _ in judge_batches(some, model, profile=options.profile, threads=options.threads):
        tried += batch.rows
        refused += len(batch.refusals)
        names = names or batch.columns
    seconds = time.perf_counter() - started
    size = sum(path.stat().st_size for path in files)
    read = reading.bytes
    exact = next(batches, None) is None
    rows = tried
    if not exact and (not read or (format_of(files[0]) == "parquet" and len(files) == 1)):  # or a ZIP archive
        rows, exact = count_rows(source, format=options.format, columns=options.columns), True
    elif not exact:
        rows = round(tried * size / read)
    share = 1 / options.shard[1] if options.shard else 1.0
    thresholds = model.thresholds[options.profile]
    seconds *= rows / max(tried, 1) * share
    columns = _columns(names, options, format_of(files[0]))
    return Plan(round(rows * share), exact, size, refused, tried, seconds, model.id, thresholds, columns)


def _columns(names: tuple[str, ...], options: Options, named: str | None) -> dict[str, tuple[str, ...]]:
    reader = READERS.get(options.format or named or "")
    found = (reader and reader.fields) or find_columns(names)
    wanted = options.columns
    chosen = {"id": wanted.id, "title": wanted.title, "abstract": wanted.abstract}
    return {field: (name,) if name else tuple(n for n in found[field] if n in names) for field, name in chosen.items()}
