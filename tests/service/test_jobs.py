"""A file handed in comes back as the command line would have made it, and nothing of it stays longer than said."""

import gzip
import io
import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from classifier import Model
from service.app import create_app
from service.jobroutes import OUTPUTS, Format, Output
from service.settings import Settings
from tests.service.helpers import JSONL, ROWS, Held, by_command, finish, wait_until
from tests.service.test_problems import SECRET, check_problem

NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
def app(model_folder: Path) -> Any:
    return create_app(Settings(model=model_folder, job_threads=1))


@pytest.fixture
def jobs(app: Any) -> Iterator[TestClient]:
    with TestClient(app) as client:
        yield client


@pytest.fixture
def held(model_folder: Path) -> Iterator[tuple[TestClient, Held]]:
    model = Held(model_folder)
    with TestClient(create_app(Settings(max_jobs=2), model)) as client:
        yield client, model
        model.gate.set()


def test_the_formats_are_those_of_the_engine() -> None:
    from classifier.compression import FORMATS
    from classifier.writers import OUTPUT_FORMATS

    assert Format.__args__ == FORMATS
    assert tuple(OUTPUTS) == Output.__args__ == OUTPUT_FORMATS


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_result_is_the_command_lines_to_the_byte(
    jobs: TestClient, model: Model, tmp_path: Path, output: str
) -> None:
    posted = jobs.post(f"/v1/jobs?output={output}", content=JSONL, headers=NDJSON)
    assert posted.status_code == 202
    assert posted.headers["retry-after"]
    status = finish(jobs, posted.headers["location"])
    assert (status["state"], status["rows"], status["refused"], status["progress"]) == ("done", 4, 1, 1.0)
    (tmp_path / "in.jsonl").write_bytes(JSONL)
    answer = jobs.get(status["result"])
    assert answer.content == by_command(model, tmp_path / "in.jsonl", tmp_path / f"out.{output}")
    assert answer.headers["content-type"] == OUTPUTS[output]
    assert answer.headers["content-disposition"] == f'attachment; filename="dualuse-{status["id"]}.{output}"'
    assert jobs.get(status["rejects"]).content == (tmp_path / "rejects").read_bytes()


def test_profile_and_columns_kept_are_the_callers_choice(jobs: TestClient, model: Model, tmp_path: Path) -> None:
    posted = jobs.post("/v1/jobs?profile=wide&keep=none", content=JSONL, headers=NDJSON)
    status = finish(jobs, posted.headers["location"])
    (tmp_path / "in.jsonl").write_bytes(JSONL)
    wanted = by_command(model, tmp_path / "in.jsonl", tmp_path / "out.jsonl", profile="wide", keep="none")
    assert jobs.get(status["result"]).content == wanted
    refused = check_problem(jobs.post("/v1/jobs?profile=Zebrawing", content=JSONL, headers=NDJSON), 422)
    assert "query profile: is not a profile of tiny-1.0.0. Known are: balanced, wide" in refused["errors"][0]["message"]


def test_columns_are_named_by_the_query(jobs: TestClient) -> None:
    own = b"Ref,Kopf,Text\nx-1,quadrotor,lands\n"
    refused = finish(jobs, jobs.post("/v1/jobs?format=csv", content=own).headers["location"])
    assert "Name yours with title_column and abstract_column" in refused["failure"]
    query = "format=csv&id_column=Ref&title_column=Kopf&abstract_column=Text"
    status = finish(jobs, jobs.post(f"/v1/jobs?{query}", content=own).headers["location"])
    assert b'"x-1"' in jobs.get(status["result"]).content


CSV = b"id,title,abstract\na-1,quadrotor,A quadrotor lands.\n"
RIS = b"TY  - JOUR\nTI  - quadrotor\nAB  - A quadrotor lands.\nER  - \n"
UPLOADS: dict[str, tuple[str, bytes]] = {
    "papers.csv": ("a-1", CSV),
    "papers.CSV.gz": ("a-1", gzip.compress(CSV)),
    "papers.tsv": ("a-1", CSV.replace(b",", b"\t")),
    "papers.jsonl.zst": ("a-1", pa.Codec("zstd").compress(JSONL, asbytes=True)),
    "papers.ris": ("row-1", RIS),
    "papers.txt": ("row-1", RIS),
    "../../etc/papers.csv": ("a-1", CSV),
    "C:\\etc\\papers.csv": ("a-1", CSV),
    "one.json": ("a-1", json.dumps(ROWS[:1]).encode()),
}


@pytest.mark.parametrize("name", UPLOADS)
def test_a_form_upload_is_read_by_its_name_which_leads_nowhere(jobs: TestClient, data_dir: Path, name: str) -> None:
    id, content = UPLOADS[name]
    status = finish(jobs, jobs.post("/v1/jobs", files={"file": (name, content)}).headers["location"])
    assert status["failure"] is None
    assert json.loads(jobs.get(status["result"]).content.splitlines()[0])["id"] == id
    names = {path.name for path in data_dir.rglob("*") if path.is_file()}
    assert names <= {"lock", "database-id", "result.jsonl", "result.jsonl.run.json", "rejects.jsonl"} | {
        f"dualuse.sqlite{end}" for end in ("", "-wal", "-shm")
    }, "the upload is deleted when done"


def test_parquet_and_sheets_are_read(jobs: TestClient) -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"title": ["quadrotor"], "abstract": ["lands"]}), buffer)
    parquet = jobs.post("/v1/jobs?format=parquet", content=buffer.getvalue())
    assert finish(jobs, parquet.headers["location"])["rows"] == 1
    sheet = finish(jobs, jobs.post("/v1/jobs?output=xlsx", content=JSONL, headers=NDJSON).headers["location"])
    again = jobs.post("/v1/jobs", files={"file": ("sheet.xlsx", jobs.get(sheet["result"]).content)})
    assert finish(jobs, again.headers["location"])["rows"] == 3


def test_a_cell_that_looks_like_a_formula_is_none_in_the_result(jobs: TestClient) -> None:
    posted = jobs.post("/v1/jobs?output=csv", content=JSONL, headers=NDJSON)
    assert "'=1+1" in jobs.get(finish(jobs, posted.headers["location"])["result"]).text


def test_what_cannot_be_read_fails_with_the_reason_and_leaves_nothing(jobs: TestClient, data_dir: Path) -> None:
    posted = jobs.post("/v1/jobs", files={"file": ("a.csv", b"colour,size\nred,3\n")})
    status = finish(jobs, posted.headers["location"])
    assert status["state"] == "failed"
    assert status["failure"].startswith("The upload has no column known as a title or an abstract")
    assert str(data_dir) not in status["failure"]
    wait_until(lambda: not list((data_dir / "jobs").iterdir()))
    for part in ("result", "rejects"):
        assert "failed" in check_problem(jobs.get(f"/v1/jobs/{status['id']}/{part}"), 409)["detail"]


BAD_UPLOADS: dict[str, tuple[dict[str, Any], int]] = {
    "no format": ({"content": JSONL}, 415),
    "bytes of any kind": ({"content": JSONL, "headers": {"Content-Type": "application/octet-stream"}}, 415),
    "no suffix": ({"files": {"file": ("papers", JSONL)}}, 415),
    "an unknown suffix": ({"files": {"file": (f"{SECRET}.exe", JSONL)}}, 415),
    "an archive": ({"files": {"file": ("papers.zip", JSONL)}}, 415),
    "an encoding": ({"content": gzip.compress(JSONL), "headers": {**NDJSON, "Content-Encoding": "gzip"}}, 415),
    "an unknown format": ({"content": JSONL, "params": {"format": SECRET}}, 422),
    "an unknown output": ({"content": JSONL, "headers": NDJSON, "params": {"output": SECRET}}, 422),
    "nothing": ({"content": b"", "headers": NDJSON}, 422),
    "an empty file": ({"files": {"file": ("a.csv", b"")}}, 422),
    "two files": ({"files": [("file", ("a.csv", CSV)), ("file", ("b.csv", CSV))]}, 422),
    "a field for a file": ({"files": {"file": (None, SECRET)}}, 422),
    "no boundary": ({"content": CSV, "headers": {"Content-Type": "multipart/form-data"}}, 400),
    "no parts": ({"content": CSV, "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 400),
    "half a part": (
        {
            "content": b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nabc',
            "headers": {"Content-Type": "multipart/form-data; boundary=x"},
        },
        400,
    ),
    "a key with blanks": ({"content": JSONL, "headers": {**NDJSON, "Idempotency-Key": f"a {SECRET}"}}, 422),
}


@pytest.mark.parametrize("case", BAD_UPLOADS)
def test_an_upload_that_cannot_be_taken_leaves_nothing_behind(client: TestClient, case: str) -> None:
    sent, status = BAD_UPLOADS[case]
    folder = client.app.state.folder.path / "jobs"  # type: ignore[attr-defined]
    before = set(folder.iterdir())
    check_problem(client.post("/v1/jobs", **sent), status)
    assert set(folder.iterdir()) == before


def _sheet_bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b" " * 2_000_000)
    return buffer.getvalue()


def _parquet_bomb() -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"title": ["x" * 2_000_000]}), buffer, compression="zstd")
    return buffer.getvalue()


def _parquet_dictionary() -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"title": ["x" * 10_000] * 300}), buffer)  # says of itself that it has 10,000 bytes
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl.gz", gzip.compress(b" " * 2_000_000)),
        ("a.csv", gzip.compress(b" " * 2_000_000)),
        ("a.jsonl.zst", pa.Codec("zstd").compress(b" " * 2_000_000, asbytes=True)),
        ("a.xlsx", _sheet_bomb()),
        ("a.parquet", _parquet_bomb()),
        ("b.parquet", _parquet_dictionary()),
    ],
)
def test_what_unpacks_to_too_much_is_refused(model_folder: Path, name: str, content: bytes) -> None:
    settings = Settings(model=model_folder, max_unpacked_bytes=1_000_000)
    with TestClient(create_app(settings)) as client:
        assert len(content) < 20_000
        answer = client.post("/v1/jobs", files={"file": (name, content)})
        assert "1,000,000 bytes" in check_problem(answer, 413)["detail"]


def test_an_upload_over_the_limit_is_answered_413(model_folder: Path, data_dir: Path) -> None:
    with TestClient(create_app(Settings(model=model_folder, max_upload_bytes=1_000, max_body_bytes=100))) as client:
        assert client.post("/v1/jobs", content=JSONL, headers=NDJSON).status_code == 202, "not the other limit"
        check_problem(client.post("/v1/jobs", content=JSONL * 10, headers=NDJSON), 413)
        check_problem(client.post("/v1/jobs", content=(JSONL for _ in range(10)), headers=NDJSON), 413)
        assert len(list((data_dir / "jobs").iterdir())) == 1


def test_the_same_key_and_file_are_the_same_job_and_another_file_is_refused(jobs: TestClient, data_dir: Path) -> None:
    headers = {**NDJSON, "Idempotency-Key": "night-1"}
    first, second = (jobs.post("/v1/jobs", content=JSONL, headers=headers) for _ in range(2))
    form = jobs.post("/v1/jobs", files={"file": ("a.jsonl", JSONL)}, headers={"Idempotency-Key": "night-1"})
    assert [answer.status_code for answer in (first, second, form)] == [202] * 3
    assert first.headers["location"] == second.headers["location"] == form.headers["location"]
    finish(jobs, first.headers["location"])
    assert jobs.post("/v1/jobs", content=JSONL, headers=headers).json()["state"] == "done"
    check_problem(jobs.post("/v1/jobs", content=JSONL + JSONL, headers=headers), 422)
    check_problem(jobs.post("/v1/jobs?output=csv", content=JSONL, headers=headers), 422)
    assert jobs.post("/v1/jobs", content=JSONL, headers=NDJSON).headers["location"] != first.headers["location"]
    assert len(list((data_dir / "jobs").iterdir())) == 2


def test_a_job_is_cancelled_while_it_waits_and_while_it_runs(held: tuple[TestClient, Held], data_dir: Path) -> None:
    client, model = held
    running, waiting = (client.post("/v1/jobs", content=JSONL, headers=NDJSON).headers["location"] for _ in range(2))
    wait_until(lambda: client.get(running).json()["state"] == "running")
    assert client.get(waiting).json()["state"] == "queued"
    for location in (running, waiting):
        check_problem(client.get(f"{location}/result"), 409)
        check_problem(client.delete(location), 409)
        assert client.post(f"{location}/cancel").json()["state"] == "cancelled"
        check_problem(client.post(f"{location}/cancel"), 409)
    model.gate.set()
    wait_until(lambda: not list((data_dir / "jobs").iterdir()))
    assert client.get(running).json()["state"] == "cancelled"
    after = client.post("/v1/jobs", content=JSONL, headers=NDJSON)
    assert finish(client, after.headers["location"])["state"] == "done"


def test_more_jobs_than_may_wait_are_turned_away_before_their_bodies_are_read(held: tuple[TestClient, Held]) -> None:
    client, model = held
    for _ in range(2):
        assert client.post("/v1/jobs", content=JSONL, headers=NDJSON).status_code == 202

    answer = client.post("/v1/jobs", content=JSONL, headers=NDJSON)
    check_problem(answer, 429)
    assert int(answer.headers["retry-after"]) > 0
    sent: list[Any] = []

    async def read() -> Any:
        raise AssertionError("the body was read")

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/jobs", "query_string": b"", "headers": []}
    assert client.portal
    client.portal.call(client.app, scope, read, send)  # type: ignore[arg-type]
    assert sent[0]["status"] == 429
    model.gate.set()
    wait_until(lambda: client.post("/v1/jobs", content=JSONL, headers=NDJSON).status_code == 202)


def test_a_job_deleted_is_gone_with_its_files(jobs: TestClient, data_dir: Path) -> None:
    location = jobs.post("/v1/jobs", content=JSONL, headers=NDJSON).headers["location"]
    finish(jobs, location)
    assert jobs.delete(location).status_code == 204
    for path in (location, f"{location}/result"):
        check_problem(jobs.get(path), 404)
    assert not list((data_dir / "jobs").iterdir())


def test_a_finished_job_is_deleted_after_the_days_it_is_kept(app: Any, jobs: TestClient, data_dir: Path) -> None:
    location = jobs.post("/v1/jobs", content=JSONL, headers=NDJSON).headers["location"]
    status = finish(jobs, location)
    app.state.worker.sweep(time.time() + 29.9 * 86_400)
    assert jobs.get(status["result"]).status_code == 200
    app.state.worker.sweep(time.time() + 30.1 * 86_400)
    check_problem(jobs.get(location), 404)
    assert not list((data_dir / "jobs").iterdir())


@pytest.mark.parametrize("id", ["0" * 32, "1", "../keys", "%2e%2e%2fdualuse.sqlite", SECRET])
def test_an_id_that_is_none_is_answered_404(client: TestClient, id: str) -> None:
    for path in (f"/v1/jobs/{id}", f"/v1/jobs/{id}/result", f"/v1/jobs/{id}/rejects"):
        check_problem(client.get(path), 404)


def test_jobs_are_listed_the_newest_first(jobs: TestClient) -> None:
    locations = [jobs.post("/v1/jobs", content=JSONL, headers=NDJSON).headers["location"] for _ in range(3)]
    listed = [f"/v1/jobs/{job['id']}" for job in jobs.get("/v1/jobs").json()["jobs"]]
    assert listed == locations[::-1]


def test_no_text_and_no_name_of_a_file_is_logged_or_in_the_database(
    jobs: TestClient, data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    for name, row in ((f"{SECRET}.jsonl", {"title": SECRET}), (f"{SECRET}.json", {"colour": SECRET})):
        finish(jobs, jobs.post("/v1/jobs", files={"file": (name, json.dumps(row))}).headers["location"])
    ours = "".join(r.getMessage() + str(r.exc_info) for r in caplog.records if not r.name.startswith("httpx"))
    assert SECRET not in ours
    for path in data_dir.glob("dualuse.sqlite*"):
        assert SECRET.encode() not in path.read_bytes()


class _Failing(Model):
    def judge_arrow(self, *_: Any, **__: Any) -> Any:
        raise ValueError(f"cannot digest {SECRET}")


def test_a_failure_of_our_own_ends_the_job_and_not_the_service(
    model_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    with TestClient(create_app(Settings(), _Failing(model_folder))) as client:
        for _ in range(2):
            location = client.post("/v1/jobs", content=JSONL, headers=NDJSON).headers["location"]
            status = finish(client, location)
            assert "log tells where" in status["failure"]
    assert SECRET not in caplog.text
    assert f'"id":"{status["id"]}"' in caplog.text
