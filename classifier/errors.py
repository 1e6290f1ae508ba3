"""The few errors a caller may want to tell apart.

Every message names its subject, the value seen, the value allowed and the next step, and never quotes the text
of an abstract: messages end up in logs.
"""


class DualuseError(Exception):
    """Base of every error raised on purpose; the command line prints it without a traceback."""


class InputError(DualuseError):
    """A whole file or stream cannot be used; single bad records are refused instead (see `Refusal`)."""


class ModelError(DualuseError):
    """A model folder is missing, damaged, or written for another version of the format."""


class TaxonomyError(DualuseError):
    """The taxonomy file breaks its own rules."""


class ResumeError(DualuseError):
    """An unfinished run cannot be taken up, as its input, model or options are others now."""
