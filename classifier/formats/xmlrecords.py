"""XML of PubMed (PubmedArticleSet) and of NSF (awards by file, or its API), a record at a time.

A file is cut at the tags of its records and each is parsed on its own: memory stays flat, a broken record is refused
alone, and no document type reaches the parser, so no entity is ever expanded and nothing fetched from anywhere.
"""

import io
import re
from collections.abc import Iterator
from itertools import chain, pairwise
from typing import Any
from xml.etree import ElementTree

from classifier.errors import InputError
from classifier.formats import pubmed
from classifier.formats.elements import as_fields
from classifier.records import UTF8_MEND, Refusal, show_names

_BLOCK = 1 << 20  # bytes read at once
_FIRST = 1 << 20  # bytes in which the first record must begin
_MAX_RECORD = 16 << 20  # bytes; what a tag that is never closed may swallow
_MAX_MARKS = 500_000  # "<" and "=" of a record: an element or attribute takes up to a hundred times its bytes
_OPENING = re.compile(rb"<(PubmedArticle|PubmedBookArticle|Award|award)[\s>]")
_LONGEST_TAG = 32
_ROOT = re.compile(rb"<([A-Za-z_][\w.:-]*)")
_ROOTS = (b"PubmedArticleSet", b"rootTag", b"response")
_ENCODING = re.compile(rb"""\s*<\?xml[^>]*encoding\s*=\s*["']([\w.-]+)""")


def read(stream: io.BufferedReader, subject: str) -> Iterator[tuple[int, dict[str, Any]] | Refusal]:
    """Yield every record with its number.

    Raises InputError where the file declares entities, is not in UTF-8, is cut short, or has no record that is known.
    """
    for place, raw in enumerate(_cut(stream, subject), 1):
        if raw.count(b"<") + raw.count(b"=") > _MAX_MARKS:
            reason = f"has more than {_MAX_MARKS:,} tags and attributes."
            yield Refusal(place, None, reason, "Check that it is one record, and that its tags are closed.")
            continue
        try:
            element = ElementTree.fromstring(raw)
            row = pubmed.as_row(element) if element.tag.startswith("Pubmed") else as_fields(element)
        except ElementTree.ParseError as error:
            yield _refuse(place, raw, error)
        except RecursionError as error:
            yield Refusal(place, None, f"{error}.", "Leave the nested elements out.")
        else:
            yield place, row


def _cut(stream: io.BufferedReader, subject: str) -> Iterator[bytes]:
    buffer = b""
    done = at = 0  # what was given out, and what was searched
    opened: re.Match[bytes] | None = None
    root: bytes | None = None
    seen = False
    while True:
        if opened is None:
            opened = _OPENING.search(buffer, at)
            if opened is not None:
                if not seen:
                    root = _check_head(buffer[: opened.start()], subject)
                    seen = True
                at = opened.end()
                closing = re.compile(rb"</" + opened[1] + rb"\s*>")
        if opened is not None and (closed := closing.search(buffer, at)):
            # Where a record is not closed, the next one begins before its end is found.
            openings = _OPENING.finditer(buffer, opened.start(), closed.end())
            begins = (opening.start() for opening in openings if opening[1] == opened[1])
            for begin, end in pairwise(chain(begins, [closed.end()])):
                yield buffer[begin:end]
            done = at = closed.end()
            opened = None
            continue
        keep = opened.start() if opened else done
        if len(buffer) - keep > (_MAX_RECORD if opened or seen else _FIRST):
            raise InputError(
                f"{subject} holds no record in {len(buffer) - keep:,} bytes. Known are PubMed's PubmedArticle and "
                "NSF's Award; check that its tags are closed."
            )
        piece = stream.read(_BLOCK)
        if not piece:
            break
        at = max(at, len(buffer) - _LONGEST_TAG) - keep
        at = max(at, 0)
        buffer = buffer[keep:] + piece
        done = 0
        if opened is not None:
            opened = _OPENING.match(buffer)
    if opened is not None:
        raise InputError(f"{subject} is truncated: it breaks off inside a record. Fetch it again.")
    rest = buffer[done:]
    if not seen:
        root = _check_head(rest, subject)
        if root not in _ROOTS:
            raise InputError(
                f"{subject} holds no record that is known: its first element is "
                f"{show_names([root.decode()]) if root else 'missing'}. "
                "Known are PubMed's PubmedArticleSet and NSF's rootTag (a file per award) and response (its API)."
            )
    if root is not None and b"</" + root not in rest and not rest.rstrip().endswith(b"/>"):
        raise InputError(f"{subject} is truncated: its element {root.decode()} is not closed. Fetch it again.")


def _check_head(head: bytes, subject: str) -> bytes | None:
    """Return the name of the outermost element."""
    if b"<!ENTITY" in head:
        raise InputError(
            f"{subject} declares entities, which are not read: they can blow up or fetch files. Remove the "
            "<!ENTITY ...> lines from its DOCTYPE, after checking where the file comes from."
        )
    encoding = _ENCODING.match(head)  # nowhere else: searching on would cost the square of what is searched
    if encoding and encoding[1].lower() not in (b"utf-8", b"utf8", b"us-ascii", b"ascii"):
        raise InputError(f"{subject} says it is in {encoding[1][:60].decode()}; only UTF-8 is read. {UTF8_MEND}")
    root = _ROOT.search(head)
    return root[1] if root else None


def _refuse(place: int, raw: bytes, error: ElementTree.ParseError) -> Refusal:
    try:
        raw.decode()
    except UnicodeDecodeError as flaw:
        return Refusal(place, None, f"not valid UTF-8 at byte offset {flaw.start} of the record.", UTF8_MEND)
    if "undefined entity" in str(error):
        reason = "uses a named entity that XML itself does not have."
        return Refusal(place, None, reason, "Write the character itself, e.g. é for &eacute;.")
    line, column = error.position
    reason = f"is not well-formed XML at line {line}, column {column} of the record."
    return Refusal(place, None, reason, "Close every element, and write & as &amp; and < as &lt;.")
