"""Tell sentences of background or motivation from those that say what the work does.

A word in a list of possible uses is no contribution, so evidence in such sentences is marked. The rule is points: cue
words of either kind, and the place of the sentence. It reads one sentence at a time and knows nothing of the model.
How often it is right: `python -m benchmarks.background`, figures in docs/explain.md.
"""

import re

from classifier.sentences import Sentence

BACKGROUND_FROM = 1.0
"""Points from which a sentence counts as background."""


def _cues(points: float, *patterns: str) -> tuple[float, re.Pattern[str]]:
    return points, re.compile(r"\b(?:" + "|".join(patterns) + r")(?!\w)")


_USES = (
    # a list of what it might be good for
    _cues(
        4,
        "applications?(?: areas?)? (?:such as|includ\\w+|like|rang\\w+|as diverse as|in)",
        "(?:used|useful) (?:in|for)",
    ),
    _cues(3, "(?:possible|potential) (?:uses?|applications?)", "such as", "e\\.g\\.", "ranging from", "range from"),
    _cues(
        4,
        "(?:may|might|could) (?:be (?:useful|used|applied|of interest)|support|help|benefit|one day)",
        "of interest to",
    ),
)
# What matches `_USES` holds one of these; looking for them first costs a tenth of the patterns.
_USES_WORDS = (
    *("application", "used in", "used for", "useful in", "useful for", "possible use", "potential use", "such as"),
    *("e.g.", "ranging from", "range from", "may ", "might ", "could ", "of interest to"),
)
_CUES = (
    # the work speaks of itself
    _cues(
        -3, "we", "our", "us", "here", "this (?:paper|work|article|study|thesis|report|project|award|proposal|effort)"
    ),
    _cues(
        -3, "the (?:proposed|presented|project|proposal|contractor|team|consortium|authors?)", "phase (?:i+|one|two)"
    ),
    _cues(-2, "is (?:proposed|presented|introduced|derived|given|designed|developed)", "will", "shall", "presented"),
    _cues(-2, "results?", "experiments?", "simulations?", "compared with", "outperforms?", "proof", "ablation"),
    _cues(-1.5, "was", "were", r"\d+(?:\.\d+)?\s?(?:%|percent|per cent)", r"\d{1,3},\d{3}", "trained on", "tested"),
    # the world as it was before the work
    _cues(3, "in recent years", "recently", "(?:over|in) the (?:last|past)", "decades?", "to date", "so far"),
    _cues(3, "(?:has|have) (?:been|become|attracted|received|gained|emerged|found|moved|turned|risen|grown|shown)"),
    _cues(3, "increasing(?:ly)?", "growing", "rapid (?:development|growth|progress)", "widely", "well[- ]known"),
    _cues(
        3,
        "(?:existing|current|previous|prior|conventional|traditional|most|many) (?:\\w+ )?(?:methods?|approaches|"
        "works?|studies|tools?|systems?|techniques|research|solutions|algorithms|trackers|radars|problems)",
    ),
    _cues(2, "however", "unfortunately", "yet", "despite", "remains?", "little is known", "challenging", "challenges?"),
    _cues(
        2, "essential", "important", "importance", "crucial", "critical", "fundamental", "urgent", "threats?", "need"
    ),
    _cues(3, "motivated by", "inspired by", "promises? to", "usually", "often", "typically", "traditionally"),
    _cues(2, "state[- ]of[- ]the[- ]art approaches", "suffers? from", "struggles?", "lack", "no existing"),
    *_USES,
)
_FIRST, _SECOND, _LAST = 2.0, 1.0, -0.5
_ROOM = 4  # sentences; a shorter text comes to the point at once


def is_background(sentence: Sentence) -> bool:
    """Tell whether a sentence of an abstract is background or motivation; a title never is."""
    return bool(sentence.number) and points(sentence.text, sentence.number, sentence.of) >= BACKGROUND_FROM


def may_list_uses(text: str) -> bool:
    """Tell whether a cleaned text, or a sentence of it, can list possible uses: quickly, and too often."""
    small = text.lower()
    return any(word in small for word in _USES_WORDS)


def lists_uses(text: str, number: int, of: int) -> bool:
    """Tell whether sentence `number` (from 1) `of` so many is background that lists possible uses."""
    if not may_list_uses(text):
        return False
    small = text.lower()
    return any(pattern.search(small) for _, pattern in _USES) and points(text, number, of) >= BACKGROUND_FROM


def points(text: str, number: int, of: int) -> float:
    """Return the points for background of sentence `number` (from 1) `of` so many."""
    small = text.lower()
    total = sum(value for value, pattern in _CUES if pattern.search(small))
    if of >= _ROOM:
        total += _FIRST if number == 1 else _SECOND if number == 2 else _LAST if number == of else 0.0
    return total
