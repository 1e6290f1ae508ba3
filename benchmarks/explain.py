"""What an explanation costs: `python -m benchmarks.explain [DUMP]`, milliseconds a flagged text after the start.

Without a dump it takes the examples of the project, again and again. Processor time is told beside time by the clock,
which on a busy machine measures the others.
"""

import itertools
import statistics
import time
from pathlib import Path

import click

from classifier import Record, assets, load
from classifier.explain import explain
from classifier.readers import read

_EXAMPLES = ("examples/papers.jsonl", "examples/projects.csv")


@click.command()
@click.argument("dump", required=False, type=click.Path(path_type=Path))
@click.option("--records", default=200, show_default=True, help="How many flagged records to explain.")
@click.option("--model", "kinds", multiple=True, default=tuple(assets.SHIPPED), show_default=True)
def main(dump: Path | None, records: int, kinds: tuple[str, ...]) -> None:
    """Print the time to start, and the median and mean time of an explanation of the tags that were flagged."""
    paths = [dump] if dump else [assets.data_file(name) for name in _EXAMPLES]
    pool = [item for path in paths for item in read(path) if isinstance(item, Record)]
    for kind in kinds:
        started = time.perf_counter()
        model = load(kind)
        model.prepare()
        explain(model, ("Drones", "A drone lands."))
        start = time.perf_counter() - started
        flagged = [(r, result.tags) for r, result in zip(pool, model.classify(pool), strict=True) if result.tags]
        taken, used = [], time.process_time()
        for record, tags in itertools.islice(itertools.cycle(flagged), records):
            began = time.perf_counter()
            explain(model, record, tags=tags)
            taken.append(1000 * (time.perf_counter() - began))
        click.echo(
            f"{kind:8} start {start:.1f} s; a flagged text {statistics.median(taken):.1f} ms (median), "
            f"{statistics.mean(taken):.1f} ms (mean) by the clock, "
            f"{1000 * (time.process_time() - used) / len(taken):.1f} ms of processor time; {len(taken)} texts"
        )


if __name__ == "__main__":
    main()
