"""Semantic Scholar's S2ORC full texts, where title and abstract are places in one long text.

`content.text` is the text and `content.annotations.abstract` a list of {"start": 2938, "end": 5011}, written as a
string of JSON; in later releases `body` stands for `content`.
"""

from collections.abc import Mapping
from typing import Any

import orjson


def cut_texts(row: Mapping[str, Any], longest: int) -> tuple[str, str]:
    """Return title and abstract of a row that holds a full text, or two empty strings.

    Any number of places may be that of the whole text, so cutting stops once they come to more than `longest`
    characters: then what is returned is longer than that too.
    """
    for name in ("content", "body"):
        holder = row.get(name)
        if isinstance(holder, Mapping):
            text, marks = holder.get("text"), holder.get("annotations")
            if isinstance(text, str) and isinstance(marks, Mapping):
                return _cut(text, marks.get("title"), longest), _cut(text, marks.get("abstract"), longest)
    return "", ""


def _cut(text: str, places: Any, longest: int) -> str:
    parts: list[str] = []
    length = 0
    try:
        for span in orjson.loads(places) if isinstance(places, str) else places or []:
            parts.append(text[int(span["start"]) : int(span["end"])].strip())
            length += len(parts[-1]) + 1
            if length > longest + 1:
                break
        return "\n".join(parts)
    except (ValueError, TypeError, KeyError):
        return ""
