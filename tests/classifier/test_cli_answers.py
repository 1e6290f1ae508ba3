"""What the command line answers where a first-time user stumbles: exit codes, and lines that say what to do."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import click.testing
import pytest

from classifier.cli import main
from tests.conftest import ROOT

ABSTRACT = "We present a controller that lets a small unmanned aerial vehicle land on a moving deck, in flight tests."


def run(*arguments: object, stdin: bytes | None = None) -> click.testing.Result:
    return click.testing.CliRunner().invoke(main, [*map(str, arguments)], input=stdin)


def classify(*arguments: object) -> click.testing.Result:
    return run("classify", "--model", "fast", *arguments)


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    rows = [{"id": f"p{n}", "title": "A quadrotor lands", "abstract": ABSTRACT} for n in range(3)]
    return write(tmp_path / "papers.jsonl", *map(json.dumps, rows))


def test_records_without_an_abstract_are_counted_and_the_columns_seen_are_named(tmp_path: Path) -> None:
    source = write(tmp_path / "awards.csv", "Grant Number,Project Title,Plain words", f'1,Quadrotors,"{ABSTRACT}"')
    out, page = tmp_path / "out.jsonl", tmp_path / "page.html"
    told = classify(source, "-o", out, "--report", page).stderr
    assert "no abstract 1" in told
    assert "Columns seen: Grant Number, Project Title, Plain words." in told
    assert "--abstract-column" in told
    assert json.loads((tmp_path / "out.jsonl.run.json").read_text())["notes"]["no abstract"] == 1
    assert "<dt>No abstract</dt><dd><bdi>1</bdi></dd>" in page.read_text(encoding="utf-8")
    assert "--abstract-column" not in classify(source, "--abstract-column", "Plain words").stderr


@pytest.mark.parametrize("content", ["\n \n", "[]", "id,title,abstract\n"])
def test_a_source_without_records_says_so(tmp_path: Path, content: str) -> None:
    source = tmp_path / ("in.csv" if "title" in content else "in.json" if "[" in content else "in.jsonl")
    source.write_text(content)
    done = classify(source)
    assert done.exit_code == 0
    assert "No record was in it" in done.stderr


def test_a_finished_output_is_not_replaced_by_another_run_unless_asked(tmp_path: Path, papers: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert classify(papers, "-o", out).exit_code == 0
    before = out.read_bytes()
    again = classify(papers, "-o", out, "--keep", "none")
    assert (again.exit_code, out.read_bytes()) == (4, before)
    assert "options keep was 'all' and is now 'none'" in again.stderr
    assert "--restart" in again.stderr
    papers.write_bytes(papers.read_bytes() * 2)
    assert (classify(papers, "-o", out).exit_code, out.read_bytes()) == (4, before)
    assert classify(papers, "-o", out, "--keep", "none", "--restart").exit_code == 0
    assert out.read_bytes() != before


def test_one_text_goes_where_and_how_it_is_asked_to(tmp_path: Path) -> None:
    out = tmp_path / "one.csv"
    assert classify("--text", ABSTRACT, "-o", out).exit_code == 0
    with out.open(encoding="utf-8", newline="") as file:
        assert [row["tags"] for row in csv.DictReader(file)] == ["drones"]
    assert classify("--text", ABSTRACT, "--output-format", "tsv").stdout.startswith("id\ttags\t")
    refused = classify("--text", ABSTRACT, "--report", tmp_path / "page.html")
    assert refused.exit_code == 2
    assert "--report goes with IN" in refused.stderr


def test_what_is_not_there_to_be_had_is_wrong_use(tmp_path: Path, papers: Path) -> None:
    for arguments in (
        [papers, "--format", "docx"],
        [papers, "--output-format", "pdf"],
        [papers, "-o", tmp_path / "x.pdf"],
        [papers, "--profile", "x"],
        [papers, "--model", tmp_path / "nosuch"],
        [papers, "--thresholds", tmp_path / "nosuch"],
        [papers, "--title-column", "Title"],
        [papers, "--title", "Sails"],
        ["--text", " "],
    ):
        done = classify(*arguments)
        assert done.exit_code == 2, arguments
        assert "Errno" not in done.stderr
    assert run("explain", papers, "--profile", "x").exit_code == 2
    assert "Choose one of: balanced." in classify(papers, "--profile", "x").stderr
    assert "Did you mean 'title'?" in classify(papers, "--title-column", "Title").stderr


def test_explain_ends_with_3_where_records_were_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", '{"id": "a"}')
    done = run("explain", source, "--model", "fast")
    assert (done.exit_code, done.stdout) == (3, "")
    assert "refused: row 1" in done.stderr


def test_what_a_model_said_is_not_taken_for_labels(tmp_path: Path, papers: Path) -> None:
    out = tmp_path / "out.jsonl"
    classify(papers, "-o", out)
    done = run("thresholds", out, "--recall", ".8", "--model", "fast")
    assert done.exit_code == 1
    assert "source_tags" in done.stderr
    labelled = [json.loads(line) | {"tags": ["drones"]} for line in papers.read_text().splitlines()]
    write(papers, *map(json.dumps, labelled))
    classify(papers, "-o", out, "--restart")
    assert run("thresholds", out, "--recall", ".8", "--model", "fast").exit_code == 0


def test_ids_that_look_like_formulas_join_across_formats(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", *(json.dumps({"id": i, "title": ABSTRACT}) for i in ("=1+1", "'@x", "-12")))
    for name in ("a.csv", "a.jsonl"):
        classify(source, "-o", tmp_path / name)
    assert "'=1+1" in (tmp_path / "a.csv").read_text(encoding="utf-8")  # guarded for a spreadsheet
    done = run("compare", tmp_path / "a.csv", tmp_path / "a.jsonl")
    assert "3 records in both outputs" in done.stdout
    assert "only in" not in done.stdout


def test_model_commands_take_the_model_in_either_way(tmp_path: Path) -> None:
    assert run("model", "info", "--model", "fast").stdout == run("model", "info", "fast").stdout
    assert run("model", "verify", "--model", "fast").exit_code == 0
    assert run("model", "card", "fast").stdout == run("model", "card", "--model", "fast").stdout
    assert run("model", "info", "fast", "--model", "careful").exit_code == 2


def test_the_package_is_a_command() -> None:
    done = subprocess.run([sys.executable, "-m", "classifier", "--version"], capture_output=True, cwd=ROOT, check=True)
    assert done.stdout.startswith(b"dualuse")
