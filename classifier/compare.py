"""`dualuse compare OLD NEW`: which decisions another model, or other thresholds, change, and by which words.

Two outputs of `dualuse classify` over the same records are joined by id. Rows in the same order are compared as they
come; only rows that have not met their partner yet are held, so memory grows with disorder and not with size.
"""

import heapq
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import click

from classifier.errors import InputError, ModelError
from classifier.evidence import carriers
from classifier.model import Model, load
from classifier.outputs import Scored, read_outputs
from classifier.readers import read
from classifier.records import Record
from classifier.results import NOTICE, TAGS

WORDS = 5
"""Words shown of each changed decision."""
_ALL_WORDS = 10**9


@dataclass(frozen=True, slots=True)
class Change:
    """One tag of one record that is decided otherwise now; `words` made the difference, each with its part.

    A part is what the word adds to the new model's margin beyond what it added to the old one's.
    """

    id: str
    tag: str
    old_decision: str
    new_decision: str
    old_probability: float
    new_probability: float
    words: tuple[tuple[str, float], ...] = ()

    @property
    def shift(self) -> float:
        """How far the probability moved, without sign."""
        return abs(self.new_probability - self.old_probability)


@dataclass(slots=True)
class Comparison:
    """What two outputs have in common and what changed; `changes` are the largest, `counts` all of them."""

    old_model: str = ""
    new_model: str = ""
    both: int = 0
    only_old: int = 0
    only_new: int = 0
    records_changed: int = 0
    counts: dict[str, Counter[tuple[str, str]]] = field(default_factory=lambda: {tag: Counter() for tag in TAGS})
    changes: list[Change] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        plain = asdict(self)
        plain["counts"] = {
            tag: [{"old": old, "new": new, "records": n} for (old, new), n in sorted(counts.items())]
            for tag, counts in self.counts.items()
        }
        return plain


def compare_outputs(old: Path, new: Path, limit: int = 50) -> Comparison:
    """Join two outputs by id; keep the `limit` changes whose probability moved most.

    Raises InputError where either is no output of `dualuse classify`, or they share no record.
    """
    found = Comparison()
    kept: list[tuple[float, int, Change]] = []
    for number, (was, now) in enumerate(_joined(old, new, found)):
        found.both += 1
        found.old_model, found.new_model = was.model, now.model
        changed = [k for k in range(len(TAGS)) if was.decisions[k] != now.decisions[k]]
        found.records_changed += bool(changed)
        for k in changed:
            found.counts[TAGS[k]][was.decisions[k], now.decisions[k]] += 1
            decided = (was.decisions[k], now.decisions[k], was.probabilities[k], now.probabilities[k])
            change = Change(was.id, TAGS[k], *decided)
            # Ties go to the record that came first, so that the list does not depend on chance.
            (heapq.heappush if len(kept) < limit else heapq.heappushpop)(
                kept, (change.shift, -(number * len(TAGS) + k), change)
            )
    if not found.both:
        raise InputError(f"{old} and {new} have no id in common. Give two outputs over the same records.")
    found.changes = [change for _, _, change in sorted(kept, reverse=True)]
    return found


def explain_changes(changes: list[Change], dump: Path, old: Model, new: Model) -> list[Change]:
    """Add the words that made the difference, for the changes whose texts are in `dump`.

    They come from the n-gram tables, exactly; what a second reading added to them is not in the words.
    """
    wanted = {change.id for change in changes}
    texts: dict[str, Record] = {}
    for item in read(dump):
        if isinstance(item, Record) and item.id in wanted:
            texts.setdefault(item.id, item)
            if len(texts) == len(wanted):
                break
    return [_with_words(change, texts.get(change.id), old, new) for change in changes]


def _with_words(change: Change, record: Record | None, old: Model, new: Model) -> Change:
    if record is None:
        return change
    was, now = (dict(carriers(m, record.title, record.abstract, change.tag, _ALL_WORDS)) for m in (old, new))
    moved = {word: now.get(word, 0.0) - was.get(word, 0.0) for word in was | now}
    rising = change.new_probability > change.old_probability
    most = sorted(moved.items(), key=lambda item: (-item[1] if rising else item[1], item[0]))[:WORDS]
    words = tuple((word, round(part, 4)) for word, part in most if (part > 0) == rising and part)
    return replace(change, words=words)


def _joined(old: Path, new: Path, found: Comparison) -> Iterator[tuple[Scored, Scored]]:
    """Yield rows of equal id; of an id that stands several times, the first with the first, and so on."""
    waiting: tuple[dict[str, list[Scored]], dict[str, list[Scored]]] = ({}, {})
    for rows in zip_longest(read_outputs(old), read_outputs(new)):
        was, now = rows
        if was and now and was.id == now.id and was.id not in waiting[0] and was.id not in waiting[1]:
            yield was, now
            continue
        for side, row in enumerate(rows):
            if row is None:
                continue
            others = waiting[1 - side].get(row.id)
            if others is None:
                waiting[side].setdefault(row.id, []).append(row)
                continue
            other = others.pop(0)
            if not others:
                del waiting[1 - side][row.id]
            yield (row, other) if side == 0 else (other, row)
    found.only_old, found.only_new = (sum(map(len, rest.values())) for rest in waiting)


@click.command()
@click.argument("old", metavar="OLD_OUT", type=click.Path(path_type=Path))
@click.argument("new", metavar="NEW_OUT", type=click.Path(path_type=Path))
@click.option("--dump", type=click.Path(path_type=Path), help="What was classified: to name the words that did it.")
@click.option(
    "--old-model", metavar="fast|careful|DIR", help="With --dump: the model of OLD_OUT; default: by its name."
)
@click.option(
    "--new-model", metavar="fast|careful|DIR", help="With --dump: the model of NEW_OUT; default: by its name."
)
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Changes to list, largest first.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def compare(
    old: Path, new: Path, dump: Path | None, old_model: str | None, new_model: str | None, limit: int, as_json: bool
) -> None:
    """Tell which decisions differ between two outputs of `dualuse classify` over the same records."""
    found = compare_outputs(old, new, limit)
    if dump is not None:
        models = (_model(old_model, found.old_model, "--old-model"), _model(new_model, found.new_model, "--new-model"))
        found.changes = explain_changes(found.changes, dump, *models)
    click.echo(json.dumps(found.as_dict(), indent=1, ensure_ascii=False) if as_json else describe(found))
    click.echo(NOTICE, err=True)


def describe(found: Comparison) -> str:
    """Return the comparison as lines of text."""
    lines = [f"{found.both:,} records in both outputs; {found.old_model} before, {found.new_model} now"]
    if found.only_old or found.only_new:
        lines.append(f"only in the old output: {found.only_old:,}; only in the new one: {found.only_new:,}")
    lines.append(
        f"records with a changed decision: {found.records_changed:,} ({found.records_changed / found.both:.1%})"
    )
    for tag, counts in found.counts.items():
        told = ", ".join(f"{old} to {new} {n:,}" for (old, new), n in sorted(counts.items()))
        lines.append(f"  {tag:16}{told or 'unchanged'}")
    total = sum(n for counts in found.counts.values() for n in counts.values())
    if found.changes:
        lines.append(f"\nthe {len(found.changes)} largest of {total:,} changes")
    for change in found.changes:
        moved = (
            f"{change.old_decision} {change.old_probability:.3f} -> {change.new_decision} {change.new_probability:.3f}"
        )
        words = ", ".join(f"{word} {part:+.2f}" for word, part in change.words)
        lines.append(f"  {change.id}  {change.tag}: {moved}" + (f"  ({words})" if words else ""))
    return "\n".join(lines)


def _model(chosen: str | None, name: str, option: str) -> Model:
    """Load the model chosen, or the shipped one of that name."""
    from classifier import assets

    if chosen:
        return load(chosen)
    try:
        return load(assets.model_folder(name))
    except ModelError as error:
        raise InputError(f"Model {name!r} is not shipped with this version. Name its folder with {option}.") from error
