"""The labels of public records, by identifier: `data/labels/{train,dev}.csv`.

No text stands there. Only records under an open licence are listed, since their features are shipped; of the ACL
Anthology that means 2016 and later, because older volumes allow no commercial use.
"""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from classifier.errors import InputError
from classifier.identifiers import canonical_id
from classifier.results import ROLES, TAGS

SPLITS = ("train", "dev")
FIELDS = (
    "id",
    "split",
    "tags",
    "hard",
    "readings",
    "chosen",
    "stratum",
    "weight",
    "source",
    "license",
    "year",
)
_LICENSES = {
    "arXiv metadata CC0 1.0": "CC0-1.0",
    "18F/afsbirez": "CC0-1.0",
    "SBIR.gov award data": "US-public-domain",
    "US government work, public domain": "US-public-domain",
    "ACL Anthology: CC BY 4.0 (2016 on)": "CC-BY-4.0",
    "European Commission / CORDIS project text": "CC-BY-4.0",
    "Apache-2.0": "Apache-2.0",  # data/authored: our own writing
}
_ACL_OPEN_SINCE = 2016
_PAPER_SOURCES = ("arxiv", "acl", "paperlists")


@dataclass(frozen=True, slots=True)
class Label:
    """What annotators said of one record, and how it came to be read.

    `roles` maps each tag that applies to its role. `weight`: records of its stratum in the wider pool per record
    drawn, for the stratified sample only. `chosen`: why the record was picked for reading.
    """

    id: str
    split: str
    roles: Mapping[str, str] = field(default_factory=dict)
    hard: bool = False
    readings: int = 1
    chosen: str = ""
    stratum: str = ""
    weight: float | None = None
    source: str = ""
    license: str = ""
    year: int | None = None

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags that apply, in the order of `TAGS`."""
        return tuple(tag for tag in TAGS if tag in self.roles)


def kind_of(source: str) -> str:
    """Return `paper` or `project` for a record's source."""
    return "paper" if source.startswith(_PAPER_SOURCES) else "project"


def open_license(record: Mapping[str, Any]) -> str | None:
    """Return the short name of a labelled record's licence, or None where it is not open."""
    stated = str(record.get("license", ""))
    if stated.startswith("ACL") and int(record.get("year") or 0) < _ACL_OPEN_SINCE:
        return None
    return next((short for start, short in _LICENSES.items() if stated.startswith(start)), None)


def label_of(record: Mapping[str, Any]) -> Label:
    """Read the label of a labelled record (keys as in a labelled dump: tags, roles, hard, split ...).

    Its identifier is the canonical one, so that labels and texts join however either writes it.

    Raises InputError naming the record, the key and the values allowed.
    """
    identifier = canonical_id(str(record.get("id", "")))
    roles = {str(tag): str((record.get("roles") or {}).get(tag, "enables")) for tag in record.get("tags") or ()}
    split = str(record.get("split", "train"))
    _check(identifier, "split", split, SPLITS)
    for tag, role in roles.items():
        _check(identifier, "tags", tag, TAGS)
        _check(identifier, "roles", role, ROLES)
    return Label(
        id=identifier,
        split=split,
        roles=roles,
        hard=bool(record.get("hard")),
        readings=int(record.get("readings") or 1),
        chosen=str(record.get("chosen") or ""),
        stratum=str(record.get("stratum") or ""),
        weight=None if record.get("weight") is None else float(record["weight"]),
        source=str(record.get("source") or ""),
        license=open_license(record) or "",
        year=None if record.get("year") is None else int(record["year"]),
    )


def write_labels(labels: Iterable[Label], folder: Path) -> None:
    """Write one CSV per split, sorted by identifier.

    Raises InputError, and writes nothing, where two labels are of one record.
    """
    by_split: dict[str, list[Label]] = {split: [] for split in SPLITS}
    seen: set[str] = set()
    for label in labels:
        if label.id in seen:
            raise InputError(f"id {label.id!r} is labelled twice, perhaps written in two ways; keep one label of it.")
        seen.add(label.id)
        by_split[label.split].append(label)
    folder.mkdir(parents=True, exist_ok=True)
    for split, members in by_split.items():
        with (folder / f"{split}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(_to_row(label) for label in sorted(members, key=lambda label: label.id))


def read_labels(folder: Path) -> list[Label]:
    """Read every CSV of a labels folder.

    Raises InputError naming the file, line and column that is wrong, or the identifier that occurs twice.
    """
    paths = sorted(folder.glob("*.csv"))
    if not paths:
        raise InputError(f"{folder}: holds no labels (*.csv).")
    labels: dict[str, Label] = {}
    for path in paths:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if tuple(reader.fieldnames or ()) != FIELDS:
                raise InputError(f"{path}: columns are {reader.fieldnames}, expected {list(FIELDS)}.")
            for row in reader:
                try:
                    label = _from_row(row)
                except (ValueError, KeyError, InputError) as error:
                    raise InputError(f"{path}, line {reader.line_num}: {error}") from error
                if label.id in labels:
                    raise InputError(f"{path}, line {reader.line_num}: id {label.id!r} occurs twice; keep one.")
                labels[label.id] = label
    return list(labels.values())


def _to_row(label: Label) -> dict[str, Any]:
    return {
        "id": label.id,
        "split": label.split,
        "tags": " ".join(f"{tag}:{label.roles[tag]}" for tag in label.tags),
        "hard": int(label.hard),
        "readings": label.readings,
        "chosen": label.chosen,
        "stratum": label.stratum,
        "weight": "" if label.weight is None else repr(label.weight),
        "source": label.source,
        "license": label.license,
        "year": "" if label.year is None else label.year,
    }


def _from_row(row: Mapping[str, str]) -> Label:
    tags = [part.split(":") for part in row["tags"].split()]
    record: dict[str, Any] = {
        **row,
        "tags": [tag for tag, _ in tags],
        "roles": dict(tags),
        "hard": row["hard"] == "1",
        "weight": float(row["weight"]) if row["weight"] else None,
        "year": int(row["year"]) if row["year"] else None,
    }
    label = label_of(record)
    return Label(
        **{name: getattr(label, name) for name in FIELDS if name not in ("tags", "license")},
        roles=label.roles,
        license=row["license"],
    )


def _check(identifier: str, name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(f"record {identifier!r}, {name}: {value!r} is not one of {', '.join(allowed)}.")
