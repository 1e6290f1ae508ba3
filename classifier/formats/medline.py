"""PubMed's tagged format (.nbib, or .txt), also called MEDLINE: tags of up to four letters, padded, and a dash.

Nothing closes a record: the next PMID does. Lines that go on are wrapped text, indented by six spaces.
"""

import io
import re
from collections.abc import Iterator
from typing import Any

from classifier.formats.tagged import Dialect, read_tagged
from classifier.records import Refusal

FIELDS = {"id": ("PMID", "LID", "AID"), "title": ("TI", "TT", "BTI"), "abstract": ("AB", "OAB")}

_MANY = frozenset(
    re.findall(r"\w+", "AD AID AU AUID CI CIN CN CON EIN FAU FED FIR GR IR IS ISBN LA LID MH OT PHST PS PT RN SI")
)
_DIALECT = Dialect(
    name="MEDLINE",
    line=re.compile(r"(?P<tag>[A-Z][A-Z0-9]{1,3}) {0,2}- ?(?P<value>.*)$"),
    first="PMID",
    last=None,
    shown="PMID- 12345678",
    joint=" ",
    many=_MANY,
    itemised=frozenset(),
    outside=frozenset(),
)


def read(stream: io.BufferedReader, subject: str) -> Iterator[tuple[int, dict[str, Any]] | Refusal]:
    """Yield every record with the line it begins on."""
    return read_tagged(stream, subject, _DIALECT)
