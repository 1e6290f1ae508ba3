"""Determination records: what was judged, by which model, with which outcome, as entries of a hash chain.

An entry holds digests, numbers and decisions, never a text, a title or a document's id: the file may lie for years
where texts may not. Whoever has the text finds its entry by the digest, and `replay` scores it again.
"""

import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from classifier.cleaning import clean
from classifier.model import Model
from classifier.records import Record
from classifier.results import NOTICE, TAGS, Result
from classifier.runrecord import record_path
from service import log
from service.chain import Chain, ChainError, Fault, Link, now, walk
from service.problems import Problem

FILE_NAME = "determinations.jsonl"
"""Where the records lie in the data folder."""

CLASSIFIED, JOB = "classified", "job"


class Recorder:
    """Writes an entry for every document judged. Shared by all threads of a service."""

    def __init__(self, path: Path) -> None:
        """Open the file of records, or begin it; a line torn by a kill is accounted for, and logged.

        Raises ChainError where its end was changed, OSError where it cannot be written.
        """
        self._chain = Chain(path)
        self._told = 0
        self._tell_mended()

    def record(
        self,
        records: Sequence[Record],
        results: Sequence[Result],
        model: Model,
        profile: str,
        *,
        request_id: str,
        key_id: str | None,
        route: str,
    ) -> None:
        """Write one entry per document; they are on disk when this returns.

        Raises Problem 503 where they cannot be written: what cannot be recorded is not to be answered.
        """
        common = _common(model, profile) | {"request_id": request_id, "key_id": key_id, "route": route}
        time = now()
        contents = [
            _content(record, result, place) | common | {"time": time}
            for place, (record, result) in enumerate(zip(records, results, strict=True), 1)
        ]
        try:
            self._chain.append(contents)
        except (OSError, ChainError) as error:
            log.write(logging.ERROR, "not recorded", request_id=request_id, detail=str(error))
            why = error.strerror if isinstance(error, OSError) else "the file of records was changed"
            detail = f"The determination could not be recorded ({why}), so nothing is answered."
            raise Problem(503, detail, headers={"Retry-After": "30"}) from None
        finally:
            self._tell_mended()

    def record_job(self, job_id: str, key_id: str, target: Path, model: Model, profile: str) -> None:
        """Write one entry for a finished job: digests of what was uploaded and of the result, which has the scores.

        Raises OSError where it cannot be written, or the record of the run cannot be read, ChainError where the file
        was changed.
        """
        run = orjson.loads(record_path(target).read_bytes())
        files = {
            "inputs": [{name: file[name] for name in ("bytes", "sha256")} for file in run["inputs"]],
            "outputs": [
                {name: file[name] for name in ("format", "rows", "bytes", "sha256")} for file in run["outputs"]
            ],
        }
        counts = {name: run[name] for name in ("rows", "scored", "refused")}
        about = {"kind": JOB, "time": now(), "job_id": job_id, "key_id": key_id, "route": "/v1/jobs"}
        self._chain.append([about | counts | files | _common(model, profile)])

    def close(self) -> None:
        """Close the file."""
        self._chain.close()

    def _tell_mended(self) -> None:
        for fault in self._chain.mended[self._told :]:
            self._told += 1
            log.write(logging.WARNING, "records mended", detail=fault.text)


def input_digest(title: str, abstract: str) -> str:
    """Return the SHA-256 over a title and an abstract in UTF-8, each after its length (8 bytes, big-endian).

    The lengths keep ("ab", "c") and ("a", "bc") apart.
    """
    total = hashlib.sha256()
    for text in (title, abstract):
        data = text.encode("utf-8", "surrogatepass")
        total.update(len(data).to_bytes(8, "big"))
        total.update(data)
    return total.hexdigest()


@dataclass(frozen=True, slots=True)
class Replay:
    """How a text scored again compares with one entry; no differences: the same to the bit."""

    entry: int
    time: str
    differences: tuple[str, ...]


def replay(path: Path, records: Iterable[Record], model: Model) -> Iterator[tuple[Record, list[Replay]]]:
    """Score records again and compare with each entry that is about the same text.

    A record with no entry comes with an empty list. Works on the whole file of records, which is read once.
    """
    by_digest: dict[str, Record] = {}
    records = list(records)
    for record in records:
        by_digest.setdefault(input_digest(record.title, record.abstract), record)
    found: dict[str, list[Replay]] = {}
    for link in entries(path):
        digest = str(link.content.get("input_sha256"))
        if digest in by_digest:
            differences = tuple(_differences(link.content, by_digest[digest], model))
            found.setdefault(digest, []).append(Replay(link.head.count, str(link.content.get("time")), differences))
    for record in records:
        yield record, found.get(input_digest(record.title, record.abstract), [])


def entries(path: Path) -> Iterator[Link]:
    """Yield the entries about a text, in order, whether or not the chain between them holds."""
    for step in walk(path):
        if isinstance(step, Link) and step.content.get("kind") == CLASSIFIED:
            yield step


def faults(path: Path) -> list[Fault]:
    """Return what is wrong with a file of records; mended places are not."""
    return [step for step in walk(path) if isinstance(step, Fault) and not step.mended]


CASRAI_FIELDS = (
    *("determination_type", "scope", "finding", "date", "expiry", "authorising_officer"),
    *("linked_projects", "linked_outputs", "restrictions"),
)
"""CASRAI's Research-Security Determination (dictionary v2026.1, domain research-security): the officer's to fill."""


def determination(link: Link) -> dict[str, Any]:
    """Return one entry as a row for a system that keeps determinations.

    CASRAI's fields are left empty: a screening determines nothing. What the machine knows stands in columns of our
    own beside them, `screening_...`.
    """
    content = link.content
    row: dict[str, Any] = dict.fromkeys(CASRAI_FIELDS)
    row |= {
        "screening_entry": link.head.count,
        "screening_entry_sha256": link.head.hash,
        "screening_time": content["time"],
        "screening_request_id": content["request_id"],
        "screening_key_id": content["key_id"],
        "screening_document": content["document"],
        "screening_input_sha256": content["input_sha256"],
        "screening_model": content["model"],
        "screening_model_sha256": content["model_sha256"],
        "screening_profile": content["profile"],
        "screening_flagged": ",".join(tag for tag in TAGS if content["decisions"][tag] == "flag"),
        "screening_notes": "; ".join(content["notes"]),
    }
    for tag in TAGS:
        for name, column in _PER_TAG.items():
            row[f"screening_{tag}_{name}"] = content[column][tag]
    return row | {"screening_notice": NOTICE}


_PER_TAG = {
    "probability": "probabilities",
    "threshold": "thresholds",
    "review_threshold": "review_thresholds",
    "decision": "decisions",
    "role": "roles",
}


def _common(model: Model, profile: str) -> dict[str, Any]:
    return {
        "profile": profile,
        "model": model.id,
        "model_sha256": model.digest,
        "thresholds": {tag: model.thresholds[profile][tag] for tag in TAGS},
        "review_thresholds": {tag: model.review_thresholds[tag] for tag in TAGS},
        "software": version("dualuse"),
    }


def _content(record: Record, result: Result, document: int) -> dict[str, Any]:
    return {"kind": CLASSIFIED, "document": document, **_digests(record), **_outcome(result)}


def _digests(record: Record) -> dict[str, str]:
    return {
        "input_sha256": input_digest(record.title, record.abstract),
        "cleaned_sha256": input_digest(clean(record.title), clean(record.abstract)),
    }


def _outcome(result: Result) -> dict[str, Any]:
    row = result.as_row()
    return {
        "probabilities": {tag: row[f"{tag}_probability"] for tag in TAGS},
        "decisions": {tag: row[f"{tag}_decision"] for tag in TAGS},
        "roles": {tag: row.get(f"{tag}_role") for tag in TAGS},
        "notes": row["notes"],
    }


def _differences(content: Mapping[str, Any], record: Record, model: Model) -> Iterator[str]:
    """Say in words what is not as recorded."""
    if content["model_sha256"] != model.digest:
        yield f"model: recorded {content['model']} ({content['model_sha256']}), loaded {model.id} ({model.digest})"
    if content["cleaned_sha256"] != _digests(record)["cleaned_sha256"]:
        yield "cleaned text: this version cleans the text otherwise"
    profile = content["profile"]
    if profile not in model.thresholds:
        yield f"profile: {profile!r} is not one of {model.id}"
        return
    again = _common(model, profile) | _outcome(model.judge([record], profile=profile)[0])
    for name in _PER_TAG.values():
        for tag in TAGS:
            recorded, now_ = content[name][tag], again[name][tag]
            if recorded != now_:
                yield f"{name}, {tag}: recorded {recorded}, now {now_}"
    if content["notes"] != again["notes"]:
        yield f"notes: recorded {content['notes']}, now {again['notes']}"
