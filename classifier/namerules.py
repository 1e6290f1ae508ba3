"""Find names among the words of a text: places, institutions, funders and people.

First goes what the lists hold, wherever it stands, and persons of a listed given and family name; with them what the
list of seams says of the words beside a name. Then, in each stretch of words that is left, people known by one listed
part of their name; last, institutions known by their shape ("University of X", "X Laboratory", "X Inc.").
What this promises: put another listed name in the place of a listed name, and the same other words stay. A listed
name always goes whole, whatever stands beside it; what else goes hangs on where a name begins and ends, never on which
it is.
The surprising rule: `build` makes these functions either as they are or compiled, so that `redaction` in Python and
`kernel` in machine code run one definition. They use whole numbers, sequences and loops only.

Words come as numbers (`NameLists` gives them, 0 for a word on no list), with what they look like (`CAPITAL` ...) and
what separates each from the word before it (`SPACE` ...). `gone` receives what a word turns out to be: `CUT` where it
goes, with what else `BEGINS` to `WITH_DOT` tell.
"""

from collections.abc import Callable
from typing import Any

# What a word looks like.
CAPITAL, CAPITALS, LETTER, LONG = 1, 2, 4, 8
"""Begins with a capital; has no small letter; is one character; has `LONG_FROM` or more."""
LONG_FROM = 4

# What stands between a word and the one before it: white space, one sign, one apostrophe, a dot and white space, else.
SPACE, TIGHT, APOSTROPHE, DOT, APART = range(5)
GAP = 7
"""The bits that hold it. With `STOPPED` the first sign is a full stop, which may belong to a name before it; then the
bits from `WITHOUT` on hold what stands there without it."""
WITHOUT, STOPPED = 3, 1 << 6

# What a word is by itself.
STARTS, GIVEN, SURNAME, HEAD, STRONG, SUFFIX, STOP, TITLE, LINK, JOINER, ARTICLE, S, ET, AL = (
    1 << i for i in range(14)
)
"""May begin a listed name, given name, family name; "Laboratory", "University", "Inc", "In", "Dr", "of", "and", "the"
and three parts of names that stand in small letters."""

# What ends at a step of the tree of names: a name; a term to be kept; what goes before a name; and with a name, that a
# full stop behind it belongs to it.
NAME, KEEP, BEFORE, DOTTED = (1 << i for i in range(4))

# How a word of a listed name must look in the text; with `ADDED` no white space may stand before it.
ANY, CAPITALISED, ALL_CAPITALS = range(3)
LOOKS, ADDED = 3, 4

FULL_STOP, BREAK = 1, 2
"""Steps by no word: by a dot and white space (`DOT`), and by more (`APART`). They have the numbers of two words."""

# Where the names in the tree begin: anywhere, or behind a name.
ANYWHERE, BEHIND = range(2)
NOWHERE = -1

# What a word turns out to be: it goes; something listed begins with it or ends with it; an institution known by its
# shape; a term to be kept; a name whose full stop goes as well.
CUT, BEGINS, ENDS, SHAPED, KEPT, WITH_DOT = (1 << i for i in range(6))

WORD_BITS = 15
_MULTIPLIER, _DROPPED = 2654435761, 15
_BACK, _AHEAD = 4, 6
"""Capitalised words that belong to an institution before and behind its head word, at most."""


def slot_of(node: int, word: int, mask: int) -> int:
    """Return where the step from a node of the tree of names by a word is looked for first."""
    return ((node << WORD_BITS | word) * _MULTIPLIER >> _DROPPED) & mask


def build(jit: Callable[[Callable[..., Any]], Callable[..., Any]]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return two functions, to each part of which `jit` is applied: numba's, or one that returns it as it is.

    `tells(word, after, classes, steps, nexts, kinds)` tells whether there may be a name at a word with a capital, with
    the word `after` behind it or 0: where it says no of each, there is none.
    `mark(words, looks, gaps, start, size, classes, steps, nexts, needs, kinds, gone)` judges the words from `start` to
    `size`, one field of a document, tells whether there is a name, and writes into `gone`, which is all 0, and into
    `gaps`: what belongs to a name is taken out of the gap behind it.
    """
    place = jit(slot_of)

    @jit
    def step(node, word, steps, nexts):  # type: ignore[no-untyped-def]
        """Return the node behind a node by a word, or `NOWHERE`."""
        mask = len(steps) - 1
        wanted = node << WORD_BITS | word
        slot = place(node, word, mask)
        while steps[slot] != wanted and steps[slot] != -1:
            slot = (slot + 1) & mask
        return nexts[slot] if steps[slot] == wanted else NOWHERE

    @jit
    def tells(word, after, classes, steps, nexts, kinds):  # type: ignore[no-untyped-def]
        its = classes[word]
        if its & (GIVEN | SURNAME | HEAD | SUFFIX | TITLE):
            return True
        if not its & STARTS:
            return False
        node = step(ANYWHERE, word, steps, nexts)
        if kinds[node] & NAME:
            return True
        if after and step(node, after, steps, nexts) != NOWHERE:
            return True
        return step(node, FULL_STOP, steps, nexts) != NOWHERE or step(node, BREAK, steps, nexts) != NOWHERE

    @jit
    def occurs(gaps, first, last, size, kind, gone):  # type: ignore[no-untyped-def]
        """Mark something listed that goes; return whether that is news."""
        news = not (gone[first] & BEGINS and gone[last] & ENDS)
        for k in range(first, last + 1):
            news = news or not gone[k] & CUT
            gone[k] |= CUT
        gone[first] |= BEGINS
        gone[last] |= ENDS
        if kind & DOTTED and (last + 1 == size or gaps[last + 1] & STOPPED):
            gone[last] |= WITH_DOT
            if last + 1 < size:
                gaps[last + 1] = gaps[last + 1] >> WITHOUT & GAP
        return news

    @jit
    def listed(words, looks, gaps, root, i, size, steps, nexts, needs, kinds, gone):  # type: ignore[no-untyped-def]
        """Mark all that is listed and begins at i; return whether anything more goes than before."""
        node, news = root, False
        for k in range(i, size):
            gap = gaps[k] & GAP if k > i or root == BEHIND else SPACE
            if gap > APOSTROPHE:
                node = step(node, FULL_STOP if gap == DOT else BREAK, steps, nexts)
                if node == NOWHERE:
                    break
            if k > i and kinds[node] & BEFORE and gone[k] & BEGINS and occurs(gaps, i, k - 1, size, 0, gone):
                news = True
            if words[k] == 0:
                break
            node = step(node, words[k], steps, nexts)
            if node == NOWHERE:
                break
            need = needs[node]
            if need & LOOKS >= CAPITALISED and not looks[k] & CAPITAL:
                break
            if need & LOOKS == ALL_CAPITALS and not looks[k] & CAPITALS:
                break
            if need & ADDED and gap == SPACE:
                break
            if kinds[node] & KEEP:
                for kept in range(i, k + 1):
                    gone[kept] |= KEPT
            if kinds[node] & NAME and occurs(gaps, i, k, size, kinds[node], gone):
                news = True
        return news

    @jit
    def is_part(looks, classes, words, i, which):  # type: ignore[no-untyped-def]
        """Tell whether a word is a given name or a family name, as `which` asks, written like one."""
        return classes[words[i]] & which != 0 and looks[i] & (CAPITAL | CAPITALS) == CAPITAL

    @jit
    def named(words, looks, gaps, start, i, size, classes, gone):  # type: ignore[no-untyped-def]
        """Mark what i begins of a person with a listed given and family name; return whether that is news.

        Beside something listed either of the two is enough.
        """
        news = False
        if is_part(looks, classes, words, i, GIVEN) and i + 1 < size and gaps[i + 1] & GAP <= TIGHT:
            if is_part(looks, classes, words, i + 1, SURNAME):
                news = occurs(gaps, i, i + 1, size, 0, gone)
            if gone[i + 1] & BEGINS and occurs(gaps, i, i, size, 0, gone):
                news = True
        behind = i > start and gone[i - 1] & ENDS and gaps[i] & GAP <= TIGHT
        if behind and is_part(looks, classes, words, i, SURNAME) and occurs(gaps, i, i, size, 0, gone):
            news = True
        return news

    @jit
    def could_be_surname(words, looks, k, size, classes, gone):  # type: ignore[no-untyped-def]
        if k >= size or looks[k] & (CAPITAL | CAPITALS | LETTER) != CAPITAL:
            return False
        return not classes[words[k]] & (STOP | HEAD | SUFFIX) and not gone[k]

    @jit
    def person(words, looks, gaps, i, size, classes, gone):  # type: ignore[no-untyped-def]
        """Return the end of "Dr Quorfen", "Maria J. Quorfen", "J. Smith" or "Zhang Wei", if it begins at i, or i."""
        title = classes[words[i]] & TITLE and not looks[i] & CAPITALS
        k = i
        if title:
            k += 1
            if k >= size or (gaps[k] != SPACE and gaps[k] != DOT):
                return i
        first, given = k, 0
        while k < size:
            near = k == first or gaps[k] <= TIGHT or (gaps[k] == DOT and looks[k - 1] & LETTER)
            if not near or not looks[k] & CAPITAL:
                break
            if looks[k] & LETTER:
                behind = k + 1 < size and (
                    gaps[k + 1] == DOT or gaps[k + 1] == TIGHT or (given and gaps[k + 1] == SPACE)
                )
                if not behind:
                    break
            elif is_part(looks, classes, words, k, GIVEN):
                given += 1
                if k > first and classes[words[k]] & SURNAME:
                    return k + 1
            else:
                break
            k += 1
        if k > first:  # given names, initials: a family name must follow
            joined = k < size and (gaps[k] == SPACE or (looks[k - 1] & LETTER and gaps[k] <= DOT))
            known = given or title or (joined and classes[words[k]] & SURNAME)
            if joined and known and could_be_surname(words, looks, k, size, classes, gone):
                return k + 1
            if given > 1 and not looks[k - 1] & LETTER:
                return k
            return i
        if not could_be_surname(words, looks, k, size, classes, gone):
            return i
        if title:
            return k + 1
        if k + 1 < size and gaps[k + 1] == SPACE:
            if not classes[words[k]] & SURNAME:
                return i
            if is_part(looks, classes, words, k + 1, GIVEN):
                return k + 2  # the family name first
            if k + 2 < size and classes[words[k + 1]] & ET and classes[words[k + 2]] & AL:
                return k + 1
        return i

    @jit
    def people(words, looks, gaps, start, size, classes, gone):  # type: ignore[no-untyped-def]
        """Mark people among the words of one stretch; return whether there are any."""
        found = False
        i = start
        while i < size:
            end = i
            if looks[i] & CAPITAL and (classes[words[i]] & (GIVEN | SURNAME | TITLE) or looks[i] & LETTER):
                end = person(words, looks, gaps, i, size, classes, gone)
            if end == i:
                i += 1
                continue
            while end < size and gaps[end] == TIGHT and is_part(looks, classes, words, end, SURNAME):
                end += 1  # the second half of a double name
            for k in range(i, end):
                gone[k] |= CUT
            found = True
            i = end
        return found

    @jit
    def left(k, start, size, gone):  # type: ignore[no-untyped-def]
        """Tell that there is a word k, and that it does not go."""
        return start <= k < size and not gone[k] & CUT

    @jit
    def widen(words, gaps, start, first, end, size, classes, what, gone):  # type: ignore[no-untyped-def]
        """Mark what goes with a name: title, article, "et al." and possessive; return where the text goes on."""
        if left(first - 1, start, size, gone) and classes[words[first - 1]] & TITLE and gaps[first] in (SPACE, DOT):
            first -= 1
            gone[first] |= what
        if left(first - 1, start, size, gone) and classes[words[first - 1]] & ARTICLE and gaps[first] == SPACE:
            gone[first - 1] |= what
        two = left(end, start, size, gone) and left(end + 1, start, size, gone) and gaps[end] == SPACE
        if two and classes[words[end]] & ET and classes[words[end + 1]] & AL:
            gone[end] |= what
            gone[end + 1] |= what
            end += 2
        if left(end, start, size, gone) and gaps[end] == APOSTROPHE and classes[words[end]] & S:
            gone[end] |= what
            end += 1
        return end

    @jit
    def beside(gaps, i, step, start, size, gone):  # type: ignore[no-untyped-def]
        """Return the next word left, going by `step` from i, if no signs and only names stand between; or -1.

        What stands inside and between names does not count: that would tell which they were.
        """
        k = i
        while True:
            edge = k if step < 0 else k + 1
            inside = k != i and start < edge < size and gone[edge - 1] & CUT and gone[edge] & CUT
            k += step
            if k < start or k >= size or (gaps[edge] > APOSTROPHE and not inside):
                return -1
            if gone[k] & SHAPED:
                return -1
            if not gone[k] & CUT:
                return k

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
            if taken == 0 and suffix and i > start and gaps[i] == APART and not gone[i - 1] & CUT:
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
    def in_title_case(looks, start, size, gone):  # type: ignore[no-untyped-def]
        """Tell that most of the longer words that are left begin with a capital, which then says little."""
        balance = 0
        for k in range(start, size):
            if looks[k] & LONG and not gone[k] & CUT:
                balance += 1 if looks[k] & CAPITAL else -1
        return balance > 0

    @jit
    def mark_listed(words, looks, gaps, start, size, classes, steps, nexts, needs, kinds, gone):  # type: ignore[no-untyped-def]
        """Mark what the lists hold until nothing more goes; the order in which it is found makes no difference."""
        found, news = False, True
        while news:
            news = False
            for i in range(start, size):
                if looks[i] & CAPITAL:
                    here = classes[words[i]]
                    if here & STARTS and listed(
                        words, looks, gaps, ANYWHERE, i, size, steps, nexts, needs, kinds, gone
                    ):
                        news = True
                    if here & (GIVEN | SURNAME) and named(words, looks, gaps, start, i, size, classes, gone):
                        news = True
                behind = i > start and gone[i - 1] & ENDS and words[i] != 0
                if behind and listed(words, looks, gaps, BEHIND, i, size, steps, nexts, needs, kinds, gone):
                    news = True
            found = found or news
        for i in range(start, size):
            gaps[i] &= GAP
        return found

    @jit
    def mark_institutions(words, looks, gaps, start, size, classes, gone):  # type: ignore[no-untyped-def]
        """Mark institutions by their shape; return whether there are any."""
        found, heads = False, False
        for i in range(start, size):
            if looks[i] & CAPITAL and classes[words[i]] & (HEAD | SUFFIX) and not gone[i] & CUT:
                heads = True
        if not heads:
            return False
        titled = in_title_case(looks, start, size, gone)
        wanted = (STRONG | SUFFIX) if titled else (HEAD | SUFFIX)
        for i in range(start, size):
            if looks[i] & CAPITAL and classes[words[i]] & wanted and not gone[i] & CUT:
                first, last = institution(words, looks, gaps, start, i, size, classes, titled, gone)
                if first < last:
                    for k in range(first, last + 1):
                        gone[k] |= CUT | SHAPED
                    widen(words, gaps, start, first, last + 1, size, classes, CUT | SHAPED, gone)
                    found = True
        return found

    @jit
    def mark(words, looks, gaps, start, size, classes, steps, nexts, needs, kinds, gone):  # type: ignore[no-untyped-def]
        found = mark_listed(words, looks, gaps, start, size, classes, steps, nexts, needs, kinds, gone)
        i = start
        while i < size:
            end = i + 1
            while end < size and (gone[end] & CUT) == (gone[i] & CUT):
                end += 1
            if not gone[i] & CUT and people(words, looks, gaps, i, end, classes, gone):
                found = True
            i = end
        i = start
        while i < size and found:
            end = i + 1
            if gone[i] & CUT:
                while end < size and gone[end] & CUT:
                    end += 1
                end = widen(words, gaps, start, i, end, size, classes, CUT, gone)
            i = end
        return mark_institutions(words, looks, gaps, start, size, classes, gone) or found

    return tells, mark
