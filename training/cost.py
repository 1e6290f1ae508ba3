"""What training a shipped model costs on this machine: `python -m training.cost` writes cost.json.

The model is trained into a temporary folder and thrown away. Energy is read from the processor's own counter (RAPL,
/sys/class/powercap) where the system lets us; else it is left out, not guessed. The encoder's fine-tuning is no part of
it: that is done once, by `training.teacher`.
"""

import os
import platform
import resource
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from classifier import assets
from classifier.model import load
from training.careful import train_careful
from training.measured import stamp, write_report
from training.train import train

COST = "cost.json"
_COUNTERS = Path("/sys/class/powercap")


@click.command()
def main() -> None:
    """Train each shipped model once from labels and stored features, and tell time, memory and energy."""
    labels, features = assets.data_file("labels"), assets.data_file("features")
    with TemporaryDirectory() as room:
        for kind, name in assets.SHIPPED.items():
            model, out = load(kind), Path(room) / name
            if kind == "fast":
                report = measured(lambda out=out: train(labels, features, out))  # type: ignore[misc]
            else:
                report = measured(lambda out=out, folder=model.folder: train_careful(folder, labels, features, out))  # type: ignore[misc]
            write_report(model.folder / COST, stamp(model, []) | report)
            click.echo(f"{name}: {report}")


def measured(task: Callable[[], object]) -> dict[str, Any]:
    """Run a task; return its seconds, processor seconds, the process's peak memory so far and, if known, energy."""
    started, used, joules = time.perf_counter(), time.process_time(), _joules()
    task()
    seconds, after = time.perf_counter() - started, _joules()
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "seconds": round(seconds, 1),
        "processor_seconds": round(time.process_time() - used, 1),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "joules": None if joules is None or after is None or after < joules else round(after - joules),
    }


def _joules() -> float | None:
    """Return what the processors' energy counters show together, or None where none can be read."""
    try:
        counters = [int(path.read_text()) for path in _COUNTERS.glob("intel-rapl:[0-9]/energy_uj")]
    except OSError:
        return None
    return sum(counters) / 1e6 if counters else None


if __name__ == "__main__":
    main()
