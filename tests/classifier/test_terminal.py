"""What a terminal is shown of a run, and a pipe is not."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Tells of every batch: a run that is over in less than half a second would tell nothing.
EAGER = "import classifier.cli as cli; cli._PROGRESS_SECONDS = 0; cli.main()"
PROGRESS = re.compile(r"\r\x1b\[K([\d,]+) records, [\d,]+ a second, [\d,]+ s left ")


def run_on_a_terminal(*arguments: str | Path, **environment: str) -> str:
    """Run `dualuse` with standard output and error on a terminal; return what it showed."""
    ours, theirs = pty.openpty()
    variables = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | {"TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-c", EAGER, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env=variables | environment,
    )
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65_536):
            shown += piece
    except OSError:  # Linux: the other end was closed
        pass
    os.close(ours)
    assert process.wait(timeout=60) == 0, shown
    return shown.decode()


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    source = tmp_path / "in.jsonl"
    source.write_text("".join(f'{{"title": "Clay no. {n}", "abstract": "Worms."}}\n' for n in range(6_000)))
    return source


def test_a_terminal_shows_records_rate_and_time_left_and_is_cleared_at_the_end(dump: Path, tmp_path: Path) -> None:
    shown = run_on_a_terminal("classify", dump, "-o", tmp_path / "out.jsonl", "--model", "fast")
    counts = [int(count.replace(",", "")) for count in PROGRESS.findall(shown)]
    assert counts == [2_048, 4_096, 6_000]
    assert "\r\x1b[Krows in 6,000 = tagged 6,000 + refused 0" in shown


def test_a_pipe_is_shown_nothing_of_it(dump: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", EAGER, "classify", dump, "-o", tmp_path / "out.jsonl", "--model", "fast"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    assert done.stdout == b""
    assert b"\r" not in done.stderr
    assert b"\x1b" not in done.stderr
    assert done.stderr.startswith(b"rows in 6,000 = ")


@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_flag_is_coloured_unless_no_colour_is_wanted(no_color: str) -> None:
    text = "A swarm of small unmanned aerial vehicles, quadrotors, plans its flight paths by itself."
    shown = run_on_a_terminal("classify", "--text", text, "--model", "fast", NO_COLOR=no_color)
    assert "flag" in shown
    assert ("\x1b[" in shown) == (not no_color)
