"""One page about a run: what was scored, what was flagged, how much of that is likely wrong, and what to read first.

A `Report` is fed batch by batch and keeps counts, histograms and the first records of each queue, so its size does not
grow with the dump. The page is a single file without script that loads nothing; it is plain string templates with
everything escaped, because for one page an engine of templates would be one more dependency to trust.
The surprising rule: no time of day stands on it. The same run gives the same bytes.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from classifier.evidence import carriers
from classifier.notes import COUNTED
from classifier.results import NOTICE, TAGS, count_notes, count_zones

if TYPE_CHECKING:
    import pyarrow as pa

    from classifier.model import Model

TOP = 20
"""Records shown of each queue."""
BINS = 20
"""Bars of a histogram, each as wide as the others, from probability 0 to 1."""
CARRIERS = 5
"""Words shown of each record."""

_MILLION = 1_000_000  # probabilities have six decimals
# What no page may hold, and what could make a line read otherwise than it is written.
UNSHOWN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)


@dataclass(frozen=True, slots=True, order=True)
class _Queued:
    """A flagged record; sorts as queues do: what enables first, then the most probable, equals by id, then by place."""

    lower: bool  # counters or studies the capability
    below: int  # how many millionths below 1 its probability is
    id: str
    place: int
    title: str
    abstract: str
    role: str


@dataclass(frozen=True, slots=True)
class _Figure:
    value: float
    low: float
    high: float


class Report:
    """What a page tells of one run with one model and profile."""

    def __init__(self, model: "Model", *, profile: str = "balanced", top: int = TOP) -> None:
        """Begin a report; KeyError: the model has no such profile."""
        self.model, self.profile = model, profile
        self.tagged = 0
        self.flagged = dict.fromkeys(TAGS, 0)
        self.reviewed = self.abstained = 0
        self.notes = dict.fromkeys(COUNTED, 0)
        self.histograms = {tag: [0] * BINS for tag in TAGS}
        self._thresholds = model.thresholds[profile]
        self._top = top
        self._queues: dict[str, list[_Queued]] = {tag: [] for tag in TAGS}

    def add(
        self, ids: Sequence[Any], titles: Sequence[Any], abstracts: Sequence[Any], results: "pa.RecordBatch"
    ) -> None:
        """Count one batch: lists or Arrow arrays (null for no text), and what `Model.judge_arrow` said of them.

        ValueError: the batch's parts differ in length.
        """
        import pyarrow.compute as pc

        if not len(ids) == len(titles) == len(abstracts) == results.num_rows:
            sizes = f"{len(ids)}, {len(titles)}, {len(abstracts)} and {results.num_rows}"
            raise ValueError(f"ids, titles, abstracts and results differ in length: {sizes}.")
        for tag in TAGS:
            probability = results.column(f"{tag}_probability").to_numpy(zero_copy_only=False)
            millionths = np.rint(probability * _MILLION).astype(np.int64)
            bins = np.minimum(millionths * BINS // _MILLION, BINS - 1)
            counts = np.bincount(bins, minlength=BINS).tolist()
            self.histograms[tag] = [a + b for a, b in zip(self.histograms[tag], counts, strict=True)]
            flags = pc.equal(results.column(f"{tag}_decision"), "flag").to_numpy(zero_copy_only=False)
            self.flagged[tag] += int(flags.sum())
            roles = results.column(f"{tag}_role")
            lower = ~pc.equal(roles, "enables").fill_null(True).to_numpy(zero_copy_only=False)
            self._enqueue(tag, millionths, lower, np.flatnonzero(flags), (ids, titles, abstracts, roles))
        reviewed, abstained = count_zones(results)
        self.reviewed += reviewed
        self.abstained += abstained
        for note, rows in count_notes(results, COUNTED).items():
            self.notes[note] += rows
        self.tagged += results.num_rows

    def _enqueue(
        self,
        tag: str,
        millionths: npt.NDArray[np.int64],
        lower: npt.NDArray[np.bool_],
        places: npt.NDArray[np.int64],
        texts: tuple[Sequence[Any], ...],
    ) -> None:
        queue = self._queues[tag]
        if len(queue) == self._top:  # only what could still get in is worth a Python object
            places = places[_fits(lower[places], millionths[places], queue[-1])] if queue else places[:0]
        for place in places.tolist():
            record_id, title, abstract, role = (_text(column[place]) for column in texts)
            below = _MILLION - int(millionths[place])
            queue.append(_Queued(bool(lower[place]), below, record_id, self.tagged + place, title, abstract, role))
        queue.sort()
        del queue[self._top :]

    def dump(self) -> bytes:
        """Return the state, texts of the queues included, so that an interrupted run can go on with `restore`."""
        state = {
            "model": self.model.digest,
            "profile": self.profile,
            "tagged": self.tagged,
            "flagged": self.flagged,
            "reviewed": self.reviewed,
            "abstained": self.abstained,
            "notes": self.notes,
            "histograms": self.histograms,
            "queues": {tag: [asdict(item) for item in queue] for tag, queue in self._queues.items()},
        }
        return json.dumps(state).encode()

    def restore(self, state: bytes) -> None:
        """Take over a state that `dump` gave.

        ValueError: it belongs to another model or profile.
        """
        read = json.loads(state)
        if (read["model"], read["profile"]) != (self.model.digest, self.profile):
            raise ValueError(f"The state of a report belongs to model {read['model']}, profile {read['profile']}.")
        self.tagged, self.flagged, self.histograms = read["tagged"], read["flagged"], read["histograms"]
        self.reviewed, self.abstained, self.notes = read["reviewed"], read["abstained"], read["notes"]
        self._queues = {tag: [_Queued(**item) for item in queue] for tag, queue in read["queues"].items()}

    def render(self, *, source: str, refused: int = 0, date: str | None = None) -> str:
        """Return the page. `source` names what was scored; a `date` is shown only where one is given."""
        counts = [("Source", source), ("Rows in", f"{self.tagged + refused:,}"), ("Tagged", f"{self.tagged:,}")]
        counts += [("For review", f"{self.reviewed:,} (no tag flagged)"), ("Abstained", f"{self.abstained:,}")]
        counts += [(note[0].upper() + note[1:], f"{rows:,}") for note, rows in self.notes.items() if rows]
        counts.append(("Refused", f"{refused:,}"))
        if date is not None:
            counts.append(("Date", date))
        made_with = [("Model", self.model.id), ("Digest", self.model.digest), ("Profile", self.profile)]
        figures = natural_figures(self.model, self.profile)
        return _PAGE.format(
            title=_show(f"dualuse: {source}"),
            style=_STYLE,
            notice=_show(NOTICE),
            counts=_facts(counts),
            flags=self._flags_table(figures),
            assumption=_assumption(figures),
            histograms="".join(self._histogram(tag) for tag in TAGS),
            queues="".join(self._queue(tag) for tag in TAGS),
            made_with=_facts(made_with),
        )

    def _flags_table(self, figures: Mapping[str, Mapping[str, _Figure]]) -> str:
        names = ["Tag", "Threshold", "Flagged", "Share"]
        if figures:
            names += ["Likely false", "Likely missed"]
        rows = []
        for tag in TAGS:
            flagged = self.flagged[tag]
            share = f"{flagged / self.tagged:.2%}" if self.tagged else "-"
            cells = [f"{self._thresholds[tag]:.3f}", f"{flagged:,}", share]
            if figures:
                cells += [_count(figures[tag].get("false"), flagged), _count(figures[tag].get("missed"), self.tagged)]
            told = "".join(f'<td data-name="{name}">{cell}</td>' for name, cell in zip(names[1:], cells, strict=True))
            rows.append(f'<tr><th scope="row"><a href="#{tag}">{tag}</a></th>{told}</tr>')
        head = "".join(f'<th scope="col">{name}</th>' for name in names)
        caption = "Records at or above each tag's threshold. A record may have several tags."
        return _table("Flags per tag", caption, head, rows, "numbers flags")

    def _histogram(self, tag: str) -> str:
        counts, threshold = self.histograms[tag], self._thresholds[tag]
        above = self.flagged[tag]
        most = max(max(counts), 1)
        scale = _HEIGHT / np.log10(10 * max(most, 10) * 1.3)
        bars, lines = [], []
        step = _WIDTH / BINS
        decade = 1
        while decade <= max(most, 10):
            y = _FLOOR - scale * np.log10(10 * decade)
            lines.append(f'<line class="grid" x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="{y:.1f}" y2="{y:.1f}" />')
            lines.append(f'<text x="{_LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{_short(decade)}</text>')
            decade *= 10
        for i, count in enumerate(counts):
            if count:
                height = scale * np.log10(10 * count)
                place = f'x="{_LEFT + i * step + 1:.1f}" y="{_FLOOR - height:.1f}" height="{height:.1f}"'
                bars.append(f'<rect class="bar" {place} width="{step - 2:.1f}" />')
        for quarter in range(5):
            x = _LEFT + _WIDTH * quarter / 4
            bars.append(f'<text x="{x:.1f}" y="{_FLOOR + 16}" text-anchor="middle">{quarter / 4:g}</text>')
        x = _LEFT + _WIDTH * threshold
        side = "start" if threshold < 0.6 else "end"
        mark = (
            f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{_FLOOR - _HEIGHT}" y2="{_FLOOR}" />'
            f'<text class="label" x="{x + (5 if side == "start" else -5):.1f}" y="{_FLOOR - _HEIGHT + 9}" '
            f'text-anchor="{side}">threshold {threshold:.3f}</text>'
        )
        told = f"{above:,} of {self.tagged:,} records lie at or above the threshold of {threshold:.3f}."
        rows = [
            f'<tr><th scope="row">{i / BINS:.2f} to {(i + 1) / BINS:.2f}</th><td>{count:,}</td></tr>'
            for i, count in enumerate(counts)
        ]
        head = '<th scope="col">Probability</th><th scope="col">Records</th>'
        return (
            f'<figure><svg viewBox="0 0 {_LEFT + _WIDTH + 12} {_FLOOR + 24}" role="img" '
            f'aria-labelledby="{tag}-shape"><title id="{tag}-shape">Histogram of the probabilities of {tag}: {told}'
            f"</title>{''.join(lines)}{''.join(bars)}{mark}</svg>"
            f"<figcaption><strong>{tag}</strong>: {told}</figcaption>"
            f"<details><summary>The numbers for {tag}</summary>"
            f"{_table(f'Probabilities of {tag}', '', head, rows)}</details></figure>"
        )

    def _queue(self, tag: str) -> str:
        queue, flagged = self._queues[tag], self.flagged[tag]
        if not queue:
            return f'<section><h3 id="{tag}">{tag}</h3><p>No record was flagged.</p></section>'
        rows = []
        for rank, item in enumerate(queue, start=1):
            words = carriers(self.model, item.title, item.abstract, tag, CARRIERS)
            spoke = ", ".join(f"{_show(name)} <small>{part:+.2f}</small>" for name, part in words if part > 0)
            title = f"<bdi>{_show(item.title)}</bdi>" if item.title.strip() else "<em>no title</em>"
            rows.append(
                f"<tr><td>{rank}</td><td>{_probability(item.below)}</td><td>{_show(item.role)}</td>"
                f'<th scope="row">{title}<span class="id"><bdi>{_show(item.id)}</bdi></span></th>'
                f'<td class="words">{spoke}</td></tr>'
            )
        names = ("Place", "Probability", "Role", "Record", "Words that carried it")
        head = "".join(f'<th scope="col">{name}</th>' for name in names)
        order = "work that enables the capability first, then by probability"
        some = f"{len(queue)} of {flagged:,} flagged: {order}."
        caption = some if len(queue) < flagged else f"All {flagged:,} flagged: {order}."
        return f'<section><h3 id="{tag}">{tag}</h3>{_table(f"Queue of {tag}", caption, head, rows, "queue")}</section>'


def _fits(lower: npt.NDArray[np.bool_], millionths: npt.NDArray[np.int64], last: _Queued) -> npt.NDArray[np.bool_]:
    """Tell which records could stand before the last one of a queue, or beside it."""
    result: npt.NDArray[np.bool_] = (lower < last.lower) | (
        (lower == last.lower) & (millionths >= _MILLION - last.below)
    )
    return result


def natural_figures(model: "Model", profile: str) -> Mapping[str, Mapping[str, _Figure]]:
    """Return per tag what was measured at natural prevalence: share of false flags, share of records missed.

    Empty where the model folder has no figures for this very model and profile.
    """
    path = model.folder / "metrics.json"
    try:
        metrics = json.loads(path.read_bytes())
        measured = (metrics["model"]["digest"], metrics["model"]["profile"])
        natural = metrics["systems"][metrics["model"]["id"]]["natural prevalence"]
        if measured != (model.digest, profile):
            return {}
        return {tag: _figures_of(natural[tag]) for tag in TAGS}
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # metrics are beside the model, not part of it: a page without them is still right


def _figures_of(measured: Mapping[str, Mapping[str, float | None]]) -> Mapping[str, _Figure]:
    figures = {}
    precision, missed = measured["precision"], measured["missed_per_1000"]
    if precision["value"] is not None and precision["low"] is not None and precision["high"] is not None:
        figures["false"] = _Figure(1 - precision["value"], 1 - precision["high"], 1 - precision["low"])
    if missed["value"] is not None and missed["low"] is not None and missed["high"] is not None:
        figures["missed"] = _Figure(missed["value"] / 1000, missed["low"] / 1000, missed["high"] / 1000)
    return figures


def _assumption(figures: Mapping[str, Any]) -> str:
    if not figures:
        return (
            "<p>How many of these flags are false cannot be told: the model folder holds no figures that were measured "
            "with this model and profile on a natural stream.</p>"
        )
    return (
        "<p>Likely false and likely missed, with 95 % intervals, are what the model's own measurement would make of "
        "this many flags and records. They hold only if this source is like the natural stream of papers and projects "
        "that it was measured on, with tagged work as rare as there, and if the labels of that stream are right: "
        "language-model annotators gave them, and no human expert checked them. In a source picked for a topic, flags "
        "are more often right and more is missed.</p>"
    )


def _count(share: _Figure | None, of: int) -> str:
    if share is None:
        return "not known"
    value, low, high = (_round(part * of) for part in astuple(share))
    return f"{value} <small>({low} to {high})</small>"


def _probability(below: int) -> str:
    return f"{1 - below / _MILLION:.3f}" if below >= 500 else "&gt; 0.999"  # nothing is certain


def _round(value: float) -> str:
    if 0 < value < 0.05:
        return "&lt; 0.1"  # "0 missed" would be a promise
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.1f}"


def _short(number: int) -> str:
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number // size}{unit}"
    return str(number)


def _text(value: Any) -> str:
    value = value.as_py() if hasattr(value, "as_py") else value
    return "" if value is None else str(value)


def _show(text: str) -> str:
    return escape(UNSHOWN.sub("\ufffd", text))


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{name}</dt><dd><bdi>{_show(value)}</bdi></dd>" for name, value in facts) + "</dl>"


def _table(label: str, caption: str, head: str, rows: Sequence[str], kind: str = "numbers") -> str:
    told = f"<caption>{caption}</caption>" if caption else ""
    return (
        f'<div class="scroll" role="region" aria-label="{label}" tabindex="0"><table class="{kind}">{told}'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>\n"
    )


# Of a histogram, in the units of its own coordinates.
_LEFT, _WIDTH, _HEIGHT, _FLOOR = 36, 360, 140, 150

_STYLE = """
:root { color-scheme: light dark; --back: #fff; --text: #1b1f24; --soft: #57606a; --line: #d0d7de; --bar: #2f6f9f;
  --mark: #a8441c; --panel: #f6f8fa; --link: #0b57a4; }
@media (prefers-color-scheme: dark) { :root { --back: #12161b; --text: #e6e9ed; --soft: #a3adb8; --line: #39424d;
  --bar: #6aaede; --mark: #ff9d6c; --panel: #1b2129; --link: #8cc2ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1rem; background: var(--back); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; } h2 { font-size: 1.25rem; margin-top: 2.5rem; }
h3 { font-size: 1.05rem; margin: 1.5rem 0 .5rem; }
p, dl { max-width: 46rem; } a { color: var(--link); } small, caption, figcaption { color: var(--soft); }
.notice { border-left: .3rem solid var(--mark); background: var(--panel); padding: .75rem 1rem; max-width: 46rem; }
.notice p { margin: 0; } .notice p + p { margin-top: .5rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; }
dt { color: var(--soft); } dd { margin: 0; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: .4rem; } small { white-space: nowrap; }
th, td { border-bottom: 1px solid var(--line); padding: .4rem .6rem; text-align: left; vertical-align: top; }
thead th { color: var(--soft); font-weight: 600; font-size: .875rem; vertical-align: bottom; }
tbody th { font-weight: 500; }
.numbers td, .numbers thead th + th { text-align: right; } .numbers { overflow-wrap: normal; }
.queue { width: 100%; } .queue thead th { overflow-wrap: normal; }
.queue td:nth-child(-n+3) { white-space: nowrap; width: 1%; } .queue td:nth-child(-n+2) { text-align: right; }
.queue tbody th { width: 55%; }
.id { display: block; color: var(--soft); font: .8125rem/1.4 ui-monospace, monospace; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); gap: 1.5rem; }
figure { margin: 0; } svg { width: 100%; height: auto; display: block; }
svg text { font-size: 11px; fill: var(--soft); }
svg text.label { fill: var(--mark); font-weight: 600; } .bar { fill: var(--bar); } .grid { stroke: var(--line); }
.mark { stroke: var(--mark); stroke-width: 2; stroke-dasharray: 5 3; } summary { cursor: pointer; color: var(--link); }
@media (max-width: 40rem) {
  h1 { font-size: 1.2rem; }
  :is(.queue, .flags) thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .queue tr { display: grid; grid-template-columns: 2rem 1fr; border-bottom: 1px solid var(--line); padding: .5rem 0; }
  .queue tbody td, .queue tbody th { border: 0; padding: .1rem 0; width: auto; text-align: left; grid-column: 2; }
  .queue tbody td:first-child { grid-column: 1; grid-row: 1 / span 4; color: var(--soft); }
  .queue tbody td:nth-child(-n+3):not(:first-child) { width: auto; text-align: left; }
  .flags, .flags :is(caption, tbody, tr, th, td) { display: block; width: 100%; }
  .flags tr { border-bottom: 1px solid var(--line); padding: .4rem 0; }
  .flags tbody :is(th, td) { border: 0; padding: .05rem 0; }
  .flags td { display: flex; gap: .4rem; }
  .flags td::before { content: attr(data-name); color: var(--soft); flex: 0 0 8rem; text-align: left; }
}
@media print { .scroll { overflow: visible; } }
"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<meta name="color-scheme" content="light dark" />
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'" />
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<div class="notice" role="note">
<p><strong>{notice}</strong> It asks somebody to read the text, and says nothing about the people who wrote it.</p>
<p>This page holds titles and words of the texts: keep it as confidential as the source.</p>
</div>
</header>
<main>
<section>
<h2>What was scored</h2>
{counts}
</section>
<section>
<h2>Flags</h2>
{flags}{assumption}
</section>
<section>
<h2>Probabilities</h2>
<p>How many records (upwards) got which probability (to the right). Each line across stands for ten times the one below,
because most records are near zero: a bar of half the height is far less than half the records.</p>
<div class="figures">
{histograms}
</div>
</section>
<section>
<h2>What to read first</h2>
<p>The figure behind a word is its part of the score, on the scale of log-odds before calibration; those that spoke most
for the tag are shown, those that spoke against it are not.</p>
{queues}
</section>
<section>
<h2>What it was scored with</h2>
{made_with}
</section>
</main>
</body>
</html>
"""
