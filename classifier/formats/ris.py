"""RIS, as Scopus, Web of Science, Dimensions, EBSCO, Ovid, ProQuest, IEEE, Zotero and EndNote export it.

The dialects differ in spaces, in AB or N2, in TI or T1, and in whether a text goes on over lines (blank ones too); a
line is a tag only with its dash, so a sentence may begin with "ER". BT and T2 name the book or journal: no titles.
"""

import io
import re
from collections.abc import Iterator
from typing import Any

from classifier.formats.tagged import Dialect, read_tagged
from classifier.records import Refusal

FIELDS = {"id": ("DO", "AN", "ID"), "title": ("TI", "T1", "TT"), "abstract": ("AB", "N2")}

_MANY = frozenset(
    ("AU", "A1", "A2", "A3", "A4", "ED", "AD", "C3", "KW", "UR", "L1", "L2", "L3", "L4", "N1", "SN", "U1")
)
_DIALECT = Dialect(
    name="RIS",
    line=re.compile(r"(?P<tag>[A-Z][A-Z0-9]) {1,4}-(?: +(?P<value>.*))?$"),
    first="TY",
    last="ER",
    shown="TY  - JOUR",
    joint="\n",
    many=_MANY,
    itemised=frozenset({"KW"}),
    outside=frozenset(),
)


def read(stream: io.BufferedReader, subject: str) -> Iterator[tuple[int, dict[str, Any]] | Refusal]:
    """Yield every record with the line it begins on."""
    return read_tagged(stream, subject, _DIALECT)
