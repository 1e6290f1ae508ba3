"""Choose thresholds by what an office can read or must not miss, and tell what they promise: `dualuse thresholds`.

The lower bound on recall is that of Clopper and Pearson, one-sided at 95 %; it assumes that the examples are drawn like
the office's stream. With --recall a threshold is put at the probability of one of the examples, by rank alone, and then
the bound holds in spite of having been chosen on the same examples (Wilks 1941, on tolerance limits). Weighted examples
count as many as equally weighted ones would that tell as much: (sum of weights)^2 / sum of squares (Kish 1965).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from scipy.stats import beta

from classifier import assets
from classifier.errors import InputError
from classifier.model import Model, load
from classifier.results import TAGS
from classifier.scoring import FloatArray
from classifier.thresholds import to_file
from training.evaluate import read_labelled
from training.featurestore import tag_matrix
from training.sample import CALIBRATION, Sample, read_sample, share_cut

CONFIDENCE = 0.95
TOO_FEW = "no bound: too few examples"


@dataclass(frozen=True, slots=True)
class Promise:
    """What one tag's threshold brings: counts are per thousand records of the stream.

    `recall`: in the examples, None without any; `bound`: what recall is at least, None where the examples are too few.
    `examples`: how many equally weighted ones would tell as much.
    """

    threshold: float
    flags: float
    false_alarms: float
    recall: float | None
    bound: float | None
    examples: float


def for_recall(sample: Sample, wanted: float) -> dict[str, Promise]:
    """Return per tag the highest threshold whose recall is at least `wanted` with 95 % confidence.

    Where even no miss could not prove that, the highest whose recall in the examples is at least `wanted`.
    """
    promises = {}
    for k, tag in enumerate(TAGS):
        own = np.flatnonzero(sample.truth[:, k])
        order = own[np.argsort(-sample.probability[own, k], kind="stable")]
        weight = sample.weight[order]
        threshold = 1.0
        if len(own):
            size = effective_size(weight)
            reached = np.cumsum(weight) / weight.sum()
            bounds = beta.ppf(1 - CONFIDENCE, reached * size, size - np.minimum(reached * size, size) + 1)
            provable = bounds[-1] >= wanted
            enough = bounds >= wanted if provable else reached >= wanted - 1e-12
            threshold = float(sample.probability[order[np.argmax(enough)], k])
        promise = promise_of(sample, k, threshold)
        provable = promise.bound is not None and promise.bound >= wanted
        promises[tag] = promise if provable else replace(promise, bound=None)
    return promises


def for_capacity(sample: Sample, share: float, ratio: FloatArray) -> dict[str, Promise]:
    """Return thresholds such that the records flagged for any tag make up at most a share of the stream.

    All tags are cut at the same probability, after the shift of odds by `ratio`: the records most probably tagged are
    those that are read.
    """
    shifted = shift(sample.probability, ratio)
    cut = share_cut(shifted.max(axis=1), sample.weight, share)
    thresholds = np.ceil(1e6 * shift(np.full((1, len(TAGS)), cut), 1 / ratio)[0] - 1e-3) / 1e6
    thresholds = np.clip(thresholds, 1e-6, 1.0)
    return {tag: promise_of(sample, k, float(thresholds[k])) for k, tag in enumerate(TAGS)}


def promise_of(sample: Sample, tag: int, threshold: float) -> Promise:
    """Return what a threshold of a tag (its place in `TAGS`) brings in a sample."""
    truth, flag = sample.truth[:, tag], sample.probability[:, tag] >= threshold
    total, positives = sample.weight.sum(), sample.weight[truth]
    flags, false = (1000 * float(sample.weight[rows].sum() / total) for rows in (flag, flag & ~truth))
    if not positives.sum():
        return Promise(threshold, flags, false, None, None, 0.0)
    recall = float(sample.weight[truth & flag].sum() / positives.sum())
    size = effective_size(positives)
    return Promise(threshold, flags, false, recall, lower_bound(recall, size), size)


def flagged_records(sample: Sample, promises: Mapping[str, Promise]) -> float:
    """Return how many records in a thousand are flagged for any tag."""
    thresholds = np.array([promises[tag].threshold for tag in TAGS])
    flagged = (sample.probability >= thresholds).any(axis=1)
    return 1000 * float(sample.weight[flagged].sum() / sample.weight.sum())


def effective_size(weight: FloatArray) -> float:
    """Return how many equally weighted examples tell as much as these."""
    return float(weight.sum() ** 2 / (weight**2).sum())


def lower_bound(recall: float, size: float) -> float:
    """Return what recall is at least, with 95 % confidence, when this share of `size` examples was found."""
    hits = recall * size
    return float(beta.ppf(1 - CONFIDENCE, hits, size - hits + 1)) if hits > 1e-9 else 0.0


def at_prevalence(sample: Sample, prevalence: Mapping[str, float]) -> tuple[Sample, FloatArray]:
    """Weigh a sample's records as in a stream where tags are as common as said; return it with the odds ratio per tag.

    Records of a tag are scaled by wanted / measured prevalence and the others, step by step until all tags fit, by
    what is left: a record with two tags counts for both.
    """
    weight = sample.weight / sample.weight.sum()
    before = weight @ sample.truth
    for _ in range(200):
        for tag, wanted in prevalence.items():
            own = sample.truth[:, TAGS.index(tag)]
            now = float(weight[own].sum())
            if not 0 < now < 1:
                raise InputError(f"--prevalence {tag}: the examples hold no record with it, or none without.")
            weight = np.where(own, weight * wanted / now, weight * (1 - wanted) / (1 - now))
    after = weight @ sample.truth
    ratio = np.ones(len(TAGS))
    for tag in prevalence:
        k = TAGS.index(tag)
        ratio[k] = (after[k] / (1 - after[k])) / (before[k] / (1 - before[k]))
    return replace(sample, weight=weight), ratio


def shift(probability: FloatArray, ratio: FloatArray) -> FloatArray:
    """Multiply the odds of probabilities (records, tags) by a ratio per tag."""
    odds: FloatArray = probability / (1 - np.minimum(probability, 1 - 1e-9)) * ratio
    return odds / (1 + odds)


class _Capacity(click.ParamType[float]):
    """Reads `30/1000`: a share of the stream."""

    name = "n/m"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        part, _, whole = str(value).partition("/")
        if part.isdecimal() and whole.isdecimal() and 0 < int(part) <= int(whole):
            return int(part) / int(whole)
        self.fail(f"{value!r} is no capacity; say how many records of how many can be read, such as 30/1000.", param)


class _Prevalence(click.ParamType[tuple[str, float]]):
    """Reads `drones=.03`."""

    name = "tag=share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:
        tag, _, share = str(value).partition("=")
        try:
            number = float(share)
        except ValueError:
            number = -1.0
        if tag not in TAGS or not 0 < number < 1:
            self.fail(f"{value!r} is no prevalence; give tag=share with a tag of {', '.join(TAGS)}: drones=.03", param)
        return tag, number


@click.command()
@click.argument("labelled", required=False, type=click.Path(path_type=Path))
@click.option("--capacity", type=_Capacity(), metavar="N/M", help="Flag at most N of M records, all tags together.")
@click.option(
    "--recall", type=click.FloatRange(0, 1, min_open=True, max_open=True), help="Find this share of each tag."
)
@click.option(
    "--prevalence", type=_Prevalence(), metavar="TAG=SHARE", multiple=True, help="As common as in your stream."
)
@click.option("--model", default=assets.DEFAULT, show_default=True, metavar="fast|careful|DIR", help="Which model.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write them for `dualuse classify --thresholds`.")
def main(
    labelled: Path | None,
    capacity: float | None,
    recall: float | None,
    prevalence: tuple[tuple[str, float], ...],
    model: str,
    output: Path | None,
) -> None:
    """Choose thresholds by review load or recall, and say what they promise.

    On LABELLED: records with `tags`, drawn like your stream (where some have a `weight`, these alone, so weighted).
    Without it: on what the model said, in training, of a stratified sample of papers and projects.
    """
    if (capacity is None) == (recall is None):
        raise click.UsageError("Give either --capacity or --recall.")
    loaded = load(model)
    sample = read_sample(loaded.folder / CALIBRATION) if labelled is None else judge_sample(loaded, labelled)
    wanted = dict(prevalence)
    sample, ratio = at_prevalence(sample, wanted)
    promises = for_recall(sample, recall) if recall else for_capacity(sample, capacity or 0.0, ratio)
    click.echo("\n".join(describe(sample, promises, wanted, ratio, labelled)))
    if output is not None:
        made = {"capacity": capacity, "recall": recall, "prevalence": wanted, "examples": len(sample.ids)}
        flag = {tag: promise.threshold for tag, promise in promises.items()}
        output.write_text(to_file(loaded, flag, loaded.review_thresholds, made), encoding="utf-8")
        click.echo(f"{output}: use it with `dualuse classify --model {model} --thresholds {output}`")


def judge_sample(model: Model, path: Path) -> Sample:
    """Judge labelled records; an abstained one has probability 0, since no threshold would flag it."""
    read = read_labelled(path)
    weighted = [row for row, label in enumerate(read.labels) if label.weight is not None]
    rows = weighted or list(range(len(read.labels)))
    labels = [read.labels[row] for row in rows]
    results = model.judge([read.records[row] for row in rows])
    judged = [[(j.probability, j.decision) for j in result.judgements.values()] for result in results]
    probability = np.array([[0.0 if decision == "abstain" else p for p, decision in row] for row in judged])
    weight = np.array([1.0 if label.weight is None else label.weight for label in labels])
    return Sample(tuple(x.id for x in labels), tag_matrix([x.tags for x in labels], TAGS), probability, weight)


def describe(
    sample: Sample,
    promises: Mapping[str, Promise],
    prevalence: Mapping[str, float],
    ratio: FloatArray,
    labelled: Path | None,
) -> list[str]:
    """Return the lines of the table and what it rests on."""
    lines = [f"{'tag':16}{'threshold':>10}{'flags/1000':>12}{'false/1000':>12}{'recall':>9}  at least (95 %)"]
    for tag, promise in promises.items():
        recall = "-" if promise.recall is None else f"{promise.recall:.3f}"
        bound = TOO_FEW if promise.bound is None else f"{promise.bound:.3f}"
        examples = f"  ({promise.examples:.0f} examples)"
        figures = f"{promise.threshold:10.6f}{promise.flags:12.1f}{promise.false_alarms:12.1f}{recall:>9}"
        lines.append(f"{tag:16}{figures}  {bound}{examples}")
    lines.append(f"{'any tag':16}{'':10}{flagged_records(sample, promises):12.1f}")
    source = "a stratified sample, judged out of fold" if labelled is None else f"{labelled}"
    lines.append(f"From {len(sample.ids):,} records: {source}. It holds if those are drawn like your stream.")
    if prevalence:
        said = ", ".join(f"{tag} {share:g}" for tag, share in prevalence.items())
        lines.append(f"Records weigh as if a stream held: {said}. At that, what the model calls")
        for k, tag in enumerate(TAGS):
            if tag in prevalence:
                threshold = promises[tag].threshold
                then = shift(np.full((1, len(TAGS)), threshold), ratio)[0, k]
                lines.append(f"  {tag} {threshold:.3f} is a probability of {then:.3f} (its odds times {ratio[k]:.3g}).")
        lines.append("The outputs of `dualuse classify` keep the model's own probabilities.")
    return lines
