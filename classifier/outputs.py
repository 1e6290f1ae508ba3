"""Read what `dualuse classify` wrote, row by row, for the commands that compare runs."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from classifier.errors import InputError
from classifier.readers import read
from classifier.records import Columns, Record, Refusal, to_record
from classifier.results import TAGS, is_output

_EVER_FILLED = "model"  # an output without texts would be refused: this column stands in for the abstract


@dataclass(frozen=True, slots=True)
class Scored:
    """One row of an output: decisions and probabilities by tag, in the order of `TAGS`.

    `title` and `abstract` are empty where the output was written without the source's columns.
    """

    id: str
    probabilities: tuple[float, ...]
    decisions: tuple[str, ...]
    model: str
    title: str
    abstract: str


def read_outputs(path: Path) -> Iterator[Scored]:
    """Yield the rows of an output, in order.

    Raises InputError where the file cannot be read, or is no output of `dualuse classify`.
    """
    for item in read(path, columns=Columns(abstract=_EVER_FILLED)):
        if isinstance(item, Refusal):
            raise InputError(f"{path}, row {item.row}: {item.reason} Give an output of `dualuse classify`.")
        if not is_output(item.source):
            raise InputError(
                f"{path}, row {item.row}: no column {TAGS[0]}_probability. Give an output of `dualuse classify`."
            )
        yield _scored(path, item)


def _scored(path: Path, item: Record) -> Scored:
    row = item.source
    try:
        probabilities = tuple(float(row[f"{tag}_probability"]) for tag in TAGS)
        decisions = tuple(str(row[f"{tag}_decision"]) for tag in TAGS)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}, row {item.row} (id {item.id!r}): not a whole result ({error}).") from error
    text = to_record(row, item.row)
    title, abstract = (text.title, text.abstract) if isinstance(text, Record) else ("", "")
    return Scored(item.id, probabilities, decisions, str(row[_EVER_FILLED]), title, abstract)
