# ruff: noqa: RUF002, RUF003
"""Take markup and disguises out of a text, and keep the way back to the original.

Every step is a function `text -> edits`; `clean` applies them, `clean_with_map` also follows them back to the
original characters, so the two cannot disagree. The order of the steps and every table here belong to
`CLEANING_VERSION`: a model is only valid with the cleaning that it was trained on.
The surprising rule: hidden characters go before Unicode NFKC, not after, because NFKC neither composes nor
reorders across them ("e", zero-width space, accent): a second cleaning would change the text again.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import unescape
from html.entities import html5
from unicodedata import combining, is_normalized, normalize

CLEANING_VERSION = 1
HIDDEN_NOTE = "hidden characters removed"
MIXED_NOTE = "letters of several scripts mixed"
TRIGGERS = "\\$&<~{}"
"""In ASCII, a step finds something only at one of these, or at a hyphen before a line end."""

# Replace text[start:end] by the string; start < end, in order, never overlapping.
Edit = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A cleaned text; its character i came from the original characters starts[i] to ends[i]."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]
    notes: tuple[str, ...]

    def original_span(self, start: int, end: int) -> tuple[int, int]:
        """Return the span of the original text that produced text[start:end].

        ValueError: the span does not lie inside the cleaned text.
        """
        size = len(self.starts)
        if not 0 <= start <= end <= size:
            raise ValueError(f"span {start}:{end} must lie inside the cleaned text, 0:{size}")
        if start < end:
            return self.starts[start], self.ends[end - 1]
        place = self.starts[start] if start < size else self.ends[-1] if size else 0
        return place, place


def clean(text: str) -> str:
    """Return the text without markup and disguises; plain ASCII comes back at once."""
    return text if _is_plain(text) else _run(text, [])[0]


def clean_with_notes(text: str) -> tuple[str, tuple[str, ...]]:
    """Return `clean(text)` and `notes(text)`, at the price of one of them."""
    if _is_plain(text):
        return text, ()
    cleaned, _, found = _run(text, [])
    return cleaned, found


def clean_with_map(text: str) -> Cleaned:
    """Clean the text as `clean` does, and remember where each character came from."""
    size = len(text)
    if _is_plain(text):
        return Cleaned(text, range(size), range(1, size + 1), ())
    cleaned, (starts, ends), found = _run(text, [list(range(size)), list(range(1, size + 1))])
    return Cleaned(cleaned, starts, ends, found)


def notes(text: str) -> tuple[str, ...]:
    """Return what a reader should be told about the text; an honest English abstract has no notes.

    Persian, Indic scripts and joined emoji need zero-width characters, and get the note too.
    """
    plain = text.isascii() and "&" not in text and ("\\" not in text or r"\unicode" not in text)
    return () if plain else _run(text, [])[2]


def _is_plain(text: str) -> bool:
    """Tell that no step would find anything; one character `in` a text runs at memory speed, a regex does not."""
    if not text.isascii():
        return False
    for sign in TRIGGERS:
        if sign in text:
            return False
    return "\n" not in text or not _LINE_END.search(text)


def _run(text: str, sides: list[list[int]]) -> tuple[str, list[list[int]], tuple[str, ...]]:
    """Take the text, and the sides of its map if there are any, through all steps."""
    found = []
    for step in _STEPS:
        if edits := step(text):
            sides = [_follow(places, edits, edge) for edge, places in zip((0, -1), sides, strict=False)]
            text = _apply(text, edits)
            if step in _NOTES:
                found.append(_NOTES[step])
    return text, sides, tuple(found)


def _apply(text: str, edits: list[Edit]) -> str:
    pieces: list[str] = []
    at = 0
    for start, end, new in edits:
        pieces += text[at:start], new
        at = end
    return "".join([*pieces, text[at:]])


def _follow(places: list[int], edits: list[Edit], edge: int) -> list[int]:
    """Carry one side of the map over a step: a replacement comes from all it replaced, first (0) to last (-1)."""
    followed: list[int] = []
    at = 0
    for start, end, new in edits:
        followed += places[at:start]
        followed += [places[start:end][edge]] * len(new)
        at = end
    return followed + places[at:]


def _byte_order_mark(text: str) -> list[Edit]:
    """Drop a byte order mark at the very start, even misread as Latin-1: exporters write it, so no note."""
    if not text.startswith(("\ufeff", "ï»¿")):
        return []
    return [(0, 1 if text[0] == "\ufeff" else 3, "")]


_ASCII = bytes(range(128))


def beyond_ascii(text: str) -> str:
    """Return the characters beyond ASCII, in order: few, and found at memory speed; a regex walks the whole text."""
    return text.encode("utf-8", "surrogatepass").translate(None, _ASCII).decode("utf-8", "surrogatepass")


_REFERENCE = re.compile(
    r"&(?:amp;)*(?P<html>#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"
    r"|\\unicode\{(?P<mathjax>x[0-9a-fA-F]{1,6}|\d{1,7})\}"
)


def _references(text: str) -> list[Edit]:
    """Read character references, also when escaped twice; without its semicolon ("AT&T") it is none.

    They are only another spelling, so they come first: "&shy;" is hidden and "&ndash;" a dash like the real ones.
    """
    if "&" not in text and r"\unicode" not in text:
        return []
    edits = []
    for match in _REFERENCE.finditer(text):
        name = match["html"] or "#" + match["mathjax"]
        if name[0] == "#" or name + ";" in html5:
            edits.append((*match.span(), unescape(f"&{name};")))
    return edits


# Default-ignorable characters; a soft hyphen at a line end takes the line end along, as a plain hyphen does.
_HIDDEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
    "(?:(?<=\u00ad)[ \t]*\r?\n[ \t]*)?"
)


def _hidden(text: str) -> list[Edit]:
    if text.isascii() or not _HIDDEN.search(beyond_ascii(text)):
        return []
    return [(*match.span(), "") for match in _HIDDEN.finditer(text)]


# Punctuation in UTF-8 misread as Windows-1252 or Latin-1. Misread letters stay: guessing would cost real ones.
_MISREAD = re.compile("â[€\x80](?:(?P<quote>[™˜œ\x98\x99\x9c\x9d\ufffd])|[“”–—\x90\x91\x93\x94¢¦])")
# Typographic signs, what NFKC would make into them, and those of Windows-1252 that came as control characters.
# Trademark signs go, because NFKC would glue "TM" to the word.
_SIGNS = {
    **dict.fromkeys("‘’‚‛′´\x91\x92", "'"),
    **dict.fromkeys("“”„‟″«»\x93\x94", '"'),
    **dict.fromkeys("‐‑‒–—―−⁃⁻₋︱︲﹘\x96\x97", "-"),
    **{"‴": "'''", "⁗": "''''", "™": "", "℠": "", "\x99": ""},
}


def _misread(text: str) -> list[Edit]:
    if "â" not in text:
        return []
    return [(*match.span(), "'" if match["quote"] else "-") for match in _MISREAD.finditer(text)]


def _signs(text: str) -> list[Edit]:
    if text.isascii():
        return []
    found = _SIGNS.keys() & set(beyond_ascii(text))
    return sorted((place, place + 1, _SIGNS[sign]) for sign in found for place in _places(text, sign))


def _places(text: str, sign: str) -> Iterator[int]:
    place = text.find(sign)
    while place >= 0:
        yield place
        place = text.find(sign, place + 1)


# No character composes with an ASCII character behind it: before each, a text may be cut.
_RUN = re.compile(r"[\x00-\x7f]?[^\x00-\x7f]+")
# Letters by their class, but marks once decomposed.
_LATE_MARKS = "\u0f73\u0f75\u0f81\uff9e\uff9f"
# More marks on one letter are dropped, as in Unicode's stream-safe format: sorting them takes quadratic time.
_MARKS = 30


def _compose(text: str) -> list[Edit]:
    """Normalise to NFKC letter by letter, each with its marks; a run whose letters react is one edit."""
    if text.isascii() or is_normalized("NFKC", text):
        return []
    edits: list[Edit] = []
    for run in _RUN.finditer(text):
        piece, at = run[0], run.start()
        if is_normalized("NFKC", piece):
            continue
        letters = [i for i, mark in enumerate(piece) if not i or not (combining(mark) or mark in _LATE_MARKS)]
        spans = list(zip(letters, [*letters[1:], len(piece)], strict=True))
        old = [piece[start : min(end, start + 1 + _MARKS)] for start, end in spans]
        new = [normalize("NFKC", letter) for letter in old]
        whole = normalize("NFKC", "".join(old))
        if "".join(new) != whole:
            edits.append((*run.span(), whole))
            continue
        for (start, end), letter in zip(spans, new, strict=True):
            if letter != piece[start:end]:
                edits.append((at + start, at + end, letter))
    return edits


_LINE_END = re.compile(r"-[ \t]*\r?\n[ \t]*")


def _line_ends(text: str) -> list[Edit]:
    """Join a word broken by a hyphen at a line end, when both sides are lower-case letters.

    "GPS-", "denied" keeps its hyphen; "vision-", "based", broken at a hyphen of its own, pays: one word.
    """
    if "\n" not in text:
        return []
    return [
        (start, end, "")
        for start, end in (match.span() for match in _LINE_END.finditer(text))
        if text[start - 1 : start].islower() and text[end : end + 1].islower()
    ]


def _names(names: str) -> frozenset[str]:
    return frozenset(names.split())


_INLINE = _names(
    """a abbr acronym b bdi bdo big bold cite code del dfn em email ext-link fixed-case font i inline-formula ins italic
    kbd mark monospace named-content nobr overline q roman s samp sans-serif sc small span strike strong styled-content
    sub sup tex-math tt u underline uri url var wbr xref"""
)
_BLOCK = _names(
    """abstract address alternatives article aside blockquote body boxed-text br break caption center dd disp-formula
    disp-quote div dl dt fig figcaption figure footer graphic h1 h2 h3 h4 h5 h6 head header hr html iframe img
    inline-graphic li list list-item meta ol p pre sec section table table-wrap tbody td tfoot th thead title tr ul
    annotation annotation-xml math mfenced mfrac mi mn mo mover mpadded mroot mrow ms mspace msqrt mstyle msub msubsup
    msup mtable mtd mtext mtr munder munderover semantics script style"""
)
# What these enclose is no prose; an annotation repeats a formula as source code.
_CLOSERS = {name: re.compile(rf"</(?:\w+:)?{name}\s*>", re.I) for name in ("script", "style", "annotation")}
_CLOSERS["!--"] = re.compile("-->")
# An attribute needs a value ("a <b and c> d" is no tag), and "<" ends every attempt: linear time.
_TAG = re.compile(
    r"<(?:(?P<comment>!--)|!\[CDATA\[|[!?][A-Za-z][^<>]*>"
    r"|(?P<closing>/?)(?P<prefix>(?:jats|mml|m|xhtml|ns\d):)?(?P<name>[A-Za-z][A-Za-z0-9-]*)"
    r"""(?:\s+[\w:.-]+\s*=\s*(?:"[^"<>]*"|'[^'<>]*'|[^\s"'<>]+))*\s*/?>)|\]\]>"""
)


def _tags(text: str) -> list[Edit]:
    """Drop tags, those of known names only: "<think>" and "p<q" are the author's own."""
    if "<" not in text:
        return []
    edits: list[Edit] = []
    unclosed: set[str] = set()
    at = 0
    while match := _TAG.search(text, at):
        start, at = match.span()
        name = (match["comment"] or match["name"] or "").lower()
        if match["name"] and not (match["prefix"] or name in _INLINE or name in _BLOCK):
            continue
        if name in _CLOSERS and not match["closing"] and name not in unclosed:
            if closer := _CLOSERS[name].search(text, at):
                at = closer.end()
            else:
                unclosed.add(name)
        edits.append((start, at, "" if name in _INLINE else " "))
    return edits


_ACCENTS = {"'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "~": "\u0303", "=": "\u0304", ".": "\u0307"}
_ACCENTS |= {"c": "\u0327", "v": "\u030c", "u": "\u0306", "H": "\u030b", "d": "\u0323", "k": "\u0328", "r": "\u030a"}
# "\'s" and its like are an escaped apostrophe; Polish words that end so pay.
_ACCENT = re.compile(
    r"\\(?!'(?:s|m|re|ll)\b)(?:(?P<sign>['`^\"~=.])|(?P<command>[cvuHdkr](?=\s*\{)|[cv](?=\s))\s*)"
    r"(?:\{\s*\\?(?P<held>[A-Za-z])\s*\}|\\(?P<dotless>[ij])(?![A-Za-z])\s?|(?P<bare>[A-Za-z]))"
)
_CLOSING_QUOTE = re.compile(r'\w[.,;:?!]?\\"(?![\w{\\])')


def _accents(text: str) -> list[Edit]:
    r"""Turn accent commands into letters; where accent and letter have no common character, it is no accent.

    In a text where `\"` also closes a quotation, `\"aerial` begins one.
    """
    if "\\" not in text:
        return []
    quotes = '\\"' in text and _CLOSING_QUOTE.search(text)
    edits = []
    for match in _ACCENT.finditer(text):
        start, end = match.span()
        letter = match["held"] or match["dotless"] or match["bare"]
        letter = normalize("NFC", letter + _ACCENTS[match["sign"] or match["command"]])
        opens = quotes and match["sign"] == '"' and match["bare"] and not text[start - 1 : start].isalpha()
        if len(letter) == 1 and not opens:
            edits.append((start, end, letter))
    return edits


# Commands that go with their (first) argument.
_GONE = (
    "[cC]ite[A-Za-z]*|(?:[cC]|auto|eq|page|name|v)?ref|label|begin|end|color|textcolor|href|hyperlink|hspace|vspace"
    "|bibliography|bibliographystyle|documentclass|usepackage|setlength|input|includegraphics|footnotemark"
)
_LATEX = re.compile(
    rf"\\(?P<gone>(?:{_GONE})(?![A-Za-z])\*?(?:\s*\[[^\[\]{{}}]*\])*\s*\{{[^{{}}]*\}})"
    r"|\\(?P<name>[A-Za-z]+)\s*|\\(?P<sign>[^A-Za-z]?)|\$\$?|\{|\}|~",
)
# Commands that say how the next words look: the name goes, with the space that ends it.
_LOOKS = _names(
    """text textbf textit textrm textsc textsf textsl texttt textup textmd textnormal textsubscript textsuperscript emph
    underline uline ul em bf it rm sc sf sl tt cal frak bold boldmath boldsymbol bm pmb mbox hbox fbox mathbb Bbb mathbf
    mathcal mathfrak mathit mathrm mathscr mathsf mathtt mathop mathbin mathrel Cal operatorname ensuremath left right
    big Big bigl bigr Bigl Bigr bigg Bigg limits nolimits displaystyle textstyle hat tilde bar vec dot ddot check
    widehat widetilde overline frac tfrac dfrac binom over stackrel tiny small footnotesize normalsize large Large huge
    noindent centering protect not ac acp acs acl acf gls Gls glspl enquote num SI qty ce url section subsection
    paragraph rev hl"""
)
# fmt: off
_SYMBOLS = {name: symbol for symbol, names in {
    "<=": "le leq leqslant", ">=": "ge geq geqslant", "!=": "ne neq", "<<": "ll", ">>": "gg", "+/-": "pm", "'": "prime",
    "->": "to rightarrow longrightarrow mapsto Rightarrow", "*": "cdot ast star", "...": "ldots dots cdots",
    "°": "circ degree textdegree", "%": "percent", "|": "mid vert Vert", "-": "textendash textemdash",
    " ~ ": "sim simeq approx lesssim gtrsim textasciitilde",  # with spaces, or it would look like a tie
    " ": """par item newline linebreak quad qquad xspace footnote thanks langle rangle lfloor rfloor lceil rceil
            backslash textbackslash""",
}.items() for name in names.split()}
_LETTERS = {"ss": "ß", "o": "ø", "O": "Ø", "l": "ł", "L": "Ł", "aa": "å", "AA": "Å", "ae": "æ", "AE": "Æ", "i": "i",
            "oe": "œ", "OE": "Œ", "j": "j", "dh": "ð", "DH": "Ð", "th": "þ", "TH": "Þ", "dj": "đ", "DJ": "Đ"}
# fmt: on
# Names that stay as words, but not as written.
_WORDS = {"times": "x", "infty": "infinity", "ell": "l", "varepsilon": "epsilon", "varphi": "phi"}
# Signs after a backslash; any other stands for itself.
_ESCAPED = {**dict.fromkeys("\\[],:;>{}~", " "), **dict.fromkeys("()!-@", "")}


def _latex(text: str) -> list[Edit]:
    r"""Turn LaTeX commands into words, letters and signs.

    Braces go in any text ("{UAV}s" from a reference manager holds no command), as does "$" but before a digit:
    that may be money. "}{" leaves a space, for "\frac{1}{2}", and so does "$$".
    """
    if not ("\\" in text or "$" in text or "{" in text or "}" in text or "~" in text):
        return []
    edits: list[Edit] = []
    for match in _LATEX.finditer(text):
        start, end = match.span()
        before, after = text[start - 1 : start], text[end : end + 1]
        if name := match["name"]:
            new, end = _command(text, name, start, end)
        elif match["gone"]:
            new = " "
        elif match[0] in ("$", "$$", "\\$"):
            new = "$" if after.isdigit() else " " if match[0] == "$$" else ""
        elif match["sign"] is not None:
            new = _ESCAPED.get(match["sign"], match["sign"])
        elif match[0] == "~":
            # Between two words a tie; in "about ~5" it says roughly.
            new = " " if before and after and not (before.isspace() or after.isspace()) else "~"
        else:
            new = " " if match[0] == "}" and after == "{" else ""
        if new != match[0]:
            edits.append((start, end, new))
    return edits


def _command(text: str, name: str, start: int, end: int) -> tuple[str, int]:
    r"""Return what replaces a command and up to where, given the end of the space behind its name.

    An unknown name, Greek letters included, stays as a word of its own ("2$\sigma$" is two), but `\times` joins
    digits: "3x", "10x10".
    """
    name_end = start + 1 + len(name)
    if name in _LOOKS:
        return "", end
    if name in _SYMBOLS:
        return _SYMBOLS[name], name_end
    if name in _LETTERS:
        in_word = text[start - 1 : start].isalpha() and text[end : end + 1].islower()
        return _LETTERS[name], end if in_word else name_end
    would_join = str.isalpha if name == "times" else str.isalnum
    before = would_join(text[max(0, start - 3) : start].rstrip("${}")[-1:])
    after = would_join(text[name_end : name_end + 3].lstrip("${}")[:1])
    return " " * before + _WORDS.get(name, name) + " " * after, name_end


# True visual twins only: "κ", "ρ" or "χ" would cost NFκB and its like, and "в" or "т" look like no Latin letter.
_GREEK = dict(zip("ονϳΑΒΕΖΗΙΚΜΝΟΡΤΥΧͿ", "ovjABEZHIKMNOPTYXJ", strict=True))
_TWINS = _GREEK | dict(
    zip("аеорсухіјѕһԁԛԝѵӏАВЕКМНОРСТХУІЈЅԌԚԜҮӀѴ", "aeopcyxijshdqwvlABEKMHOPCTXYIJSGQWYIV", strict=True)
)
_TWIN = re.compile(f"[{''.join(_TWINS)}]")
_WORD = re.compile(r"[^\W\d_]+")


def _lookalikes(text: str) -> list[Edit]:
    """Map look-alike letters to Latin ones inside words that mix Latin with nothing but such twins.

    Any other letter leaves the word alone ("αvβ3", "μm", a Russian word with a stray Latin letter). Greek letters
    carry meaning in science, so they need two Latin ones beside them: "hν" stays, "νmax" pays.
    """
    if text.isascii() or not _TWIN.search(beyond_ascii(text)):
        return []
    edits: list[Edit] = []
    for match in _WORD.finditer(text):
        # After NFKC, the letters below U+0250 are the Latin ones.
        foreign = [(place, letter) for place, letter in enumerate(match[0], match.start()) if letter >= "\u0250"]
        latin = len(match[0]) - len(foreign)
        twins = all(letter in _TWINS for _, letter in foreign)
        if twins and latin > any(letter in _GREEK for _, letter in foreign):
            edits += [(place, place + 1, _TWINS[letter]) for place, letter in foreign]
    return edits


_STEPS = (
    *(_byte_order_mark, _references, _hidden, _misread, _signs, _compose, _line_ends, _tags, _accents, _latex),
    *(_lookalikes, _compose),  # what stood between a letter and its mark is gone now, so once more
)
_NOTES = {_hidden: HIDDEN_NOTE, _lookalikes: MIXED_NOTE}
