"""The card shows what was measured with this very model, as Markdown and as a page that loads nothing."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from classifier import Model, assets
from classifier.cli import main
from training.page import Heading, Paragraph, Table, to_html, to_markdown
from training.plots import draw_learning, draw_reliability
from training.sections import SECTIONS, Section, _filled, card


def test_the_command_prints_the_card_that_lies_beside_the_model(shipped: Model) -> None:
    done = CliRunner().invoke(main, ["model", "card"])
    assert done.exit_code == 0, done.output
    assert done.stdout == (shipped.folder / "README.md").read_text(encoding="utf-8")


def test_the_page_loads_nothing_and_holds_every_section(tmp_path: Path) -> None:
    path = tmp_path / "card.html"
    done = CliRunner().invoke(main, ["model", "card", "--model", "fast", "--html", str(path)])
    assert done.exit_code == 0, done.output
    page = path.read_text(encoding="utf-8")
    assert not re.search(r'(src|href)=(?!"data:)|<script|@import|url\(', page)
    for section in SECTIONS:
        assert f">{section.title}</h2>" in page
    assert "data:image/svg+xml;base64," in page


def test_a_section_without_its_report_names_the_command_and_shows_no_figure(fast: Model) -> None:
    section = Section("Energy", "no-such-report.json", "python -m training.energy", lambda report, folder: [])
    assert _filled(section, fast) == [Paragraph("Not measured yet: run `python -m training.energy`.")]


def test_figures_of_another_model_are_not_shown(tmp_path: Path, fast: Model) -> None:
    section = next(section for section in SECTIONS if section.file == "robustness.json")
    report = json.loads((fast.folder / section.file).read_text())
    report["model"]["digest"] = "0" * 64
    (tmp_path / section.file).write_text(json.dumps(report))
    other = Model(fast.folder)
    other.folder = tmp_path
    (block,) = _filled(section, other)
    assert block == Paragraph(f"Measured with another model (digest 000000000000): run `{section.command}` again.")


@pytest.mark.parametrize("kind", ["shipped", "fast"])
def test_every_table_has_as_many_cells_as_columns(kind: str, request: pytest.FixtureRequest) -> None:
    for block in card(request.getfixturevalue(kind)):
        if isinstance(block, Table):
            assert {len(row) for row in block.rows} == {len(block.head)}


def test_text_is_escaped_on_the_page_and_code_is_marked() -> None:
    blocks = [Heading("A < B", 1), Paragraph("run `a & b`"), Table(("x",), [("<i>",)])]
    page = to_html(blocks)
    assert "<h1>A &lt; B</h1>" in page
    assert "<code>a &amp; b</code>" in page
    assert "<td>&lt;i&gt;</td>" in page
    assert to_markdown(blocks) == "# A < B\n\nrun `a & b`\n\n| x |\n| --- |\n| <i> |\n"


def test_pictures_are_the_same_bytes_at_every_drawing(fast: Model) -> None:
    reliability = json.loads((fast.folder / "breakdown.json").read_text())["reliability"]
    learning = json.loads((fast.folder / "curves.json").read_text())["learning"]
    for draw in (lambda: draw_reliability(reliability, "m"), lambda: draw_learning(learning)):
        first = draw()
        assert first == draw()
        assert "<dc:date>" not in first


@pytest.mark.parametrize("name", assets.SHIPPED.values())
def test_a_card_shows_no_picture_that_is_not_beside_it(name: str) -> None:
    folder = assets.model_folder(name)
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", (folder / "README.md").read_text(encoding="utf-8"))
    assert pictures
    assert [picture for picture in pictures if not (folder / picture).is_file()] == []
