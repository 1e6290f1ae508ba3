"""The command line: `dualuse COMMAND`. Data goes to standard output, everything else to standard error.

Commands of the other rooms are named here but imported only when called, so that `--help` and `classify` do not
wait for scikit-learn or FastAPI. Exit codes: 0 done, 1 failure, 2 usage, 3 done but some records refused, 4 not
resumed because input, model or options changed, 130 interrupted.
"""

import functools
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from classifier.compression import FORMATS
from classifier.encoders import KEEP
from classifier.errors import (
    EXIT_CHANGED,
    EXIT_FAILURE,
    EXIT_INTERRUPTED,
    EXIT_REFUSED,
    EXIT_USAGE,
    DualuseError,
    ResumeError,
    UseError,
)
from classifier.model import Model, load
from classifier.places import find_clash
from classifier.plan import plan_run
from classifier.records import Columns, Refusal
from classifier.results import NOTICE, TAGS, Result
from classifier.run import SEGMENT_ROWS, Limit, Options, Summary, choose_output, classify_dump
from classifier.runrecord import verify_run
from classifier.thresholds import use_file
from classifier.writers import open_writer

_ELSEWHERE = {
    "train": ("training.cli", "train", "Rebuild the model from data/labels and data/features."),
    "evaluate": ("training.cli", "evaluate", "Measure a model on labelled records, beside two baselines."),
    "thresholds": ("training.thresholds", "main", "Choose thresholds by review load or recall, with a promise."),
    "data": ("training.cli", "data", "Labels and features: extract, hydrate, labels."),
    "explain": (
        "classifier.explain_cli",
        "explain_command",
        "Tell why a text or a dump's flagged records were flagged.",
    ),
    "serve": ("service.cli", "serve", "Answer over HTTP, on this machine or to callers with a key."),
    "keys": ("service.keys_cli", "keys", "Keys of the service's callers: add, list, revoke."),
    "records": ("service.records_cli", "records", "Check, replay and export determination records."),
    "drift": ("classifier.drift", "drift", "Tell whether a stream still looks like the one before."),
    "compare": ("classifier.compare", "compare", "Tell which decisions another model changes."),
}
_WITH_TEXT = ("text", "title", "output", "output_format", "profile", "thresholds_file", "model_folder", "threads")
_SHOWN_REFUSALS = 20
_PROGRESS_SECONDS = 0.5  # between two lines about how far a run is
_STYLES: dict[str, dict[str, Any]] = {"flag": {"fg": "yellow", "bold": True}, "review": {"fg": "cyan"}}


class _Commands(click.Group):
    """A group that imports other rooms' commands when they are called, and turns our errors into exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_ELSEWHERE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        module, attribute, _ = _ELSEWHERE[cmd_name]
        try:
            command: click.Command = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            if error.name and error.name.partition(".")[0] in ("training", "service", "classifier"):
                raise
            extra = "service" if module.startswith("service.") else "train"
            raise click.ClickException(
                f"`dualuse {cmd_name}` needs {error.name}, which is not installed: pip install 'dualuse[{extra}]'"
            ) from error
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own = {name: command.get_short_help_str(70) for name, command in self.commands.items()}
        others = {name: help_text for name, (_, _, help_text) in _ELSEWHERE.items()}
        with formatter.section("Commands"):
            formatter.write_dl(sorted((own | others).items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DualuseError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(_exit_code(error))
        except KeyboardInterrupt:
            click.echo("Interrupted. Finished segments are kept; the same command goes on from there.", err=True)
            ctx.exit(EXIT_INTERRUPTED)


def _exit_code(error: DualuseError) -> int:
    if isinstance(error, UseError):
        return EXIT_USAGE
    return EXIT_CHANGED if isinstance(error, ResumeError) else EXIT_FAILURE


class _Share(click.ParamType[tuple[int, int]]):
    """Reads `2/10`: the second of ten."""

    name = "i/n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        place, _, shards = str(value).partition("/")
        if not (place.isdecimal() and shards.isdecimal() and 1 <= int(place) <= int(shards)):
            self.fail(f"{value!r} is not a shard; give i/n, such as 2/10 for the second of ten.", param, ctx)
        return int(place), int(shards)


class _Limit(click.ParamType[Limit]):
    """Reads `100` or `0.5%`."""

    name = "n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Limit:
        number, percent = str(value).removesuffix("%"), str(value).endswith("%")
        try:
            limit = Limit(float(number), percent)
        except ValueError:
            limit = Limit(-1, percent)
        if not 0 <= limit.number < float("inf"):
            self.fail(f"{value!r} is not a limit; give a number of rows or a share such as 0.5%.", param, ctx)
        return limit


@click.group(cls=_Commands, epilog=NOTICE)
@click.version_option(package_name="dualuse", prog_name="dualuse")
def main() -> None:
    """Find dual-use research in a pile of abstracts."""


@main.command(short_help="Tag every record of a dump, or one text.")
@click.argument("source", metavar="IN", required=False)
@click.option("-o", "--output", default="-", metavar="OUT", help="Output file; default: standard output.")
@click.option("--text", help="Judge this text (an abstract or project description) instead of a file.")
@click.option("--title", default="", help="The title that goes with --text.")
@click.option(
    "--format",
    "format_",
    metavar="F",
    help=f"Format of IN: {', '.join(FORMATS)}; default: by suffix or content.",
)
@click.option(
    "--output-format",
    metavar="F",
    help="Format of OUT: jsonl, csv, tsv, parquet, xlsx; default: by suffix, else jsonl.",
)
@click.option(
    "--keep",
    type=click.Choice(KEEP),
    default="all",
    show_default=True,
    help="What of the source to keep in OUT: every column, the id alone, or none (the result's columns alone).",
)
@click.option("--id-column", metavar="NAME", help="Column that holds the identifier.")
@click.option("--title-column", metavar="NAME", help="Column that holds the title.")
@click.option("--abstract-column", metavar="NAME", help="Column that holds the abstract or description.")
@click.option("--profile", default="balanced", show_default=True, help="Which of the model's thresholds to use.")
@click.option(
    "--thresholds",
    "thresholds_file",
    type=click.Path(path_type=Path),
    help="File of thresholds by `dualuse thresholds -o`, instead of a profile.",
)
@click.option(
    "--model",
    "model_folder",
    type=click.Path(path_type=Path),
    help="Model folder; default: the shipped model.",
)
@click.option(
    "--rejects", type=click.Path(path_type=Path), help="File for refused records; default: OUT.rejects.jsonl."
)
@click.option("--mark-duplicates", is_flag=True, help="Add a column duplicate_group: the id of the first like it.")
@click.option("--report", type=click.Path(path_type=Path), help="Write a page (HTML) about the run to this file.")
@click.option("--max-refused", type=_Limit(), metavar="N|N%", help="Fail if more records are refused.")
@click.option("--shard", type=_Share(), metavar="i/n", help="Do only the i-th of n equal stretches of IN.")
@click.option("--restart", is_flag=True, help="Begin again, whatever an earlier run left or finished.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and write nothing.")
@click.option("--threads", type=click.IntRange(1), metavar="N", help="Threads that score; default: one per processor.")
@click.option("--segment-rows", type=click.IntRange(1), default=SEGMENT_ROWS, hidden=True)
def classify(
    source: str | None,
    output: str,
    text: str | None,
    title: str,
    format_: str | None,
    output_format: str | None,
    keep: str,
    id_column: str | None,
    title_column: str | None,
    abstract_column: str | None,
    profile: str,
    thresholds_file: Path | None,
    model_folder: Path | None,
    rejects: Path | None,
    mark_duplicates: bool,
    report: Path | None,
    max_refused: Limit | None,
    shard: tuple[int, int] | None,
    restart: bool,
    dry_run: bool,
    threads: int | None,
    segment_rows: int,
) -> None:
    """Tag every record of IN: a dump of any known format, plain, .gz or .zst; a folder, ZIP or 'pattern*'; or `-`.

    One output record per input record, in the same order: id, the source's columns, the tags, and per tag a
    probability and a decision. Refused records go to OUT.rejects.jsonl with the reason; the exit code is then 3.

    What is done is kept in OUT.partial until OUT is complete: after a kill the same command goes on. OUT.run.json
    records what was read and written, for `dualuse verify`. Outputs of all shards, one after another, are the
    output of the whole.
    """
    if (source is None) == (text is None):
        raise click.UsageError("Give either IN or --text.")
    if thresholds_file is not None and profile != "balanced":
        raise click.UsageError("Give either --profile or --thresholds.")
    if text is not None:
        _check_text_options(title, text)
        if output != "-" or output_format:
            choose_output(output, output_format)
        model, profile = _load(model_folder, profile, thresholds_file)
        (result,) = model.classify([(title, text)], profile=profile)
        if output == "-" and not output_format:
            _print_result(result)
            return
        with open_writer(output, output_format) as writer:
            writer.write([result.as_row()])
        return
    assert source is not None
    if title:
        raise click.UsageError("--title goes with --text; a column of IN is named with --title-column.")
    if rejects is None and output != "-":
        rejects = Path(f"{output}.rejects.jsonl")
    if clash := find_clash(source, None if output == "-" else Path(output), [rejects, report]):
        raise click.UsageError(clash)
    form = choose_output(output, output_format)  # before the model is loaded: a typing error should not cost that
    model, profile = _load(model_folder, profile, thresholds_file)
    options = Options(
        format=format_,
        output_format=output_format,
        columns=Columns(id=id_column, title=title_column, abstract=abstract_column),
        keep=keep,
        profile=profile,
        shard=shard,
        mark_duplicates=mark_duplicates,
        segment_rows=segment_rows,
        threads=threads,
        max_refused=max_refused,
    )
    if dry_run:
        plan = plan_run(source, model, options)
        click.echo(plan.describe(source, output, form.format), err=True)
        return
    shown: list[Refusal] = []

    def show(refusal: Refusal) -> None:
        if rejects is None or len(shown) < _SHOWN_REFUSALS:
            click.echo(
                f"refused: row {refusal.row}, {refusal.field or 'record'}: {refusal.reason} {refusal.mend}",
                err=True,
            )
        shown.append(refusal)

    try:
        summary = classify_dump(
            source,
            output,
            model,
            options,
            rejects=rejects,
            report=report,
            restart=restart,
            on_refusal=show,
            on_batch=_Progress(),
        )
    finally:
        _clear_progress()
    if summary.finished_before:
        click.echo(f"{output} is complete already, from the same input, model and options: nothing to do.", err=True)
        click.echo("(--restart does it again, `dualuse verify` checks it.)", err=True)
        sys.exit(EXIT_REFUSED if summary.refused else 0)
    if rejects is not None and len(shown) > _SHOWN_REFUSALS:
        click.echo(f"... and {len(shown) - _SHOWN_REFUSALS} more refused.", err=True)
    _print_summary(summary, model.id, rejects)
    if summary.refused:
        sys.exit(EXIT_REFUSED)


@main.command("verify")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
def verify_output(run: Path) -> None:
    """Check an output against the record of its run: RUN is OUT.run.json or OUT."""
    findings = verify_run(run)
    for finding in findings:
        click.echo(f"{finding.subject}: {finding.problem or finding.note or 'as recorded'}")
    if any(finding.problem for finding in findings):
        sys.exit(EXIT_FAILURE)


@main.group("model")
def model_commands() -> None:
    """Verify a model folder, or tell what it holds."""


def _which_model(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take a model as an argument or by --model, whichever comes to mind."""

    @click.argument("model", required=False, metavar="[fast|careful|DIR]")
    @click.option("--model", "named", metavar="fast|careful|DIR", help="The same as the argument.")
    @functools.wraps(command)
    def choose(model: str | None, named: str | None, **options: Any) -> None:
        if model and named:
            raise click.UsageError("Give the model once: as an argument, or with --model.")
        command(load(model or named), **options)

    return choose


@model_commands.command()
@_which_model
def verify(model: Model) -> None:
    """Check every file of a model (default: the shipped one) against its manifest."""
    click.echo(f"{model.id}: every file is as listed; digest {model.digest}")


@model_commands.command()
@_which_model
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(model: Model, as_json: bool) -> None:
    """Tell what a model (default: the shipped one) holds: digest, thresholds, training data."""
    facts = {
        "id": model.id,
        "digest": model.digest,
        "ngrams": len(model.ngrams),
        **{
            name: model.parameters[name]
            for name in ("tags", "thresholds", "review", "trained_on", "libraries", "versions")
        },
    }
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    click.echo(f"{model.id}  ({model.folder})\ndigest     {model.digest}\nn-grams    {len(model.ngrams):,}")
    click.echo(f"trained on {facts['trained_on']['records']:,} records")
    for profile, thresholds in model.thresholds.items():
        click.echo(f"thresholds ({profile}): " + ", ".join(f"{tag} {p:.3f}" for tag, p in thresholds.items()))
    click.echo("for review from: " + ", ".join(f"{tag} {p:.3f}" for tag, p in model.review_thresholds.items()))


@model_commands.command("card")
@_which_model
@click.option("--html", type=click.Path(path_type=Path), help="Write the card as one HTML page to this file.")
def model_card(model: Model, html: Path | None) -> None:
    """Print a model's card: what it is for, what it learned from, how good it is, where it fails."""
    from training.page import to_html, to_markdown
    from training.sections import card

    blocks = card(model)
    if html is None:
        click.echo(to_markdown(blocks), nl=False)
        return
    html.write_text(to_html(blocks), encoding="utf-8")
    click.echo(f"{html} written", err=True)


@main.command(short_help="Show what each tag means and which control lists it touches.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--file", "path", type=click.Path(path_type=Path), help="Taxonomy file; default: the shipped one.")
def taxonomy(as_json: bool, path: Path | None) -> None:
    """Show what each tag means and which control-list entries it touches."""
    from classifier.taxonomy import load_taxonomy

    loaded = load_taxonomy(path)
    if as_json:
        click.echo(json.dumps(loaded.as_dict(), indent=2, ensure_ascii=False))
        return
    for tag in loaded.tags:
        click.echo(f"{tag.id}\n  {tag.definition}")
        for entry in loaded.entries(tag.id):
            read = "" if entry.text == "read" else ", pointer only"
            click.echo(f"  - {entry.list_name} {entry.entry} ({entry.strength}{read}): {entry.title}")
        if tag.no_list_item:
            click.echo(f"  - {tag.no_list_item}")
    click.echo(f"\n{loaded.notice}")


def _check_text_options(title: str, text: str) -> None:
    """Raise click.UsageError where there is no text, or an option is given that a single text has no use for."""
    if not (title.strip() or text.strip()):
        raise click.UsageError("--text is empty: give an abstract, a project description or, with --title, a title.")
    context = click.get_current_context()
    for option in context.command.params:
        given = context.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE
        if given and option.name not in _WITH_TEXT:
            raise click.UsageError(f"{option.opts[0]} goes with IN, not with --text.")


def _load(folder: Path | None, profile: str, thresholds: Path | None) -> tuple[Model, str]:
    """Return the model and the profile to judge by."""
    model = load(folder)
    if thresholds is not None:
        return use_file(model, thresholds)
    model.profile_thresholds(profile)
    return model, profile


class _Progress:
    """Tell on a terminal how far the run is; silent elsewhere."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def __call__(self, summary: Summary) -> None:
        now = time.perf_counter()
        if not sys.stderr.isatty() or now - self._last < _PROGRESS_SECONDS:
            return
        self._last = now
        rate = (summary.rows - summary.resumed) / summary.seconds
        left = ""
        if summary.share:
            resumed = summary.share * summary.resumed / summary.rows
            seconds = summary.seconds * (1 - summary.share) / max(summary.share - resumed, 1e-9)
            left = f", {max(0, round(seconds)):,} s left"
        click.echo(f"\r\033[K{summary.rows:,} records, {rate:,.0f} a second{left} ", nl=False, err=True)


def _clear_progress() -> None:
    if sys.stderr.isatty():
        click.echo("\r\033[K", nl=False, err=True)


def _print_summary(summary: Summary, model_id: str, rejects: Path | None) -> None:
    where = f" (see {rejects})" if summary.refused and rejects else ""
    done_now = summary.rows - summary.resumed
    before = f" ({summary.resumed:,} of them by an earlier run)" if summary.resumed else ""
    click.echo(
        f"rows in {summary.rows:,} = tagged {summary.scored:,} + refused {summary.refused:,}{where}{before}; "
        f"{summary.seconds:.1f} s, {done_now / max(summary.seconds, 1e-9):,.0f} a second, model {model_id}",
        err=True,
    )
    if summary.scored:
        shares = (f"{tag} {summary.flagged[tag]:,} ({summary.flagged[tag] / summary.scored:.1%})" for tag in TAGS)
        click.echo("flagged: " + ", ".join(shares), err=True)
        parts = (("for review, with no flag", summary.reviewed), ("no decision", summary.abstained))
        click.echo(", ".join(f"{name}: {n:,} ({n / summary.scored:.1%})" for name, n in parts), err=True)
    for line in summary.remarks():
        click.echo(line, err=True)
    click.echo(NOTICE, err=True)


def _print_result(result: Result) -> None:
    if not sys.stdout.isatty():
        click.echo(json.dumps(result.as_row(), ensure_ascii=False))
        return
    plain = bool(os.environ.get("NO_COLOR"))
    for tag, judgement in result.judgements.items():
        mark = f"{judgement.decision:7}"
        if judgement.decision in _STYLES and not plain:
            mark = click.style(mark, **_STYLES[judgement.decision])
        role = f" ({judgement.role})" if judgement.role else ""
        click.echo(f"{mark}  {judgement.probability:8.4f}  {tag}{role}")
    for note in result.notes:
        click.echo(f"note: {note}")
    click.echo(NOTICE, err=True)


if __name__ == "__main__":
    main()
