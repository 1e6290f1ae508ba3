"""Find names among the words of a text: places, institutions, funders and people.

Listed names go first, the longest at each place, and people, known by their given name. Then, among the words that
are left, institutions known by their shape ("University of X", "X Laboratory", "X Inc."). So a listed name put into
a text or taken out of it changes nothing but itself.
The surprising rule: `build` makes these functions either as they are or compiled, so that `redaction` in Python and
`kernel` in machine code run one definition. They use whole numbers, sequences and loops only.

Words come as numbers (`Lexicon` gives them, 0 for a word that no list holds), with what they look like (`CAPITAL` ...)
and what separates each from the word before it (`SPACE` ...). `gone` receives what a word turns out to be:
0 for no name, `FIRST` or `INSIDE` a name that is cut out, and with `SHAPED` added when its shape told.
"""

from collections.abc import Callable
from typing import Any

# What a word looks like.
CAPITAL, CAPITALS, LETTER, LONG = 1, 2, 4, 8
"""Begins with a capital; has no small letter; is one character; has `LONG_FROM` or more."""
LONG_FROM = 4

# What stands between a word and the one before it: white space, one sign, one apostrophe, a dot and white space, else.
SPACE, TIGHT, APOSTROPHE, DOT, APART = range(5)

# What a word is by itself.
STARTS, GIVEN, SURNAME, HEAD, STRONG, SUFFIX, STOP, TITLE, LINK, JOINER, ARTICLE, S, ET, AL = (
    1 << i for i in range(14)
)
"""May begin a listed name, given name, family name; "Laboratory", "University", "Inc", "In", "Dr", "of", "and", "the"
and three parts of names that stand in small letters."""

# What a listed name is.
NAME, KEEP = 1, 2

# How a word of a listed name must look in the text; with `ADDED` it must stand tight behind the one before.
ANY, CAPITALISED, ALL_CAPITALS = range(3)
ADDED = 4

FIRST, INSIDE, SHAPED = 1, 2, 4

WORD_BITS = 15
_MULTIPLIER, _DROPPED = 2654435761, 15
_BACK, _AHEAD = 4, 6
"""Capitalised words that belong to an institution before and behind its head word, at most."""


def slot_of(node: int, word: int, mask: int) -> int:
    """Return where the step from a node of the tree of names by a word is looked for first."""
    return ((node << WORD_BITS | word) * _MULTIPLIER >> _DROPPED) & mask


def build(jit: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Callable[..., Any]:
    """Return `mark(words, looks, gaps, start, size, classes, steps, nexts, needs, kinds, gone) -> names found`.

    It judges the words from `start` to `size`, one field of a document, and writes into `gone`, which is all 0.
    `jit` is applied to every function: numba's, or one that returns the function as it is.
    """
    place = jit(slot_of)

    @jit
    def listed(words, looks, gaps, i, size, steps, nexts, needs, kinds):  # type: ignore[no-untyped-def]
        """Return the end of the longest listed name that begins at i, and what it is."""
        mask = len(steps) - 1
        node, end, kind = 0, i, 0
        for k in range(i, size):
            if words[k] == 0:
                break
            step = node << WORD_BITS | words[k]
            slot = place(node, words[k], mask)
            while steps[slot] != step and steps[slot] != -1:
                slot = (slot + 1) & mask
            if steps[slot] == -1:
                break
            node = nexts[slot]
            need = needs[node]
            if need & 3 >= CAPITALISED and not looks[k] & CAPITAL:
                break
            if need & 3 == ALL_CAPITALS and not looks[k] & CAPITALS:
                break
            if need & ADDED and gaps[k] != TIGHT:
                break
            if kinds[node] != 0:
                end, kind = k + 1, kinds[node]
        return end, kind

    @jit
    def could_be_surname(words, looks, gaps, k, size, classes, steps, nexts, needs, kinds):  # type: ignore[no-untyped-def]
        if k >= size or looks[k] & (CAPITAL | CAPITALS | LETTER) != CAPITAL:
            return False
        if classes[words[k]] & (STOP | HEAD | SUFFIX):
            return False
        return listed(words, looks, gaps, k, size, steps, nexts, needs, kinds)[1] == 0

    @jit
    def given_and_surname(words, looks, gaps, i, size, classes, steps, nexts, needs, kinds):  # type: ignore[no-untyped-def]
        """Return the end of "Dr Maria J. Gonzalez", "J. Smith" or "Zhang Wei", if it begins at i, or i."""
        title = classes[words[i]] & TITLE and not looks[i] & CAPITALS
        k = i
        if title:
            k += 1
            if k >= size or (gaps[k] != SPACE and gaps[k] != DOT):
                return i
        first, given, full = k, 0, False
        while k < size and not full:
            near = k == first or gaps[k] <= TIGHT or (gaps[k] == DOT and looks[k - 1] & LETTER)
            if not near or not looks[k] & CAPITAL:
                break
            if looks[k] & LETTER:
                behind = k + 1 < size and (
                    gaps[k + 1] == DOT or gaps[k + 1] == TIGHT or (given and gaps[k + 1] == SPACE)
                )
                if not behind:
                    break
            elif classes[words[k]] & GIVEN and not looks[k] & CAPITALS:
                given += 1
                full = k > first and classes[words[k]] & SURNAME != 0
            else:
                break
            k += 1
        if full:
            return k
        if k > first:  # given names, initials: a family name must follow
            joined = k < size and (gaps[k] == SPACE or (looks[k - 1] & LETTER and gaps[k] <= DOT))
            known = given or title or (joined and classes[words[k]] & SURNAME)
            if joined and known and could_be_surname(words, looks, gaps, k, size, classes, steps, nexts, needs, kinds):
                return k + 1
            if given > 1 and not looks[k - 1] & LETTER:
                return k
            return i
        if not could_be_surname(words, looks, gaps, k, size, classes, steps, nexts, needs, kinds):
            return i
        if title:
            return k + 1
        if k + 1 < size and gaps[k + 1] == SPACE:
            if not classes[words[k]] & SURNAME:
                return i
            if classes[words[k + 1]] & GIVEN and looks[k + 1] & (CAPITAL | CAPITALS) == CAPITAL:
                return k + 2  # the family name first
            if k + 2 < size and classes[words[k + 1]] & ET and classes[words[k + 2]] & AL:
                return k + 1
        return i

    @jit
    def person(words, looks, gaps, i, size, classes, steps, nexts, needs, kinds):  # type: ignore[no-untyped-def]
        """Return the end of a person's name that begins at i, or i."""
        end = given_and_surname(words, looks, gaps, i, size, classes, steps, nexts, needs, kinds)
        if end == i:
            return i
        while end < size and gaps[end] == TIGHT and classes[words[end]] & SURNAME and looks[end] & CAPITAL:
            end += 1  # the second half of a double name
        if end + 1 < size and gaps[end] == SPACE and classes[words[end]] & ET and classes[words[end + 1]] & AL:
            end += 2
        return end

    @jit
    def cut(words, gaps, start, first, end, size, classes, shaped, gone):  # type: ignore[no-untyped-def]
        """Mark a name with the article before it and the possessive behind it; return where the text goes on."""
        if first > start and gaps[first] == SPACE and classes[words[first - 1]] & ARTICLE and not gone[first - 1]:
            first -= 1
        if end < size and gaps[end] == APOSTROPHE and classes[words[end]] & S:
            end += 1
        for k in range(first, end):
            gone[k] = INSIDE | shaped
        gone[first] = FIRST | shaped
        return end

    @jit
    def beside(gaps, i, step, start, size, gone):  # type: ignore[no-untyped-def]
        """Return the next word left, going by `step` from i, if no signs and only names stand between; or -1."""
        while True:
            if step < 0 and (i == start or (gaps[i] != SPACE and gaps[i] != TIGHT and gaps[i] != APOSTROPHE)):
                return -1
            i += step
            if i >= size or (step > 0 and gaps[i] > APOSTROPHE):
                return -1
            if gone[i] & SHAPED:
                return -1
            if not gone[i]:
                return i

    @jit
    def belongs(words, looks, k, classes):  # type: ignore[no-untyped-def]
        return k >= 0 and looks[k] & CAPITAL and not classes[words[k]] & STOP

    @jit
    def institution(words, looks, gaps, start, i, size, classes, titled, gone):  # type: ignore[no-untyped-def]
        """Return first and last word of the institution whose head word is at i; (i, i) if nothing belongs to it."""
        first = last = i
        suffix = classes[words[i]] & SUFFIX
        for taken in range(1 if titled else _BACK):
            k = beside(gaps, first, -1, start, size, gone)
            if taken == 0 and suffix and i > start and gaps[i] == APART and not gone[i - 1]:
                k = i - 1  # "Acme Robotics, Inc."
            if not belongs(words, looks, k, classes):
                break
            first = k
        if suffix:
            return first, last
        ahead = 1 if titled else _AHEAD
        while ahead > 0:
            k = beside(gaps, last, 1, start, size, gone)
            links = k >= 0 and classes[words[k]] & (LINK if last == i else JOINER)
            if links:
                k = beside(gaps, k, 1, start, size, gone)
                if k >= 0 and classes[words[k]] & ARTICLE:
                    k = beside(gaps, k, 1, start, size, gone)
            elif last == i:
                break
            if not belongs(words, looks, k, classes):
                break
            last = k
            ahead -= 1
        return first, last

    @jit
    def in_title_case(words, looks, start, size, gone):  # type: ignore[no-untyped-def]
        """Tell that most of the longer words that are left begin with a capital, which then says little."""
        balance = 0
        for k in range(start, size):
            if looks[k] & LONG and not gone[k]:
                balance += 1 if looks[k] & CAPITAL else -1
        return balance > 0

    @jit
    def mark(words, looks, gaps, start, size, classes, steps, nexts, needs, kinds, gone):  # type: ignore[no-untyped-def]
        found, heads = 0, 0
        i = start
        while i < size:
            if not looks[i] & CAPITAL:
                i += 1
                continue
            here = classes[words[i]]
            end, kind = i, 0
            if here & STARTS:
                end, kind = listed(words, looks, gaps, i, size, steps, nexts, needs, kinds)
            if here & (GIVEN | SURNAME | TITLE) or looks[i] & LETTER:
                named = person(words, looks, gaps, i, size, classes, steps, nexts, needs, kinds)
                if named > end and kind != KEEP:
                    end, kind = named, NAME
            if kind == NAME:
                i = cut(words, gaps, start, i, end, size, classes, 0, gone)
                found += 1
            elif kind == KEEP:
                i = end
            else:
                heads += here & (HEAD | SUFFIX) != 0
                i += 1
        if heads:
            titled = in_title_case(words, looks, start, size, gone)
            wanted = (STRONG | SUFFIX) if titled else (HEAD | SUFFIX)
            for i in range(start, size):
                if looks[i] & CAPITAL and classes[words[i]] & wanted and not gone[i]:
                    first, last = institution(words, looks, gaps, start, i, size, classes, titled, gone)
                    if first < last:
                        cut(words, gaps, start, first, last + 1, size, classes, SHAPED, gone)
                        found += 1
        return found

    return mark
