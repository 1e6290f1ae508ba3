"""OUT.run.json: what a run read and wrote, to prove later that an output is whole and what it was made from.

The part called `identity` says what was asked for; the same identity gives the same bytes. It also decides whether an
unfinished run may be taken up. A file is told from its changed self by size, time and the digest of both its ends: a
whole digest would cost another reading before anything can start.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from classifier.errors import DualuseError
from classifier.formats import xlsx
from classifier.formats.many import list_members
from classifier.model import Model, load
from classifier.partial import differences

FORMAT = 1
_END = 1 << 20
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked; `problem` is what differs, if anything; `note` what could not be checked."""

    subject: str
    problem: str | None = None
    note: str | None = None


def record_path(target: Path) -> Path:
    """Return where the record of a run towards `target` is kept."""
    return target.with_name(f"{target.name}.run.json")


def source_files(source: object, format: str | None = None) -> list[Path]:
    """Return the files that make up a source; none for a pipe or a stream, which cannot be read again.

    Raises InputError where a folder, a pattern or an archive holds nothing to read.
    """
    if not isinstance(source, (str, Path)) or str(source) == "-":
        return []
    members = list_members(source, format)
    if members is not None:
        return list(dict.fromkeys(member.path for member in members))
    return [Path(source)] if Path(source).is_file() else []


def identify(files: Sequence[Path], model: Model, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides a run's output: inputs, model, options and versions."""
    from importlib.metadata import version  # slow to import, by all the parts of an e-mail

    return {
        "inputs": {str(path.resolve()): identify_file(path) for path in files},
        "model": {"id": model.id, "digest": model.digest},
        "options": dict(options),
        "versions": {name: version(name) for name in ("dualuse", "pyarrow")},
    }


def identify_file(path: Path) -> dict[str, Any]:
    """Tell a file from its changed self without reading it whole."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        ends = hashlib.sha256(file.read(_END))
        file.seek(max(0, status.st_size - _END))
        ends.update(file.read(_END))
    return {
        "bytes": status.st_size,
        "modified_ns": status.st_mtime_ns,
        "ends_sha256": ends.hexdigest(),
    }


class FileDigest:
    """Digests a file that is being read, close behind the reader, while its pages are still in memory."""

    def __init__(self, path: Path) -> None:
        """Begin at the start of a file."""
        self._file = path.open("rb")
        self._digest = hashlib.sha256()
        self.bytes = 0

    def advance(self, to: int | None = None) -> None:
        """Digest up to a place, or to the end."""
        while (to is None or self.bytes < to) and (piece := self._file.read(_PIECE)):
            self._digest.update(piece)
            self.bytes += len(piece)

    def finish(self) -> str:
        """Return the SHA-256 of the whole file."""
        self.advance()
        self._file.close()
        return self._digest.hexdigest()

    def close(self) -> None:
        """Give up."""
        self._file.close()


def finished_record(target: Path) -> dict[str, Any] | None:
    """Return the record of the run that wrote `target`, if its outputs are in place as it left them, else None."""
    try:
        record: dict[str, Any] = orjson.loads(record_path(target).read_bytes())
        whole = all(
            _at(target, entry).stat().st_size == entry["bytes"] for entry in (*record["outputs"], *record["pages"])
        )
        return record if whole and isinstance(record["identity"], dict) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def changes_since(record: Mapping[str, Any], identity: Mapping[str, Any]) -> list[str]:
    """Say what of input, model or options is another now than in the record of a run; nothing for the same run."""
    return differences(record["identity"], orjson.loads(orjson.dumps(identity)))


def describe_file(path: Path, beside: Path, format: str, rows: int, sha256: str | None = None) -> dict[str, Any]:
    """Describe an output for the record, by its name seen from OUT: the record moves with it."""
    size = path.stat().st_size
    name = os.path.relpath(path, beside.parent)
    return {"name": name, "format": format, "bytes": size, "sha256": sha256 or sha256_of(path), "rows": rows}


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify_run(path: Path) -> list[Finding]:
    """Check a run's record, given as OUT.run.json or OUT, against outputs, input and model.

    Raises DualuseError where there is no readable record.
    """
    if not path.name.endswith(".run.json"):
        path = record_path(path)
    try:
        record = orjson.loads(path.read_bytes())
        if record["format"] != FORMAT:
            raise DualuseError(f"{path}: format {record['format']!r}; this version reads {FORMAT}. Update dualuse.")
        outputs, inputs, model = record["outputs"], record["inputs"], record["identity"]["model"]
        findings = [_check_counts(record)]
        findings += [_check_output(path, entry) for entry in (*outputs, *record["pages"])]
        findings += [_check_input(entry) for entry in inputs]
        findings.append(_check_model(record["model_folder"], model))
    except OSError as error:
        raise DualuseError(f"{path} cannot be read: {error.strerror}. Name OUT or OUT.run.json.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DualuseError(f"{path} is not the record of a run, or is damaged ({type(error).__name__}).") from error
    return findings


def _check_counts(record: Mapping[str, Any]) -> Finding:
    scored, refused, rows = record["scored"], record["refused"], record["rows"]
    written = [entry["rows"] for entry in record["outputs"]]
    wrong = rows != scored + refused or written != ([scored, refused] if len(written) > 1 else [scored])
    problem = f"rows in {rows} = scored {scored} + refused {refused} does not hold" if wrong else None
    return Finding("counts", problem)


def _check_output(record: Path, entry: Mapping[str, Any]) -> Finding:
    path = _at(record, entry)
    if not path.exists():
        return Finding(str(path), "is missing")
    if path.stat().st_size != entry["bytes"]:
        return Finding(str(path), f"has {path.stat().st_size:,} bytes, not {entry['bytes']:,}: its content was changed")
    if sha256_of(path) != entry["sha256"]:
        return Finding(str(path), "has another SHA-256: its content was changed")
    rows = count_output_rows(path, entry["format"]) if entry["format"] != "html" else entry["rows"]
    if rows != entry["rows"]:
        return Finding(str(path), f"holds {rows:,} rows, not {entry['rows']:,}")
    return Finding(str(path))


def count_output_rows(path: Path, format: str) -> int:
    """Count the rows of an output."""
    from classifier.compression import compression_of, decompressed

    if format == "parquet":
        import pyarrow.parquet as pq

        return int(pq.read_metadata(path).num_rows)
    if format == "jsonl":
        with path.open("rb") as file:
            if not path.stat().st_size:
                return 0
            with decompressed(file, compression_of(path), str(path)) as (_, lines, _):
                return sum(1 for _ in lines)
    if format == "xlsx":
        with path.open("rb") as file:
            return sum(1 for _ in xlsx.read(file, str(path)))
    return sum(1 for _ in _table_rows(path, format))


def _table_rows(path: Path, format: str) -> Any:
    import csv
    import io

    from classifier.compression import compression_of, decompressed

    csv.field_size_limit(1 << 30)
    with path.open("rb") as file, decompressed(file, compression_of(path), str(path)) as (_, stream, _):
        rows = csv.reader(
            io.TextIOWrapper(stream, encoding="utf-8", newline=""), delimiter="\t" if format == "tsv" else ","
        )
        next(rows, None)
        yield from rows


def _check_input(source: Mapping[str, Any]) -> Finding:
    path = Path(source["path"])
    if not path.is_file():
        return Finding(str(path), note="is not there any more: not checked")
    if path.stat().st_size != source["bytes"] or sha256_of(path) != source["sha256"]:
        return Finding(str(path), "was changed since it was read")
    return Finding(str(path))


def _check_model(folder: str | None, known: Mapping[str, Any]) -> Finding:
    subject = f"model {known['id']}"
    if folder is not None and not Path(folder).is_dir():
        return Finding(subject, note=f"{folder} is not there any more: not checked")
    model = load(folder)
    same = model.digest == known["digest"]
    return Finding(subject, None if same else f"is now {model.id} with digest {model.digest}, not {known['digest']}")


def _at(beside: Path, entry: Mapping[str, Any]) -> Path:
    return beside.parent / str(entry["name"])
