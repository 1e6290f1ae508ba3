"""The few errors a caller may want to tell apart.

Every message names its subject, the value seen, the value allowed and the next step, and never quotes the text
of an abstract: messages end up in logs.
"""

EXIT_FAILURE, EXIT_USAGE, EXIT_REFUSED, EXIT_CHANGED, EXIT_INTERRUPTED = 1, 2, 3, 4, 130
"""How commands end where all is not well; 3: done, but some records were refused."""


class DualuseError(Exception):
    """Base of every error raised on purpose; the command line prints it without a traceback."""


class InputError(DualuseError):
    """A whole file or stream cannot be used; single bad records are refused instead (see `Refusal`)."""


class UseError(DualuseError):
    """What was asked for is not to be had: a format, a profile, a model, a column. Mostly a typing error."""


class ChoiceError(InputError, UseError):
    """A format or a column that was named for a source is not known, or not in it."""


class ModelError(DualuseError):
    """A model folder is missing, damaged, or written for another version of the format."""


class NoModelError(ModelError, UseError):
    """There is no model where one was named."""


class TaxonomyError(DualuseError):
    """The taxonomy file breaks its own rules."""


class ResumeError(DualuseError):
    """A run, finished or not, stands where another was to be written: its input, model or options were others."""
