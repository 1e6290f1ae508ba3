"""Formats of reference managers, indexes and funders, one module each.

A reader yields `(place, row)` for every record, the row being the record's own fields by their own names, or a
`Refusal`; `FIELDS` of its module says which of those names hold the id, the title and the abstract (None: they are
found by alias, as columns of a table are). JSON and CSV files of any funder need no module: `records` knows the names.
"""

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from classifier.formats import bibtex, medline, ris, wos, xlsx, xmlrecords
from classifier.records import Refusal

Entry = tuple[int, dict[str, Any]] | Refusal


@dataclass(frozen=True, slots=True)
class Format:
    """How a format is read, and where its texts are."""

    read: Callable[[io.BufferedReader, str], Iterator[Entry]]
    fields: Mapping[str, tuple[str, ...]] | None


READERS: Mapping[str, Format] = {
    "xlsx": Format(xlsx.read, None),
    "ris": Format(ris.read, ris.FIELDS),
    "wos": Format(wos.read, wos.FIELDS),
    "medline": Format(medline.read, medline.FIELDS),
    "bibtex": Format(bibtex.read, bibtex.FIELDS),
    "xml": Format(xmlrecords.read, None),
}
