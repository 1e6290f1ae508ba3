"""The Spark way in a real local session: the command line's results, whatever Spark does to order and partitions."""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from classifier import InputError, load
from classifier.errors import DualuseError
from classifier.records import MAX_CHARS
from classifier.results import RESULT_COLUMNS
from tests.conftest import ROOT

pyspark = pytest.importorskip("pyspark", reason="comes with the extra `spark`; run by `make test-all`")
from pyspark.errors import PythonException  # noqa: E402
from pyspark.sql import DataFrame, Row, SparkSession  # noqa: E402

from classifier.spark import classify_dataframe, main  # noqa: E402

pytestmark = [
    pytest.mark.heavy,
    # PySpark 4.0 leaves the sockets of `collect` to the garbage collector.
    pytest.mark.filterwarnings(r"ignore:Exception ignored in. <socket\.socket:pytest.PytestUnraisableExceptionWarning"),
]

PAPERS = ROOT / "data/examples/papers.jsonl"
PROJECTS = ROOT / "data/examples/projects.csv"
PAPERS_SCHEMA = "id STRING, title STRING, abstract STRING, abstract_inverted_index {}, year INT, venue STRING"
SURROUNDINGS = {
    "PYSPARK_PYTHON": sys.executable,
    "PYTHONPATH": str(ROOT),
    "SPARK_LOCAL_IP": "127.0.0.1",
    "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1",  # Java's best compiler takes longer than it saves here
}


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkSession]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SURROUNDINGS.items():
            patch.setenv(name, value)
        settings = {
            "spark.ui.enabled": "false",
            "spark.sql.shuffle.partitions": "3",
            "spark.sql.execution.arrow.maxRecordsPerBatch": "20",
            "spark.driver.memory": "1g",
        }
        builder = SparkSession.builder.master("local[2]").appName("tests")
        for name, value in settings.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("OFF")
        yield session
        session.stop()


def by_command_line(source: Path, *arguments: object) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "classifier.cli", "classify", str(source), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, timeout=120, check=False)
    assert done.returncode in (0, 3), done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


def result_of(row: Row | dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("id", *RESULT_COLUMNS)}


def classified(df: DataFrame, **options: Any) -> list[Row]:
    return list(classify_dataframe(df, **options).collect())


def json_rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for part in folder.glob("part-*") for line in part.read_text().splitlines()]


def run_job(*arguments: object) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


@pytest.mark.parametrize("index", ["STRING", "MAP<STRING, ARRAY<INT>>"])
def test_the_example_papers_get_the_results_of_the_command_line(spark: SparkSession, index: str) -> None:
    df = spark.read.schema(PAPERS_SCHEMA.format(index)).json(str(PAPERS))
    assert [result_of(row) for row in classified(df)] == [result_of(row) for row in by_command_line(PAPERS)]


def test_hundreds_of_records_in_many_partitions_get_the_bits_of_the_command_line(
    spark: SparkSession, tmp_path: Path
) -> None:
    texts = [text for row in by_command_line(PROJECTS) for text in (row["award_title"], row["summary"])]
    words = [
        *" ".join(texts).split(),
        "naïve",
        "Überwachung",
        "<i>drone</i>",
        r"$\beta$",
        "ра\u200bdar",
        "无人机",
        "&amp;",
    ]
    chance = random.Random(7)

    def text(longest: int) -> str | None:
        return " ".join(chance.choices(words, k=chance.randrange(1, longest))) if chance.random() < 0.8 else None

    rows = [{"doi": f"10.1/{n}", "n": n, "title": text(20), "abstract": text(200)} for n in range(400)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "in.parquet")
    want = by_command_line(tmp_path / "in.parquet")

    df = spark.read.parquet(str(tmp_path / "in.parquet")).repartition(9)
    got = classified(df)

    assert len(got) == 400
    judged = {row["n"]: row.asDict(recursive=True) for row in got if row["refused"] is None}
    for row in judged.values():
        del row["refused"]
    assert judged == {row["n"]: row for row in want}
    assert 0 < len(want) < 400
    assert {row["n"] for row in got if row["refused"]} == {
        row["n"] for row in rows if not row["title"] and not row["abstract"]
    }


def test_columns_of_every_kind_are_kept_as_they_were(spark: SparkSession) -> None:
    schema = (
        "title STRING NOT NULL, authors ARRAY<STRUCT<name: STRING, orcid: STRING>>, ids MAP<STRING, BIGINT>, "
        "at TIMESTAMP, day DATE, amount DECIMAL(20, 4), raw BINARY, open BOOLEAN, `a.b` STRING, `back``tick` DOUBLE"
    )
    query = (
        "SELECT 'Drones' title, array(named_struct('name', 'A', 'orcid', NULL)) authors, map('rcn', 7L) ids, "
        "TIMESTAMP '2024-05-06 07:08:09.123456' at, DATE '2024-05-06' day, 12345678901.2345BD amount, X'00ff' raw, "
        "true open, 'dotted' `a.b`, 0.1D `back``tick` UNION ALL "
        "SELECT ' ', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL"
    )
    df = spark.sql(query).to(spark.createDataFrame([], schema).schema)
    out = classify_dataframe(df)
    assert out.schema.fields[1 : 1 + len(df.columns)] == df.schema.fields
    assert out.select([f"`{name.replace('`', '``')}`" for name in df.columns]).collect() == df.collect()
    assert out.columns[-len(RESULT_COLUMNS) - 1 :] == [*RESULT_COLUMNS, "refused"]


def test_source_columns_with_our_names_are_renamed_even_where_only_capitals_differ(spark: SparkSession) -> None:
    df = spark.createDataFrame(
        [(7, "seven", "Drones", "mine", "yes", "old", "older", "same")],
        "id BIGINT, doi STRING, title STRING, Model STRING, refused STRING, tags STRING, source_tags STRING, "
        "Duplicate_Group STRING",
    )
    (row,) = classified(df)
    assert row["id"] == "7"
    assert row["source_Model"] == "mine"
    assert row["source_refused"] == "yes"
    assert row["source_source_tags"] == "old"
    assert row["source_tags"] == "older"
    assert row["source_Duplicate_Group"] == "same"  # as the command line calls it, whether it marks duplicates or not
    assert row["model"] == load().id
    (row,) = classified(df, id_column="doi")
    assert (row["id"], row["source_id"]) == ("seven", 7)


def test_an_id_that_is_no_text_is_kept_beside_the_id_that_is_used(spark: SparkSession) -> None:
    (row,) = classified(spark.sql("SELECT named_struct('oid', 'x') id, '10.1/a' doi, 'Drones' title"))
    assert row["id"] == "10.1/a"
    assert row["source_id"]["oid"] == "x"


def test_rows_that_cannot_be_judged_come_out_with_their_columns_and_the_reason(spark: SparkSession) -> None:
    long, broken = "x" * (MAX_CHARS + 1), "cast(X'44ff' AS STRING)"
    rows = ["('a', 'Drones', NULL)", "('b', '', ' ')", f"('c', '{long}', '')", f"('d', 'ok', {broken})"]
    rows += [f"({broken}, 'Drones', '')", "(NULL, NULL, NULL)"]
    df = spark.sql(f"SELECT * FROM VALUES {', '.join(rows)} AS t(id, title, abstract)").coalesce(1)
    a, b, c, d, e, f = classified(df)
    assert a["refused"] is None
    assert "no abstract" in a["notes"]
    assert b["refused"] == "record: title and abstract are both empty. Fill in one of them, or leave the row out."
    assert "title: 1,000,001 characters" in c["refused"]
    assert c["title"] == long
    assert "abstract: not valid UTF-8 at byte offset 1" in d["refused"]
    assert "id: not valid UTF-8 at byte offset 1" in e["refused"]
    assert e["id"] == "D\ufffd"
    assert f["id"] == "row-6"
    for row in (b, c, d, e, f):
        assert {row[name] for name in RESULT_COLUMNS} == {None}


@pytest.mark.parametrize("keep", ["all", "id", "none"])
def test_an_empty_dataframe_gives_an_empty_one_with_all_columns(spark: SparkSession, keep: str) -> None:
    out = classify_dataframe(spark.createDataFrame([], "title STRING, year INT"), keep=keep)
    want = {"all": ["id", "title", "year"], "id": ["id"], "none": []}[keep]
    assert out.columns == [*want, *RESULT_COLUMNS, "refused"]
    assert out.collect() == []


def test_only_what_is_asked_for_is_kept_with_the_same_results(spark: SparkSession) -> None:
    df = spark.read.options(header="true", escape='"', multiLine="true").csv(str(PROJECTS))
    everything = [result_of(row) for row in classified(df)]
    ids = classified(df, keep="id", row_number_column="row")
    assert [result_of(row) for row in ids] == everything == [result_of(row) for row in by_command_line(PROJECTS)]
    assert list(ids[0].asDict()) == ["id", "row", *RESULT_COLUMNS, "refused"]
    assert [row["drones_probability"] for row in classified(df, keep="none")] == [
        row["drones_probability"] for row in everything
    ]


def test_sorting_by_the_row_number_restores_the_order_of_the_source(spark: SparkSession, tmp_path: Path) -> None:
    pq.write_table(pa.table({"title": [f"Paper {n}" for n in range(300)]}), tmp_path / "in.parquet", row_group_size=50)
    spark.conf.set("spark.sql.files.maxPartitionBytes", "500")
    try:
        df = spark.read.parquet(str(tmp_path / "in.parquet"))
        assert df.rdd.getNumPartitions() > 3
        out = classify_dataframe(df, row_number_column="place").repartition(5).orderBy("place").collect()
    finally:
        spark.conf.unset("spark.sql.files.maxPartitionBytes")
    assert [row["title"] for row in out] == [f"Paper {n}" for n in range(300)]


def test_records_without_an_id_are_called_after_the_row_number_that_the_source_has(spark: SparkSession) -> None:
    df = spark.createDataFrame([(12, "Drones"), (11, "Wargames")], "line INT, title STRING")
    rows = classified(df, row_number_column="line")
    assert {row["line"]: row["id"] for row in rows} == {12: "row-12", 11: "row-11"}


def test_a_worker_with_another_model_fails_the_job_and_says_what_to_do(spark: SparkSession) -> None:
    other = load()
    other.digest = "0" * 64
    df = spark.createDataFrame([("Drones",)], "title STRING")
    with pytest.raises(PythonException, match=r"the driver's has 0{64}\. Install the same version of dualuse"):
        classified(df, model=other)


def test_a_model_folder_that_the_worker_lacks_is_named_with_the_worker(spark: SparkSession, tmp_path: Path) -> None:
    folder = shutil.copytree(load().folder, tmp_path / "copy")
    out = classify_dataframe(spark.createDataFrame([("Drones",)], "title STRING"), model=folder)
    shutil.rmtree(folder)
    with pytest.raises(PythonException, match=r"On worker .*copy.* Ship the folder"):
        out.collect()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"title_column": "Titel"}, r"no column 'Titel'\. Columns seen: title, year"),
        ({"row_number_column": "title"}, "holds string, not whole numbers"),
        ({"row_number_column": "TAGS"}, "is taken"),
        ({"keep": "some"}, "all, id, none"),
        ({"profile": "bold"}, "'bold' is not in"),
    ],
)
def test_wrong_use_is_told_before_anything_runs(spark: SparkSession, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DualuseError, match=message):
        classify_dataframe(spark.createDataFrame([], "title STRING, year INT"), **options)


def test_a_dataframe_without_texts_or_with_doubled_names_is_refused(spark: SparkSession) -> None:
    with pytest.raises(InputError, match="no column known as a title or an abstract"):
        classify_dataframe(spark.createDataFrame([], "name STRING"))
    with pytest.raises(InputError, match="several columns named title"):
        classify_dataframe(spark.sql("SELECT 'a' title, 'b' title"))


def test_the_job_keeps_csv_rows_and_json_lines_that_spark_cannot_read(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text('id,title,year\n1,"Drones,\nsays ""he""",2020\n2,Two,2020,more\n3,Three\n')
    done = run_job(tmp_path / "in.csv", tmp_path / "out.json")
    assert done.exit_code == 0, done.output
    assert "rows in 3 = judged 1 + refused 2" in done.stderr
    rows = {row["id"]: row for row in json_rows(tmp_path / "out.json")}
    assert rows["1"]["title"] == 'Drones,\nsays "he"'
    assert rows["1"]["refused"] is None
    assert rows["2"]["_corrupt_record"] == "2,Two,2020,more"
    assert "Spark could not read the row" in rows["3"]["refused"]

    (tmp_path / "in.jsonl").write_text('{"title": "Drones"}\n{"title": "Dro\n')
    for schema in ([], ["--schema", "title STRING"]):
        done = run_job(tmp_path / "in.jsonl", tmp_path / "out", "--overwrite", *schema)
        assert "rows in 2 = judged 1 + refused 1" in done.stderr, done.output
        lost = spark.read.parquet(str(tmp_path / "out")).where("refused IS NOT NULL").collect()
        assert [row["_corrupt_record"] for row in lost] == ['{"title": "Dro']


def test_the_job_says_what_is_wrong_in_a_line(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    for arguments, message in (
        ([PAPERS, tmp_path / "out"], "Name the columns with --schema"),
        ([tmp_path / "no.parquet", tmp_path / "out"], "PATH_NOT_FOUND"),
        ([PROJECTS, tmp_path / "taken"], "PATH_ALREADY_EXISTS"),
        ([ROOT / "README.md", tmp_path / "out"], "Say --format"),
        ([PROJECTS, tmp_path / "out", "--option", "sep"], "KEY=VALUE"),
        ([PROJECTS, tmp_path / "out", "--file-column", "Summary"], "is taken"),
    ):
        done = run_job(*arguments)
        assert done.exit_code == 1
        assert message in done.stderr
        assert "Traceback" not in done.stderr


def test_spark_submit_runs_the_file_with_a_shipped_model(tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "model"), "zip", load().folder)
    submit = Path(pyspark.__file__).parent / "bin/spark-submit"
    command = [submit, "--master", "local[2]", "--archives", f"{archive}#shipped", ROOT / "classifier/spark.py"]
    command += [PROJECTS, tmp_path / "out.json", "--model", "shipped"]
    command += ["--row-number-column", "row", "--file-column", "file"]
    env = os.environ | SURROUNDINGS
    done = subprocess.run(command, capture_output=True, env=env, cwd=tmp_path, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert b"rows in 20 = judged 20 + refused 0" in done.stdout  # where spark-submit sends all that Python writes
    assert (tmp_path / "out.json/_SUCCESS").exists()
    rows = sorted(json_rows(tmp_path / "out.json"), key=lambda row: row["row"])
    assert [result_of(row) for row in rows] == [result_of(row) for row in by_command_line(PROJECTS)]
    assert all(row["file"].endswith("/projects.csv") for row in rows)


def test_importing_the_library_does_not_import_spark() -> None:
    code = "import classifier.cli, sys; sys.exit(not {'pyspark', 'classifier.spark'}.isdisjoint(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
