"""Web of Science's own tagged format (.ciw, .isi, or .txt): two-letter tags without a dash.

Lines that go on are indented by three spaces: wrapped text in TI and AB, but one name or address a line in others.
"""

import io
import re
from collections.abc import Iterator
from typing import Any

from classifier.formats.tagged import Dialect, read_tagged
from classifier.records import Refusal

FIELDS = {"id": ("UT", "DI", "PM"), "title": ("TI",), "abstract": ("AB",)}

_ITEMISED = frozenset(("AU", "AF", "BA", "BE", "BF", "CA", "C1", "C3", "CR", "ED", "GP"))
_DIALECT = Dialect(
    name="Web of Science",
    line=re.compile(r"(?P<tag>[A-Z][A-Z0-9])(?: (?P<value>.*))?$"),
    first="PT",
    last="ER",
    shown="PT J",
    joint=" ",
    many=_ITEMISED,
    itemised=_ITEMISED,
    outside=frozenset({"FN", "VR", "EF"}),
)


def read(stream: io.BufferedReader, subject: str) -> Iterator[tuple[int, dict[str, Any]] | Refusal]:
    """Yield every record with the line it begins on."""
    return read_tagged(stream, subject, _DIALECT)
