"""What the second reading costs: `python -m benchmarks.second [DUMP]`, both models on the same records in one run.

Without a dump it takes the examples and cases of the project, many times over; their share of doubtful texts is far
above that of a natural stream, so a dump of one's own tells more.
"""

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import click

from classifier import Record, assets, load
from classifier.readers import read


@click.command()
@click.argument("dump", required=False, type=click.Path(path_type=Path))
@click.option("--records", default=5000, show_default=True, help="How many records to judge.")
def main(dump: Path | None, records: int) -> None:
    """Print records a second of both models, their ratio, and the share of records read twice."""
    documents = [(record.title, record.abstract) for record in islice(_records(dump), records)]
    rates = {}
    for kind in assets.SHIPPED:
        model = load(kind)
        model.prepare()
        model.probabilities(documents[:50])  # what is loaded at first use is not what is measured
        started = time.perf_counter()
        model.classify(documents)
        rates[kind] = len(documents) / (time.perf_counter() - started)
        click.echo(f"{kind:8} {rates[kind]:10,.0f} records a second")
    share = float(load("careful").read_again(documents).mean())
    click.echo(f"fast : careful = {rates['fast'] / rates['careful']:.1f}; {share:.1%} of the records were read twice")


def _records(dump: Path | None) -> Iterator[Record]:
    if dump is None:
        examples = [*read(assets.data_file("examples/papers.jsonl")), *read(assets.data_file("cases/negative.jsonl"))]
        while True:
            yield from (item for item in examples if isinstance(item, Record))
    yield from (item for item in read(dump) if isinstance(item, Record))


if __name__ == "__main__":
    main()
