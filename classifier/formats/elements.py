"""Turn parsed XML elements into plain values: texts, and dicts and lists of them."""

from typing import Any
from xml.etree.ElementTree import Element

_MAX_DEPTH = 100


def as_fields(element: Element, depth: int = 0) -> dict[str, Any]:
    """Return an element's children by name; what is there several times is a list.

    Raises RecursionError where elements are nested more than 100 deep.
    """
    found: dict[str, list[Any]] = {}
    for child in element:
        found.setdefault(child.tag, []).append(as_value(child, depth + 1))
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def as_value(element: Element, depth: int = 0) -> Any:
    """Return an element's text, or its children by name; attributes go in as "@name", a text beside them as "#text"."""
    if depth > _MAX_DEPTH:
        raise RecursionError(f"elements are nested more than {_MAX_DEPTH} deep")
    mixed = any(text and not text.isspace() for text in (element.text, *(child.tail for child in element)))
    value: Any = full_text(element) if mixed or not len(element) else as_fields(element, depth)
    if not element.attrib:
        return value
    marks = {f"@{name}": mark for name, mark in element.attrib.items()}
    return marks | (value if isinstance(value, dict) else {"#text": value})


def full_text(element: Element | None) -> str:
    """Return all the text in an element, without the tags of italics, formulas and the like."""
    return "" if element is None else "".join(element.itertext()).strip()
