"""The command `dualuse explain`: why one text, or the flagged records of a dump, got their decisions."""

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import orjson

from classifier.assets import data_file
from classifier.compression import FORMATS
from classifier.errors import EXIT_REFUSED, InputError
from classifier.explain import Explanation, explain
from classifier.explain_page import as_page
from classifier.explain_text import as_text
from classifier.model import Model, as_record, load
from classifier.precedents import load_precedents
from classifier.readers import read
from classifier.records import Columns, Record, Refusal, in_batches
from classifier.results import TAGS

_BATCH = 512


@click.command("explain")
@click.argument("source", metavar="IN", required=False)
@click.option("--text", help="Explain this text (an abstract or project description) instead of a file.")
@click.option("--title", default="", help="The title that goes with --text.")
@click.option("--id", "ids", multiple=True, metavar="ID", help="Explain this record of IN, flagged or not; repeatable.")
@click.option("--tag", "tags", multiple=True, type=click.Choice(TAGS), help="Explain this tag alone; repeatable.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json", "html"]),
    default="text",
    show_default=True,
    help="Lines for reading, JSON lines, or one page that loads nothing.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="OUT", help="Default: standard output.")
@click.option("--input-format", metavar="F", help=f"Format of IN: {', '.join(FORMATS)}; default: by suffix or content.")
@click.option("--id-column", metavar="NAME", help="Column that holds the identifier.")
@click.option("--title-column", metavar="NAME", help="Column that holds the title.")
@click.option("--abstract-column", metavar="NAME", help="Column that holds the abstract or description.")
@click.option("--profile", default="balanced", show_default=True, help="Which of the model's thresholds to use.")
@click.option(
    "--model", "model_folder", type=click.Path(path_type=Path), help="fast, careful (the default), or a folder."
)
def explain_command(
    source: str | None,
    text: str | None,
    title: str,
    ids: tuple[str, ...],
    tags: tuple[str, ...],
    format_: str,
    output: Path | None,
    input_format: str | None,
    id_column: str | None,
    title_column: str | None,
    abstract_column: str | None,
    profile: str,
    model_folder: Path | None,
) -> None:
    """Tell why a text, or the flagged records of IN, got their decisions, and what would change them.

    For --text and --id every tag is explained; for a whole dump, the tags that were flagged or are to be reviewed.
    Refused records are listed on standard error; the exit code is then 3.
    """
    if (source is None) == (text is None):
        raise click.UsageError("Give either IN or --text.")
    model = load(model_folder)
    model.profile_thresholds(profile)
    refusals: list[Refusal] = []
    if text is not None:
        records: Iterable[Record] = [as_record((title, text))]
    else:
        assert source is not None
        columns = Columns(id=id_column, title=title_column, abstract=abstract_column)
        records = _records(read(source, format=input_format, columns=columns), refusals)
        if ids:
            records = _named(records, ids)
    every = text is not None or bool(ids)
    found = _explained(model, records, profile, tags or TAGS, every=every)
    pieces = _pieces(found, format_, color=output is None and sys.stdout.isatty() and not os.environ.get("NO_COLOR"))
    if output is None:
        for piece in pieces:
            click.echo(piece, nl=False, color=True)
    else:
        with output.open("w", encoding="utf-8") as file:
            file.writelines(pieces)
    if refusals:
        sys.exit(EXIT_REFUSED)


def _pieces(found: Iterable[Explanation], format_: str, *, color: bool) -> Iterator[str]:
    if format_ == "html":
        return as_page(found)
    if format_ == "json":
        return (orjson.dumps(one.as_dict(), option=orjson.OPT_APPEND_NEWLINE).decode() for one in found)
    return (f"{'' if place == 0 else chr(10)}{as_text(one, color=color)}" for place, one in enumerate(found))


def _records(items: Iterable[Record | Refusal], refusals: list[Refusal]) -> Iterator[Record]:
    for item in items:
        if isinstance(item, Record):
            yield item
        else:
            refusals.append(item)
            click.echo(f"refused: row {item.row}, {item.field or 'record'}: {item.reason} {item.mend}", err=True)


def _named(records: Iterable[Record], ids: tuple[str, ...]) -> Iterator[Record]:
    left = set(ids)
    for record in records:
        if record.id in ids:
            left.discard(record.id)
            yield record
    if left:
        raise InputError(f"No record is called {', '.join(sorted(left))}. Ids are as `dualuse classify` gives them.")


def _explained(
    model: Model, records: Iterable[Record], profile: str, tags: tuple[str, ...], *, every: bool
) -> Iterator[Explanation]:
    """Explain `every` record in full, or of the flagged ones the tags that a person will look at."""
    if every:
        alike = load_precedents(model, data_file("features"), data_file("labels"))
        yield from (explain(model, record, profile=profile, tags=tags, precedents=alike) for record in records)
        return
    model.prepare()  # many edits are judged: the compiled code pays
    for batch in in_batches(records, _BATCH):
        for record, result in zip(batch, model.judge(batch, profile=profile), strict=True):
            if set(tags) & set(result.tags):
                looked_at = tuple(tag for tag in tags if result.judgements[tag].decision in ("flag", "review"))
                yield explain(model, record, profile=profile, tags=looked_at)
