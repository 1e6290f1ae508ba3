"""Find what could join a listed name across its edge, for `data/names/seams.txt`: `python -m training.seams`.

"York" is a listed name, and so is "New York": what becomes of "New" must not hang on which name stands behind it. So
each part of a listed name, or of such a part, that another listed name leaves over where the two overlap, is cut beside
any name: "New _", "_ University". The list is closed: no overlap of a name with anything in the lists leaves over
anything else. It would rather hold too much: cutting more beside every name alike is harmless to the promise.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import click

from classifier import assets
from classifier.namerules import APOSTROPHE, DOT
from classifier.redaction import NAME_LISTS, SEAM_LIST, gap_kind, read_list

HEAD = """\
# What is cut beside a name (_), because with some name it would be another listed name. Ours (Apache-2.0).
# Made from the other lists by `python -m training.seams`.
"""
_WORD = re.compile(r"[^\W_]+")
Words = tuple[str, ...]


class Entry:
    """A listed name, or a part of one: `_` before or behind it stands for a name."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.spans = [match.span() for match in _WORD.finditer(text)]
        self.words: Words = tuple(text[start:end].lower() for start, end in self.spans)
        self.behind, self.before = text.startswith("_"), text.endswith("_")

        self.gap_behind = gap_kind(text[1 : self.spans[0][0]]) if self.behind else None
        self.gap_before = gap_kind(text[self.spans[-1][1] : -1]) if self.before else None

    @cached_property
    def gaps(self) -> list[int]:
        """What stands before each word but the first."""
        return [gap_kind(self.text[a[1] : b[0]]) for a, b in zip(self.spans, self.spans[1:], strict=False)]

    def head(self, size: int) -> str:
        """Return the first words, as what stands before a name."""
        return f"{self.text[: self.spans[size][0]]}_"

    def tail(self, size: int) -> str:
        """Return all but the first words, as what stands behind a name."""
        return f"_{self.text[self.spans[size - 1][1] :]}"


def seams(names: list[str], given: frozenset[str], surnames: frozenset[str]) -> list[str]:
    """Return the closed list for these names, and for persons made of the given and family names in small letters."""
    listed = [Entry(name) for name in dict.fromkeys(names)]
    parts: dict[str, Entry] = {}
    while True:
        found = {
            text: Entry(text)
            for text in _left_over(listed, [*listed, *parts.values()], given, surnames)
            if text not in parts
        }
        if not found:
            return sorted(parts)
        parts |= found


def _left_over(
    names: list[Entry], patterns: list[Entry], given: frozenset[str], surnames: frozenset[str]
) -> Iterator[str]:
    """Yield the parts that patterns leave over on either side of a name that they overlap."""
    whole, by_start, by_end = _by_words(names)
    edges = _edges_inside(names, patterns, given | surnames)

    def is_person(words: Words) -> bool:
        return len(words) == 2 and words[0] in given and words[1] in surnames

    for pattern in patterns:
        words, gaps, size = pattern.words, pattern.gaps, len(pattern.words)
        for i in range(size):
            rest = words[i:]
            # A name begins at word i of the pattern, which ends inside the name or with it, ...
            if i and (
                is_person(rest)
                or (len(rest) == 1 and rest[0] in given)
                or any(
                    _agree(gaps[i:], name.gaps) and edges[name.text].may_end(pattern, name, len(rest))
                    for name in by_start[rest]
                )
            ):
                yield pattern.head(i)
            # ... or goes on behind it.
            for n in range(1, size - i):
                if is_person(rest[:n]) or any(_agree(gaps[i:], name.gaps) for name in whole[rest[:n]]):
                    yield pattern.tail(i + n)
                    if i:
                        yield pattern.head(i)
        # The pattern begins inside a name, and goes on behind it.
        for n in range(1, size):
            if (n == 1 and words[0] in surnames) or any(
                _agree(gaps, name.gaps[len(name.words) - n :])
                and edges[name.text].may_begin(pattern, name, len(name.words) - n)
                for name in by_end[words[:n]]
                if len(name.words) > n
            ):
                yield pattern.tail(n)


@dataclass(frozen=True, slots=True)
class Edges:
    """Before which words of a name something that is cut may begin, and where something may end.

    Both are given by the number of the word behind the edge.
    """

    begin: set[int]
    end: set[int]

    def may_begin(self, pattern: Entry, name: Entry, at: int) -> bool:
        """Tell whether what a pattern asks of the word before may be so inside a name."""
        return pattern.gap_behind is None or (at in self.end and _may_be(pattern.gap_behind, name.gaps[at - 1]))

    def may_end(self, pattern: Entry, name: Entry, at: int) -> bool:
        """Tell whether what a pattern asks of the word behind may be so inside a name, or at its end."""
        if pattern.gap_before is None or at == len(name.words):
            return True
        return at in self.begin and _may_be(pattern.gap_before, name.gaps[at - 1])


def _edges_inside(names: list[Entry], patterns: list[Entry], persons: frozenset[str]) -> dict[str, Edges]:
    whole, by_start, by_end = _by_words(patterns)
    found = {}
    for name in names:
        words, gaps, size = name.words, name.gaps, len(name.words)
        begin = {i for i in range(1, size) if words[i] in persons}
        end = {i for i in range(1, size) if words[i - 1] in persons}
        edges = found[name.text] = Edges(begin, end)
        before = None
        while before != (before := (len(begin), len(end))):
            for i in range(1, size):
                if any(_agree(p.gaps, gaps[i:]) and edges.may_begin(p, name, i) for p in by_start[words[i:]]):
                    begin.add(i)
                if any(_agree(p.gaps[-i:][1:], gaps) and edges.may_end(p, name, i) for p in by_end[words[:i]]):
                    end.add(i)
                for k in range(i + 1, size):
                    for p in whole[words[i:k]]:
                        if _agree(p.gaps, gaps[i:]) and edges.may_begin(p, name, i) and edges.may_end(p, name, k):
                            begin.add(i)
                            end.add(k)
    return found


def _by_words(entries: list[Entry]) -> tuple[dict[Words, list[Entry]], ...]:
    """Return entries by all their words, by each first part of them, and by each last part."""
    whole, by_start, by_end = (defaultdict[Words, list[Entry]](list) for _ in range(3))
    for entry in entries:
        whole[entry.words].append(entry)
        for size in range(1, len(entry.words) + 1):
            by_start[entry.words[:size]].append(entry)
            by_end[entry.words[-size:]].append(entry)
    return whole, by_start, by_end


def _agree(some: list[int], others: list[int]) -> bool:
    """Tell that the same words may stand with the same signs between them in both."""
    return all(map(_may_be, some, others))


def _may_be(a: int, b: int) -> bool:
    """Tell that both may stand between the same two words; a dot may be left out."""
    a, b = max(a, APOSTROPHE), max(b, APOSTROPHE)
    return a == b or {a, b} == {APOSTROPHE, DOT}


def main() -> None:
    """Write the list beside the lists that it is made from."""
    folder = assets.data_file("names")
    names = [name for name_list in NAME_LISTS for name in read_list(folder, name_list)]
    given, surnames = (frozenset(map(str.lower, read_list(folder, part))) for part in ("given", "surnames"))
    found = seams(names, given, surnames)
    (folder / f"{SEAM_LIST}.txt").write_text(HEAD + "".join(f"{text}\n" for text in found), encoding="utf-8")
    click.echo(f"{len(found)} parts of names")


if __name__ == "__main__":
    main()
