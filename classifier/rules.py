"""Find the codebook rules nearest to a text: one that the tag includes, one that it excludes.

Nearness is plain word sharing: the words of a rule that stand in the text, rare words of the codebook counting more,
and for included rules the lexicon terms that belong to them. It is a pointer into the codebook, and decides nothing.
"""

import functools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from classifier.evidence import FUNCTION_WORDS, Evidence
from classifier.taxonomy import load_taxonomy
from classifier.terms import FoundTerm

NEAR_FROM = 0.5
"""Points from which a rule is near. One word in common is chance, unless it is a lexicon term."""

_ENDING = re.compile(r"(?<=\w{4})(?:ions?|ies|ing|ed|es|e|s|y)$")


@dataclass(frozen=True, slots=True)
class Rule:
    """A line of the codebook, with the words and lexicon terms of the text that lead to it."""

    text: str
    shared: tuple[str, ...]


def nearest_rules(tag: str, evidence: Evidence, terms: Sequence[FoundTerm]) -> tuple[Rule | None, Rule | None]:
    """Return the nearest included and the nearest excluded rule of a tag, where any is near."""
    _, included, excluded = next(own for own in load_rules() if own[0] == tag)
    names = {stem(name): name for words in evidence.words for name in words.names}
    by_rule: dict[str, list[str]] = {}
    for term in terms:
        if term.term not in by_rule.setdefault(term.rule, []):
            by_rule[term.rule].append(term.term)
    return _nearest(included, names, by_rule), _nearest(excluded, names, {})


def _nearest(rules: Sequence[str], names: Mapping[str, str], terms: Mapping[str, list[str]]) -> Rule | None:
    best, most = None, 0.0
    for rule in rules:
        own = terms.get(rule, [])
        in_terms = {stem(word) for term in own for word in re.findall(r"\w+", term)}
        words = sorted(_stems(rule) & names.keys())
        points = len(own) + sum(1 / _spread()[word] for word in words)
        if points > most and points >= NEAR_FROM and (own or len(words) > 1):
            best, most = Rule(rule, (*own, *(names[word] for word in words if word not in in_terms))), points
    return best


def stem(word: str) -> str:
    """Return a word without its ending: enough to match plurals and forms of a verb."""
    return _ENDING.sub("", word.lower())


@functools.cache
def load_rules() -> tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]:
    """Return (tag, included rules, excluded rules) of the shipped taxonomy."""
    return tuple((tag.id, tag.included, tag.excluded) for tag in load_taxonomy().tags)


@functools.cache
def _stems(rule: str) -> frozenset[str]:
    words = re.findall(r"[a-z]+", rule.lower())
    return frozenset(stem(word) for word in words if word not in FUNCTION_WORDS and len(word) > 2)


@functools.cache
def _spread() -> Counter[str]:
    """Count in how many rules of the whole codebook each stem stands."""
    return Counter(word for _, *lists in load_rules() for rules in lists for rule in rules for word in _stems(rule))
