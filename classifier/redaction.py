"""Take names out of a text before any model sees it: people, institutions, places and funders, whole.

Who did the work, where and for whom must not decide, and names such as "National University of Defense Technology"
hold words that would. Lists in `data/names/` and the shapes in `namerules` say what a name is. A name that is cut
leaves nothing: the words around it become neighbours, and no count or length tells that it was there, or which it was.
The surprising rule: texts must have been cleaned before; what is cut depends on case, so it is done before folding.
"""

import re
from collections.abc import Callable
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
    ANYWHERE,
    APART,
    APOSTROPHE,
    ARTICLE,
    BEFORE,
    BEHIND,
    BREAK,
    CAPITAL,
    CAPITALISED,
    CAPITALS,
    CUT,
    DOT,
    DOTTED,
    ET,
    FULL_STOP,
    GIVEN,
    HEAD,
    JOINER,
    KEEP,
    LETTER,
    LINK,
    LONG,
    LONG_FROM,
    LOOKS,
    NAME,
    SHAPED,
    SPACE,
    STARTS,
    STOP,
    STOPPED,
    STRONG,
    SUFFIX,
    SURNAME,
    TIGHT,
    TITLE,
    WITH_DOT,
    WITHOUT,
    WORD_BITS,
    S,
)

NAME_LISTS = ("countries", "regions", "cities", "institutions", "people")
CONTENT_LIST = "content"
SEAM_LIST = "seams"
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
class NameLists:
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
def name_lists() -> NameLists:
    """Return the shipped lists, read once.

    Raises DualuseError where a list is missing.
    """
    folder = assets.data_file("names")
    numbers = {".": FULL_STOP, ",": BREAK}
    classes = [0] * (1 + len(numbers))

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
    needs, kinds = [ANY, ANY], [0, 0]  # of the two roots

    def follow(node: int, word: int, need: int) -> int:
        node = tree.setdefault((node, word), len(kinds))
        if node == len(kinds):
            needs.append(need)
            kinds.append(0)
        needs[node] = min(needs[node] & LOOKS, need & LOOKS) | (needs[node] & need & ADDED)
        return node

    for name in (*NAME_LISTS, CONTENT_LIST, SEAM_LIST):
        for entry in read_list(folder, name):
            behind, before = entry.startswith("_"), entry.endswith("_")
            nodes, at = {BEHIND if behind else ANYWHERE}, int(behind)
            for match in _WORD.finditer(entry):
                between, word = entry[at : match.start()], match[0]
                nodes = {to for node in nodes for to in _by_gap(node, between, follow)}
                it, need = number(word, 0 if at else STARTS), _need(word, between)
                nodes = {follow(node, it, need) for node in nodes}
                at = match.end()
            if before:
                nodes = {to for node in nodes for to in _by_gap(node, entry[at:-1], follow)}
            for node in nodes:
                kinds[node] |= KEEP if name == CONTENT_LIST else BEFORE if before else _name(entry[at:])
    return NameLists(numbers, classes, *_table(tree), needs, kinds)


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
    Names that stand beside each other are one span, whatever separates them.
    """
    known = name_lists()
    numbers, classes = known.numbers, known.classes
    tells = classes, known.steps, known.nexts, known.kinds
    # Every name has a word with a capital that some list holds; most texts have none.
    capitalised = _ASCII_CAPITALISED.findall(text) if text.isascii() else _WORD.findall(text)
    if not any(classes[numbers.get(word.lower(), 0)] & TELLING for word in capitalised if word[0].isupper()):
        return []
    written = _WORD.findall(text)
    words = [numbers.get(word.lower(), 0) for word in written]
    behind = [*words[1:], 0]
    if not any(
        classes[word] & TELLING and written[i][0].isupper() and _tells(word, behind[i], *tells)
        for i, word in enumerate(words)
    ):
        return []
    looks = [_look(word) for word in written]
    spans = [match.span() for match in _WORD.finditer(text)]
    gaps = [SPACE, *(_gap(text[before:after]) for (_, before), (after, _) in pairwise(spans))]
    gone = [0] * len(words)
    tree = known.steps, known.nexts, known.needs, known.kinds
    if not _mark(words, looks, gaps, 0, len(words), classes, *tree, gone):
        return []
    found = []
    first = 0
    while first < len(gone):
        last = first
        if gone[first] & CUT:
            while last + 1 < len(gone) and gone[last + 1] & CUT:
                last += 1
            dotted = gone[last] & WITH_DOT or (gone[last] & SHAPED and classes[words[last]] & SUFFIX)
            found.append((spans[first][0], _end(text, spans[first][0], spans[last][1], bool(dotted))))
        first = last + 1
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


def gap_kind(between: str) -> int:
    """Return what stands between two words, as `namerules` counts it; closing brackets at its start do not count."""
    between = between.lstrip(")")
    if len(between) == 1 and not between.isspace():
        return APOSTROPHE if between == "'" else TIGHT
    if not between:
        return TIGHT
    if between.isspace():
        return SPACE
    return DOT if between[0] == "." and between[1:].isspace() else APART


def _gap(between: str) -> int:
    """Return the kind of a gap, and what it is without a full stop that may belong to a name before it."""
    gap = gap_kind(between)
    return gap | gap_kind(between[1:]) << WITHOUT | STOPPED if between[0] == "." else gap


def _end(text: str, start: int, end: int, dotted: bool) -> int:
    """Return the end of a name with the signs that belong to it."""
    if dotted and text[end : end + 1] == ".":
        end += 1
    opened = 0
    for sign in text[start:end]:
        opened = opened + 1 if sign == "(" else max(0, opened - 1) if sign == ")" else opened
    while opened and text[end : end + 1] == ")":
        end, opened = end + 1, opened - 1
    if text[end : end + 1] == "'" and not text[end + 1 : end + 2].strip():
        return end + 1  # the plans of the Philippines'
    return end


def _need(word: str, between: str) -> int:
    """Return how a word of a listed name must look in a text, given what stands between it and the one before."""
    added = ADDED if between == "'" or (between == "." and len(word) == 1 and word.isupper()) else 0  # "U.S.", "Xi'an"
    if len(word) > 1 and word.upper() == word and not word.isdigit():
        return ALL_CAPITALS | added
    return (CAPITALISED if word[0].isupper() else ANY) | added


def _by_gap(node: int, between: str, follow: Callable[[int, int, int], int]) -> list[int]:
    """Return the nodes behind a node by what stands between two words; "St. Louis" may be written "St Louis"."""
    gap = gap_kind(between) if between else SPACE
    if gap == DOT:
        return [node, follow(node, FULL_STOP, ANY)]
    return [follow(node, BREAK, ANY)] if gap == APART else [node]


def _name(behind: str) -> int:
    """Return what ends with a listed name that has a sign behind its last word, or none."""
    return NAME | DOTTED if behind == "." else NAME


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


_tells, _mark = namerules.build(lambda function: function)
