"""The model card, section by section, from the measured reports in a model's folder. No figure is typed by hand.

Each section has one report and the command that makes it. Where the report is missing, or was made with another model,
the card says so and names the command, and shows no figure. What holds for both shipped models (how the n-gram part
was chosen, learning curve, agreement) lies beside the fast one.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classifier import assets
from classifier.model import Model
from classifier.results import NOTICE, TAGS
from training.careful import HELD_OUT, read_held_out
from training.cases import KNOWN_FAILURES, known_failures, read_cases
from training.labels import SPLITS, kind_of, read_labels
from training.metrics import shown
from training.page import Block, Heading, Paragraph, Picture, Table

Report = dict[str, Any]

RELIABILITY_PICTURE, LEARNING_PICTURE = "reliability.svg", "learning.svg"
_RANKED = ("precision", "recall", "f1", "average_precision")
_FIRST_ONLY = (
    "Thresholds are those of the best unweighted F1 on out-of-fold predictions of the training records. Rebuilt to an "
    "equal digest by `dualuse train --model fast`."
)
_SECOND = (
    "A text that reaches probability {read_from} for any tag is read again by all-MiniLM-L6-v2 (Apache 2.0), fine-"
    "tuned by the recipe of `training/teacher.py`: title and abstract as two segments, {max_tokens} word pieces, "
    "labels smoothed, more so for hard records, the mean of the weights over steps, and from that mean once more at a "
    "lower rate; weights in 8 bits, ONNX; each text by itself. It learned from the training records but for "
    "{held_out:,} held out. Labels of the later rounds came in as they were read, and the last stage saw besides some "
    "unlabelled records with what the model before it made of them, so the very weights cannot be had again. Both "
    "readings are added by a logistic regression per tag, fitted on the held-out records; thresholds are those of the "
    "best expected F1 there. `dualuse train` rebuilds all of it to an equal digest but for the encoder, which is "
    "shipped as it is. Equal bytes are promised on one kind of processor only: 8-bit arithmetic differs between kinds."
)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the card made from one report; `shared` reports lie beside the fast model."""

    title: str
    file: str
    command: str
    blocks: Callable[[Report, Path], list[Block]]
    shared: bool = False


def card(model: Model) -> list[Block]:
    """Return the whole card of a model."""
    blocks = [Heading(f"Model card: {model.id}", 1), *_purpose(), *_what_it_is(model), *_data(model)]
    for section in SECTIONS:
        blocks += [Heading(section.title), *_filled(section, model)]
    return [*blocks, *_cases(model), *_limits()]


def _filled(section: Section, model: Model) -> list[Block]:
    folder = assets.model_folder(assets.SHIPPED["fast"]) if section.shared else model.folder
    path = folder / section.file
    if not path.is_file():
        return [Paragraph(f"Not measured yet: run `{section.command}`.")]
    report: Report = json.loads(path.read_text(encoding="utf-8"))
    made_with = report.get("model", {}).get("digest")
    if made_with is not None and not section.shared and made_with != model.digest:
        return [Paragraph(f"Measured with another model (digest {made_with[:12]}): run `{section.command}` again.")]
    return section.blocks(report, folder)


def _purpose() -> list[Block]:
    return [
        Paragraph(
            f"{NOTICE} The model reads a title and an abstract or project description in English and gives five "
            "probabilities and decisions."
        ),
        Heading("What it is for, and what not"),
        Paragraph(
            "It sorts what a research-security officer at a university, a funder or an export-control office reads "
            "first. It is not for deciding on a grant, a visa or a hire, nor for merit review, nor for judging people: "
            "the score of a text is no score of its authors. It is no proof of absence: what it misses is stated below."
        ),
    ]


def _what_it_is(model: Model) -> list[Block]:
    parameters = model.parameters
    second = _FIRST_ONLY
    if "second" in parameters:
        held_out = len(read_held_out(model.folder / HELD_OUT)[0])
        second = _SECOND.format(**parameters["second"], held_out=held_out)
    cuts = [(tag, *(f"{thresholds[tag]:.3f}" for thresholds in model.thresholds.values())) for tag in TAGS]
    return [
        Heading("What it is"),
        Paragraph(
            "Names are taken out first (docs/names.md). Hashed words and word pairs, those of the title also counted "
            "by themselves, weighed by sublinear term "
            "frequency and inverse document frequency to a vector of length one; per tag a logistic regression on "
            "n-grams scaled by their log-count ratio and part of one on n-grams as they are, added up and rounded to "
            "16 bits. N-grams not seen in training weigh nothing "
            "and change no length. Probabilities come from a logistic curve per tag, fitted on out-of-fold margins of "
            f"the stratified sample with its weights, so that they hold for a natural stream. {second}"
        ),
        Paragraph(f"Digest `{model.digest}`. Probability from which a tag is flagged, by profile:"),
        Table(("tag", *model.thresholds), cuts),
    ]


def _data(model: Model) -> list[Block]:
    trained = model.parameters["trained_on"]
    positives = ", ".join(f"{tag} {trained['positives'][tag]:,}" for tag in TAGS)
    blocks: list[Block] = [
        Heading("What it learned from"),
        Paragraph(f"{trained['records']:,} openly licensed records ({positives})."),
    ]
    folder = assets.data_file("labels")
    if not folder.is_dir():  # in a wheel
        return [*blocks, Paragraph("Sources, licences and counts: `data/README.md` of the project.")]
    labels = read_labels(folder)
    counts = Counter((label.source, label.license, label.split) for label in labels)
    rows = [
        (source, kind_of(source), license, *(f"{counts[source, license, split]:,}" for split in SPLITS))
        for source, license in sorted({(label.source, label.license) for label in labels})
    ]
    twice = sum(label.readings > 1 for label in labels)
    return [
        *blocks,
        Table(("source", "kind", "licence", *SPLITS), rows),
        Paragraph(
            f"Labels, by identifier, are in `data/labels`: {len(labels):,} records, {twice:,} of them read twice, "
            f"{sum(label.hard for label in labels):,} called hard, where two careful readers could disagree. They were "
            "given by language-model annotators who read each record under the codebook; no human expert checked them."
        ),
    ]


def _agreement(report: Report, folder: Path) -> list[Block]:
    rows = [
        (tag, *map(str, row.get("count", {"first": "", "second": ""}).values()), *_figures(row, ("f1", "kappa")))
        for tag, row in report["tags"].items()
    ]
    return [
        Paragraph(
            f"Two separate readings of the same {report['records']:,} records under the codebook: F1 of one against "
            "the other, and Cohen's kappa. They say that labels are consistent, which is not the same as true; a model "
            "that agrees with the labels as far as two readings agree cannot be told from another reader."
        ),
        Table(("tag", "first", "second", "F1", "kappa"), rows),
    ]


def _choice(report: Report, folder: Path) -> list[Block]:
    names = list(report["candidates"][0])
    return [
        Paragraph(
            f"The n-gram part, by {report['folds']}-fold cross-validation on the {report['records']:,} training "
            "records, near duplicates kept together (macro means of out-of-fold figures)."
        ),
        Table(
            [name.replace("_", " ") for name in names],
            [[str(row[name]) for name in names] for row in report["candidates"]],
        ),
    ]


def _results(report: Report, folder: Path) -> list[Block]:
    name = report["model"]["id"]
    own = report["systems"][name]
    head = ("", *TAGS, "macro")
    f1 = [
        (system, *(shown(subsets["all"][tag]["f1"], 2) for tag in head[1:]))
        for system, subsets in report["systems"].items()
    ]
    blocks: list[Block] = [
        Paragraph(source(report)),
        Paragraph("F1 beside the baselines, measured on the same records:"),
        Table(head, f1),
    ]
    for subset, rows in own.items():
        some = next(iter(rows.values()))
        names = [*(m for m in _RANKED if m in some), *(m for m in some if m not in (*_RANKED, "count"))]
        cells = [
            (tag, str(row["count"]["positives"]) if "count" in row else "", *_figures(row, names))
            for tag, row in rows.items()
        ]
        blocks += [Heading(subset.capitalize(), 3), Table(("tag", "tagged", *map(_words, names)), cells)]
    for key, title in (
        ("reading_order", "What the top of a stream holds"),
        ("roles", "Roles"),
        ("reliability", "Probabilities"),
    ):
        if key in report:
            names = [part for part in next(iter(report[key].values())) if part != "count"]
            rows = [(row, *_figures(figures, names)) for row, figures in report[key].items()]
            blocks += [Heading(title, 3), Table(("", *map(_words, names)), rows)]
    if "decisions" in report:
        told = ", ".join(f"{decision} {count:,}" for decision, count in report["decisions"].items())
        blocks.append(Paragraph(f"Decisions on the measured records, the strongest of each: {told}."))
    shares = ", ".join(f"{share:.1%} ({where})" for where, share in report.get("read_again", {}).items() if share)
    if shares:
        blocks.append(Paragraph(f"Records that are read a second time: {shares}."))
    return [*blocks, Paragraph(f"Intervals: {report['interval']}.")]


def source(report: Report) -> str:
    """Return where the figures of `dualuse evaluate` come from."""
    return (
        f"Measured {report['date']} on the dev split ({report['records']['measured']:,} real records, none of them "
        f"trained on) by `dualuse evaluate LABELLED --split dev`; 95 % bootstrap intervals. {report['labels']}"
    )


def _breakdown(report: Report, folder: Path) -> list[Block]:
    columns = [name for name in next(iter(report["confusion"].values())) if name != "records"]
    confusion = [
        (row, *(str(cells[name]) for name in ("records", *columns))) for row, cells in report["confusion"].items()
    ]
    groups = [
        (
            row["part"],
            row["value"],
            str(row["records"]),
            str(row["tags"]),
            *_figures(row, ("precision", "recall", "f1")),
        )
        for row in report["groups"]
    ]
    sources = [
        (row["source"], str(row["records"]), *(" / ".join(map(str, row[tag].values())) for tag in TAGS))
        for row in report["sources"]
    ]
    roles = [
        (role, *(f"{shown(row[tag], 2)} of {row[tag]['of']}" if row[tag]["of"] else "-" for tag in TAGS))
        for role, row in report["roles"].items()
    ]
    return [
        Paragraph(
            f"On {report['records']['measured']:,} records, {report['date']}. By source, kind, year and text length, "
            "all tags together:"
        ),
        Table(("", "", "records", "tags", "precision", "recall", "F1"), groups),
        Paragraph("Recall by the role that the label gives the tag:"),
        Table(("role", *TAGS), roles),
        Paragraph("Which tags are flagged on records labelled with a tag; one record can stand in several columns:"),
        Table(("labelled", "records", *(f"flagged {column}" for column in columns)), confusion),
        Paragraph("Right / false alarms / missed, by source:"),
        Table(("source", "records", *TAGS), sources),
    ]


def _calibration(report: Report, folder: Path) -> list[Block]:
    if not report["reliability"]:
        return [Paragraph("The measured records carry no weights, so nothing can be said of a natural stream.")]
    blocks: list[Block] = [
        Paragraph(
            "How often a probability came true, on the stratified sample with its weights: it stands for a natural "
            "stream, in which most records have a probability near 0 and only few lie between. Where an interval is "
            "wide, too few records are there to tell."
        )
    ]
    if (folder / RELIABILITY_PICTURE).is_file():
        words = "Share of records that carry the tag, over the probability given, for each tag; the diagonal is exact."
        blocks.append(Picture(folder / RELIABILITY_PICTURE, words))
    rows = [
        (
            tag,
            f"{row['from']:g} to {row['to']:g}",
            str(row["records"]),
            f"{row['share_of_stream']:.2%}",
            f"{row['predicted']:.3f}",
            shown(row["observed"], 3),
        )
        for tag, bins in report["reliability"].items()
        for row in bins
    ]
    return [*blocks, Table(("tag", "probability", "records", "share of the stream", "mean", "came true"), rows)]


def _robustness(report: Report, folder: Path) -> list[Block]:
    rows = [
        (row["disguise"], shown(row["recall"], 3))
        + (("", "", "") if "lost" not in row else _lost(row))
        + (str(row["gained"]),)
        for row in report["disguises"]
    ]
    return [
        Paragraph(
            f"{report['records']['measured']:,} tagged records with {report['tags']:,} tags, clean and disguised: "
            "recall at the shipped thresholds, and of the tags found on the clean text the share that is lost. Seed "
            f"{report['seed']}; `training/disguises.py` says what each disguise does."
        ),
        Table(("disguise", "recall", "lost", "may lose", "kept to", "new false flags"), rows),
    ]


def _lost(row: Report) -> tuple[str, str, str]:
    lost, bound = row["lost"], row["may_lose"]
    share = f"{lost['hits']} of {lost['of']} ({lost['value']:.1%})"
    return (share, "-", "") if bound is None else (share, f"{bound:.0%}", "yes" if lost["value"] <= bound else "no")


def _curves(report: Report, folder: Path) -> list[Block]:
    blocks: list[Block] = []
    if (folder / LEARNING_PICTURE).is_file():
        words = "Macro F1 and average precision of the n-gram model over the number of labelled records."
        blocks.append(Picture(folder / LEARNING_PICTURE, words))
    sizes = sorted({row["labels"] for row in report["learning"]})
    rows = []
    for size in sizes:
        own = [row for row in report["learning"] if row["labels"] == size]
        rows.append(
            (f"{size:,}", str(len(own)), *(_spread([row[m] for row in own]) for m in ("f1", "average_precision")))
        )
    parts = [
        (row["model"], f"{row['n-grams']:,}", f"{row['f1']:.3f}", f"{row['average_precision']:.3f}")
        for row in report["ablation"]
    ]
    return [
        Paragraph(
            f"Measured {report['date']} on {report['records']['measured']:,} dev records: macro F1 and average "
            "precision of n-gram models fitted on growing shares of the labels, least to most of the seeds."
        ),
        *blocks,
        Table(("labels", "seeds", "macro F1", "average precision"), rows),
        Paragraph("What each part brings, added one after the other:"),
        Table(("model", "n-grams", "macro F1", "average precision"), parts),
    ]


def _spread(values: Sequence[float]) -> str:
    mean = f"{sum(values) / len(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.3f}-{max(values):.3f})"


def _plain(report: Report, folder: Path) -> list[Block]:
    """Show a report whose shape is another module's matter: single figures as text, lists and groups as tables."""
    told = [f"{_words(name)}: {value}" for name, value in report.items() if isinstance(value, str | int | float)]
    blocks: list[Block] = [Paragraph(". ".join(told) + ".")] if told else []
    for name, value in report.items():
        rows = (
            [{"": key} | row for key, row in value.items() if isinstance(row, dict)]
            if isinstance(value, dict)
            else value
        )
        if name != "model" and isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows):
            head = list(dict.fromkeys(key for row in rows for key in row))
            blocks.append(Paragraph(f"{_words(name).capitalize()}:"))
            blocks.append(
                Table([_words(key) for key in head], [[str(row.get(key, "")) for key in head] for row in rows])
            )
    return blocks


def _wrong(report: Report, folder: Path) -> list[Block]:
    rows = [
        (tag, kind, str(found["count"]), str(found["hard"]), ", ".join(found["clear ones"]) or "-")
        for tag, kinds in report["wrong"].items()
        for kind, found in kinds.items()
    ]
    return [
        Paragraph(
            "Decisions that differ from the label, all of them counted; the ids are those of openly licensed records "
            "that are not called hard, where model or label is plainly wrong."
        ),
        Table(("tag", "", "records", "of them hard", "ids"), rows),
    ]


def _cost(report: Report, folder: Path) -> list[Block]:
    energy = f"{report['joules'] / 3600:.1f} Wh" if report["joules"] else "not known: no energy counter can be read"
    spent = f"{report['seconds']:.0f} s, {report['processor_seconds']:.0f} s of processor time"
    return [
        Paragraph(
            f"Training from labels and stored features took {spent}, {report['peak_memory_mb']:,} MB of memory, "
            f"on {report['machine']}; energy {energy}. The encoder of a second reading is not in this: it is "
            "fine-tuned once, by `python -m training.teacher`."
        )
    ]


def _cases(model: Model) -> list[Block]:
    folder = assets.data_file("cases")
    if not (folder / KNOWN_FAILURES).is_file() or model.id != assets.SHIPPED[assets.DEFAULT]:
        return []
    failures = sorted(known_failures(folder))
    return [
        Heading("Known failures"),
        Paragraph(
            f"Of {len(read_cases(folder)):,} authored cases, near misses and minimal pairs in `data/cases`, the model "
            f"gets {len(failures)} wrong (`dualuse data cases`); a test keeps this list true both ways: "
            + ", ".join(f"`{case}`" for case in failures)
            + "."
        ),
    ]


def _limits() -> list[Block]:
    return [
        Heading("Known limits"),
        Paragraph(
            "English only. Words alone often cannot tell a drone that flies from a drone that carries the camera, nor "
            "a method from a motive. Labels, and so every figure here, follow one codebook read by language-model "
            "annotators; an office with another reading of a tag will find other errors."
        ),
    ]


SECTIONS = (
    Section("How far two readings agree", "agreement.json", "python -m training.agreement", _agreement, shared=True),
    Section("How it was chosen", "choice.json", "python -m training.choose", _choice, shared=True),
    Section("Results", "metrics.json", "dualuse evaluate LABELLED --split dev -o MODEL/metrics.json", _results),
    Section("Where it is right and wrong", "breakdown.json", "python -m training.breakdown LABELLED", _breakdown),
    Section("Probabilities that came true", "breakdown.json", "python -m training.breakdown LABELLED", _calibration),
    Section("Damaged and disguised texts", "robustness.json", "python -m training.robustness LABELLED", _robustness),
    Section("Other names in the same text", "swap.json", "dualuse data swap LABELLED -o MODEL/swap.json", _plain),
    Section("Learning curve and ablation", "curves.json", "python -m training.curves LABELLED", _curves, shared=True),
    Section("Wrong decisions", "breakdown.json", "python -m training.breakdown LABELLED", _wrong),
    Section("Cost of training", "cost.json", "python -m training.cost", _cost),
)


def _figures(row: Report, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(shown(row[name], 1 if "per_1000" in name else 3) if name in row else "" for name in names)


def _words(name: str) -> str:
    return {"f1": "F1"}.get(name, name.replace("_", " ").replace("per 1000", "per 1,000"))
