"""Compare ways to fit by cross-validation: `python -m training.choose` prints a table and writes choice.json.

Folds keep near duplicates together; figures are macro means over tags of out-of-fold F1 (each tag at its best
threshold) and average precision on the training records. `training.fit.Settings` holds what came out best.
"""

from dataclasses import asdict
from pathlib import Path

import click
import numpy as np
from sklearn.metrics import average_precision_score

from classifier import assets
from classifier.features import title_hashes
from classifier.results import TAGS
from training.calibrate import best_f1_threshold
from training.featurestore import tag_matrix
from training.fit import FOLDS, Settings, idf_levels, near_duplicate_groups, out_of_fold, unit_vectors
from training.measured import write_report
from training.train import training_records

CHOICE = "choice.json"
CANDIDATES = (
    Settings(ratio=False, c=16, plain=0),
    Settings(ratio=False, c=64, plain=0),
    Settings(c=16, plain=0),
    Settings(c=32, plain=0),
    Settings(c=32, smoothing=3, plain=0),
    Settings(plain=0.3),
    Settings(plain_c=8),
    Settings(),
    Settings(plain=1),
)


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Default: beside the fast model.")
def main(output: Path | None) -> None:
    """Cross-validate the candidates, and the chosen one without the title's own n-grams."""
    labels, features = training_records(assets.data_file("labels"), assets.data_file("features"))
    tags = tag_matrix([label.tags for label in labels], TAGS)
    groups = near_duplicate_groups(unit_vectors(features.counts, idf_levels(features.counts)))
    from_title = np.isin(features.ngrams, title_hashes(features.ngrams))
    rows = []
    for title, settings in [(True, settings) for settings in CANDIDATES] + [(False, Settings())]:
        counts = features.counts if title else features.counts[:, ~from_title]
        unit = unit_vectors(counts, idf_levels(counts))
        margins = out_of_fold(unit, tags, groups, settings)
        f1 = [_f1(margins[:, k], tags[:, k]) for k in range(len(TAGS))]
        ap = [average_precision_score(tags[:, k], margins[:, k]) for k in range(len(TAGS))]
        figures = {"f1": round(float(np.mean(f1)), 4), "average_precision": round(float(np.mean(ap)), 4)}
        rows.append({"title_ngrams": title, **asdict(settings), **figures})
        click.echo("  ".join(f"{name}={value}" for name, value in rows[-1].items()))
    path = output or assets.model_folder(assets.SHIPPED["fast"]) / CHOICE
    write_report(path, {"records": len(labels), "folds": FOLDS, "candidates": rows})


def _f1(margin: np.ndarray, tag: np.ndarray) -> float:
    flag = margin >= best_f1_threshold(margin, tag)
    return float(2 * (flag & tag).sum() / (flag.sum() + tag.sum()))


if __name__ == "__main__":
    main()
