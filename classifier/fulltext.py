"""Semantic Scholar's S2ORC full texts, where title and abstract are places in one long text.

`content.text` is the text and `content.annotations.abstract` a list of {"start": 2938, "end": 5011}, written as a
string of JSON; in later releases `body` stands for `content`.
"""

from collections.abc import Mapping
from typing import Any

import orjson


def cut_texts(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return title and abstract of a row that holds a full text, or two empty strings."""
    for name in ("content", "body"):
        holder = row.get(name)
        if isinstance(holder, Mapping):
            text, marks = holder.get("text"), holder.get("annotations")
            if isinstance(text, str) and isinstance(marks, Mapping):
                return _cut(text, marks.get("title")), _cut(text, marks.get("abstract"))
    return "", ""


def _cut(text: str, places: Any) -> str:
    try:
        spans = orjson.loads(places) if isinstance(places, str) else places or []
        return "\n".join(text[int(span["start"]) : int(span["end"])].strip() for span in spans)
    except (ValueError, TypeError, KeyError):
        return ""
