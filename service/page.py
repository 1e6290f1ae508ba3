"""The page at `/`: paste a title and an abstract, or give a small file, and read what the model says and why.

Rendered here, so that it works without script; what was typed comes back in the answer and is kept nowhere. The
service's own endpoints stay the only way in for programs: the page adds no judgement of its own.
"""

import zipfile
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import jinja2
from fastapi import APIRouter, FastAPI, Request, Response
from starlette.datastructures import UploadFile
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from classifier.compression import BY_CONTENT, compression_of, format_of
from classifier.errors import InputError
from classifier.model import Model
from classifier.readers import read
from classifier.records import MAX_CHARS, Record, Refusal, to_record
from classifier.report import UNSHOWN
from classifier.results import NOTICE, TAGS, Result
from classifier.taxonomy import Taxonomy, load_taxonomy
from service import card
from service.browser import BrowserRules
from service.classify import is_quarantined
from service.deps import LoadedModel
from service.highlight import Span, stretches_of
from service.judging import judge
from service.problems import TITLES, Problem

FILE_RECORDS = 200
"""Records of a file that the page judges; longer files are for jobs or the command line."""
FILE_BYTES = 2_000_000
_MAX_UNPACKED = 50_000_000  # bytes of a workbook; its shared texts are held in memory at once
_PACKED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")  # gzip, zstd

_FORMATS = "CSV, Excel, JSON, JSON Lines, RIS, BibTeX, PubMed, Web of Science"
_HERE = Path(__file__).parent
_FIELDS = 4
_MARKED = ("flag", "review")
_LETTERS = {tag: tag[0].upper() for tag in TAGS} | {"disinformation": "I"}  # drones has the D

router = APIRouter(include_in_schema=False)


def add_to(app: FastAPI) -> None:
    """Give an app the page and its rules for browsers. To be called before `RequestLog` is added, after key checks."""
    app.state.pages = _environment()
    app.state.taxonomy = load_taxonomy()
    app.include_router(router)
    app.include_router(card.router)
    app.mount("/static", StaticFiles(directory=_HERE / "static"), name="static")
    app.add_middleware(BrowserRules, refuse=lambda problem, request_id: _refusal(app, problem, request_id))


@router.get("/")
async def form(request: Request) -> Response:
    """Show the empty form."""
    return _render(request.app, 200)


@router.post("/")
async def judge_text(request: Request, model: LoadedModel) -> Response:
    """Judge one title and abstract."""
    _check_may_see(request)
    sent = await _read_form(request)
    given = {name: sent.texts.get(name, "") for name in ("title", "abstract", "profile")}
    profile = given["profile"] or "balanced"
    record = to_record({"title": given["title"], "abstract": given["abstract"]}, 1)
    if isinstance(record, Refusal):
        wrong = _empty_or_too_long(given)
        return _render(request.app, 422, headline="Not judged", given=given, wrong=wrong)
    judged = await request.app.state.slots.run(lambda: _explain(request, model, record, profile))
    headline, explained = _headline(judged)
    return _render(request.app, 200, headline=headline, explained=explained, given=given, judged=judged)


@router.post("/file")
async def judge_file(request: Request, model: LoadedModel) -> Response:
    """Judge every record of a small file."""
    _check_may_see(request)
    sent = await _read_form(request)
    profile = sent.texts.get("profile") or "balanced"
    if not sent.file_name:
        return _render(request.app, 422, headline="Not judged", wrong={"file": "Choose a file first."})
    try:
        listed = await request.app.state.slots.run(lambda: _judge_file(request, model, sent, profile))
    except InputError as error:
        return _render(request.app, 422, headline="Not judged", wrong={"file": str(error)})
    flagged, judged = listed["flagged"], len(listed["rows"])
    return _render(request.app, 200, headline=f"{flagged:,} of {judged:,} records flagged", listed=listed)


def _check_may_see(request: Request) -> None:
    if is_quarantined(request):
        raise Problem(403, "A submit key sees no results here. Send the text to POST /v1/classify: it gives a ticket.")


def _explain(request: Request, model: Model, record: Record, profile: str) -> dict[str, Any]:
    from classifier.explain import explain

    judge(request, model, [record], profile)
    return judged_view(explain(model, record, profile=profile).as_dict(), request.app.state.taxonomy)


def judged_view(explanation: dict[str, Any], taxonomy: Taxonomy) -> dict[str, Any]:
    """Return what the page shows of one explanation: tags in order of interest, the text cut where it is marked."""
    meanings = {tag.id: tag for tag in taxonomy.tags}
    tags = []
    for name, told in explanation["tags"].items():
        named = _terms_by_entry(told["terms"])
        entries = [entry.as_dict() | {"terms": named.get(entry.id, [])} for entry in taxonomy.entries(name)]
        entries.sort(key=lambda entry: not entry["terms"])  # those that words of the text point to come first
        about = {"id": name, "letter": _LETTERS[name], "about": meanings[name].as_dict(), "entries": entries}
        tags.append(told | about)
    tags.sort(key=lambda tag: (_rank(tag["decision"]), -tag["probability"] / tag["threshold"]))
    marked = [tag for tag in tags if tag["decision"] in _MARKED]
    fields = {
        field: stretches_of(
            explanation[field],
            [
                Span(phrase["start"], phrase["end"], tag["id"])
                for tag in marked
                for phrase in tag["phrases"]
                if phrase["field"] == field
            ],
        )
        for field in ("title", "abstract")
    }
    return {
        "model": explanation["model"],
        "notes": explanation["notes"],
        "tags": tags,
        "marked": marked,
        "flagged": [tag for tag in tags if tag["decision"] == "flag"],
        "review": [tag for tag in tags if tag["decision"] == "review"],
        "abstained": all(tag["decision"] == "abstain" for tag in tags),
        "fields": fields,
    }


def _terms_by_entry(terms: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Return the terms found in a text by the id of the control-list entry they point to, each once."""
    found: dict[str, list[str]] = {}
    for term in terms:
        for entry in term["entries"]:
            known = found.setdefault(entry["id"], [])
            if term["term"] not in known:
                known.append(term["term"])
    return found


def _headline(judged: dict[str, Any]) -> tuple[str, str]:
    """Return what the outcome is, and what it asks of the reader."""
    flagged, review = (", ".join(tag["id"] for tag in judged[kind]) for kind in ("flagged", "review"))
    if judged["abstained"]:
        return "Not judged", "The model abstains. This says nothing about the text; a person has to read it."
    if flagged:
        also = f" To review: {review}." if review else ""
        return f"Flagged: {flagged}", f"Please read the text with this in mind.{also} {NOTICE}"
    if review:
        return f"To review: {review}", "Close to the threshold. A person with time for it should read the text."
    return "Nothing flagged", "No tag reaches its threshold. That is no proof that the text touches none of the topics."


def _rank(decision: str) -> int:
    return _MARKED.index(decision) if decision in _MARKED else len(_MARKED)


def _judge_file(request: Request, model: Model, sent: "_Sent", profile: str) -> dict[str, Any]:
    outcomes = _read_small(sent.file, sent.file_name)
    records = [outcome for outcome in outcomes if isinstance(outcome, Record)]
    results = judge(request, model, records, profile) if records else []
    return {
        "name": sent.file_name,
        "rows": [_row(record, result) for record, result in zip(records, results, strict=True)],
        "refused": [outcome for outcome in outcomes if isinstance(outcome, Refusal)],
        "flagged": sum(bool(result.tags) for result in results),
        "model": model.id,
    }


def _read_small(data: bytes, name: str) -> list[Record | Refusal]:
    """Return a file's records.

    Raises InputError where it is empty, compressed, too large for the page, or not to be read.
    """
    larger = "Use `dualuse classify` on the command line, or POST /v1/jobs, for it."
    if len(data) > FILE_BYTES:
        raise InputError(f"The file has {len(data):,} bytes; the page takes {FILE_BYTES:,}. {larger}")
    path = Path(name)
    if compression_of(path) or path.suffix.lower() == ".zip" or any(data.startswith(magic) for magic in _PACKED):
        raise InputError(f"The page takes no compressed files. Unpack it first. {larger}")
    kind = format_of(path)
    if kind == "parquet" or data.startswith(b"PAR1"):
        raise InputError(f"The page takes no Parquet. {larger}")
    if data.startswith(b"PK") and _unpacked_bytes(data) > _MAX_UNPACKED:
        raise InputError(f"The workbook is too large for the page once it is unpacked. {larger}")
    found = read(BytesIO(data), format=None if kind == BY_CONTENT else kind)
    outcomes = list(islice(found, FILE_RECORDS + 1))
    if len(outcomes) > FILE_RECORDS:
        raise InputError(f"The file has more than {FILE_RECORDS:,} records, the most that the page judges. {larger}")
    return outcomes


def _unpacked_bytes(data: bytes) -> int:
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            return sum(part.file_size for part in archive.infolist())
    except zipfile.BadZipFile:
        return 0  # the reader will say what is wrong with it


def _row(record: Record, result: Result) -> dict[str, Any]:
    row = result.as_row()
    marked = [
        {
            "id": tag,
            "decision": judgement.decision,
            "probability": judgement.probability,
            "role": row.get(f"{tag}_role"),
        }
        for tag, judgement in result.judgements.items()
        if judgement.decision in _MARKED
    ]
    marked.sort(key=lambda tag: (_rank(str(tag["decision"])), -float(tag["probability"] or 0)))
    return {"row": record.row, "id": record.id, "title": record.title, "tags": marked, "notes": result.notes}


@dataclass(frozen=True, slots=True)
class _Sent:
    """What a form held: texts by name of the field, and a file under its own name, without a folder."""

    texts: dict[str, str]
    file_name: str
    file: bytes


async def _read_form(request: Request) -> _Sent:
    """Read a form into memory alone: Starlette's own way puts a large file into a temporary one on disk.

    Raises Problem 400 where it is malformed, 415 where it is no form.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    limit = request.app.state.settings.max_body_bytes
    try:
        if kind == "multipart/form-data":
            parser = MultiPartParser(
                request.headers, request.stream(), max_files=1, max_fields=_FIELDS, max_part_size=limit
            )
            parser.spool_max_size = limit + 1
            form = await parser.parse()
        elif kind == "application/x-www-form-urlencoded":
            form = await FormParser(request.headers, request.stream()).parse()
        else:
            raise Problem(415, "Send the form from the page; programs use POST /v1/classify.")
    except MultiPartException:
        raise Problem(400, "The form is malformed. Send it from the page.") from None
    try:
        # Browsers write line ends as CR LF, whatever was pasted; as pasted, a text has the digest it has elsewhere.
        texts = {name: value.replace("\r\n", "\n") for name, value in form.items() if isinstance(value, str)}
        for file in form.values():
            if isinstance(file, UploadFile) and file.filename:
                return _Sent(texts, file.filename.replace("\\", "/").rpartition("/")[2], await file.read())
        return _Sent(texts, "", b"")
    finally:
        await form.close()


def _empty_or_too_long(given: dict[str, str]) -> dict[str, str]:
    long = [name for name in ("title", "abstract") if len(given[name]) > MAX_CHARS]
    return dict.fromkeys(long, f"Longer than {MAX_CHARS:,} characters. Shorten it.") or {
        "abstract": "Nothing to read. Give a title, an abstract, or both."
    }


def _environment() -> jinja2.Environment:
    pages = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # One for one, so that offsets stay what they are.
    pages.filters["shown"] = lambda text: UNSHOWN.sub("\ufffd", text)
    pages.filters["percent"] = lambda share: f"{share:.1%}" if share < 0.9995 else "> 99.9%"
    return pages


def _render(app: FastAPI, status: int, **view: Any) -> Response:
    model: Model | None = app.state.model
    empty: dict[str, Any] = {
        **{"headline": "", "explained": "", "given": {}, "wrong": {}},
        **{"judged": None, "listed": None, "problem": None},
    }
    content = app.state.pages.get_template("page.html").render(
        **(empty | view),
        notice=NOTICE,
        profiles=sorted(model.thresholds) if model else [],
        formats=_FORMATS,
        letters=_LETTERS,
        file_records=FILE_RECORDS,
        taxonomy=app.state.taxonomy,
        card=card.address(model.folder) if model else None,
    )
    return HTMLResponse(content, status)


def _refusal(app: FastAPI, problem: Problem, request_id: str) -> Response:
    told = {"detail": problem.detail, "errors": problem.errors, "request_id": request_id}
    return _render(app, problem.status, headline=TITLES.get(problem.status, "Error"), problem=told)
