"""Find dual-use research in a pile of abstracts: `load().classify(texts)`."""

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
