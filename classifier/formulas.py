"""Keep a spreadsheet from running a cell of CSV or TSV as a formula: an apostrophe in front, taken off on reading.

What begins with apostrophes before such a sign gets one more, so that every text comes back as it was.
"""

import re

_STARTS = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)*([eE][+-]?\d+)?")


def guard(text: str) -> str:
    """Return a text as a cell that no spreadsheet runs; plain numbers stay what they are."""
    return f"'{text}" if text.lstrip("'").startswith(_STARTS) and not _NUMBER.fullmatch(text) else text


def release(cell: str) -> str:
    """Return the text of a cell that `guard` gave."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(_STARTS) else cell
