"""Ways a text reaches us damaged or disguised: each a function (text, random source) -> text, for measuring.

The random source decides where; the same seed gives the same text.
"""

import re
from collections.abc import Callable
from random import Random

Disguise = Callable[[str, Random], str]

_LETTER = re.compile("[A-Za-z]")
_LONG_WORD = re.compile(r"[a-z]{6,}")
_ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff\u00ad"
_TWINS = dict(zip("aceopxyijsABEHKMOPTX", "асеорхуіјѕАВЕНКМОРТХ", strict=True))
# What optical character recognition takes for one another, of the commonest kinds.
_MISREAD = {
    **{"l": "1", "1": "l", "I": "l", "o": "0", "0": "o", "O": "0", "e": "c", "c": "e", "s": "5", "S": "5", "B": "8"},
    **{"g": "q", "q": "g", "h": "b", "b": "h", "i": "l", "t": "f", "f": "t", "u": "v", "v": "u", "a": "o", "n": "ri"},
    **{"m": "rn", "w": "vv", "d": "cl", "r": "n", "y": "v", "k": "lc", "z": "2", "p": "o"},
}
_WIDTH = 72


def zero_width(text: str, random: Random) -> str:
    """Put a hidden character behind every tenth letter."""
    return _LETTER.sub(lambda m: m[0] + random.choice(_ZERO_WIDTH) if random.random() < 0.1 else m[0], text)


def lookalikes(text: str, random: Random) -> str:
    """Write a fifth of the letters that have a Cyrillic twin with that twin."""
    return _LETTER.sub(lambda m: _TWINS.get(m[0], m[0]) if random.random() < 0.2 else m[0], text)


def misread(rate: float) -> Disguise:
    """Return a scanner's errors: a share `rate` of the characters misread, lost, doubled or split off by a space."""

    def scan(text: str, random: Random) -> str:
        read = []
        for sign in text:
            kind = random.random() if random.random() < rate else 1.0
            if kind < 0.7:
                read.append(_MISREAD.get(sign, sign))
            elif kind < 0.85:
                continue
            elif kind < 0.95:
                read.append(sign * 2)
            else:
                read.append(sign if kind == 1.0 else f"{sign} ")
        return "".join(read)

    return scan


def line_breaks(text: str, random: Random) -> str:
    """Set the text in lines of 72 characters, breaking long words with a hyphen."""
    lines, line = [], ""
    for word in text.split():
        if len(line) + len(word) + 1 > _WIDTH and _LONG_WORD.fullmatch(word):
            cut = random.randint(2, len(word) - 3)
            lines.append(f"{line} {word[:cut]}-")
            line = word[cut:]
        elif len(line) + len(word) + 1 > _WIDTH:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return "\n".join([*lines, line])


def markup(text: str, random: Random) -> str:
    """Wrap the text in JATS, a tenth of its words in HTML or LaTeX, and write hyphens as entities."""

    def dress(match: re.Match[str]) -> str:
        if random.random() >= 0.1:
            return match[0]
        shape = random.choice(
            ("<b>{}</b>", "<italic>{}</italic>", r"\emph{{{}}}", r"\textbf{{{}}}", "<jats:sc>{}</jats:sc>")
        )
        return shape.format(match[0])

    return f"<jats:p>{re.sub('[A-Za-z]+', dress, text).replace('-', '&#45;')}</jats:p>" if text else text


def full_width(text: str, random: Random) -> str:
    """Write letters and digits at full width, as East Asian input methods do."""
    return "".join(chr(ord(sign) + 0xFEE0) if sign.isascii() and sign.isalnum() else sign for sign in text)


def capitals(text: str, random: Random) -> str:
    """Write everything in capitals."""
    return text.upper()


DISGUISES: dict[str, Disguise] = {
    "zero-width characters": zero_width,
    "look-alike letters": lookalikes,
    "line-break hyphens": line_breaks,
    "markup": markup,
    "full-width letters": full_width,
    "capitals": capitals,
    "OCR noise 1 %": misread(0.01),
    "OCR noise 3 %": misread(0.03),
    "OCR noise 5 %": misread(0.05),
}


def disguise(name: str, text: str, seed: str) -> str:
    """Return a text under a disguise of `DISGUISES`; the same seed gives the same text."""
    return DISGUISES[name](text, Random(f"{name}|{seed}"))
