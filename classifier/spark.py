"""Classify a Spark DataFrame: `Model.judge_arrow`, the local run's own function, inside `DataFrame.mapInArrow`.

Rows in = rows out: a row that cannot be judged comes out with its columns, without a result and with the reason in
`refused`. The file is also the job for spark-submit. It is imported by its full name even there: Spark would copy what
belongs to `__main__` to the workers by value, and each task would load the model anew. See docs/spark.md.
"""

import os
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import click
import pyarrow as pa

from classifier.encoders import KEEP, OURS, free_name
from classifier.errors import DualuseError, InputError, ModelError
from classifier.model import Model, load
from classifier.records import Columns, Record, Refusal, find_columns, known_names, show_names, to_record
from classifier.results import NOTICE, TAGS

try:
    from pyspark import SparkFiles
    from pyspark.errors import PySparkException
    from pyspark.sql import DataFrame, Observation, SparkSession
    from pyspark.sql import functions as sql
    from pyspark.sql.pandas.types import from_arrow_schema
    from pyspark.sql.types import (
        BinaryType,
        DecimalType,
        FractionalType,
        IntegralType,
        NullType,
        StringType,
        StructField,
        StructType,
    )
except ModuleNotFoundError as error:
    raise DualuseError(f"classifier.spark needs {error.name}: pip install 'dualuse[spark]'") from error

REFUSED = "refused"
"""Name of the column that says why a row was not judged; null where it was."""

_ROWS = 2_048  # judged at a time, however big Spark's own batches are
_CORRUPT = "spark.sql.columnNameOfCorruptRecord"
_ID_TYPES = (StringType, BinaryType, IntegralType, FractionalType, DecimalType, NullType)  # of which an id can be made
_FORMATS = {"parquet": ("parquet",), "json": ("json", "jsonl", "ndjson"), "csv": ("csv", "tsv", "tab")}
# Quotes as everybody else writes them, cells of several lines, and no row taken that has too few or too many cells.
_CSV = {"header": "true", "quote": '"', "escape": '"', "multiLine": "true", "enforceSchema": "false"}


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a worker must know."""

    folder: str | None
    digest: str
    profile: str
    results: pa.Schema
    columns: Columns
    names: tuple[str, ...]  # of the columns that arrive, in order
    number: str  # the one of them that holds the row's number
    corrupt: str | None  # the one in which Spark's readers leave what they cannot parse
    id: str | None  # the one that goes out as `id`, whether the row is judged or not
    keep_id: bool
    kept: tuple[tuple[str, str], ...]  # those that go out as they are, and under which names


def classify_dataframe(
    df: DataFrame,
    *,
    id_column: str | None = None,
    title_column: str | None = None,
    abstract_column: str | None = None,
    row_number_column: str | None = None,
    model: Model | Path | str | None = None,
    profile: str = "balanced",
    keep: str = "all",
) -> DataFrame:
    """Add the result's columns to a DataFrame: those of the local run, with the same values, and `refused`.

    Columns are found by the readers' aliases; a source column that bears one of our names becomes `source_{name}`.
    Spark keeps no order: `row_number_column` names a column to sort by afterwards. If `df` lacks it, it is added,
    rising in the order in which Spark reads; if `df` has it, rows without an id are called after it.
    `model` is a folder that driver and workers can all open, by path or by the name under which it was shipped
    (`--archives model.zip#NAME`); None is the model of the package installed on each.

    Raises InputError where columns are missing or named twice, ModelError where the driver cannot load the model, and
    DualuseError where profile or `keep` is not known. A worker with another model fails the job with a ModelError.
    """
    if keep not in KEEP:
        raise DualuseError(f"keep={keep!r} is not known. Choose one of: {', '.join(KEEP)}.")
    columns = Columns(id_column, title_column, abstract_column)
    _check_columns(df, columns)
    folder = model.folder if isinstance(model, Model) else model
    loaded = model if isinstance(model, Model) else load(_find_folder(folder))
    nothing = pa.array([""], pa.string())
    results = loaded.judge_arrow(nothing, nothing, profile=profile).schema
    spark_results = from_arrow_schema(results)
    key = _name_key(df)
    ours = OURS | {REFUSED}

    number = row_number_column or free_name("row", df.columns, set(map(key, df.columns)), key)
    if number not in df.columns:
        if key(number) in {*map(key, df.columns), *ours}:
            raise InputError(f"row_number_column={number!r} is taken by another column. Choose another name.")
        df = df.withColumn(number, sql.monotonically_increasing_id() + 1)
    elif not isinstance(df.schema[number].dataType, IntegralType):
        kind = df.schema[number].dataType.simpleString()
        raise InputError(f"row_number_column={number!r} holds {kind}, not whole numbers. Choose another column.")
    found = find_columns(tuple(df.columns))
    corrupt = str(df.sparkSession.conf.get(_CORRUPT, "_corrupt_record"))
    if corrupt not in df.columns or not isinstance(df.schema[corrupt].dataType, StringType):
        corrupt = ""
    if keep != "all":  # then Spark need not read the other columns at all
        read = {*found["id"], *found["title"], *found["abstract"], id_column, title_column, abstract_column}
        df = df.select([_column(name) for name in df.columns if name in read or name in (number, corrupt)])
    own = "id" if "id" in df.columns and id_column in (None, "id") else None
    if own and not isinstance(df.schema[own].dataType, _ID_TYPES):
        own = None  # such as {"$oid": ...}: another column gives the id
    kept = {
        field.name: StructField(free_name(field.name, df.columns, ours, key), field.dataType, field.nullable)
        for field in df.schema.fields
        if field.name != own
        and (keep == "all" or field.name == row_number_column)
        and (field.name != number or row_number_column)
    }
    plan = _Plan(
        folder=None if folder is None else str(folder),
        digest=loaded.digest,
        profile=profile,
        results=results,
        columns=columns,
        names=tuple(df.columns),
        number=number,
        corrupt=corrupt or None,
        id=own,
        keep_id=keep != "none",
        kept=tuple((name, field.name) for name, field in kept.items()),
    )
    schema = StructType(
        [
            *([StructField("id", StringType())] if plan.keep_id else []),
            *kept.values(),
            *(StructField(field.name, field.dataType) for field in spark_results.fields),
            StructField(REFUSED, StringType()),
        ]
    )
    # mapInArrow looks columns up by name, which fails for "a.b": it gets names of our own making.
    plain = df.toDF(*(f"_{place}" for place in range(len(df.columns))))
    return plain.mapInArrow(lambda batches: _judge_batches(batches, plan), schema)


def _check_columns(df: DataFrame, columns: Columns) -> None:
    names = df.columns
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"The DataFrame has several columns named {show_names(twice)}. Rename or drop all but one.")
    missing = {name for name in (columns.id, columns.title, columns.abstract) if name} - set(names)
    if missing:
        raise InputError(
            f"The DataFrame has no column {', '.join(map(repr, sorted(missing)))}. Columns seen: {show_names(names)}. "
            "Choose among them; select a field of a struct into a column of its own first."
        )
    found = find_columns(tuple(names))
    if not (columns.title or columns.abstract or found["title"] or found["abstract"]):
        raise InputError(
            f"The DataFrame has no column known as a title or an abstract. Columns seen: {show_names(names)}. Known "
            f"for a title: {known_names('title')}; for an abstract: {known_names('abstract')} (capitals, spaces and "
            "underscores do not matter). Name yours with title_column and abstract_column."
        )


def _column(name: str) -> Any:
    return sql.col(f"`{name.replace('`', '``')}`")


def _name_key(df: DataFrame) -> Callable[[str], str]:
    """Compare names as the session does: by default `ID` and `id` cannot stand side by side in a Spark table."""
    by_case = str(df.sparkSession.conf.get("spark.sql.caseSensitive", "false")).lower() == "true"
    return str if by_case else str.casefold


def _find_folder(folder: Path | str | None) -> Path | None:
    """Find a model folder on this machine: by its path, else by the name under which Spark unpacked it here."""
    if folder is None or Path(folder).is_dir():
        return None if folder is None else Path(folder)
    try:
        shipped = Path(SparkFiles.get(str(folder)))
    except Exception:  # no session on this machine, or one without files (Spark Connect)
        return Path(folder)
    return shipped if shipped.is_dir() else Path(folder)


@lru_cache(maxsize=4)  # Spark keeps its Python workers, so the model is loaded once for all their tasks
def _load_checked(folder: str | None, digest: str) -> Model:
    here = socket.gethostname()
    try:
        model = load(_find_folder(folder))
    except ModelError as error:
        raise ModelError(f"On worker {here}: {error} Ship the folder as docs/spark.md says.") from error
    if model.digest != digest:
        raise ModelError(
            f"{model.folder} on worker {here} holds {model.id} with digest {model.digest}, the driver's has {digest}. "
            "Install the same version of dualuse on driver and workers, or ship the folder: docs/spark.md."
        )
    return model


def _judge_batches(batches: Iterable[pa.RecordBatch], plan: _Plan) -> Iterator[pa.RecordBatch]:
    model = _load_checked(plan.folder, plan.digest)
    for batch in batches:
        for start in range(0, batch.num_rows, _ROWS):
            yield _judge_batch(batch.slice(start, _ROWS), model, plan)


def _judge_batch(batch: pa.RecordBatch, model: Model, plan: _Plan) -> pa.RecordBatch:
    cells = dict(zip(plan.names, batch.columns, strict=True))
    outcomes = _read_rows(cells, batch.num_rows, plan)
    records = [outcome for outcome in outcomes if isinstance(outcome, Record)]
    results = model.judge_arrow(
        pa.array([record.title for record in records], pa.string()),
        pa.array([record.abstract for record in records], pa.string()),
        profile=plan.profile,
    )
    if not results.schema.equals(plan.results):
        raise ModelError(
            f"dualuse on worker {socket.gethostname()} gives the columns {', '.join(results.schema.names)}, the "
            f"driver's {', '.join(plan.results.names)}. Install the same version on driver and workers."
        )
    judged = iter(range(len(records)))
    places = [next(judged) if isinstance(outcome, Record) else None for outcome in outcomes]
    if len(records) < len(outcomes):
        results = results.take(pa.array(places, pa.int64()))
    arrays: list[pa.Array] = []
    fields: list[pa.Field] = []
    if plan.keep_id:
        arrays.append(pa.array(_ids(cells, outcomes, plan), pa.string()))
        fields.append(pa.field("id", pa.string()))
    for name, new in plan.kept:
        arrays.append(cells[name])
        fields.append(batch.schema.field(plan.names.index(name)).with_name(new))
    reasons = [None if isinstance(outcome, Record) else _explain(outcome) for outcome in outcomes]
    arrays += [*results.columns, pa.array(reasons, pa.string())]
    fields += [*results.schema, pa.field(REFUSED, pa.string())]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _read_rows(cells: dict[str, pa.Array], rows: int, plan: _Plan) -> list[Record | Refusal]:
    """Make a record or a refusal of every row, from the few columns that this takes."""
    chosen = plan.columns
    found = find_columns(plan.names)
    wanted = {
        *((chosen.id,) if chosen.id else found["id"]),
        *((chosen.title,) if chosen.title else found["title"]),
        *((chosen.abstract,) if chosen.abstract else found["abstract"]),
    }
    names = [name for name in plan.names if name in wanted]
    values = zip(*(_to_values(cells[name]) for name in names), strict=True)
    numbers = cells[plan.number].to_pylist()
    corrupt = cells[plan.corrupt].is_valid().to_pylist() if plan.corrupt else [False] * rows
    outcomes: list[Record | Refusal] = []
    for row, number, unread in zip(values, numbers, corrupt, strict=True):
        outcome = to_record(dict(zip(names, row, strict=True)), number or 0, chosen)
        if unread:
            reason = "Spark could not read the row as the schema says; its text stands in this column."
            mend = "Mend it in the source, or give another schema."
            outcome = Refusal(outcome.row, plan.corrupt, reason, mend, outcome.id)
        outcomes.append(outcome)
    return outcomes


def _to_values(column: pa.Array) -> list[Any]:
    """Turn a column into Python values; texts that are not UTF-8, which Spark does not check, stay bytes."""
    try:
        values: list[Any] = column.to_pylist()
    except UnicodeDecodeError:
        values = column.cast(pa.binary()).to_pylist()
        return [value if value is None else _decode(value) for value in values]
    if pa.types.is_map(column.type):
        return [value if value is None else dict(value) for value in values]
    return values


def _decode(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _ids(cells: dict[str, pa.Array], outcomes: list[Record | Refusal], plan: _Plan) -> list[str]:
    """Return every row's id; one that is itself the reason for a refusal goes out as it came."""
    ids = [outcome.id or f"row-{outcome.row}" for outcome in outcomes]
    if plan.id and any(outcome.id is None for outcome in outcomes):
        for place, value in enumerate(_to_values(cells[plan.id])):
            if outcomes[place].id is None and value is not None:
                ids[place] = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return ids


def _explain(refusal: Refusal) -> str:
    return f"{refusal.field or 'record'}: {refusal.reason} {refusal.mend}"


@click.command()
@click.argument("source", metavar="IN")
@click.argument("target", metavar="OUT")
@click.option("--format", "format_", type=click.Choice(tuple(_FORMATS)), help="Format of IN; default: by suffix.")
@click.option("--output-format", type=click.Choice(("parquet", "json")), help="Default: by OUT's suffix, else parquet.")
@click.option("--schema", metavar="DDL", help='Of IN: "id STRING, title STRING, ..."; default: Spark guesses it.')
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="For Spark's reader, as multiLine=true.")
@click.option("--id-column", metavar="NAME", help="Column that holds the identifier.")
@click.option("--title-column", metavar="NAME", help="Column that holds the title.")
@click.option("--abstract-column", metavar="NAME", help="Column that holds the abstract or description.")
@click.option("--row-number-column", metavar="NAME", help="Column to sort by within a file; added if IN lacks it.")
@click.option("--file-column", metavar="NAME", help="Column to add with the path of the file that the row came from.")
@click.option("--keep", type=click.Choice(KEEP), default="all", show_default=True, help="Source columns to keep.")
@click.option("--profile", default="balanced", show_default=True, help="Which of the model's thresholds to use.")
@click.option("--model", metavar="DIR", help="Model folder on every machine, or its name in --archives.")
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
def main(
    source: str,
    target: str,
    format_: str | None,
    output_format: str | None,
    schema: str | None,
    options: Sequence[str],
    file_column: str | None,
    overwrite: bool,
    **classify: Any,
) -> None:
    """Tag every record of IN, a file, folder or pattern that Spark can read, and write the folder OUT.

    Rows in = rows out; `refused` says why a row was not judged. Give Spark's own options to spark-submit.
    """
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else workers take whatever `python3` is
    started = SparkSession.getActiveSession()
    spark = started or SparkSession.builder.appName("dualuse").getOrCreate()
    try:
        format_ = format_ or _format_of(source)
        if format_ is None:
            raise InputError(f"The format of {source} cannot be told. Say --format ({', '.join(_FORMATS)}).")
        df = _read(spark, source, format_, schema, dict(_split(option) for option in options))
        if file_column:
            key = _name_key(df)
            if key(file_column) in map(key, df.columns):
                raise InputError(f"--file-column {file_column!r} is taken by a column of IN. Choose another name.")
            df = df.withColumn(file_column, sql.col("_metadata.file_path"))
        judged = classify_dataframe(df, **classify)
        counts = Observation()
        flags = [sql.count_if(sql.col(f"{tag}_decision") == "flag").alias(tag) for tag in TAGS]
        rows, refused = sql.count(sql.lit(1)).alias("rows"), sql.count(REFUSED).alias(REFUSED)
        writer = judged.observe(counts, rows, refused, *flags).write
        writer.mode("overwrite" if overwrite else "errorifexists").format(
            output_format or ("json" if _format_of(target) == "json" else "parquet")
        ).option("ignoreNullFields", False).save(target)  # every JSON record has every column, as everywhere else
        _print_summary(counts.get)
    except PySparkException as error:
        hint = ""
        if error.getCondition() == "COLUMN_ALREADY_EXISTS" and format_ == "json" and schema is None:
            hint = "\nIs a column an object with words as its keys, as in OpenAlex? Name the columns with --schema."
        raise click.ClickException(f"{error}{hint}") from error
    except DualuseError as error:
        raise click.ClickException(str(error)) from error
    finally:
        if started is None:
            spark.stop()


def _format_of(path: str) -> str | None:
    name = path.rstrip("/").lower()
    for packed in (".gz", ".zst", ".bz2"):
        name = name.removesuffix(packed)
    return next((known for known, suffixes in _FORMATS.items() if name.rpartition(".")[2] in suffixes), None)


def _split(option: str) -> tuple[str, str]:
    key, sign, value = option.partition("=")
    if not key or not sign:
        raise InputError(f"--option {option!r} is not of the form KEY=VALUE.")
    return key, value


def _read(spark: SparkSession, source: str, format_: str, schema: str | None, options: dict[str, str]) -> DataFrame:
    """Read with Spark's own reader; what it cannot parse is kept in a column of its own, not dropped."""
    reader = spark.read.format(format_)
    if format_ == "csv":
        reader = reader.options(**_CSV)
        if source.rstrip("/").lower().endswith((".tsv", ".tab", ".tsv.gz", ".tab.gz")):
            reader = reader.option("sep", "\t")
    reader = reader.options(**options)
    if format_ == "parquet" or (format_ == "json" and schema is None):
        return (reader.schema(schema) if schema else reader).load(source)
    # Only a schema that names the column makes Spark fill it, and keep rows with cells too few or too many apart.
    given: Any = StructType.fromDDL(schema) if schema else reader.load(source).schema
    corrupt = str(spark.conf.get(_CORRUPT, "_corrupt_record"))
    if corrupt not in given.names:
        given = StructType([*given.fields, StructField(corrupt, StringType())])
    return reader.schema(given).load(source)


def _print_summary(counts: dict[str, Any]) -> None:
    rows, refused = counts["rows"], counts[REFUSED]
    click.echo(f"rows in {rows:,} = judged {rows - refused:,} + refused {refused:,}", err=True)
    click.echo("flagged: " + ", ".join(f"{tag} {counts[tag]:,}" for tag in TAGS), err=True)
    click.echo(NOTICE, err=True)


if __name__ == "__main__":
    folder = str(Path(__file__).resolve().parent)
    sys.path[:] = [entry for entry in sys.path if entry != folder]  # else `import features` would find ours
    from classifier.spark import main as job

    job()
