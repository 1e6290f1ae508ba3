"""Find dual-use research in a pile of abstracts: `load().classify(texts)`.

The way of one abstract; all entries meet in `Model._judge`:
- a dump: `cli` -> `run.classify_dump` -> `engine.judge_batch` -> `Model.judge_arrow`, as do `stream` and `spark`
- single texts: `cli` with --text, the service, `load().classify` -> `Model.classify` -> `Model.judge`
- before it, `Model._score` adds up n-grams, in `kernel` or, for the first few texts, in `features` and `scoring`
- in it, `second` reads again what is in doubt, thresholds decide (`Model._decide`), and roles and notes are added
`explain` takes the same steps by `Model.examine`, which keeps what each said.
"""

from classifier.engine import stream
from classifier.errors import DualuseError, InputError, ModelError, ResumeError, TaxonomyError
from classifier.model import Model, load
from classifier.records import Record, Refusal
from classifier.results import NOTICE, TAGS, Judgement, Result

__all__ = [
    "NOTICE",
    "TAGS",
    "DualuseError",
    "InputError",
    "Judgement",
    "Model",
    "ModelError",
    "Record",
    "Refusal",
    "Result",
    "ResumeError",
    "TaxonomyError",
    "load",
    "stream",
]
