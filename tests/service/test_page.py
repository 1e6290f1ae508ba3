"""The page tells what the service tells, to whoever may see it, and lets no text act as anything but text."""

import io
import re
import tempfile
import zipfile
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from classifier import NOTICE, TAGS, Model
from classifier.results import Result
from service.app import create_app
from service.browser import SECURITY_HEADERS
from service.database import open_database
from service.highlight import Span, Stretch, stretches_of
from service.keys import Role, add_key
from service.page import FILE_RECORDS
from service.settings import Settings

TEXT = {"title": "A quadrotor <b>for</b> crowds", "abstract": "The quadrotor lands.\r\nIt counts a crowd & waits."}
BROWSER = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def told(client: TestClient) -> str:
    """The page that answers TEXT."""
    answer = client.post("/", data=TEXT)
    assert answer.status_code == 200, answer.text
    return answer.text


class _Checker(HTMLParser):
    """Notes elements left open, ids used twice, and whatever a strict policy would not run."""

    VOID = frozenset({"meta", "link", "input", "br", "rect"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.faults: list[str] = []
        self.references: list[str] = []
        self.headings: list[int] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        if tag[0] == "h" and tag[1:].isdecimal():
            self.headings.append(int(tag[1]))
        self.ids += [given["id"] or ""] if "id" in given else []
        self.faults += [name for name in given if name == "style" or name.startswith("on")]
        for name in ("for", "aria-labelledby", "aria-describedby"):
            self.references += (given.get(name) or "").split()
        if tag == "script" and not given.get("src", "").startswith("/static/"):  # type: ignore[union-attr]
            self.faults.append("inline script")

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID and (not self.open or self.open.pop() != tag):
            self.faults.append(f"</{tag}>")


def check(html: str) -> None:
    checker = _Checker()
    checker.feed(html)
    assert checker.open == []
    assert checker.faults == []
    assert len(set(checker.ids)) == len(checker.ids)
    assert set(checker.references) <= set(checker.ids), "a label or description leads nowhere"
    assert checker.headings[0] == 1
    assert checker.headings.count(1) == 1
    steps = zip(checker.headings, checker.headings[1:], strict=False)
    assert all(after <= before + 1 for before, after in steps), "a level of headings is left out"


def test_every_page_is_well_formed_and_runs_nothing_inline(client: TestClient, told: str) -> None:
    check(told)
    check(client.get("/").text)
    check(client.post("/", data={"title": ""}).text)
    check(client.post("/file", files={"file": ("a.csv", b"title,id\nquadrotor,1\n,2\n")}).text)
    check(client.post("/file", files={"file": ("a.csv.gz", b"\x1f\x8b")}).text)
    check(client.post("/", data=TEXT, headers=BROWSER | {"Origin": "https://elsewhere.example"}).text)


def test_it_shows_the_numbers_that_the_service_gives(client: TestClient, told: str) -> None:
    document = {"title": TEXT["title"], "abstract": TEXT["abstract"].replace("\r\n", "\n")}
    (result,) = client.post("/v1/classify", json={"documents": [document]}).json()["results"]
    assert result["tags"], "nothing is flagged: the comparison would prove little"
    rows = re.findall(r"<tr class=\"(\w+)\">\s*<th scope=\"row\">(\w+)</th>.*?<td>([^<]*%)</td>", told, re.DOTALL)
    assert {name for _, name, _ in rows} == set(TAGS)
    for decision, name, shown in rows:
        assert decision == result[f"{name}_decision"]
        assert shown == f"{result[f'{name}_probability']:.1%}"
    assert f'<h1 id="outcome" tabindex="-1" autofocus>Flagged: {", ".join(result["tags"])}</h1>' in told
    assert NOTICE in told


def test_a_text_comes_back_as_text_with_the_words_that_counted_marked(told: str) -> None:
    assert "<b>for</b>" not in told
    assert "&lt;b&gt;for&lt;/b&gt;" in told
    shown = re.search(r'<p class="abstract">(.*?)</p>', told, re.DOTALL)
    assert shown
    assert "<mark>quadrotor<sup" in shown[1]
    plain = unescape(re.sub(r"<sup.*?</sup>|<[^>]+>", "", shown[1]))
    assert plain == TEXT["abstract"].replace("\r\n", "\n")


def test_control_list_entries_come_with_their_date_and_strength_and_the_word_that_points_to_them(told: str) -> None:
    (first,) = re.findall(r'<ul class="entries">\s*<li>(.*?)</li>', told, re.DOTALL)[:1]
    assert "Named in the text: <bdi>quadrotor</bdi>" in first
    assert re.search(r'direct; list of <time datetime="20\d\d-\d\d-\d\d">', first)


def test_what_could_make_a_line_read_otherwise_is_not_shown(client: TestClient) -> None:
    told = client.post("/", data={"title": "quadrotor \u202etxt.exe \x07", "abstract": ""}).text
    shown = re.search(r'<p class="title">(.*?)</p>', told, re.DOTALL)
    assert shown
    assert "\ufffdtxt.exe \ufffd" in shown[1]


def test_a_text_without_flags_says_that_this_is_no_proof(client: TestClient) -> None:
    told = client.post("/", data={"title": "Mint, mint, mint, mint, mint, mint, mint, mint and mint"}).text
    assert "Nothing flagged</h1>" in told
    assert "no proof" in told


def test_an_empty_form_says_what_is_missing_at_the_field(client: TestClient) -> None:
    answer = client.post("/", data={"title": " "})
    assert answer.status_code == 422
    assert 'aria-describedby="abstract-wrong" aria-invalid="true"' in answer.text
    assert "Nothing to read. Give a title, an abstract, or both." in answer.text


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv.gz", b"\x1f\x8b\x08", "no compressed files"),
        ("a.csv", b"\x28\xb5\x2f\xfd", "no compressed files"),
        ("a.zip", b"PK", "no compressed files"),
        ("a.parquet", b"PAR1", "no Parquet"),
        ("a.txt", b"PAR1", "no Parquet"),
        ("a.csv", b"", "is empty"),
        ("a.csv", b"x,y\n1,2\n", "--title-column"),
        ("a.csv", b"title\n" + b"a\n" * (FILE_RECORDS + 1), "more than 200 records"),
        ("a.csv", b"title\n" + b"a" * 2_000_000, "the page takes 2,000,000"),
        ("", b"title\na\n", "Choose a file first."),
    ],
)
def test_a_file_that_is_none_for_the_page_is_told_so(client: TestClient, name: str, content: bytes, said: str) -> None:
    answer = client.post("/file", files={"file": (name, content)})
    assert answer.status_code == 422
    assert said in unescape(answer.text)


def test_a_workbook_that_swells_is_not_unpacked(client: TestClient) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sharedStrings.xml", bytes(60_000_000))
    answer = client.post("/file", files={"file": ("a.xlsx", packed.getvalue())})
    assert answer.status_code == 422
    assert "too large for the page once it is unpacked" in answer.text


def test_a_file_is_judged_in_its_order_and_its_name_is_only_a_name(client: TestClient, model: Model) -> None:
    content = b"id,title\na-1,A quadrotor\na-2,\na-3,Mint\n"
    told = client.post("/file", files={"file": ("../../etc/<i>p.csv", content)}).text
    assert "<bdi>&lt;i&gt;p.csv</bdi>: 2 judged, 1 refused" in told
    assert told.index("a-1") < told.index("a-3")
    assert "Row 3" in told
    assert "1 of 2 records flagged</h1>" in told
    (result,) = model.classify([("A quadrotor", "")])
    assert isinstance(result, Result)
    assert f"drones {result.judgements['drones'].probability:.1%}" in told


def test_no_temporary_file_ever_holds_what_was_sent(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a text was put on disk")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", refuse)
    content = b"title\n" + b"a" * 1_900_000
    assert client.post("/file", files={"file": ("a.csv", content)}).status_code in (200, 422)


@pytest.mark.parametrize("path", ["/", "/static/page.css", "/static/page.js", "/static/icon.svg"])
def test_a_browser_gets_strict_headers_and_may_keep_no_page(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers[name] == value
    assert answer.headers["cache-control"] == ("no-cache" if path.startswith("/static/") else "no-store")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]


def test_an_answer_is_not_kept_either(client: TestClient) -> None:
    assert client.post("/", data=TEXT).headers["cache-control"] == "no-store"
    assert client.post("/", data={"title": ""}).headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://testserver"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Origin": "http://testserver"}, 200),
        ({}, 200),
    ],
)
def test_a_form_that_another_site_posts_is_refused(client: TestClient, headers: dict[str, str], status: int) -> None:
    for path in ("/", "/file"):
        sent = {"data": TEXT} if path == "/" else {"files": {"file": ("a.csv", b"title\nMint\n")}}
        assert client.post(path, headers=headers, **sent).status_code == status  # type: ignore[arg-type]


def test_what_is_no_form_is_refused(client: TestClient) -> None:
    assert client.post("/", json=TEXT).status_code == 415
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    assert client.post("/", content=b"nonsense", headers=kind).status_code == 400
    shown = client.post("/", json=TEXT, headers=BROWSER)
    assert (shown.status_code, "<h1" in shown.text) == (415, True)


def test_nothing_outside_the_folder_of_static_files_is_given(client: TestClient) -> None:
    for path in ("/static/../page.py", "/static/%2e%2e/page.py", "/static/none.css", "/static/"):
        assert client.get(path).status_code in (404, 405)


@pytest.fixture(scope="module")
def guarded(
    model_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[TestClient, dict[str, str]]]:
    """A service in quarantine, and its keys by role."""
    settings = Settings(model=model_folder, data_dir=tmp_path_factory.mktemp("guarded"), quarantine=True)
    engine = open_database(settings)
    keys = {role.value: add_key(engine, role.value, role) for role in Role}
    engine.dispose()
    with TestClient(create_app(settings)) as client:
        yield client, keys


def test_a_browser_is_asked_for_the_key_and_gives_it_as_a_password(
    guarded: tuple[TestClient, dict[str, str]],
) -> None:
    client, keys = guarded
    asked = client.get("/", headers=BROWSER)
    assert asked.status_code == 401
    assert asked.headers["www-authenticate"].startswith("Basic ")
    assert client.get("/", auth=("anyone", keys["read"])).status_code == 200
    assert client.get("/", auth=("anyone", "wrong")).status_code == 401
    assert client.get("/", headers={"Authorization": "Basic !"}).status_code == 401
    # Only here: a program's key belongs into its own header.
    assert client.get("/v1/taxonomy", auth=("anyone", keys["read"])).status_code == 401


def test_in_quarantine_a_submit_key_sees_no_score_on_the_page_either(
    guarded: tuple[TestClient, dict[str, str]],
) -> None:
    client, keys = guarded
    for role, status in (("submit", 403), ("read", 200), ("admin", 200)):
        answer = client.post("/", data=TEXT, auth=("anyone", keys[role]), headers=BROWSER)
        assert answer.status_code == status
        assert ("Probabilit" in answer.text) == (status == 200)
    file = {"file": ("a.csv", b"title\nA quadrotor\n")}
    assert client.post("/file", files=file, auth=("anyone", keys["submit"])).status_code == 403
    flat = client.post("/v1/classify/flat", json={"title": "A quadrotor"}, headers={"X-API-Key": keys["submit"]})
    assert flat.status_code == 202
    assert "probability" not in flat.text


def test_spans_that_overlap_are_cut_at_their_edges() -> None:
    spans = [Span(0, 4, "a"), Span(2, 6, "b"), Span(2, 6, "b"), Span(6, 6, "a"), Span(8, 99, "a")]
    assert stretches_of("0123456789", spans) == [
        Stretch("01", ("a",)),
        Stretch("23", ("a", "b")),
        Stretch("45", ("b",)),
        Stretch("67", ()),
        Stretch("89", ("a",)),
    ]
    assert stretches_of("", spans) == []
