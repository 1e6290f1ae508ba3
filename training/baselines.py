"""Two peers to be measured beside the model: a keyword list, and plain TF-IDF with logistic regression.

The second is trained on the same records as the shipped model, from the same stored counts, less the title's own
n-grams; its thresholds are chosen like ours, on out-of-fold scores.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression

from classifier.features import title_hashes
from classifier.results import TAGS
from training.calibrate import best_f1_threshold
from training.featurestore import count_matrix, tag_matrix
from training.fit import SEED, folds, idf_levels, near_duplicate_groups, unit_vectors
from training.keywords import KeywordScreen, load_keywords
from training.metrics import Judged
from training.train import training_records

C = 64.0  # the best of 4, 16 and 64 for this baseline by out-of-fold F1: see `training.choose`


def keyword_list(documents: Sequence[tuple[str, str]], keywords: Path) -> Judged:
    """Flag a tag where any of its listed terms occurs; the score is the number of different terms."""
    screen = KeywordScreen(load_keywords(keywords))
    hits = [screen.hits(f"{title}\n{abstract}") for title, abstract in documents]
    score = np.array([[float(found.get(tag, 0)) for tag in TAGS] for found in hits])
    return Judged(score, score > 0)


def tfidf_logistic(documents: Sequence[tuple[str, str]], labels_folder: Path, features_folder: Path) -> Judged:
    """Train TF-IDF of words and word pairs + logistic regression on the stored features, and judge documents."""
    labels, features = training_records(labels_folder, features_folder)
    tags = tag_matrix([label.tags for label in labels], TAGS)
    groups = near_duplicate_groups(unit_vectors(features.counts, idf_levels(features.counts)))
    plain = ~np.isin(features.ngrams, title_hashes(features.ngrams))
    counts = features.counts[:, plain]
    weigh = TfidfTransformer(sublinear_tf=True).fit(counts)
    known, new = weigh.transform(counts), weigh.transform(count_matrix(documents, features.ngrams[plain]))
    score, flag = np.zeros((len(documents), len(TAGS))), np.zeros((len(documents), len(TAGS)), dtype=bool)
    for k in range(len(TAGS)):
        held_out = np.zeros(len(labels))
        for train, test in folds(groups):
            held_out[test] = _classifier().fit(known[train], tags[train, k]).predict_proba(known[test])[:, 1]
        score[:, k] = _classifier().fit(known, tags[:, k]).predict_proba(new)[:, 1]
        flag[:, k] = score[:, k] >= best_f1_threshold(held_out, tags[:, k])
    return Judged(score, flag)


def _classifier() -> LogisticRegression:
    return LogisticRegression(C=C, solver="liblinear", random_state=SEED)
