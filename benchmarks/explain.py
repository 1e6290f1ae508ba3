"""What an explanation costs: `python -m benchmarks.explain [DUMP]`, milliseconds a flagged text after the start.

Without a dump it takes the examples of the project. Processor time alone is told: by the clock, a busy machine measures
the others. Each text is explained several times and its least time counts, since others slow the processor's caches.
"""

import statistics
import time
from pathlib import Path
from unittest.mock import patch

import click

from classifier import Record, assets, load
from classifier.explain import explain
from classifier.readers import read
from classifier.second import Encoder

_EXAMPLES = ("examples/papers.jsonl", "examples/projects.csv")


@click.command()
@click.argument("dump", required=False, type=click.Path(path_type=Path))
@click.option("--records", default=20, show_default=True, help="How many flagged records to explain.")
@click.option("--rounds", default=5, show_default=True, help="How often to explain each.")
@click.option("--model", "kinds", multiple=True, default=tuple(assets.SHIPPED), show_default=True)
def main(dump: Path | None, records: int, rounds: int, kinds: tuple[str, ...]) -> None:
    """Print the time to start, and the median and mean time of an explanation of the tags that were flagged."""
    paths = [dump] if dump else [assets.data_file(name) for name in _EXAMPLES]
    pool = [item for path in paths for item in read(path) if isinstance(item, Record)]
    for kind in kinds:
        used = time.process_time()
        model = load(kind)
        model.prepare()
        explain(model, ("Drones", "A drone lands."))
        start = time.process_time() - used
        flagged = [(r, result.tags) for r, result in zip(pool, model.classify(pool), strict=True) if result.tags]
        taken, readings = [], 0
        for record, tags in flagged[:records]:
            times = []
            with patch.object(Encoder, "read", autospec=True, side_effect=Encoder.read) as encoder:
                for _ in range(rounds):
                    used = time.process_time()
                    explain(model, record, tags=tags)
                    times.append(time.process_time() - used)
            taken.append(1000 * min(times))
            readings += sum(len(call.args[1]) for call in encoder.call_args_list) // rounds
        click.echo(
            f"{kind:8} start {start:.1f} s; a flagged text {statistics.median(taken):.1f} ms (median), "
            f"{statistics.mean(taken):.1f} ms (mean) of processor time, {readings / len(taken):.1f} second readings; "
            f"{len(taken)} texts"
        )


if __name__ == "__main__":
    main()
