"""Put names into records and count what changes: the proof that content decides, and names do not.

Each record gets names at its start, in its middle and at its end, and in place of those that it holds; its judgement
is compared with that of the same record with one listed name there, `REFERENCE`. For listed names nothing may change.
Made-up names, which no list holds, tell how well the shapes, and weights that unknown words do not have, keep other
names out; and the record as it was tells what it does to put a name there at all, which takes an article along.
"""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Any

from classifier import assets
from classifier.cleaning import clean
from classifier.errors import InputError
from classifier.model import Model
from classifier.records import Record, in_batches
from classifier.redaction import names_in, read_list
from classifier.results import Result

REFERENCE = "Peru"
AS_IT_WAS = "no name: the record as it was"
PLACES = ("start", "middle", "end", "in place of a name")
_LISTED = {"countries": "country", "cities": "city", "institutions": "institution or funder"}
_BATCH = 512

# Between two words in small letters, and not behind an article, which a name would take with it.
_SEAM = re.compile(r"(?<=[a-z]) (?=[a-z]{2,} )")
_ARTICLE = re.compile(r"\b(?:a|an|the)$", re.I)
_SYLLABLES = [
    "bra",
    "cel",
    "dor",
    "fen",
    "gal",
    "hul",
    "jor",
    "kez",
    "lum",
    "mav",
    "nor",
    "pel",
    "quo",
    "ros",
    "sev",
    "tul",
    "vex",
    "wim",
    "yor",
    "zan",
]
_MADE_UP = {
    "person": "{a} {b}",
    "city": "{a}",
    "university": "{a} University",
    "institute": "Institute of {a} {b}",
    "company": "{a} {b} Ltd",
    "funder": "{a} Trust",
}


@dataclass(frozen=True, slots=True)
class Swap:
    """A record with a name put into it."""

    record: int
    kind: str
    place: str
    name: str
    document: tuple[str, str]


@dataclass(slots=True)
class Tally:
    """What a kind of names did in one place."""

    swaps: int = 0
    changed_decisions: int = 0
    largest_change: float = 0.0


def swap_names(model: Model, records: Sequence[Record], names_each: int, seed: int) -> dict[str, Any]:
    """Judge records with names put into them; return counts by kind of name and place, and which listed name failed.

    InputError: no records.
    """
    if not records:
        raise InputError("There is no record to put names into. Give a dump with texts.")
    before = _references(model, records)
    tallies: dict[tuple[str, str], Tally] = {}
    used: dict[str, set[str]] = {}
    failed: list[dict[str, str]] = []
    for batch in in_batches(swaps(records, names_each, seed), _BATCH):
        for swap, after in zip(batch, model.classify([swap.document for swap in batch]), strict=True):
            tally = tallies.setdefault((swap.kind, swap.place), Tally())
            used.setdefault(swap.kind, set()).add(swap.name)
            changed, largest = _difference(before[swap.record, swap.place], after)
            tally.swaps += 1
            tally.changed_decisions += changed
            tally.largest_change = max(tally.largest_change, largest)
            if largest and swap.kind.startswith("listed"):
                failed.append({"id": records[swap.record].id, "place": swap.place, "name": swap.name})
    rows = [
        {
            "kind": kind,
            "place": place,
            "names": len(used[kind]),
            "swaps": tally.swaps,
            "changed_decisions": tally.changed_decisions,
            "largest_change": round(tally.largest_change, 6),
        }
        for (kind, place), tally in sorted(tallies.items(), key=lambda item: (item[0][0], PLACES.index(item[0][1])))
    ]
    return {
        "model": {"id": model.id, "digest": model.digest},
        "records": len(records),
        "seed": seed,
        "rows": rows,
        "failed": failed,
    }


def swap_table(report: dict[str, Any]) -> str:
    """Return the report as a plain-text table."""
    lines = [f"{'':44}{'place':22}{'names':>7}{'swaps':>9}{'changed decisions':>19}{'largest change':>16}"]
    lines += [
        f"{row['kind']:44}{row['place']:22}{row['names']:7,}{row['swaps']:9,}{row['changed_decisions']:19,}"
        f"{row['largest_change']:16.6f}"
        for row in report["rows"]
    ]
    return "\n".join(lines)


def swaps(records: Sequence[Record], names_each: int, seed: int) -> Iterator[Swap]:
    """Yield the records with names put into them: for each kind and place `names_each`, every name used in turn.

    Each record as it was comes first, for every place that it has.
    """
    chance = random.Random(seed)
    streams = {kind: _in_turn(names, chance) for kind, names in name_kinds(chance).items()}
    for number, record in enumerate(records):
        for place in PLACES:
            if put(record, place, REFERENCE) is not None:
                yield Swap(number, AS_IT_WAS, place, "", (record.title, record.abstract))
        for (kind, stream), place in product(streams.items(), PLACES):
            for name in islice(stream, names_each):
                document = put(record, place, name)
                if document is not None:
                    yield Swap(number, kind, place, name, document)


def name_kinds(chance: random.Random) -> dict[str, list[str]]:
    """Return names of each kind: listed ones, also in capitals, and made-up ones."""
    folder = assets.data_file("names")
    kinds: dict[str, list[str]] = {}
    for file, kind in _LISTED.items():
        names = read_list(folder, file)
        kinds[f"listed {kind}"] = names
        # A Turkish dotless i has the capital of another letter.
        kinds[f"listed {kind}, in capitals"] = [name.upper() for name in names if name.upper().lower() == name.lower()]
    given = read_list(folder, "given")
    surnames = [name for name in read_list(folder, "surnames") if name not in set(given)]
    kinds["listed person"] = [f"{first} {chance.choice(surnames)}" for first in given]
    for kind, form in _MADE_UP.items():
        kinds[f"made-up {kind}"] = [form.format(a=_made_up(chance), b=_made_up(chance)) for _ in range(200)]
    return kinds


def put(record: Record, place: str, name: str) -> tuple[str, str] | None:
    """Return title and abstract with a name put in, or None where there is no such place in the record."""
    title, abstract = clean(record.title), clean(record.abstract)
    text = abstract or title
    if place == "start":
        text = f"{name} {text}"
    elif place == "end":
        text = f"{text} {name}"
    elif place == "middle":
        seams = [seam.start() for seam in _SEAM.finditer(text) if not _ARTICLE.search(text, 0, seam.start())]
        if not seams:
            return None
        at = min(seams, key=lambda seam: abs(seam - len(text) // 2))
        text = f"{text[:at]} {name}{text[at:]}"
    else:
        spans = names_in(text)
        if not spans:
            return None
        for start, end in reversed(spans):
            text = f"{text[:start]}{name}{text[end:]}"
    return (title, text) if abstract else (text, "")


def _references(model: Model, records: Sequence[Record]) -> dict[tuple[int, str], Result]:
    """Judge every record with the reference name in each of its places."""
    found: dict[tuple[int, str], Result] = {}
    placed = ((number, place) for number in range(len(records)) for place in PLACES)
    for batch in in_batches(placed, _BATCH):
        documents = {at: put(records[at[0]], at[1], REFERENCE) for at in batch}
        there = {at: document for at, document in documents.items() if document is not None}
        found |= zip(there, model.classify([*there.values()]), strict=True)
    return found


def _difference(before: Result, after: Result) -> tuple[bool, float]:
    pairs = [(judged, after.judgements[tag]) for tag, judged in before.judgements.items()]
    return any(a.decision != b.decision for a, b in pairs), max(abs(a.probability - b.probability) for a, b in pairs)


def _in_turn(names: list[str], chance: random.Random) -> Iterator[str]:
    while True:
        yield from chance.sample(names, len(names))


def _made_up(chance: random.Random) -> str:
    return "".join(chance.choices(_SYLLABLES, k=3)).capitalize()
