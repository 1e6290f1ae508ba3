"""PubMed's XML records: a citation, or a chapter of NCBI's bookshelf, as flat fields.

The parts of a structured abstract are joined under the field AbstractText, each behind its label, as PubMed shows it.
"""

from typing import Any
from xml.etree.ElementTree import Element

from classifier.formats.elements import as_fields, as_value, full_text


def as_row(record: Element) -> dict[str, Any]:
    """Return PMID, ArticleTitle and AbstractText first, then everything else under its own name."""
    citation = record.find("MedlineCitation")
    if citation is None:
        citation = record.find("BookDocument")
    if citation is None:
        return as_fields(record)
    article = citation.find("Article")
    if article is None:
        article = citation
    row: dict[str, Any] = {
        "PMID": full_text(citation.find("PMID")),
        "ArticleTitle": _first_text(article, "ArticleTitle", "VernacularTitle", "Book/BookTitle"),
        "AbstractText": _abstract(article.find("Abstract")) or _abstract(citation.find("OtherAbstract")),
    }
    parts = [part for holder in dict.fromkeys((article, citation)) for part in holder]
    rest = Element("rest")
    rest.extend([part for part in parts if part.tag not in ("PMID", "ArticleTitle", "Abstract", "Article")])
    row |= as_fields(rest)
    row |= {part.tag: as_value(part) for part in record if part is not citation}
    return row


def _first_text(holder: Element, *paths: str) -> str:
    return next(filter(None, (full_text(holder.find(path)) for path in paths)), "")


def _abstract(abstract: Element | None) -> str:
    if abstract is None:
        return ""
    parts = []
    for part in abstract.iterfind("AbstractText"):
        label = part.get("Label", "")
        text = full_text(part)
        parts.append(f"{label}: {text}" if label and label != "UNLABELLED" and text else text)
    return "\n".join(filter(None, parts))
