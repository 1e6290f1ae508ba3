"""Join labels, which have no text, with dumps, which have: to make features again, or to get the texts."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from classifier.identifiers import canonical_id
from classifier.readers import read
from classifier.records import Record
from training.labels import Label


def find_records(dumps: Iterable[Path], wanted: Iterable[str]) -> Iterator[Record]:
    """Yield the records whose identifiers are wanted, each once under its canonical one, in the order of the dumps."""
    missing = {canonical_id(identifier) for identifier in wanted}
    for dump in dumps:
        for item in read(dump):
            if isinstance(item, Record) and (identifier := canonical_id(item.id)) in missing:
                missing.discard(identifier)
                yield replace(item, id=identifier)


def hydrate(dumps: Sequence[Path], labels: Iterable[Label]) -> Iterator[dict[str, Any]]:
    """Yield labelled records with their text, in the form that `dualuse evaluate` reads."""
    by_id = {label.id: label for label in labels}
    for record in find_records(dumps, by_id):
        label = by_id[record.id]
        yield {
            "id": record.id,
            "title": record.title,
            "abstract": record.abstract,
            "tags": list(label.tags),
            "roles": dict(label.roles),
            "hard": label.hard,
            "readings": label.readings,
            "split": label.split,
            "chosen": label.chosen,
            "stratum": label.stratum or None,
            "weight": label.weight,
            "source": label.source,
            "license": label.license,
            "year": label.year,
        }
