"""Write explanations as one page that loads nothing and runs no script: the text with its phrases marked, and why.

Plain string templates with everything escaped, as in `report`.
"""

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from classifier.explain import Explanation, Span, TagExplanation
from classifier.explain_text import name_phrases
from classifier.recourse import show
from classifier.report import UNSHOWN
from classifier.results import NOTICE


def as_page(explanations: Iterable[Explanation]) -> Iterator[str]:
    """Yield the page in pieces, one explanation at a time."""
    yield _HEAD.format(style=_STYLE, notice=escape(NOTICE))
    for explanation in explanations:
        yield _record(explanation)
    yield "</main>\n</body>\n</html>\n"


def _record(explanation: Explanation) -> str:
    notes = "".join(f"<li>{_show(note)}</li>" for note in explanation.notes)
    tags = "".join(_tag(explanation, name, tag) for name, tag in explanation.tags.items())
    return (
        f"<article><h2><bdi>{_show(explanation.title) or 'no title'}</bdi></h2>"
        f'<p class="id"><bdi>{_show(explanation.id)}</bdi>, {_show(explanation.model)}</p>'
        f"{f'<ul>{notes}</ul>' if notes else ''}{tags}</article>\n"
    )


def _tag(explanation: Explanation, name: str, tag: TagExplanation) -> str:
    told = "".join(f"<li>{_show(line)}</li>" for line in tag.recourse.text)
    role = f", {tag.role}" if tag.role else ""
    head = (
        f'<h3 class="{escape(tag.decision)}">{name}: {escape(tag.decision)} {escape(show(tag.probability))}{role}</h3>'
    )
    if tag.decision not in ("flag", "review"):
        return f"<section>{head}<ul>{told}</ul></section>"
    spans = [*tag.phrases, *tag.against]
    given = {"title": explanation.title, "abstract": explanation.abstract}
    texts = "".join(
        f'<p class="given"><bdi>{mark(text, [span for span in spans if span.field == field])}</bdi></p>'
        for field, text in given.items()
        if text.strip()
    )
    facts = [("Meaning", _show(tag.meaning)), ("Thresholds", _show(tag.begins)), *_readings(tag), *_pointers(tag)]
    rows = "".join(f"<dt>{label}</dt><dd>{value}</dd>" for label, value in facts)
    return f"<section>{head}<ul>{told}</ul>{texts}<dl>{rows}</dl></section>"


def mark(text: str, spans: Sequence[Span]) -> str:
    """Return a text as HTML with phrases marked, for (`for`) or against (`against`) the tag.

    Where two overlap, the later begins after the earlier, so that marks never nest.
    """
    pieces, at = [], 0
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        start = max(at, span.start)
        if start >= span.end:
            continue
        kind = "for" if span.part > 0 else "against"
        ground = ", in a background sentence" if span.background else ""
        inside = _show(text[start : span.end])
        pieces += [_show(text[at:start]), f'<mark class="{kind}" title="{span.part:+.2f}{ground}">{inside}</mark>']
        at = span.end
    return "".join([*pieces, _show(text[at:])])


def _readings(tag: TagExplanation) -> Iterator[tuple[str, str]]:
    first = tag.first
    named = sum(span.part for span in (*tag.phrases, *tag.against))
    sums = f"{first.intercept:+.2f} to begin with, {named:+.2f} by the phrases marked, {first.rest:+.2f} by all else"
    yield "For", _show(name_phrases(tag.phrases) or "no phrase stands out")
    if tag.against:
        yield "Against", _show(name_phrases(tag.against))
    if tag.sentence:
        mark = ", background" if tag.sentence.background else ""
        yield "Strongest", f"<q>{_show(tag.sentence.text)}</q>{mark}"
    score = f"a score of {first.margin:+.2f}, calibrated to a probability of {escape(show(first.probability))}"
    yield "Score", f"{sums}: {score}"
    if tag.second:
        yield (
            "Second reading",
            f"{tag.second.shift:+.2f} in log-odds, to {escape(show(tag.second.probability))}; no word's part. "
            + " ".join(f"<q>{_show(span.text)}</q> {span.part:+.2f}" for span in tag.second.sentences),
        )


def _pointers(tag: TagExplanation) -> Iterator[tuple[str, str]]:
    entries: dict[str, list[str]] = {}
    for found in tag.terms:
        for entry in found.entries:
            label = f"{entry.list} {entry.entry} ({entry.strength}): {entry.title}"
            entries.setdefault(label, []).append(found.term)
    for label, terms in entries.items():
        yield "Control list", f"{_show(label)} <small>{_show(', '.join(dict.fromkeys(terms)))}</small>"
    for label, rule in (("Codebook, in", tag.recourse.included), ("Codebook, out", tag.recourse.excluded)):
        if rule:
            yield label, f"{_show(rule.text)} <small>{_show(', '.join(rule.shared))}</small>"
    for one in tag.recourse.precedents:
        yield "Labelled alike", f"{_show(one.id)} <small>{' '.join(one.tags) or 'no tag'}, {one.likeness:.2f}</small>"


def _show(text: str) -> str:
    return escape(UNSHOWN.sub("\ufffd", text))


_STYLE = """
:root { color-scheme: light dark; --back: #fff; --text: #1b1f24; --soft: #57606a; --line: #d0d7de; --for: #ffd8a8;
  --against: #c5e4f7; --flag: #a8441c; }
@media (prefers-color-scheme: dark) { :root { --back: #12161b; --text: #e6e9ed; --soft: #a3adb8; --line: #39424d;
  --for: #6b3d12; --against: #17435c; --flag: #ff9d6c; } }
body { margin: 0 auto; max-width: 52rem; padding: 1rem; background: var(--back); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.2rem; margin: 2.5rem 0 0; }
h3 { font-size: 1.05rem; margin: 1.5rem 0 .5rem; }
.flag, .review { color: var(--flag); } .id, dt, small { color: var(--soft); } .id { margin: 0; font-size: .85rem; }
.given { border-left: .2rem solid var(--line); padding-left: .75rem; white-space: pre-line; }
mark { color: inherit; } mark.for { background: var(--for); } mark.against { background: var(--against); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; } dd { margin: 0; }
@media (max-width: 40rem) { dl { display: block; } dd { margin: 0 0 .5rem; } }
"""

_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'" />
<title>Why these decisions</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>Why these decisions</h1>
<p><strong>{notice}</strong> This page holds the texts: keep it as confidential as the source. Marked words spoke
for a tag, or against it; the numbers beside them are their exact parts of the score.</p>
</header>
<main>
"""
