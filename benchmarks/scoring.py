"""Measure scoring: `python -m benchmarks.scoring [DUMP] [-o FIGURES.json]`.

The fast model's compiled code on one and two threads, its array code, scikit-learn's usual pipeline and fastText judge
the same records, in turns, several times; the best time of each counts, and ratios hold where the machine does other
things meanwhile. Texts that need no cleaning and texts that do are measured apart. Without a dump, texts are made by
shuffling the words of the examples and test cases. Needs `dualuse[train]`; fastText, which is left out where it is not
installed, comes with `dualuse[benchmarks]`.
"""

import csv
import json
import random
import subprocess
import sys
import tempfile
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
SLOW = 1000  # records for what is some dozen times slower

PAIRS = [
    ("1 thread", "numpy"),
    ("1 thread", "scikit-learn"),
    ("2 threads", "scikit-learn"),
    ("1 thread", "fastText"),
]

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
    model = load("fast")
    if not model.prepare():
        raise click.ClickException("There is no compiled code to measure: is numba installed?")
    pipeline = fit_pipeline(documents[:3000], model)
    fasttext = fit_fasttext(documents[:3000], model)
    for kind, chosen in (("plain", plain), ("to be cleaned", other), ("as they come", documents[:records])):
        if chosen:
            figures[kind] = measure(chosen, model, pipeline, fasttext, rounds)
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

    targets = labels(documents, model)
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=len(model.ngrams))
    pipeline = make_pipeline(vectorizer, OneVsRestClassifier(LogisticRegression(solver="liblinear")))
    return pipeline.fit([f"{title}\n{abstract}" for title, abstract in documents], targets)


def labels(documents: Documents, model: Model) -> Any:
    """Return the model's flags as an array of 0 and 1, with a few of each kind for every tag."""
    targets = np.array([[tag in result.tags for tag in TAGS] for result in model.classify(documents)], np.int64)
    targets[: len(TAGS)], targets[len(TAGS) : 2 * len(TAGS)] = np.eye(len(TAGS)), 0
    return targets


def fit_fasttext(documents: Documents, model: Model) -> Any:
    """Fit fastText on the same labels, with words and word pairs, or return None where it is not installed."""
    try:
        import fasttext
    except ModuleNotFoundError:
        click.echo("fastText is not installed: pip install 'dualuse[benchmarks]'")
        return None
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        for document, flags in zip(documents, labels(documents, model), strict=True):
            marks = " ".join(f"__label__{tag}" for tag, flag in zip(TAGS, flags, strict=True) if flag)
            file.write(f"{marks or '__label__none'} {' '.join(' '.join(document).split())}\n")
        file.flush()
        settings = {"wordNgrams": 2, "bucket": 1 << 18, "loss": "ova", "thread": 2, "verbose": 0}
        return fasttext.train_supervised(file.name, **settings)


def measure(documents: Documents, model: Model, pipeline: Any, fasttext: Any, rounds: int) -> dict[str, float]:
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
    if fasttext is not None:
        lines = [" ".join(text.split()) + "\n" for text in joined]
        # The bindings beneath `predict`, whose arrays fail with today's numpy.
        ways["fastText"] = (lambda: [fasttext.f.predict(line, -1, 0.0, "strict") for line in lines], len(few))
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
    ratios = {f"{fast} : {slow}": rates[f"kernel, {fast}"] / rates[slow] for fast, slow in PAIRS if slow in rates}
    return {
        "records": len(documents),
        "characters": sum(len(title) + len(abstract) for title, abstract in documents) / len(documents),
        **rates,
        "processor microseconds a text": 1e6 * processor / len(documents),
        "2 threads : 1": rates["kernel, 2 threads"] / rates["kernel, 1 thread"],
        **ratios,
    }


def show(kind: str, figures: dict[str, float]) -> None:
    """Print one kind of texts as a table."""
    click.echo(f"texts {kind}: {figures['records']:,} records of {figures['characters']:,.0f} characters")
    for name, value in list(figures.items())[2:]:
        click.echo(f"  {name:30} {value:12,.0f}" if value >= 100 else f"  {name:30} {value:12.1f}")


def cold_starts() -> dict[str, float]:
    """Return the seconds from nothing to a judged text, and to loaded compiled code, each in a new process."""
    one = [sys.executable, "-m", "classifier.cli", "classify", "--model", "fast", "--text", "Swarms of drones."]
    ready = [sys.executable, "-c", "from classifier import load; load('fast').prepare()"]
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
