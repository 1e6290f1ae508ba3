"""The command line as its users meet it: real process, real files, exit codes, streams."""

import csv
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from classifier import NOTICE, TAGS, Model, load
from classifier.results import RESULT_COLUMNS
from tests.conftest import ROOT

PAPERS = ROOT / "data/examples/papers.jsonl"
PROJECTS = ROOT / "data/examples/projects.csv"


def run(*arguments: object, stdin: bytes | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "classifier.cli", *map(str, arguments)]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, input=stdin, capture_output=True, cwd=cwd, env=env, timeout=120, check=False)


def rows_of(output: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_every_record_comes_out_once_in_order_with_the_promised_columns() -> None:
    done = run("classify", PAPERS)
    assert done.returncode == 0, done.stderr.decode()
    rows = rows_of(done.stdout)
    assert [row["id"] for row in rows] == [json.loads(line)["id"] for line in PAPERS.read_text().splitlines()]
    for row in rows:
        assert set(RESULT_COLUMNS) <= row.keys()
        assert set(row["tags"]) == {tag for tag in TAGS if row[f"{tag}_decision"] == "flag"}
    assert b"rows in 20 = tagged 20 + refused 0" in done.stderr
    assert NOTICE.encode() in done.stderr


def test_library_command_line_and_every_format_give_the_same_numbers(tmp_path: Path, shipped: Model) -> None:
    run("classify", PROJECTS, "-o", tmp_path / "out.jsonl.gz")
    run("classify", PROJECTS, "-o", tmp_path / "out.csv")
    run("classify", PROJECTS, "-o", tmp_path / "out.parquet")
    with PROJECTS.open(encoding="utf-8", newline="") as file:
        source = list(csv.DictReader(file))
    results = shipped.classify([{"title": row["award_title"], "abstract": row["summary"]} for row in source])
    want = [[result.judgements[tag].probability for tag in TAGS] for result in results]
    with gzip.open(tmp_path / "out.jsonl.gz") as lines:
        jsonl = rows_of(lines.read())
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        cells = list(csv.DictReader(file))
    parquet = pq.read_table(tmp_path / "out.parquet").to_pylist()
    for rows in (jsonl, cells, parquet):
        assert [[float(row[f"{tag}_probability"]) for tag in TAGS] for row in rows] == want
    assert [row["tags"].split() for row in cells] == [row["tags"] for row in jsonl] == [row["tags"] for row in parquet]
    assert [row["award_title"] for row in cells] == [row["award_title"] for row in source]


def test_the_same_run_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for suffix in ("jsonl", "jsonl.gz", "jsonl.zst", "csv", "parquet"):
        first, second = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
        run("classify", PAPERS, "-o", first)
        run("classify", PAPERS, "-o", second)
        assert first.read_bytes() == second.read_bytes(), suffix


def test_standard_input_is_read_where_in_is_a_dash() -> None:
    assert run("classify", "-", stdin=PAPERS.read_bytes()).stdout == run("classify", PAPERS).stdout


def test_refused_records_are_listed_with_row_field_reason_and_mend_and_the_rest_is_tagged(tmp_path: Path) -> None:
    good = '{"id": "%s", "title": "Soil", "abstract": "Earthworms in clay."}'
    lines = [good % place for place in range(1, 7)] + ['{"id": "7", "title": ', good % 8, '{"id": "9", "title": ""}']
    source = write(tmp_path / "in.jsonl", *lines)
    out = tmp_path / "out.jsonl"
    done = run("classify", source, "-o", out)
    assert done.returncode == 3
    assert b"rows in 9 = tagged 7 + refused 2" in done.stderr
    assert [row["id"] for row in rows_of(out.read_bytes())] == ["1", "2", "3", "4", "5", "6", "8"]
    rejects = rows_of((tmp_path / "out.jsonl.rejects.jsonl").read_bytes())
    assert [reject["row"] for reject in rejects] == [7, 9]
    assert all(reject["reason"] and reject["mend"] for reject in rejects)
    write(source, good % 1)
    assert run("classify", source, "-o", out, "--restart").returncode == 0
    assert not (tmp_path / "out.jsonl.rejects.jsonl").exists()


def test_a_record_with_only_a_title_is_tagged_and_says_so(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", '{"title": "Missile guidance law for intercept of manoeuvring targets"}')
    (row,) = rows_of(run("classify", source).stdout)
    assert row["id"] == "row-1"
    assert "no abstract" in row["notes"]
    assert "guidance" in row["tags"]


def test_source_columns_with_our_names_are_kept_under_another(tmp_path: Path) -> None:
    line = '{"id": 5, "tags": ["mine"], "model": "T-800", "source_tags": 1, "title": "Soil", "abstract": "Worms."}'
    (row,) = rows_of(run("classify", write(tmp_path / "in.jsonl", line)).stdout)
    assert row["id"] == "5"
    assert row["source_model"] == "T-800"
    assert row["source_source_tags"] == ["mine"]
    assert row["source_tags"] == 1
    assert row["tags"] == []


def test_keep_id_leaves_the_source_columns_out() -> None:
    (first, *_) = rows_of(run("classify", PAPERS, "--keep", "id").stdout)
    assert tuple(first) == ("id", *RESULT_COLUMNS)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.jsonl", b"", b"empty"),
        ("columns.csv", b"name_of_thing,year\nA,2020\n", b"--abstract-column"),
        ("what.docx", b"PK", b"jsonl"),
        ("broken.parquet", b"PAR1 nonsense", b"broken.parquet"),
        ("cut.jsonl.gz", gzip.compress(b'{"title": "Soil"}\n' * 5000)[:-20], b"cut.jsonl.gz"),
    ],
)
def test_a_file_that_cannot_be_used_fails_with_its_name_and_writes_nothing(
    tmp_path: Path, name: str, content: bytes, message: bytes
) -> None:
    source = tmp_path / name
    source.write_bytes(content)
    done = run("classify", source, "-o", tmp_path / "out.jsonl")
    assert done.returncode == 1
    assert done.stderr.startswith(b"Error: ")
    assert message in done.stderr
    assert b"Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_latin_1_bytes_and_a_huge_abstract_are_refused_by_row_and_the_rest_is_tagged(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    huge = b'{"title": "Big", "abstract": "' + b"a" * 50_000_000 + b'"}\n'
    source.write_bytes(
        b'{"title": "Soil"}\n' + '{"title": "Caf\u00e9"}\n'.encode("latin-1") + huge + b'{"title": "Clay"}\n'
    )
    done = run("classify", source, "-o", tmp_path / "out.jsonl")
    assert done.returncode == 3
    assert b"rows in 4 = tagged 2 + refused 2" in done.stderr
    latin, big = rows_of((tmp_path / "out.jsonl.rejects.jsonl").read_bytes())
    assert "UTF-8" in latin["reason"] + latin["mend"]
    assert "50,000,000" in big["reason"]
    assert big["field"] == "abstract"
    assert len(json.dumps(big)) < 1000  # the text itself is not repeated


def test_the_same_bad_model_is_named_on_every_command(tmp_path: Path, shipped: Model) -> None:
    (tmp_path / "MANIFEST.json").write_text("{}")
    for command in (
        ["classify", PAPERS, "--model", tmp_path],
        ["model", "verify", tmp_path],
        ["model", "info", tmp_path],
    ):
        done = run(*command)
        assert done.returncode == 1
        assert b"MANIFEST.json" in done.stderr


def test_model_info_tells_the_digest_and_verify_confirms_it(shipped: Model) -> None:
    assert json.loads(run("model", "info", "--json").stdout)["digest"] == shipped.digest
    assert shipped.digest.encode() in run("model", "verify").stdout


def test_a_taxonomy_with_a_duplicate_id_is_named(tmp_path: Path) -> None:
    text = (ROOT / "data/taxonomy.toml").read_text(encoding="utf-8")
    broken = write(tmp_path / "taxonomy.toml", text.replace('id = "guidance"', 'id = "drones"', 1))
    done = run("taxonomy", "--file", broken)
    assert done.returncode == 1
    assert b"drones" in done.stderr


def test_the_taxonomy_shows_every_tag_and_the_notice() -> None:
    shown = run("taxonomy").stdout.decode()
    assert all(tag in shown for tag in TAGS)
    assert "No control-list item is known" in shown
    assert NOTICE in shown


def test_text_is_judged_without_a_file() -> None:
    done = run(
        "classify", "--title", "Who shares fake news", "--text", "We measure how false rumours spread on Twitter."
    )
    (row,) = rows_of(done.stdout)
    assert row["tags"] == ["disinformation"]


def test_wrong_use_exits_with_2() -> None:
    assert run("classify").returncode == 2
    assert run("classify", PAPERS, "--text", "both").returncode == 2
    assert run("classify", PAPERS, "--keep", "some").returncode == 2
    assert run("nonsense").returncode == 2


def test_output_over_the_input_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", '{"title": "Soil"}')
    before = source.read_bytes()
    assert run("classify", source, "-o", source).returncode == 2
    assert source.read_bytes() == before


def test_an_output_that_would_be_read_as_input_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "a.jsonl", '{"title": "Soil"}')
    (folder / "link").symlink_to(folder)
    (tmp_path / "hard.jsonl").hardlink_to(folder / "a.jsonl")
    for source, out in [
        (folder, folder / "out.csv"),
        (folder, folder / "deep/out.csv"),
        (folder, folder / "link/out.csv"),
        (folder / "*.jsonl", folder / "out.jsonl"),
        (folder / "*.jsonl", folder / "out.csv"),  # its rejects would be read
        (tmp_path / "**/*.csv", folder / "out.csv"),
        (folder / "a.jsonl", tmp_path / "hard.jsonl"),
    ]:
        done = run("classify", source, "-o", out)
        assert (done.returncode, out.exists()) == (2, out.name == "hard.jsonl"), out
    assert run("classify", folder, "-o", tmp_path / "o.csv", "--rejects", folder / "r.jsonl").returncode == 2
    assert run("classify", folder, "-o", tmp_path / "o.csv", "--rejects", tmp_path / "o.csv").returncode == 2
    assert sorted(path.name for path in folder.iterdir()) == ["a.jsonl", "link"]
    (folder / "link").unlink()
    assert run("classify", folder / "*.jsonl", "-o", folder / "o.csv", "--rejects", tmp_path / "r").returncode == 0


def test_an_interrupted_run_leaves_no_output_and_exits_with_130(tmp_path: Path) -> None:
    fifo = tmp_path / "in.jsonl"
    os.mkfifo(fifo)
    command = [sys.executable, "-m", "classifier.cli", "classify", str(fifo), "-o", str(tmp_path / "out.jsonl")]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
    )
    with os.fdopen(os.open(fifo, os.O_RDWR), "wb") as pipe:  # does not wait for a reader that failed to start
        pipe.write(b'{"title": "Soil"}\n' * 2000)
        pipe.flush()
        while process.poll() is None and list(tmp_path.iterdir()) == [fifo]:  # until it has begun to write
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr.decode()
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_help_starts_without_the_heavy_libraries() -> None:
    heavy = ("sklearn", "scipy", "fastapi", "pyarrow", "spacy")
    code = f"import sys, classifier.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_the_scoring_path_never_opens_the_pickled_pipeline(tmp_path: Path, shipped: Model) -> None:
    code = (
        "import sys; from classifier import load; load().classify(['A text on soil.']); "
        "print('joblib' in sys.modules, 'pickle' in sys.modules and 'sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "False False"


def test_load_is_the_only_thing_a_library_user_needs() -> None:
    assert load().classify([("Deepfake detection", "We detect face swaps in video.")])[0].tags == ("disinformation",)


def test_a_finished_command_does_nothing_again_and_its_output_can_be_verified(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    first = run("classify", PAPERS, "-o", out)
    assert b"\r" not in first.stderr  # progress is for a terminal
    again = run("classify", PAPERS, "-o", out)
    assert again.returncode == 0
    assert b"nothing to do" in again.stderr
    assert run("verify", out).returncode == 0
    out.write_bytes(out.read_bytes().replace(b"clear", b"clean", 1))
    for name in (out, f"{out}.run.json"):
        checked = run("verify", name)
        assert checked.returncode == 1
        assert b"out.jsonl: has another SHA-256" in checked.stdout
    assert run("verify", tmp_path / "nothing.jsonl").returncode == 1


def test_an_unfinished_run_with_other_options_exits_with_4_and_says_what_changed(tmp_path: Path) -> None:
    good = b'{"title": "Soil"}\n' * 40
    source, out = tmp_path / "in.jsonl.gz", tmp_path / "out.jsonl"
    source.write_bytes(gzip.compress(good, mtime=0) + gzip.compress(good * 50, mtime=0)[:-12])
    assert run("classify", source, "-o", out, "--segment-rows", 10).returncode == 1
    done = run("classify", source, "-o", out, "--segment-rows", 10, "--keep", "id")
    assert done.returncode == 4
    assert b"options keep was 'all' and is now 'id'" in done.stderr
    assert b"--restart" in done.stderr
    source.write_bytes(gzip.compress(good, mtime=0))
    assert run("classify", source, "-o", out, "--segment-rows", 10, "--keep", "id", "--restart").returncode == 0


def test_too_many_refused_records_fail_and_leave_no_output(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", '{"title": "Soil"}', '{"title": ""}', '{"title": "Clay"}')
    for limit in ("0", "30%"):
        assert run("classify", source, "-o", tmp_path / "out.jsonl", "--max-refused", limit).returncode == 1
        assert not (tmp_path / "out.jsonl").exists()
    assert run("classify", source, "-o", tmp_path / "out.jsonl", "--max-refused", "34%").returncode == 3
    assert run("classify", source, "--max-refused", "many").returncode == 2
    assert run("classify", source, "--shard", "3/2").returncode == 2


def test_a_dry_run_tells_rows_bytes_and_thresholds_and_writes_nothing(tmp_path: Path, shipped: Model) -> None:
    done = run("classify", PAPERS, "-o", tmp_path / "out.parquet", "--dry-run")
    assert done.returncode == 0
    columns = "columns     id: id; title: title; abstract: abstract"
    for told in (
        columns,
        "20 rows",
        f"{PAPERS.stat().st_size:,} bytes",
        shipped.id,
        "drones 0.",
        "Nothing was written",
    ):
        assert told in done.stderr.decode()
    assert list(tmp_path.iterdir()) == []
