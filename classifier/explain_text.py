"""Write an explanation for a terminal: short lines, colours where they can be seen, nothing but text elsewhere.

What comes from the explained text is shown without control characters: an abstract must not drive a terminal.
"""

import textwrap
from collections.abc import Callable, Sequence

import click

from classifier.cleaning import clean
from classifier.explain import Explanation, Span, TagExplanation
from classifier.recourse import show
from classifier.report import UNSHOWN

_COLORS = {"flag": "red", "review": "yellow"}
_WIDTH, _LABEL = 100, 13
_NAMED = 6


def as_text(explanation: Explanation, *, color: bool = False) -> str:
    """Return an explanation as lines of text: in full where a tag was flagged or is under review, else in two lines."""

    def style(text: str, name: str | None) -> str:
        return click.style(text, fg=name, bold=True) if color else text

    lines = [style(f"{_plain(explanation.id)}  {_plain(explanation.title)}".rstrip(), None)]
    lines += [_line("note", note) for note in explanation.notes]
    for name, tag in explanation.tags.items():
        decided = style(tag.decision, _COLORS.get(tag.decision))
        role = f" ({tag.role})" if tag.role else ""
        lines += ["", f"{style(name, None)}: {decided} {show(tag.probability)}{role}"]
        lines += _in_full(explanation, tag, style) if tag.decision in _COLORS else _told(tag)
    return "\n".join([*lines, "", explanation.notice, ""])


def _in_full(explanation: Explanation, tag: TagExplanation, style: Callable[[str, str | None], str]) -> list[str]:
    lines = [_line("meaning", tag.meaning), _line("thresholds", tag.begins), *_told(tag)]
    lines.append(_line("for", name_phrases(tag.phrases) or "no phrase stands out"))
    if tag.against:
        lines.append(_line("against", name_phrases(tag.against)))
    if tag.sentence:
        mark = " [background]" if tag.sentence.background else ""
        lines.append(_line("strongest", f"\u201c{_plain(tag.sentence.text)}\u201d{mark}"))
    if tag.second:
        change = (
            f"{show(tag.first.probability)} after the first reading, {show(tag.second.probability)} after the second"
        )
        lines.append(
            _line("second reading", f"{change} ({tag.second.shift:+.2f} in log-odds, not shared out among words)")
        )
        lines += [
            _line("  moved by", f"{span.part:+.2f} \u201c{_plain(span.text)}\u201d") for span in tag.second.sentences
        ]
    lines += _lists(tag)
    for label, rule in (("codebook in", tag.recourse.included), ("codebook out", tag.recourse.excluded)):
        if rule:
            lines.append(_line(label, f"{rule.text} [{', '.join(map(_plain, rule.shared))}]"))
    if tag.recourse.precedents:
        alike = (f"{p.id} ({' '.join(p.tags) or 'no tag'}, {p.likeness:.2f})" for p in tag.recourse.precedents)
        lines.append(_line("labelled alike", ", ".join(alike)))
    return lines


def _told(tag: TagExplanation) -> list[str]:
    return [
        textwrap.fill(UNSHOWN.sub("\ufffd", line), _WIDTH, initial_indent="  > ", subsequent_indent="    ")
        for line in tag.recourse.text
    ]


def name_phrases(spans: Sequence[Span]) -> str:
    """Name phrases with what they add, those of equal words together."""
    together: dict[str, list[Span]] = {}
    for span in spans:
        together.setdefault(_plain(span.text).lower(), []).append(span)
    named = []
    order = sorted(together.items(), key=lambda item: -abs(sum(span.part for span in item[1])))
    for words, places in order[:_NAMED]:
        times = f", {len(places)} places" if len(places) > 1 else ""
        ground = ", background" if all(span.background for span in places) else ""
        named.append(f"{words} ({sum(span.part for span in places):+.2f}{times}{ground})")
    return ", ".join(named)


def _lists(tag: TagExplanation) -> list[str]:
    """Name the control-list entries that terms point to, those of equal terms on one line."""
    by_entry: dict[str, list[str]] = {}
    for found in tag.terms:
        for entry in found.entries:
            by_entry.setdefault(f"{entry.list} {entry.entry} ({entry.strength})", []).append(found.term)
    by_terms: dict[str, list[str]] = {}
    for name, terms in by_entry.items():
        by_terms.setdefault(", ".join(dict.fromkeys(terms)), []).append(name)
    return [_line("control list", f"{', '.join(names)}: {terms}") for terms, names in by_terms.items()]


def _line(label: str, text: str) -> str:
    first = f"  {label:{_LABEL}} "
    # Identifiers are copied: none is broken at a hyphen.
    rest = " " * (_LABEL + 3)
    return textwrap.fill(text, _WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)


def _plain(text: str) -> str:
    return " ".join(UNSHOWN.sub("\ufffd", clean(text)).split())
