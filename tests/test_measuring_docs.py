"""The commands of docs/measuring.md give the output that stands below them."""

import re

import pytest

from tests.conftest import ROOT
from tests.test_readme import matches, run, shell  # noqa: F401  (a fixture)

BLOCKS = re.findall(r"```console\n(.*?)```", (ROOT / "docs/measuring.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_gives_the_output_shown(block: str, shell: dict[str, str]) -> None:  # noqa: F811
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        got = run(command, shell)
        assert matches(f"{shown.strip()}...", got), got


def test_every_report_of_the_card_has_its_command_in_the_table() -> None:
    from training.sections import SECTIONS

    text = (ROOT / "docs/measuring.md").read_text(encoding="utf-8")
    assert {section.file for section in SECTIONS} <= set(re.findall(r"^\| `(\w+\.json)`", text, re.MULTILINE))
