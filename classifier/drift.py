"""`dualuse drift BASELINE NEW`: tell whether a stream still looks like the one that thresholds were set on.

Either side is an output of `dualuse classify` or a plain dump, which is scored here. From each an even sample of
records is taken; scores, words, lengths and abstentions are compared, each with what chance alone would give. Figures
say that a stream moved, never that the model got worse: only labelled records can tell that.
"""

import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import click
import numpy as np
import numpy.typing as npt

from classifier.errors import InputError
from classifier.model import Model, load
from classifier.outputs import Scored, read_outputs
from classifier.readers import read
from classifier.records import Record
from classifier.results import TAGS, is_output
from classifier.words import word_hashes, words

FloatArray = npt.NDArray[np.float64]
T = TypeVar("T")

SAMPLE = 20_000
BINS = 10
DRAWS = 500
MOVED, MOVED_MUCH = 0.1, 0.25
"""The usual bounds of the population stability index: below the first nothing to do, above the second look."""
FEW = 200  # records below which hardly anything can be told from chance
SHOWN_WORDS = 12
_MIN_RECORDS = 5  # a word in fewer records of both sides together says nothing
_UNKNOWN_RISE, _ABSTAIN_RISE, _LENGTH_RATIO = 0.03, 0.02, 1.5


@dataclass(frozen=True, slots=True)
class Stream:
    """An even sample of one side: array (records, tags) of probabilities, decisions, and its texts, "" where none."""

    rows: int
    model: str
    probability: FloatArray
    decisions: list[tuple[str, ...]]
    texts: list[str]


@dataclass(frozen=True, slots=True)
class Shift:
    """One figure on both sides, each (value, low, high): 95 % bootstrap intervals."""

    baseline: tuple[float, float, float]
    new: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class TagDrift:
    """How a tag's scores moved: stability index, what chance reaches once in twenty times, and per 1,000 records."""

    psi: float
    by_chance: float
    verdict: str  # `as before`, `moved` or `moved much`
    expected_per_1000: Shift
    flagged_per_1000: Shift


@dataclass(frozen=True, slots=True)
class Drift:
    """All that was compared; word figures are None where either side came without texts."""

    records: tuple[int, int]
    sampled: tuple[int, int]
    models: tuple[str, str]
    tags: dict[str, TagDrift]
    abstained: Shift
    unknown_words: Shift | None
    words_per_text: Shift | None
    risen: list[tuple[str, bool]]
    fallen: list[tuple[str, bool]]
    advice: list[str]


@click.command()
@click.argument("baseline", metavar="BASELINE", type=click.Path(path_type=Path))
@click.argument("new", metavar="NEW", type=click.Path(path_type=Path))
@click.option("--model", metavar="fast|careful|DIR", help="Scores plain dumps and knows words; default: as shipped.")
@click.option(
    "--sample",
    type=click.IntRange(1),
    default=SAMPLE,
    show_default=True,
    help="Records of each side that are compared.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def drift(baseline: Path, new: Path, model: str | None, sample: int, as_json: bool) -> None:
    """Tell how scores, words, lengths and abstentions of NEW differ from BASELINE, and what to do about it."""
    loaded = load(model)
    found = measure_drift(read_stream(baseline, loaded, sample), read_stream(new, loaded, sample), loaded)
    click.echo(json.dumps(asdict(found), indent=1, ensure_ascii=False) if as_json else describe(found))


def read_stream(path: Path, model: Model, sample: int = SAMPLE) -> Stream:
    """Read one side; a plain dump's sample is scored.

    Raises InputError where the file cannot be read or holds no records.
    """
    rows, kept = _even_sample(read_any(path), sample)
    if not kept:
        raise InputError(f"{path}: no records to compare.")
    scored = [item for item in kept if isinstance(item, Scored)]
    records = [item for item in kept if isinstance(item, Record)]
    if records:
        results = model.classify(records)
        judged = [tuple(result.judgements[tag] for tag in TAGS) for result in results]
        probability = np.array([[judgement.probability for judgement in row] for row in judged])
        decisions = [tuple(judgement.decision for judgement in row) for row in judged]
        return Stream(rows, model.id, probability, decisions, [f"{r.title}\n{r.abstract}".strip() for r in records])
    names = " and ".join(sorted({item.model for item in scored}))
    texts = [f"{item.title}\n{item.abstract}".strip() for item in scored]
    return Stream(rows, names, np.array([s.probabilities for s in scored]), [s.decisions for s in scored], texts)


def read_any(path: Path) -> Iterator[Scored | Record]:
    """Yield an output's rows, or a plain dump's records; what a dump's reader refuses is left out."""
    try:
        first = next(read_outputs(path), None)
    except InputError:
        first = None
    if first is not None:
        yield from read_outputs(path)
        return
    for item in read(path):
        if isinstance(item, Record) and not is_output(item.source):
            yield item


def measure_drift(baseline: Stream, new: Stream, model: Model) -> Drift:
    """Compare two sides."""
    tags = {tag: _tag_drift(baseline, new, k) for k, tag in enumerate(TAGS)}
    abstained = _shift(*(np.array(["abstain" in d for d in side.decisions], float) for side in (baseline, new)))
    unknown = length = None
    risen: list[tuple[str, bool]] = []
    fallen: list[tuple[str, bool]] = []
    if all(any(side.texts) for side in (baseline, new)):
        spoken = [[words(text) for text in side.texts if text] for side in (baseline, new)]
        known = _known({word for side in spoken for text in side for word in text}, model)
        length = _shift(*(np.array([len(text) for text in side], float) for side in spoken))
        unknown = _shift(
            *(np.array([sum(w not in known for w in text) / max(len(text), 1) for text in side]) for side in spoken)
        )
        risen, fallen = _moved_words(spoken[0], spoken[1], known)
    sampled = (len(baseline.decisions), len(new.decisions))
    models = (baseline.model, new.model)
    advice = _advice(sampled, models, tags, abstained, unknown, length)
    return Drift((baseline.rows, new.rows), sampled, models, tags, abstained, unknown, length, risen, fallen, advice)


def stability(baseline: FloatArray, new: FloatArray, seed: int = 0) -> tuple[float, float]:
    """Return the population stability index of two samples of one score, and what chance reaches once in 20 times.

    Bins are the tenths of the baseline; the chance is that of two samples of these sizes from both taken together.
    """
    edges = np.unique(np.quantile(baseline, np.linspace(0, 1, BINS + 1)[1:-1]))
    old, now = (
        np.bincount(np.searchsorted(edges, side, side="right"), minlength=len(edges) + 1) for side in (baseline, new)
    )
    pooled = (old + now) / (old + now).sum()
    generator = np.random.default_rng(seed)
    drawn = [generator.multinomial(int(side.sum()), pooled, DRAWS) for side in (old, now)]
    return float(_index(old[None], now[None])[0]), float(np.quantile(_index(*drawn), 0.95))


def _index(old: npt.NDArray[np.int64], now: npt.NDArray[np.int64]) -> FloatArray:
    # Half a record in each bin, so that an empty one does not make the index endless.
    p, q = ((side + 0.5) / (side + 0.5).sum(axis=1, keepdims=True) for side in (old, now))
    result: FloatArray = ((q - p) * np.log(q / p)).sum(axis=1)
    return result


def _tag_drift(baseline: Stream, new: Stream, k: int) -> TagDrift:
    psi, chance = stability(baseline.probability[:, k], new.probability[:, k])
    verdict = "as before" if psi < max(MOVED, chance) else "moved much" if psi >= MOVED_MUCH else "moved"
    flagged = (np.array([d[k] == "flag" for d in side.decisions], float) for side in (baseline, new))
    expected = (1000 * side.probability[:, k] for side in (baseline, new))
    return TagDrift(round(psi, 4), round(chance, 4), verdict, _shift(*expected), _shift(*(1000 * f for f in flagged)))


def _shift(baseline: FloatArray, new: FloatArray) -> Shift:
    return Shift(_mean(baseline), _mean(new))


def _mean(values: FloatArray, seed: int = 0) -> tuple[float, float, float]:
    """Return the mean of records with its bootstrap interval; of very many, the normal one, which is then the same."""
    if len(values) > 2_000:
        half = 1.96 * float(values.std()) / np.sqrt(len(values))
        low, high = float(values.mean()) - half, float(values.mean()) + half
    else:
        picks = np.random.default_rng(seed).integers(0, len(values), (DRAWS, len(values)))
        low, high = np.quantile(values[picks].mean(axis=1), [0.025, 0.975])
    return round(float(values.mean()), 4), round(max(0.0, float(low)), 4), round(float(high), 4)


def _known(vocabulary: set[str], model: Model) -> set[str]:
    ordered = sorted(vocabulary)
    inside = np.isin(word_hashes(ordered), model.ngrams)
    return {word for word, is_known in zip(ordered, inside.tolist(), strict=True) if is_known}


def _moved_words(
    baseline: list[list[str]], new: list[list[str]], known: set[str]
) -> tuple[list[tuple[str, bool]], list[tuple[str, bool]]]:
    """Return the words that stand in clearly more, and in clearly fewer, texts than before; and which are known."""
    old, now = (Counter(word for text in side for word in set(text)) for side in (baseline, new))
    sizes = len(baseline), len(new)
    moved = []
    for word in old.keys() | now.keys():
        a, b = old[word], now[word]
        if a + b >= _MIN_RECORDS and not word.isdigit():
            share = (a + b) / sum(sizes)
            error = np.sqrt(share * (1 - share) * (1 / sizes[0] + 1 / sizes[1])) or 1.0
            moved.append(((b / sizes[1] - a / sizes[0]) / error, word))
    moved.sort(key=lambda item: (-item[0], item[1]))
    clear = 4.0  # standard errors: of ten thousand words that did not move, less than one gets there
    risen = [(word, word in known) for z, word in moved if z > clear][:SHOWN_WORDS]
    fallen = [(word, word in known) for z, word in reversed(moved) if z < -clear][:SHOWN_WORDS]
    return risen, fallen


def _advice(
    sampled: tuple[int, int],
    models: tuple[str, str],
    tags: dict[str, TagDrift],
    abstained: Shift,
    unknown: Shift | None,
    length: Shift | None,
) -> list[str]:
    advice = []
    if min(sampled) < FEW:
        advice.append(
            f"One side has {min(sampled)} records: too few to tell drift from chance; compare again with {FEW} or more."
        )
    if models[0] != models[1]:
        advice.append(
            f"Scored by different models ({models[0]}, {models[1]}): scores show the model's change too. Classify the "
            "baseline again, and see `dualuse compare`."
        )
    for verdict, what in (
        ("moved much", "read twenty flagged and twenty nearly flagged records of NEW before relying on the queue, and "
         "measure on a labelled sample with `dualuse evaluate`"),
        ("moved", "compare again next time; if flags per thousand are no longer what your office can read, set "
         "thresholds anew with `dualuse thresholds`"),
    ):  # fmt: skip
        moved = [tag for tag, found in tags.items() if found.verdict == verdict]
        if moved:
            advice.append(f"Scores of {', '.join(moved)} have {verdict}: {what}.")
    if unknown and _apart(unknown) and unknown.new[0] - unknown.baseline[0] > _UNKNOWN_RISE:
        advice.append(
            "More words than before are unknown to the model: look at the risen words, and whether NEW is English."
        )
    if abstained.new[0] - abstained.baseline[0] > _ABSTAIN_RISE and _apart(abstained):
        advice.append("More records than before are not judged at all: their notes say why.")
    if length and not 1 / _LENGTH_RATIO < length.new[0] / max(length.baseline[0], 1) < _LENGTH_RATIO:
        advice.append(
            "Texts are of another length: check that title and abstract columns are the right ones and not cut."
        )
    return advice or ["Nothing to do: NEW looks like BASELINE."]


def _apart(shift: Shift) -> bool:
    """Tell whether the intervals of both sides do not touch."""
    return shift.new[1] > shift.baseline[2] or shift.new[2] < shift.baseline[1]


def _even_sample(items: Iterator[T], size: int, seed: int = 0) -> tuple[int, list[T]]:
    """Return how many items there are, and an even sample of them in their order (reservoir sampling)."""
    choose = random.Random(seed)
    kept: list[tuple[int, T]] = []
    count = 0
    for item in items:
        if len(kept) < size:
            kept.append((count, item))
        elif (place := choose.randrange(count + 1)) < size:
            kept[place] = (count, item)
        count += 1
    return count, [item for _, item in sorted(kept, key=lambda pair: pair[0])]


def describe(found: Drift) -> str:
    """Return the comparison as lines of text."""
    sides = [
        f"{rows:,} records" + (f" ({n:,} compared)" if n < rows else "")
        for rows, n in zip(found.records, found.sampled, strict=True)
    ]
    lines = [f"baseline {sides[0]}, scored by {found.models[0]}; new {sides[1]}, scored by {found.models[1]}", ""]
    lines.append(f"{'':16}{'index':>7}{'chance':>8}  {'':12}{'expected per 1,000':>24}{'flagged per 1,000':>24}")
    for tag, row in found.tags.items():
        cells = "".join(
            f"{f'{s.baseline[0]:.1f} -> {s.new[0]:.1f}':>24}" for s in (row.expected_per_1000, row.flagged_per_1000)
        )
        lines.append(f"{tag:16}{row.psi:7.3f}{row.by_chance:8.3f}  {row.verdict:12}{cells}")
    lines.append("")
    lines.append(f"not judged       {_both(found.abstained, 100)} %")
    if found.unknown_words and found.words_per_text:
        lines.append(f"unknown words    {_both(found.unknown_words, 100)} %")
        lines.append(f"words per text   {_both(found.words_per_text, 1)}")
        for name, moved in (("more often", found.risen), ("less often", found.fallen)):
            lines.append(f"{name:17}" + (_told(moved) or "no word clearly"))
    else:
        lines.append("words            not compared: an output was written without its texts")
    return "\n".join([*lines, "", *found.advice])


def _both(shift: Shift, factor: float) -> str:
    return " -> ".join(
        f"{v * factor:.1f} ({low * factor:.1f}-{high * factor:.1f})" for v, low, high in (shift.baseline, shift.new)
    )


def _told(moved: Sequence[tuple[str, bool]]) -> str:
    return ", ".join(word if known else f"{word} (unknown)" for word, known in moved)
