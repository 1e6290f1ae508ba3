"""`dualuse explain`: one text in full, a dump's flags, and nothing of a text that could drive a terminal or a page."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from classifier import Model
from classifier.cli import main
from classifier.explain import explain
from classifier.explain_page import as_page
from classifier.explain_text import as_text
from tests.conftest import ROOT
from tests.test_readme import matches, run, shell

__all__ = ["shell"]
PAPERS = str(ROOT / "data/examples/papers.jsonl")
DOCS = (ROOT / "docs/explain.md").read_text(encoding="utf-8")
COMMANDS = [block.partition("\n") for block in re.findall(r"```console\n\$ (dualuse explain.*?)```", DOCS, re.DOTALL)]


def dualuse(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["explain", "--model", "fast", *arguments])


def rows(result: Result, code: int = 0) -> list[dict[str, object]]:
    assert result.exit_code == code, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_dump_gives_its_flagged_records_and_their_flags_alone() -> None:
    found = rows(dualuse(PAPERS, "--format", "json"))
    assert {"paper-01", "paper-07"} <= {row["id"] for row in found}
    assert "paper-02" not in {row["id"] for row in found}
    for row in found:
        assert isinstance(row["tags"], dict)
        assert {tag["decision"] for tag in row["tags"].values()} <= {"flag", "review"}


def test_a_tag_asked_for_is_the_only_one_explained() -> None:
    found = rows(dualuse(PAPERS, "--format", "json", "--tag", "guidance"))
    assert {tuple(row["tags"]) for row in found} == {("guidance",)}  # type: ignore[arg-type]


def test_a_record_is_explained_in_full_by_its_id_flagged_or_not() -> None:
    (row,) = rows(dualuse(PAPERS, "--format", "json", "--id", "paper-02"))
    assert len(row["tags"]) == 5  # type: ignore[arg-type]


def test_an_id_that_is_not_there_is_named() -> None:
    result = dualuse(PAPERS, "--id", "paper-99")
    assert result.exit_code == 1
    assert "paper-99" in result.stderr


def test_a_text_is_told_on_a_few_lines() -> None:
    result = dualuse("--title", "Drone landing", "--text", "A drone lands on a ship. It is small.", "--tag", "drones")
    assert result.exit_code == 0
    assert "drones: flag" in result.stdout
    assert "The drones flag rests on" in result.stdout
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize("arguments", [(), (PAPERS, "--text", "A text.")])
def test_either_a_file_or_a_text_is_asked_for(arguments: tuple[str, ...]) -> None:
    assert dualuse(*arguments).exit_code == 2


def test_a_refused_record_is_listed_and_the_rest_goes_on(tmp_path: Path) -> None:
    dump = tmp_path / "dump.jsonl"
    dump.write_text('{"id": "a", "title": "Drone swarms", "abstract": ""}\n{"id": "b", "title": 7}\n')
    result = dualuse(str(dump), "--format", "json")
    assert [row["id"] for row in rows(result, 3)] == ["a"]
    assert "row 2" in result.stderr


def test_colours_are_for_those_who_see_them(fast: Model) -> None:
    explanation = explain(fast, ("Drone landing", "A drone lands."), tags=("drones",))
    assert "\x1b[31m" in as_text(explanation, color=True)
    assert "\x1b" not in as_text(explanation)


def test_a_text_cannot_drive_the_terminal(fast: Model) -> None:
    explanation = explain(fast, ("Drone \x1b[2J landing", "A drone\x07 lands\u202e here."), tags=("drones",))
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", as_text(explanation))


def test_a_page_holds_the_text_marked_and_nothing_that_runs_or_loads(fast: Model) -> None:
    hostile = "A drone <script>alert(1)</script> lands & <img src=x onerror=y> drones \"land\" 'there' \x1b[2J."
    page = "".join(as_page([explain(fast, ("<b>Drone</b> & ship", hostile))]))
    parser = Checked()
    parser.feed(page)
    assert not parser.tags & {"script", "img", "link", "iframe", "b"}
    assert "alert(1)" in parser.text
    assert '<mark class="for"' in page
    assert "\x1b" not in page


class Checked(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not any(name.startswith("on") or name in ("src", "href") for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_is_written_to_a_file(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert dualuse(PAPERS, "--format", "html", "-o", str(page)).exit_code == 0
    assert page.read_text(encoding="utf-8").count("<article>") >= 5


def test_without_spacy_one_is_told_what_to_install() -> None:
    code = (
        "import sys; sys.modules['spacy'] = None\n"
        "from classifier.cli import main\n"
        "main(['explain', '--model', 'fast', '--text', 'A drone lands.'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert "pip install 'dualuse[explain]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_classifying_does_not_wait_for_spacy() -> None:
    code = "import sys, classifier, classifier.cli; assert 'spacy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize("command", [command for command, _, _ in COMMANDS])
def test_a_command_of_the_docs_gives_the_output_shown(command: str, shell: dict[str, str]) -> None:
    (shown,) = (output for name, _, output in COMMANDS if name == command)
    got = run(command, shell)
    assert matches(shown, got), got
