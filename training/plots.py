"""The card's pictures, drawn by matplotlib from measured reports. The same figures give the same bytes."""

import io
from typing import Any

from classifier.results import TAGS

_FIXED: dict[Any, Any] = {"svg.hashsalt": "dualuse", "svg.fonttype": "none", "font.family": "DejaVu Sans"} | {
    "font.size": 9
}
"""Without the salt, ids inside an SVG are drawn at random; text stays text, so that no font is built in."""


def draw_reliability(reliability: dict[str, list[dict[str, Any]]], model: str) -> str:
    """Draw, per tag, how often each bin of probability came true; bars are 95 % intervals."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_FIXED):
        figure = Figure(figsize=(11, 2.8), layout="constrained")
        for axes, tag in zip(figure.subplots(1, len(TAGS), sharey=True), TAGS, strict=True):
            bins = reliability[tag]
            predicted = [row["predicted"] for row in bins]
            observed = [row["observed"]["value"] for row in bins]
            low = [max(0.0, row["observed"]["value"] - row["observed"]["low"]) for row in bins]
            high = [max(0.0, row["observed"]["high"] - row["observed"]["value"]) for row in bins]
            axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8)
            axes.errorbar(predicted, observed, yerr=[low, high], fmt="o", color="#0b5d8a", markersize=4, capsize=2)
            axes.set(title=tag, xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xlabel="probability given")
            axes.set_aspect("equal")
        figure.axes[0].set_ylabel("share that came true")
        figure.suptitle(f"{model}: how often a probability came true (natural stream)")
        return _svg(figure)


def draw_learning(learning: list[dict[str, Any]]) -> str:
    """Draw macro F1 and average precision on the dev split over the number of labels; a dot per seed."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_FIXED):
        figure = Figure(figsize=(6, 3.2), layout="constrained")
        axes = figure.subplots()
        sizes = sorted({row["labels"] for row in learning})
        for name, words, color in (
            ("f1", "macro F1", "#0b5d8a"),
            ("average_precision", "average precision", "#b5541c"),
        ):
            by_size = [[row[name] for row in learning if row["labels"] == size] for size in sizes]
            axes.plot(sizes, [sum(values) / len(values) for values in by_size], color=color, label=words)
            for size, values in zip(sizes, by_size, strict=True):
                axes.scatter([size] * len(values), values, color=color, s=12)
        axes.set(xlabel="labelled records", ylabel="dev split", title="n-gram model: what more labels bring")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
        return _svg(figure)


def _svg(figure: Any) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"
