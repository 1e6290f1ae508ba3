"""Measure a model on labelled records beside its two baselines, and tell it in JSON and in a table.

Everything the figures depend on is written with them: the records' digest, the model's digest, the date, the counts.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from classifier.errors import InputError
from classifier.features import Int64Array
from classifier.model import Model
from classifier.readers import read
from classifier.records import Record, Refusal
from classifier.results import ROLES, TAGS, Result, is_output
from training.baselines import keyword_list, tfidf_logistic
from training.featurestore import tag_matrix
from training.labels import Label, kind_of, label_of
from training.measured import judged_of, stamp
from training.metrics import (
    MEASURES,
    RELIABILITY,
    Figures,
    Judged,
    measure,
    reading_order,
    reliability,
    role_figures,
    shown,
)
from training.roles import role_numbers

LABELS_NOTE = (
    "Labels were given by language-model annotators who read each record under the codebook; "
    "no human expert checked them."
)


@dataclass(frozen=True, slots=True)
class LabelledRecords:
    """Records with their labels, in the order of the file; `refused` rows could not be read."""

    records: list[Record]
    labels: list[Label]
    refused: list[Refusal]

    @property
    def documents(self) -> list[tuple[str, str]]:
        """The (title, abstract) pairs."""
        return [(record.title, record.abstract) for record in self.records]


def read_labelled(source: Path, split: str | None = None) -> LabelledRecords:
    """Read records that carry `tags` (a list, or names joined by spaces), optionally one split of them.

    Raises InputError where a record has no `tags`, those of a model or an unknown one, or none is left.
    """
    records, labels, refused = [], [], []
    for item in read(source):
        if isinstance(item, Refusal):
            refused.append(item)
            continue
        row = dict(item.source)
        if is_output(row):  # its `tags` are a model's; a column of that name in the source went out as `source_tags`
            row["tags"] = row.get("source_tags")
            if row["tags"] is None:
                raise InputError(
                    f"{source} is an output of `dualuse classify`: its `tags` are what a model said, no labels. Give "
                    "records labelled by people, or put their labels into a column `source_tags`."
                )
        if row.get("tags") is None:
            raise InputError(f"{source}, row {item.row} (id {item.id!r}): no `tags`; give a list, empty for none.")
        if isinstance(row["tags"], str):
            row["tags"] = row["tags"].split()
        if split is None or row.get("split") == split:
            label = label_of({**row, "id": item.id})
            records.append(replace(item, id=label.id))
            labels.append(label)
    if not records:
        raise InputError(f"{source}: no labelled records{f' of split {split!r}' if split else ''}.")
    return LabelledRecords(records, labels, refused)


def evaluate(
    model: Model,
    labelled: LabelledRecords,
    *,
    profile: str = "balanced",
    keywords: Path | None = None,
    labels_folder: Path | None = None,
    features_folder: Path | None = None,
) -> dict[str, Any]:
    """Return figures per system, subset and tag (see `measure`); baselines take part where their files are given."""
    documents, labels = labelled.documents, labelled.labels
    results = model.judge(labelled.records, profile=profile)
    systems = {model.id: judged_of(results)}
    if keywords is not None:
        systems["keyword list"] = keyword_list(documents, keywords)
    if labels_folder is not None and features_folder is not None:
        systems["TF-IDF + logistic regression"] = tfidf_logistic(documents, labels_folder, features_folder)
    truth = tag_matrix([label.tags for label in labels], TAGS)
    made = stamp(model, [label.id for label in labels])
    refused = len(labelled.refused)
    counts = {"read": len(labels) + refused, "measured": len(labels), "refused": refused}
    return made | {
        "model": made["model"] | {"profile": profile},
        "records": counts | made["records"],
        "read_again": _share_read_again(model, documents, labels),
        "decisions": dict(sorted(Counter(_decision(result) for result in results).items())),
        "roles": role_figures(role_numbers(labels), _roles_of(results), TAGS),
        **_of_a_stream(truth, systems[model.id].score, labels),
        "labels": LABELS_NOTE,
        "interval": "2.5th to 97.5th percentile of 1,000 bootstrap resamplings of the records",
        "systems": {name: _by_subset(truth, judged, labels) for name, judged in systems.items()},
    }


def table(report: dict[str, Any], subset: str = "all") -> str:
    """Return a plain-text table of one subset's figures, a row per system and tag."""
    lines = [f"{'':32}{'tag':16}" + "".join(f"{name.replace('_', ' '):>26}" for name in MEASURES)]
    for system, subsets in report["systems"].items():
        for tag, figures in subsets.get(subset, {}).items():
            cells = "".join(f"{shown(figures[name]):>26}" for name in MEASURES)
            lines.append(f"{system:32}{tag:16}{cells}")
    return "\n".join(lines)


def summary(report: dict[str, Any]) -> str:
    """Return in plain text what the tables leave out: decisions, roles, and what holds for a natural stream."""
    lines = ["decisions  " + ", ".join(f"{name} {count:,}" for name, count in report["decisions"].items())]
    roles = report["roles"]["all"]
    parts = (("accuracy", "accuracy"), ("usual", "always the commonest"), ("unusual_f1", "F1 of other roles"))
    lines.append("roles      " + ", ".join(f"{words} {shown(roles[key])}" for key, words in parts))
    for top, row in report.get("reading_order", {}).items():
        lines.append(f"{top:10} of a natural stream holds {shown(row['recall'])} of its tagged records")
    for tag, row in report.get("reliability", {}).items():
        lines.append(f"{tag:16}" + ", ".join(f"{name.replace('_', ' ')} {shown(row[name])}" for name in RELIABILITY))
    return "\n".join(lines)


def _of_a_stream(truth: np.ndarray[Any, Any], score: np.ndarray[Any, Any], labels: Sequence[Label]) -> dict[str, Any]:
    """Return reliability and reading order on the stratified sample with its weights, where there is any."""
    rows = np.array([label.weight is not None for label in labels])
    if not rows.any():
        return {}
    weight = np.array([label.weight for label in labels if label.weight is not None])
    return {
        "reliability": reliability(truth[rows], score[rows], TAGS, weight),
        "reading_order": reading_order(truth[rows], score[rows], weight),
    }


def _decision(result: Result) -> str:
    """Return the decision on a record as a whole: the strongest of its tags'."""
    found = {judgement.decision for judgement in result.judgements.values()}
    return next(decision for decision in ("abstain", "flag", "review", "clear") if decision in found)


def _roles_of(results: Sequence[Result]) -> Int64Array:
    roles = [[judgement.role for judgement in result.judgements.values()] for result in results]
    return np.array([[-1 if role is None else ROLES.index(role) for role in row] for row in roles])


def _share_read_again(model: Model, documents: list[tuple[str, str]], labels: Sequence[Label]) -> dict[str, float]:
    again = model.read_again(documents)
    weight = np.array([label.weight or 0.0 for label in labels])
    shares = {"all": round(float(again.mean()), 4)}
    if weight.any():
        shares["natural prevalence"] = round(float(weight @ again / weight.sum()), 4)
    return shares


def _by_subset(truth: np.ndarray[Any, Any], judged: Judged, labels: Sequence[Label]) -> dict[str, Figures]:
    hard = np.array([label.hard for label in labels])
    kind = np.array([kind_of(label.source) for label in labels])
    weight = np.array([np.nan if label.weight is None else label.weight for label in labels])
    subsets = {
        "all": np.ones(len(labels), dtype=bool),
        "not hard": ~hard,
        "papers": kind == "paper",
        "projects": kind == "project",
        "natural prevalence": ~np.isnan(weight),
    }
    figures = {}
    for name, rows in subsets.items():
        if rows.any():
            part = Judged(judged.score[rows], judged.flag[rows])
            figures[name] = measure(truth[rows], part, TAGS, weight[rows] if name == "natural prevalence" else None)
    return figures
