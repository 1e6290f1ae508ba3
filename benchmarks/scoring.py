"""Measure scoring: `python -m benchmarks.scoring [DUMP] [-o FIGURES.json]`.

Compiled code on one and two threads, the array code, and scikit-learn's usual pipeline judge the same records, in
turns, several times; the best time of each counts, and ratios hold where the machine does other things meanwhile.
Texts that need no cleaning and texts that do are measured apart. Without a dump, texts are made by shuffling the
words of the examples and test cases. Needs `dualuse[train]`.
"""

import csv
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa

from classifier import Model, Record, load, scoring
from classifier.cleaning import clean
from classifier.features import extract
from classifier.readers import read
from classifier.results import TAGS

ROOT = Path(__file__).parent.parent
ROWS = 2048  # a batch, as the engine makes them
SLOW = 2000  # records for what is some dozen times slower

Documents = list[tuple[str, str]]


@click.command()
@click.argument("dump", required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the figures as JSON, too.")
@click.option("--records", default=20_000, show_default=True, help="Records of each kind, at most.")
@click.option("--rounds", default=5, show_default=True, help="Times that each way has its turn; the best counts.")
def main(dump: str | None, output: Path | None, records: int, rounds: int) -> None:
    """Print texts per second and ratios, and the time of a cold start."""
    documents = read_documents(dump, 6 * records) if dump else make_documents(records)
    plain = [document for document in documents if is_plain(document)][:records]
    other = [document for document in documents if not is_plain(document)][:records]
    figures: dict[str, Any] = {"cold_start_seconds": cold_starts()}
    model = load()
    if not model.prepare():
        raise click.ClickException("There is no compiled code to measure: is numba installed?")
    pipeline = fit_pipeline(documents[:3000], model)
    for kind, chosen in (("plain", plain), ("to be cleaned", other), ("as they come", documents[:records])):
        if chosen:
            figures[kind] = measure(chosen, model, pipeline, rounds)
            show(kind, figures[kind])
    for name, seconds in figures["cold_start_seconds"].items():
        click.echo(f"cold start, {name}: {seconds:.2f} s")
    if output:
        output.write_text(json.dumps(figures, indent=1) + "\n")


def is_plain(document: tuple[str, str]) -> bool:
    """Tell that cleaning changes nothing and the text is ASCII."""
    return all(text.isascii() and clean(text) == text for text in document)


def read_documents(dump: str, limit: int) -> Documents:
    """Read the first records of a dump."""
    records = (item for item in read(dump) if isinstance(item, Record))
    return [(record.title, record.abstract) for record in islice(records, limit)]


def make_documents(count: int) -> Documents:
    """Make texts of about 1,200 characters from shuffled words; one in four has markup or accents, as in arXiv."""
    words: list[str] = []
    for path in (ROOT / "data/examples/papers.jsonl", *sorted((ROOT / "data/cases").glob("*.jsonl"))):
        for line in path.read_text(encoding="utf-8").splitlines():
            words += " ".join(value for value in json.loads(line).values() if isinstance(value, str)).split()
    with (ROOT / "data/examples/projects.csv").open(encoding="utf-8", newline="") as file:
        words += " ".join(" ".join(row) for row in csv.reader(file)).split()
    words = [word for word in words if is_plain((word, word))]
    chance = random.Random(0)
    marks = (
        "$\\alpha$-stable",
        'na\\"ive',
        "10~km",
        "Poincaré",
        "“grey”",
        "state–of–the–art",
        "\\emph{not}",
        "R&amp;D",
    )
    documents = []
    for place in range(count):
        text = chance.choices(words, k=170)
        if place % 4 == 0:
            for mark in chance.sample(marks, 3):
                text[chance.randrange(len(text))] = mark
        documents.append((" ".join(chance.choices(words, k=9)), " ".join(text)))
    return documents


def fit_pipeline(documents: Documents, model: Model) -> Any:
    """Fit what most would write: TF-IDF of words and word pairs, and logistic regression per tag.

    It learns the model's own flags on some of the records, given a few flags where there are none: its speed is
    measured here, not what it knows.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline

    targets = model.flags(model.probabilities(documents)).astype(np.int64)
    targets[: len(TAGS)], targets[len(TAGS) : 2 * len(TAGS)] = np.eye(len(TAGS)), 0
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=len(model.ngrams))
    pipeline = make_pipeline(vectorizer, OneVsRestClassifier(LogisticRegression(solver="liblinear")))
    return pipeline.fit([f"{title}\n{abstract}" for title, abstract in documents], targets)


def measure(documents: Documents, model: Model, pipeline: Any, rounds: int) -> dict[str, float]:
    """Return texts per second of each way of scoring the same records, and the ratios between them."""
    batches = [
        tuple(pa.array([document[side] for document in documents[at : at + ROWS]], pa.string()) for side in (0, 1))
        for at in range(0, len(documents), ROWS)
    ]
    few = documents[:SLOW]
    joined = [f"{title}\n{abstract}" for title, abstract in few]

    def judge(part: list[tuple[pa.Array, ...]]) -> None:
        for titles, abstracts in part:
            model.judge_arrow(titles, abstracts)

    def two_threads() -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(judge, (batches[::2], batches[1::2])))

    def array_code() -> None:
        for at in range(0, len(few), 512):
            part = few[at : at + 512]
            counts = scoring.look_up(extract(part), model.ngrams)
            scoring.sums(counts, len(part), model._idf, model._tf_levels, model._weights)

    ways: dict[str, tuple[Callable[[], object], int]] = {
        "kernel, 1 thread": (lambda: judge(batches), len(documents)),
        "kernel, 2 threads": (two_threads, len(documents)),
        "numpy": (array_code, len(few)),
        "scikit-learn": (lambda: pipeline.predict_proba(joined), len(few)),
    }
    best = dict.fromkeys(ways, float("inf"))
    processor = float("inf")
    for _ in range(rounds):
        for name, (way, _) in ways.items():
            started, used = time.perf_counter(), time.process_time()
            way()
            best[name] = min(best[name], time.perf_counter() - started)
            if name == "kernel, 1 thread":
                processor = min(processor, time.process_time() - used)
    rates = {name: count / best[name] for name, (_, count) in ways.items()}
    return {
        "records": len(documents),
        "characters": sum(len(title) + len(abstract) for title, abstract in documents) / len(documents),
        **rates,
        "processor microseconds a text": 1e6 * processor / len(documents),
        "2 threads : 1": rates["kernel, 2 threads"] / rates["kernel, 1 thread"],
        "1 thread : numpy": rates["kernel, 1 thread"] / rates["numpy"],
        "1 thread : scikit-learn": rates["kernel, 1 thread"] / rates["scikit-learn"],
        "2 threads : scikit-learn": rates["kernel, 2 threads"] / rates["scikit-learn"],
    }


def show(kind: str, figures: dict[str, float]) -> None:
    """Print one kind of texts as a table."""
    click.echo(f"texts {kind}: {figures['records']:,} records of {figures['characters']:,.0f} characters")
    for name, value in list(figures.items())[2:]:
        click.echo(f"  {name:30} {value:12,.0f}" if value >= 100 else f"  {name:30} {value:12.1f}")


def cold_starts() -> dict[str, float]:
    """Return the seconds from nothing to a judged text, and to loaded compiled code, each in a new process."""
    one = [sys.executable, "-m", "classifier.cli", "classify", "--text", "Swarms of quadrotors plan paths."]
    ready = [sys.executable, "-c", "from classifier import load; load().prepare()"]
    seconds = {}
    for name, command in (("one text", one), ("compiled code ready", ready)):
        times = []
        for _ in range(4):  # the first may compile, and read the disk
            started = time.perf_counter()
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
            times.append(time.perf_counter() - started)
        seconds[name] = min(times[1:])
    return seconds


if __name__ == "__main__":
    main()
