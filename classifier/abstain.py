"""When no decision is given: a text that is not English, too short, or made of n-grams that training never saw.

The number of known n-grams, which scoring counts anyway, tells nearly every English text from the rest: only where
there are few for the length of the text are its words looked at. The surprising rule: a short or unknown text is judged
all the same where some tag is flagged or under review, because silence would hide what was found; a text in another
language never is, since no probability was measured on one. Where a good part is English, as of an abstract that stands
there in two languages, the text is judged with a note.
"""

import re
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from classifier.cleaning import clean
from classifier.features import Int64Array
from classifier.redaction import redact

FEWEST_WORDS = 8
ODD = 0.18
"""Known n-grams per byte under which a text's language is looked at: some .24 are usual in English, .03 elsewhere."""
UNKNOWN = 0.07
"""Known n-grams per byte under which a text with no language's words of grammar is taken for unknown."""
REASONS = tuple(f"abstained: {reason}" for reason in ("not English", "too short", "nothing known"))
NOT_ENGLISH, TOO_SHORT, NOTHING_KNOWN = REASONS
PARTLY_ENGLISH = "part of the text is not English"

_WINDOW = 30  # words; in English some ten of them are words of grammar
_ENGLISH_WINDOW = 5  # of these in a stretch of English at least
_GOOD_PART = 0.25  # of a text's stretches
_MOST_IN_FEW_WORDS = 2 * (2 * FEWEST_WORDS - 3)  # words and pairs of a text too short, all of them in its title
_ENGLISH_SHARE = 0.03  # of words, in a text of some length; the corpus has a third
_ENOUGH_WORDS = 15
_OTHER_SCRIPTS = 0.3  # of letters
_LOOKED_AT = 5000  # characters
_WORD = re.compile(r"[^\W\d_]+")
_NUMBER_OR_WORD = re.compile(r"\w+")
_OTHER_LETTER = re.compile(r"[^\W\d_\x00-\u036f\u1e00-\u1eff]")
# Words of grammar, less those that two languages share with English ("die", "in", "on").
_ENGLISH, *_OTHERS = (
    frozenset(words.split())
    for words in (
        "the of and to with that this by from are be which our for using used based these can has have their its it "
        "not been between such into through than both how when while there each other most were whether we or",
        "de la le les des du et une un est dans pour par sur que qui avec au aux ce cette ne pas son sont nous plus en",
        "der die und das den dem des ein eine einer mit von für ist im auf werden wird nicht zu zur zum sich auch bei "
        "aus unter über wie durch nach vor oder eines einem",
        "de la el los las y en un una que por con para del al es se su son como entre más este esta sobre lo",
        "de o os as da do das dos e em um uma que para com por na no nas nos ao é são se mais este esta como",
        "di il la lo gli le e un una che per con del della dei delle nel nella è sono si più da al alla come i",
        "de het een en van dat die met voor zijn wordt niet uit op te bij aan door hoe om ook naar deze dit",
        "w z i na się nie do jest że przez dla oraz jak od po są o przy który",
        "och att det som en av för är med på till den inte om har de ett kan og af til ikke der",
        "ve bir bu ile için olarak olan daha çok gibi de da",
        "yang dan di dari untuk dengan pada ini dalam tidak adalah ke oleh",
    )
)


def to_look_at(known: Int64Array, sizes: Int64Array) -> npt.NDArray[np.bool_]:
    """Tell which texts `reason` must see, and some more: array (documents,), from their known n-grams and bytes."""
    result: npt.NDArray[np.bool_] = (known < ODD * sizes) | (known <= _MOST_IN_FEW_WORDS)
    return result


def reason(document: tuple[str, str], known: int, *, found: bool) -> str | None:
    """Return why there is no decision on a (title, abstract) pair, `PARTLY_ENGLISH`, or None where all is well.

    `known`: its known n-grams; `found`: whether some tag is flagged or under review. Names in the text change nothing.
    """
    text = " ".join(" ".join(redact(clean(field)) for field in document).split())
    size = len(text.encode("utf-8", "replace"))
    if known < ODD * size and not _is_english(text[:_LOOKED_AT], known / size):
        return PARTLY_ENGLISH if _is_partly_english(text[:_LOOKED_AT]) else NOT_ENGLISH
    if found:
        return None
    if len(_NUMBER_OR_WORD.findall(text)) < FEWEST_WORDS:
        return TOO_SHORT
    return NOTHING_KNOWN if known < UNKNOWN * size else None


def bytes_of(documents: Iterable[tuple[str, str]]) -> Int64Array:
    """Return the UTF-8 bytes of (title, abstract) pairs: array (documents,)."""
    return np.array([sum(len(t.encode("utf-8", "replace")) for t in texts) for texts in documents], dtype=np.int64)


def _is_partly_english(text: str) -> bool:
    words = _WORD.findall(text.lower())
    starts = range(0, len(words) - _WINDOW + 1, _WINDOW)
    english = 0
    for stretch in (words[start : start + _WINDOW] for start in starts):
        count = sum(word in _ENGLISH for word in stretch)
        english += count >= _ENGLISH_WINDOW and count > max(sum(w in other for w in stretch) for other in _OTHERS)
    return english > 0 and english >= _GOOD_PART * len(starts)


def _is_english(text: str, known_per_byte: float) -> bool:
    words = _WORD.findall(text.lower())
    letters = sum(map(len, words))
    if len(_OTHER_LETTER.findall(text)) > _OTHER_SCRIPTS * letters:
        return False
    english = sum(word in _ENGLISH for word in words)
    if max(sum(word in other for word in words) for other in _OTHERS) > english:
        return False
    strange = known_per_byte < UNKNOWN and len(words) >= _ENOUGH_WORDS  # a language with no list here
    return not (strange and english < _ENGLISH_SHARE * len(words))
