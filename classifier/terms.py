"""Find the terms of the trade of a tag in a text, with the control-list entries and the codebook rule they point to.

The terms stand in `data/lexicon/`, one file per tag. They decide nothing: they tell a reader which rule and which list
entry a text touches. Matching is spaCy's, word by word on the cleaned text; hyphens, case and plurals count alike.
"""

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from classifier.assets import data_file
from classifier.cleaning import Cleaned
from classifier.errors import TaxonomyError
from classifier.results import TAGS
from classifier.sentences import pipeline
from classifier.taxonomy import load_taxonomy

if TYPE_CHECKING:
    from spacy.matcher import PhraseMatcher
    from spacy.tokens import Doc


@dataclass(frozen=True, slots=True)
class ListEntry:
    """A control-list entry of the taxonomy's crosswalk; `list` and `entry` are what a reader looks up."""

    id: str
    list: str
    entry: str
    title: str
    strength: str


@dataclass(frozen=True, slots=True)
class FoundTerm:
    """A term where it stands in the given text.

    `rule` is the line of the codebook that it belongs to.
    """

    term: str
    field: str
    start: int
    end: int
    entries: tuple[ListEntry, ...]
    rule: str


@dataclass(frozen=True, slots=True)
class Lexicon:
    """What `data/lexicon` says of a tag: term -> (rule, entries), and words of less weight to try instead."""

    terms: Mapping[str, tuple[str, tuple[ListEntry, ...]]]
    nearby: Mapping[str, str]


@functools.cache
def load_lexicon(tag: str) -> Lexicon:
    """Read the shipped lexicon of a tag.

    Raises TaxonomyError where it names a rule or a crosswalk entry that the taxonomy does not have.
    """
    path = data_file(f"lexicon/{tag}.toml")
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    taxonomy = load_taxonomy()
    rules = next(own.included for own in taxonomy.tags if own.id == tag)
    known = {e.id: ListEntry(e.id, e.list_name, e.entry, e.title, e.strength) for e in taxonomy.entries(tag)}
    terms: dict[str, tuple[str, tuple[ListEntry, ...]]] = {}
    for group in data["groups"]:
        begun = [rule for rule in rules if rule.startswith(group["rule"])]
        if len(begun) != 1:
            raise TaxonomyError(f"{path}: {group['rule']!r} begins {len(begun)} lines of `in` of {tag}; one is needed.")
        if unknown := set(group["entries"]) - known.keys():
            raise TaxonomyError(f"{path}: {sorted(unknown)} is in no crosswalk of {tag}; known: {sorted(known)}.")
        entries = tuple(known[name] for name in group["entries"])
        terms |= dict.fromkeys(group["terms"], (begun[0], entries))
    return Lexicon(terms, data["nearby"])


def find_terms(cleaned: tuple[Cleaned, Cleaned], docs: "tuple[Doc, Doc]") -> dict[str, tuple[FoundTerm, ...]]:
    """Return the terms in a document, given as (title, abstract): by tag and place, of overlapping the longest."""
    from spacy.util import filter_spans

    found: dict[str, list[FoundTerm]] = {tag: [] for tag in TAGS}
    for field, doc, text in zip(("title", "abstract"), docs, cleaned, strict=True):
        spans = _matcher()(doc, as_spans=True)
        for tag in TAGS:
            for span in filter_spans([span for span in spans if span.label_.startswith(tag)]):
                term = span.label_.removeprefix(tag)
                rule, entries = load_lexicon(tag).terms[term]
                start, end = text.original_span(span.start_char, span.end_char)
                found[tag].append(FoundTerm(term, field, start, end, entries, rule))
    return {tag: tuple(terms) for tag, terms in found.items()}


@functools.cache
def _matcher() -> "PhraseMatcher":
    from spacy.matcher import PhraseMatcher

    language = pipeline()
    matcher = PhraseMatcher(language.vocab, attr="LOWER")
    for tag in TAGS:
        for term in load_lexicon(tag).terms:
            matcher.add(f"{tag}{term}", [language.make_doc(spelling) for spelling in spellings(term)])
    return matcher


def spellings(term: str) -> list[str]:
    """Return a term with hyphens, with spaces and as it stands, each in singular and plural."""
    spelled = dict.fromkeys([term, term.replace("-", " "), term.replace(" ", "-")])
    return [*spelled, *(_plural(one) for one in spelled)]


def _plural(term: str) -> str:
    if term[-1:] == "y" and term[-2:-1] not in "aeiou":
        return term[:-1] + "ies"
    return term + ("es" if term.endswith(("s", "ch", "sh", "x")) else "s")
