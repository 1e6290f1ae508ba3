"""Tell a text's format from how it begins, where the name does not say: .txt, or a stream."""

import re

from classifier.records import find_columns

LOOK = 64 * 1024  # bytes
_LINES = (
    ("ris", re.compile(r"^TY {1,4}- ?\S*", re.MULTILINE)),
    ("medline", re.compile(r"^PMID- *\d", re.MULTILINE)),
    ("wos", re.compile(r"^(FN |PT [A-Z]$)", re.MULTILINE)),
    ("bibtex", re.compile(r"^[^\S\n]*@\s*[A-Za-z]+\s*[{(]", re.MULTILINE)),
)


def tell(head: bytes) -> str | None:
    """Return the format of a text by its first bytes, or None."""
    text = head.decode(errors="replace").lstrip("\ufeff \t\r\n").replace("\r\n", "\n").replace("\r", "\n")
    if text.startswith(("{", "[")):
        return "json"
    if text.startswith("<"):
        return "xml"
    for format, line in _LINES:
        if line.search(text):
            return format
    header = text.partition("\n")[0]
    for format, delimiters in (("tsv", "\t"), ("csv", ",;|")):
        for delimiter in delimiters:
            cells = [cell.strip('"') for cell in header.split(delimiter)]
            found = find_columns(tuple(cells)) if len(cells) > 1 else {}
            if found and (found["title"] or found["abstract"]):
                return format
    return None
