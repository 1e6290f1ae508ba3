"""Learning curve and ablation of the n-gram model: `python -m training.curves LABELLED` writes curves.json.

Every row is a model fitted here on the stored features of training records, with thresholds from its own out-of-fold
margins, and measured on LABELLED's dev split. LABELLED must hold the training texts too where the ablation is to tell
words from word pairs: stored features are hashes and do not say which is which.
"""

from pathlib import Path
from typing import Any

import click
import numpy as np
import scipy.sparse as sp

from classifier import assets
from classifier.features import Int64Array, UInt64Array, title_hashes
from classifier.model import load
from classifier.readers import read
from classifier.records import Record
from classifier.results import TAGS
from classifier.scoring import BoolArray
from classifier.words import word_hashes, words
from training.calibrate import best_f1_threshold
from training.evaluate import LABELS_NOTE, read_labelled
from training.featurestore import MIN_RECORDS, count_matrix, tag_matrix
from training.fit import Settings, fit, idf_levels, near_duplicate_groups, out_of_fold, unit_vectors
from training.measured import decide, macro_f1, stamp, write_report
from training.metrics import Judged, measure
from training.train import training_records

CURVES = "curves.json"
SHARES = (0.1, 0.2, 0.4, 0.7, 1.0)
SEEDS = (0, 1, 2)


@click.command()
@click.argument("labelled", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Default: curves.json beside the fast model.")
def main(labelled: Path, output: Path | None) -> None:
    """Fit on growing shares of the labels, and with parts left out; measure each on the dev split of LABELLED."""
    labels, features = training_records(assets.data_file("labels"), assets.data_file("features"))
    tags = tag_matrix([label.tags for label in labels], TAGS)
    dev = read_labelled(labelled, "dev")
    truth = tag_matrix([label.tags for label in dev.labels], TAGS)
    dev_counts = count_matrix(dev.documents, features.ngrams)
    groups = near_duplicate_groups(unit_vectors(features.counts, idf_levels(features.counts)))
    data = (features.counts, tags, groups, dev_counts, truth)

    learning = []
    for share in SHARES:
        for seed in SEEDS if share < 1 else SEEDS[:1]:  # all labels are the same for every seed
            rows = np.sort(np.random.default_rng(seed).permutation(len(labels))[: round(share * len(labels))])
            learning.append({"share": share, "labels": len(rows), "seed": seed} | _figures(*data, rows=rows))
            click.echo(learning[-1])

    alone = np.isin(features.ngrams, _word_hashes(labelled))
    from_title = np.isin(features.ngrams, title_hashes(features.ngrams))
    ablation: list[dict[str, Any]] = []
    for name, columns, settings in (
        ("words alone", alone & ~from_title, Settings(ratio=False)),
        ("+ word pairs", ~from_title, Settings(ratio=False)),
        ("+ n-grams of the title by themselves", np.ones_like(alone), Settings(ratio=False)),
        ("+ log-count ratio", np.ones_like(alone), Settings()),
    ):
        ablation.append({"model": name, "n-grams": int(columns.sum())} | _figures(*data, columns=columns, how=settings))
        click.echo(ablation[-1])
    for kind in assets.SHIPPED:
        model = load(kind)
        figures = measure(truth, decide(model, dev.records), TAGS)["macro"]
        ablation.append(
            {"model": f"{model.id} as shipped", "n-grams": len(model.ngrams)}
            | {name: figures[name]["value"] for name in ("f1", "average_precision")}
        )
        click.echo(ablation[-1])

    path = output or assets.model_folder(assets.SHIPPED["fast"]) / CURVES
    report = stamp(load("fast"), [label.id for label in dev.labels]) | {"labels": LABELS_NOTE}
    write_report(path, report | {"learning": learning, "ablation": ablation})


def _figures(
    counts: sp.csr_array,
    tags: BoolArray,
    groups: Int64Array,
    dev_counts: sp.csr_array,
    truth: BoolArray,
    rows: Int64Array | slice = slice(None),
    columns: BoolArray | None = None,
    how: Settings | None = None,
) -> dict[str, float]:
    """Fit on some rows and columns; return macro F1 and average precision on the dev records."""
    how = how or Settings()
    counts, tags, groups = counts[rows], tags[rows], groups[rows]
    kept = np.bincount(counts.indices, minlength=counts.shape[1]) >= MIN_RECORDS
    if columns is not None:
        kept &= columns
    idf = idf_levels(counts[:, kept])
    unit, dev = unit_vectors(counts[:, kept], idf), unit_vectors(dev_counts[:, kept], idf)
    held_out = out_of_fold(unit, tags, groups, how)
    cuts = np.array([best_f1_threshold(held_out[:, k], tags[:, k]) for k in range(len(TAGS))])
    margins = fit(unit, tags, how).margins(dev)
    ranking = measure(truth, Judged(margins, margins >= cuts), TAGS)["macro"]["average_precision"]["value"]
    return {"f1": round(macro_f1(truth, margins >= cuts), 4), "average_precision": float(ranking or 0)}


def _word_hashes(labelled: Path) -> UInt64Array:
    """Return the hashes of all single words of a dump's texts."""
    seen: set[str] = set()
    for item in read(labelled):
        if isinstance(item, Record):
            seen.update(words(f"{item.title}\n{item.abstract}"))
    return word_hashes(sorted(seen))


if __name__ == "__main__":
    main()
