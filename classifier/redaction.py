"""Take names out of a text before any model sees it: people, institutions, places and funders, whole.

Who did the work, where and for whom must not decide, and names such as "National University of Defense Technology"
hold words that would. Lists in `data/names/` and the shapes in `namerules` say what a name is. A name that is cut
leaves nothing: the words around it become neighbours, and no count or length tells that it was there.
The surprising rule: texts must have been cleaned before; what is cut depends on case, so it is done before folding.
"""

import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from classifier import assets, namerules
from classifier.errors import DualuseError
from classifier.namerules import (
    ADDED,
    AL,
    ALL_CAPITALS,
    ANY,
    APART,
    APOSTROPHE,
    ARTICLE,
    CAPITAL,
    CAPITALISED,
    CAPITALS,
    DOT,
    ET,
    FIRST,
    GIVEN,
    HEAD,
    INSIDE,
    JOINER,
    KEEP,
    LETTER,
    LINK,
    LONG,
    LONG_FROM,
    NAME,
    SPACE,
    STARTS,
    STOP,
    STRONG,
    SUFFIX,
    SURNAME,
    TIGHT,
    TITLE,
    WORD_BITS,
    S,
)

NAME_LISTS = ("countries", "regions", "cities", "institutions", "people")
CONTENT_LIST = "content"
_CLASS_LISTS = {"given": GIVEN, "surnames": SURNAME}
_CLASSES = {
    HEAD | STRONG: "university universities institute institutes academy polytechnic college ministry",
    HEAD: """laboratory laboratories department faculty school foundation agency council bureau commission
             administration directorate hospital association society consortium""",
    SUFFIX: "inc incorporated corp corporation ltd llc gmbh plc",
    STOP: """a about after all also although among an and another any are as at based because before between both but by
             can did do does during each for from furthermore given had has have he her here his how however if in into
             is it its many may more moreover most my no nor not of on one or other our over recent recently several she
             since so some such than that the their then there therefore these they this those through thus to today
             toward towards two under until upon using via was we were what when where whether which while who whose why
             will with within without would yet you your et al""",
    TITLE: "dr prof professor mr mrs ms",
    LINK: "of for",
    JOINER: "of for and",
    ARTICLE: "the a an",
    S: "s",
    ET: "et",
    AL: "al",
}

TELLING = STARTS | GIVEN | SURNAME | HEAD | SUFFIX | TITLE
"""Classes of words; every name has one of these, with a capital."""

_WORD = re.compile(r"[^\W_]+")
_ASCII_CAPITALISED = re.compile(r"(?<![A-Za-z0-9])[A-Z][A-Za-z0-9]*")
_FREE = -1


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The lists, as numbers that `namerules` reads.

    `numbers`: small-letter word -> number, from 1; `classes`: by number. The tree of listed names is a hash table of
    steps, (node, word) -> node, whose free slots hold -1; `needs` and `kinds` go by node.
    """

    numbers: dict[str, int]
    classes: list[int]
    steps: list[int]
    nexts: list[int]
    needs: list[int]
    kinds: list[int]


@cache
def lexicon() -> Lexicon:
    """Return the shipped lists, read once.

    Raises DualuseError where a list is missing.
    """
    folder = assets.data_file("names")
    numbers: dict[str, int] = {}
    classes = [0]

    def number(word: str, its: int = 0) -> int:
        at = numbers.setdefault(word.lower(), len(numbers) + 1)
        if at == len(classes):
            classes.append(0)
        classes[at] |= its
        return at

    for its, words in _CLASSES.items():
        for word in words.split():
            number(word, its)
    for name, its in _CLASS_LISTS.items():
        for word in read_list(folder, name):
            number(word, its)
    tree: dict[tuple[int, int], int] = {}
    needs, kinds = [ANY], [0]
    for name in (*NAME_LISTS, CONTENT_LIST):
        kind = KEEP if name == CONTENT_LIST else NAME
        for entry in read_list(folder, name):
            node, before = 0, 0
            for match in _WORD.finditer(entry):
                word = match[0]
                step = node, number(word, 0 if node else STARTS)
                node = tree.setdefault(step, len(kinds))
                need = _need(word, entry[before : match.start()])
                before = match.end()
                if node == len(kinds):
                    needs.append(need)
                    kinds.append(0)
                needs[node] = min(needs[node], need)
            kinds[node] = kind
    return Lexicon(numbers, classes, *_table(tree), needs, kinds)


def read_list(folder: Path, name: str) -> list[str]:
    """Return the entries of a list, one a line; lines with # are not.

    Raises DualuseError where it cannot be read.
    """
    try:
        lines = (folder / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DualuseError(f"{error.filename}: not readable ({error.strerror}). Install dualuse again.") from error
    return [line for line in lines if line and not line.startswith("#")]


def redact(text: str) -> str:
    """Return a cleaned text without its names; where one was, one space."""
    spans = names_in(text)
    if not spans:
        return text
    edges = [0, *(edge for span in spans for edge in span), len(text)]
    return " ".join(text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True))


def names_in(text: str) -> list[tuple[int, int]]:
    """Return the spans of a cleaned text that `redact` leaves out, in order, apart from one another.

    With a name goes the article before it, the possessive behind it, the dot of "U.S." and a bracket that it opens.
    """
    known = lexicon()
    numbers, classes = known.numbers, known.classes
    # Every name has a word with a capital that some list holds; most texts have none.
    capitalised = _ASCII_CAPITALISED.findall(text) if text.isascii() else _WORD.findall(text)
    if not any(classes[numbers.get(word.lower(), 0)] & TELLING for word in capitalised if word[0].isupper()):
        return []
    written = _WORD.findall(text)
    words = [numbers.get(word.lower(), 0) for word in written]
    looks = [_look(word) for word in written]
    spans = [match.span() for match in _WORD.finditer(text)]
    gaps = [SPACE, *(_gap(text[before:after]) for (_, before), (after, _) in pairwise(spans))]
    gone = [0] * len(words)
    tree = known.steps, known.nexts, known.needs, known.kinds
    if not _mark(words, looks, gaps, 0, len(words), classes, *tree, gone):
        return []
    firsts = [place for place, what in enumerate(gone) if what & FIRST]
    found = []
    for first in firsts:
        last = first
        while last + 1 < len(gone) and gone[last + 1] & INSIDE:
            last += 1
        dotted = classes[words[last]] & SUFFIX or (looks[last] & LETTER and last > first and gaps[last] == TIGHT)
        found.append((spans[first][0], _end(text, spans[first][0], spans[last][1], bool(dotted))))
    return found


def _look(word: str) -> int:
    look = CAPITAL if word[0].isupper() else 0
    if look and word == word.upper():
        look |= CAPITALS
    if len(word) == 1:
        look |= LETTER
    elif len(word) >= LONG_FROM:
        look |= LONG
    return look


def _gap(between: str) -> int:
    if between == " " or between.isspace():
        return SPACE
    if len(between) == 1:
        return APOSTROPHE if between == "'" else TIGHT
    return DOT if between[0] == "." and between[1:].isspace() else APART


def _end(text: str, start: int, end: int, dotted: bool) -> int:
    """Return the end of a name with the signs that belong to it."""
    after = text[end : end + 1]
    if dotted and after == ".":
        return end + 1
    if after == ")" and text.count("(", start, end) > text.count(")", start, end):
        return end + 1
    if after == "'" and text[end - 1] in "sS" and not text[end + 1 : end + 2].strip():
        return end + 1  # the plans of the Philippines'
    return end


def _need(word: str, between: str) -> int:
    """Return how a word of a listed name must look in a text, given what stands between it and the one before."""
    if len(word) == 1 and word.isupper() and between == ".":
        return CAPITALISED | ADDED  # "U.S."
    if len(word) > 1 and word.upper() == word and not word.isdigit():
        return ALL_CAPITALS
    return CAPITALISED if word[0].isupper() else ANY


def _table(tree: dict[tuple[int, int], int]) -> tuple[list[int], list[int]]:
    """Lay the tree out as a hash table, half of it free."""
    size = 1 << (2 * len(tree)).bit_length()
    steps, nexts = [_FREE] * size, [0] * size
    for (node, word), to in tree.items():
        slot = namerules.slot_of(node, word, size - 1)
        while steps[slot] != _FREE:
            slot = (slot + 1) % size
        steps[slot], nexts[slot] = node << WORD_BITS | word, to
    return steps, nexts


_mark = namerules.build(lambda function: function)
_mark = namerules.build(lambda function: function)
