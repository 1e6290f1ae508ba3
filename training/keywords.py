"""The keyword-list baseline: tags by the terms an office would search for.

It stands for screening as it is done today, so that the classifier has something honest to beat. A term is
found as whole words in any case, hyphens and spaces alike, and a star at its end takes any ending.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from classifier.errors import InputError
from classifier.results import TAGS

_TERM = re.compile(r"\w+(?:[ -]\w+)*\*?")
_GAP = r"[\s\u2010-\u2015-]+"  # spaces of every kind, line breaks, the hyphen and its typographic kin


def load_keywords(path: Path) -> dict[str, tuple[str, ...]]:
    """Read and check a keyword list, in the order of the tags.

    Raises InputError if the file cannot be read or is not valid TOML, if a tag is missing or a key unknown,
    and for a term that is empty, given twice, or has a star or another sign where none may stand.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}); it must be a TOML keyword list") from error
    keywords = data.get("keywords")
    if set(data) != {"version", "keywords"}:
        raise InputError(f"{path} has the keys {sorted(data)}; the keys needed are ['keywords', 'version']")
    if not isinstance(data["version"], str) or not isinstance(keywords, dict):
        raise InputError(f"{path}: version must be text in quotes, and keywords a table of terms by tag")
    if set(keywords) != set(TAGS):
        raise InputError(f"{path} lists terms for {sorted(keywords)}; the tags needed are {sorted(TAGS)}")
    return {tag: _terms(path, tag, keywords[tag]) for tag in TAGS}


def _terms(path: Path, tag: str, terms: object) -> tuple[str, ...]:
    if not isinstance(terms, list) or not terms:
        raise InputError(f"{path}: {tag} is {terms!r}; it must be a list of one or more terms")
    seen: set[str] = set()
    for term in terms:
        if not isinstance(term, str) or not _TERM.fullmatch(term):
            allowed = "words joined by single spaces or hyphens, at most one star, at the end"
            raise InputError(f"{path}: {tag} has the term {term!r}; a term must be {allowed}")
        if (plain := term.lower().replace("-", " ").rstrip("*")) in seen:
            raise InputError(f"{path}: {tag} has the term {term!r} twice, in effect; keep one of the two")
        seen.add(plain)
    return tuple(terms)


class KeywordScreen:
    """A keyword list made ready for many texts."""

    def __init__(self, keywords: Mapping[str, tuple[str, ...]]) -> None:
        self._each = {tag: tuple(_compiled([term]) for term in terms) for tag, terms in keywords.items()}
        # Most texts hold no term: one pattern for the whole list tells that without trying each term.
        self._any = {tag: _compiled(terms) for tag, terms in keywords.items()}

    def tags(self, text: str) -> frozenset[str]:
        """Name the tags of which at least one term is in the text."""
        return frozenset(tag for tag, pattern in self._any.items() if pattern.search(text))

    def hits(self, text: str) -> dict[str, int]:
        """Count the distinct terms of each tag in the text; the count serves as a ranking score."""
        found = self.tags(text)
        return {
            tag: sum(term.search(text) is not None for term in terms) if tag in found else 0
            for tag, terms in self._each.items()
        }


def _compiled(terms: Iterable[str]) -> re.Pattern[str]:
    patterns = []
    for term in terms:
        words = _GAP.join(map(re.escape, re.split("[ -]", term.rstrip("*"))))
        patterns.append(words if term.endswith("*") else words + r"(?!\w)")
    return re.compile(rf"(?<!\w)(?:{'|'.join(patterns)})", re.IGNORECASE)
