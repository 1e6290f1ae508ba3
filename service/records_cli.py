"""`dualuse records`: check, replay and export what the service recorded.

Checking needs no model and no key. Exit codes: 0 as recorded, 1 something differs or is missing, 2 wrong use.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from click.core import ParameterSource

from classifier.errors import InputError
from classifier.model import load
from classifier.readers import read
from classifier.records import Record, Refusal, to_record
from classifier.writers import open_writer, replacing
from service.chain import START, ChainError, Fault, Link, last_head, parse_head, walk
from service.cli import read_settings
from service.records import FILE_NAME, determination, entries, faults, replay
from service.settings import ENV_PREFIX

_SHOWN_FAULTS = 20


def _default_file() -> Path:
    return read_settings().data_dir / FILE_NAME


def _check_file(context: click.Context, parameter: click.Parameter, path: Path) -> Path:
    if not path.is_file():
        told = context.get_parameter_source("path") is ParameterSource.COMMANDLINE
        mend = f"set {ENV_PREFIX}DATA_DIR to the service's folder; it keeps records with {ENV_PREFIX}RECORDS=1"
        where = "" if told else f" Name the file with --file, or {mend}."
        raise click.BadParameter(f"{path} is no file.{where}")
    return path


_file_option = click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path),
    default=_default_file,
    callback=_check_file,
    show_default=f"{FILE_NAME} in DUALUSE_DATA_DIR",
    help="The file of records.",
)


@click.group()
def records() -> None:
    """Check, replay and export determination records."""


@records.command()
@_file_option
@click.option("--head", "heads", multiple=True, metavar="HASH:COUNT", help="A head kept elsewhere; may be repeated.")
def verify(path: Path, heads: tuple[str, ...]) -> None:
    """Find whatever was changed, removed, added or put in another order.

    Entries missing from the end, and a file that was written anew, show only against a --head that was kept
    elsewhere.
    """
    try:
        kept = {head.count: head for head in map(parse_head, heads)}
    except ChainError as error:
        raise click.BadParameter(str(error), param_hint="--head") from error
    if len(kept) < len(set(heads)):
        raise click.UsageError("Two heads have one count but different hashes: one of them is of another file.")
    end, problems, missing = START, 0, dict(kept)
    if START.count in missing and missing.pop(START.count) != START:
        raise click.UsageError(f"The head of an empty file is {START}.")
    for step in walk(path):
        if isinstance(step, Fault):
            problems += not step.mended
            if problems <= _SHOWN_FAULTS or step.mended:
                click.echo(f"{'note' if step.mended else 'PROBLEM'}: line {step.line}: {step.text}")
            continue
        end = step.head
        expected = missing.get(end.count)
        if expected is not None:
            del missing[end.count]
            if expected != end:
                problems += 1
                click.echo(f"PROBLEM: entry {end.count} is not the one of the head kept: the chain was written anew.")
    for count in sorted(missing):
        problems += 1
        click.echo(f"PROBLEM: the head kept has {count:,} entries, the file ends with {end.count:,}: the end is gone.")
    if problems > _SHOWN_FAULTS:
        click.echo(f"... {problems:,} problems in all.")
    against = "" if kept else "\nNot compared with a head kept elsewhere: a missing end would not show (--head)."
    verdict = f"{problems:,} problems" if problems else "nothing changed, removed or added"
    click.echo(f"{end.count:,} entries, {verdict}; head {end}{against}")
    if problems:
        sys.exit(1)


@records.command()
@_file_option
def head(path: Path) -> None:
    """Print the end of the chain as HASH:COUNT, alone on standard output; keep it where the file is not."""
    click.echo(str(last_head(path)))


@records.command("replay")
@click.argument("source", metavar="[FILE]", required=False, type=click.Path(path_type=Path, exists=True))
@_file_option
@click.option("--title", default="", help="Title of one text.")
@click.option("--text", help="Abstract of one text, instead of FILE.")
@click.option(
    "--model", "model_folder", type=click.Path(path_type=Path), help="Model folder; default: the shipped one."
)
def replay_command(source: Path | None, path: Path, title: str, text: str | None, model_folder: Path | None) -> None:
    """Score texts again and compare with their entries, to the bit.

    FILE is any file that `dualuse classify` reads; its texts are found in the records by their digests.
    """
    if (source is None) == (text is None and not title):
        raise click.UsageError("Give either FILE, or --title and --text.")
    wanted = list(_read_all(source) if source else _one(title, text or ""))
    model = load(model_folder)
    same = different = 0
    lost = 0
    for record, found in replay(path, wanted, model):
        if not found:
            lost += 1
            click.echo(f"{record.id}: no entry. The text differs from what was judged, or was never recorded.")
        for outcome in found:
            where = f"{record.id}: entry {outcome.entry} of {outcome.time}"
            if outcome.differences:
                different += 1
                click.echo(f"{where} DIFFERS\n" + "\n".join(f"  {difference}" for difference in outcome.differences))
            else:
                same += 1
                click.echo(f"{where}: the same to the bit")
    click.echo(f"{same:,} entries the same, {different:,} differ, {lost:,} texts without entry; {model.id}", err=True)
    if different or lost:
        sys.exit(1)


@records.command()
@_file_option
@click.option("-o", "--output", default="-", show_default=True, help="Where to write; - is standard output.")
@click.option("--format", "format_", type=click.Choice(["csv", "json"]), help="Default: by suffix, else csv.")
@click.option("--flagged", is_flag=True, help="Only entries with a tag decided flag or review.")
def export(path: Path, output: str, format_: str | None, flagged: bool) -> None:
    """Write a row per entry with CASRAI's Research-Security Determination fields, left for the officer to fill.

    What the machine knows stands in columns named screening_...; a file with a broken chain is not exported.
    """
    if problems := faults(path):
        raise click.ClickException(
            f"{path} is not as it was written ({len(problems):,} problems); nothing was exported. "
            "See `dualuse records verify`."
        )
    kind = format_ or ("json" if output.endswith(".json") else "csv")
    rows = [determination(link) for link in entries(path) if not flagged or _is_marked(link)]
    if kind == "csv":
        with open_writer(output, "csv") as writer:
            writer.write(rows)
    elif output == "-":
        click.echo(json.dumps(rows, indent=1))
    else:
        with replacing(Path(output)) as file:
            file.write(json.dumps(rows, indent=1).encode() + b"\n")
    click.echo(f"{len(rows):,} entries exported; CASRAI's fields are left for the officer.", err=True)


def _is_marked(link: Link) -> bool:
    return bool({"flag", "review"} & set(link.content["decisions"].values()))


def _one(title: str, text: str) -> Iterator[Record]:
    record = to_record({"title": title, "abstract": text}, 1)
    if isinstance(record, Refusal):
        raise InputError(f"{record.reason} {record.mend}")
    yield record


def _read_all(source: Path) -> Iterator[Record]:
    for outcome in read(source):
        if isinstance(outcome, Refusal):
            click.echo(f"refused: row {outcome.row}: {outcome.reason} {outcome.mend}", err=True)
        else:
            yield outcome
