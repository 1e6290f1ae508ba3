"""One identifier for one paper: arXiv's own form of arXiv identifiers, however they come written.

Dumps of arXiv differ in prefixes, links and versions, and some went through a floating-point number, where zeros at
both ends get lost and a tail of digits may come: `arxiv:705.2633`, `arxiv:1001.42`, `arxiv:1803.0103399999998`. One
surprising rule: such a mangled number is mended only after `arxiv:` or a link. A bare one must stand as arXiv writes
it, since a bare `705.26` may be anybody's.
"""

import re
from decimal import Decimal

_ARCHIVE = (  # what stood before the number until March 2007
    "acc-phys|adap-org|alg-geom|ao-sci|astro-ph|atom-ph|bayes-an|chao-dyn|chem-ph|cmp-lg|comp-gas|cond-mat|cs|dg-ga|"
    "funct-an|gr-qc|hep-ex|hep-lat|hep-ph|hep-th|math|math-ph|mtrl-th|nlin|nucl-ex|nucl-th|patt-sol|physics|plasm-ph|"
    "q-alg|q-bio|quant-ph|solv-int|supr-con"
)
_ARXIV = re.compile(
    r"(?P<prefix>arxiv:\s*|(?:https?://)?(?:[a-z]+\.)?arxiv\.org/(?:abs|html|pdf)/"
    r"|(?:doi:|https?://(?:dx\.)?doi\.org/)?10\.48550/arxiv\.)?"
    r"(?:(?P<month>[0-9]{3,4})\.(?P<digits>[0-9]{1,20})"
    rf"|(?P<archive>{_ARCHIVE})(?:\.[a-z-]+)?/(?P<number>[0-9]{{2}}(?:0[1-9]|1[0-2])[0-9]{{3}}))"
    r"(?:v[0-9]+)?(?:\.pdf|\s*\[[a-z.-]+\])?",
    re.IGNORECASE | re.ASCII,
)
_FIRST_MONTH, _FIVE_DIGITS_FROM, _END = "0704", "1501", "9100"  # 9107 to 9912 are months of the last century
_FLOAT_ERROR = Decimal("1e-9")  # a double below 10,000 is off by less than 1e-11; a larger remainder is no rounding


def canonical_id(identifier: str) -> str:
    """Return `arxiv:` and the number as arXiv writes it, without version; every other identifier as it is.

    The number has four digits after the point until 2014, five from 2015 on. One that no rounding and no lost zero
    explains is left as it is: to mend it would be to name another paper.
    """
    found = _ARXIV.fullmatch(identifier)
    if found is None:
        return identifier
    if found["archive"]:
        return f"arxiv:{found['archive'].lower()}/{found['number']}"
    month = found["month"].zfill(4)
    number = _number(month, found["digits"])
    written = number is not None and (month, number) == (found["month"], found["digits"])
    return f"arxiv:{month}.{number}" if number and (found["prefix"] or written) else identifier


def _number(month: str, digits: str) -> str | None:
    """Return the digits after the point as arXiv writes them in a month (`yymm`), or None where they are no number."""
    if not (_FIRST_MONTH <= month < _END and "01" <= month[2:] <= "12"):
        return None
    places = 5 if month >= _FIVE_DIGITS_FROM else 4
    fraction = Decimal(f"0.{digits}")
    rounded = round(fraction, places)
    if not 0 < rounded < 1 or abs(fraction - rounded) > _FLOAT_ERROR:
        return None
    return f"{rounded:.{places}f}"[2:]
