"""The command line: `dualuse COMMAND`. Data goes to standard output, everything else to standard error.

Commands of the other rooms are named here but imported only when called, so that `--help` and `classify` do not
wait for scikit-learn or FastAPI. Exit codes: 0 done, 1 failure, 2 usage, 3 done but some records refused,
130 interrupted.
"""

import importlib
import json
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from classifier.batch import KEEP, Summary, classify_dump
from classifier.compression import FORMATS
from classifier.errors import DualuseError
from classifier.model import load
from classifier.records import Columns, Refusal
from classifier.results import NOTICE, TAGS, Result

EXIT_FAILURE, EXIT_REFUSED, EXIT_INTERRUPTED = 1, 3, 130
_ELSEWHERE = {
    "train": ("training.cli", "train", "Rebuild the model from data/labels and data/features."),
    "evaluate": ("training.cli", "evaluate", "Measure a model on labelled records, beside two baselines."),
    "data": ("training.cli", "data", "Labels and features: extract, hydrate, labels."),
    "serve": ("service.cli", "serve", "Answer over HTTP on this machine."),
}
_SHOWN_REFUSALS = 20


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
            extra = "service" if cmd_name == "serve" else "train"
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
            ctx.exit(EXIT_FAILURE)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(EXIT_INTERRUPTED)


@click.group(cls=_Commands, epilog=NOTICE)
@click.version_option(version("dualuse"), prog_name="dualuse")
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
    "--keep", type=click.Choice(KEEP), default="all", show_default=True, help="Source columns to keep in OUT."
)
@click.option("--id-column", metavar="NAME", help="Column that holds the identifier.")
@click.option("--title-column", metavar="NAME", help="Column that holds the title.")
@click.option("--abstract-column", metavar="NAME", help="Column that holds the abstract or description.")
@click.option("--profile", default="balanced", show_default=True, help="Which of the model's thresholds to use.")
@click.option(
    "--model",
    "model_folder",
    type=click.Path(path_type=Path),
    help="Model folder; default: the shipped model.",
)
@click.option(
    "--rejects", type=click.Path(path_type=Path), help="File for refused records; default: OUT.rejects.jsonl."
)
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
    model_folder: Path | None,
    rejects: Path | None,
) -> None:
    """Tag every record of IN: a dump of any known format, plain, .gz or .zst; a folder, ZIP or 'pattern*'; or `-`.

    One output record per input record, in the same order: id, the source's columns, the tags, and per tag a
    probability and a decision. Refused records go to OUT.rejects.jsonl with the reason; the exit code is then 3.
    """
    if (source is None) == (text is None):
        raise click.UsageError("Give either IN or --text.")
    model = load(model_folder)
    if text is not None:
        _print_result(model.classify([(title, text)], profile=profile)[0])
        return
    assert source is not None
    if output != "-" and source != "-" and Path(output).resolve() == Path(source).resolve():
        raise click.UsageError(f"OUT is IN ({source}); choose another file.")
    if rejects is None and output != "-":
        rejects = Path(f"{output}.rejects.jsonl")
    shown: list[Refusal] = []

    def show(refusal: Refusal) -> None:
        if rejects is None or len(shown) < _SHOWN_REFUSALS:
            click.echo(
                f"refused: row {refusal.row}, {refusal.field or 'record'}: {refusal.reason} {refusal.mend}",
                err=True,
            )
        shown.append(refusal)

    summary = classify_dump(
        source,
        output,
        model,
        format=format_,
        output_format=output_format,
        columns=Columns(id=id_column, title=title_column, abstract=abstract_column),
        keep=keep,
        profile=profile,
        rejects=rejects,
        on_refusal=show,
        on_batch=_Progress(),
    )
    if rejects is not None and len(shown) > _SHOWN_REFUSALS:
        click.echo(f"... and {len(shown) - _SHOWN_REFUSALS} more refused.", err=True)
    _print_summary(summary, model.id, rejects)
    if summary.refused:
        sys.exit(EXIT_REFUSED)


@main.group("model")
def model_commands() -> None:
    """Verify a model folder, or tell what it holds."""


@model_commands.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
def verify(folder: Path | None) -> None:
    """Check every file of a model FOLDER (default: the shipped model) against its manifest."""
    model = load(folder)
    click.echo(f"{model.id}: every file is as listed; digest {model.digest}")


@model_commands.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(folder: Path | None, as_json: bool) -> None:
    """Tell what a model FOLDER (default: the shipped model) holds: digest, thresholds, training data."""
    model = load(folder)
    facts = {
        "id": model.id,
        "digest": model.digest,
        "ngrams": len(model.ngrams),
        **{name: model.parameters[name] for name in ("tags", "thresholds", "trained_on", "libraries", "versions")},
    }
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    click.echo(f"{model.id}  ({model.folder})\ndigest     {model.digest}\nn-grams    {len(model.ngrams):,}")
    click.echo(f"trained on {facts['trained_on']['records']:,} records")
    for profile, thresholds in model.thresholds.items():
        click.echo(f"thresholds ({profile}): " + ", ".join(f"{tag} {p:.3f}" for tag, p in thresholds.items()))


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


class _Progress:
    """Tell on a terminal how far the run is; silent elsewhere."""

    def __init__(self) -> None:
        self._started = self._last = time.perf_counter()

    def __call__(self, summary: Summary) -> None:
        now = time.perf_counter()
        if sys.stderr.isatty() and now - self._last > 0.5:
            self._last = now
            rate = summary.rows / (now - self._started)
            click.echo(f"\r{summary.rows:,} records, {rate:,.0f} a second ", nl=False, err=True)


def _print_summary(summary: Summary, model_id: str, rejects: Path | None) -> None:
    if sys.stderr.isatty():
        click.echo("\r\033[K", nl=False, err=True)
    where = f" (see {rejects})" if summary.refused and rejects else ""
    click.echo(
        f"rows in {summary.rows:,} = tagged {summary.tagged:,} + refused {summary.refused:,}{where}; "
        f"{summary.seconds:.1f} s, model {model_id}",
        err=True,
    )
    if summary.tagged:
        shares = (f"{tag} {summary.flagged[tag]:,} ({summary.flagged[tag] / summary.tagged:.1%})" for tag in TAGS)
        click.echo("flagged: " + ", ".join(shares), err=True)
    click.echo(NOTICE, err=True)


def _print_result(result: Result) -> None:
    if not sys.stdout.isatty():
        click.echo(json.dumps(result.as_row(), ensure_ascii=False))
        return
    for tag, judgement in result.judgements.items():
        mark = click.style("flag ", fg="yellow", bold=True) if judgement.decision == "flag" else "clear"
        click.echo(f"{mark}  {judgement.probability:8.4f}  {tag}")
    for note in result.notes:
        click.echo(f"note: {note}")
    click.echo(NOTICE, err=True)


if __name__ == "__main__":
    main()
