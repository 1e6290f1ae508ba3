"""The log: a JSON object a line, without any text that was sent.

Of an exception it tells type and place, never the message, which may quote what it failed on; of other people's code
the message as it stands in that code, before anything is put into it.
"""

import logging
import sys
import traceback
import warnings
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson

_log = logging.getLogger("dualuse.service")


def write(level: int, event: str, **facts: Any) -> None:
    """Log an event of ours; no fact may hold a text."""
    if _log.isEnabledFor(level):
        _log.log(level, "%s", _line(event, **facts))


def describe(error: BaseException) -> dict[str, Any]:
    """Tell type and place of an exception."""
    frames = traceback.extract_tb(error.__traceback__)
    return {
        "error": type(error).__name__,
        "where": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }


def set_up() -> None:
    """Send the log to standard error, and there whatever the libraries used would say, as lines of the same kind."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    logging.basicConfig(handlers=[handler], level=logging.INFO)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # Puts bytes of a broken upload into its messages itself; that it is broken stands in the answer.
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
    warnings.showwarning = _show_warning


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        if record.name == _log.name:
            return record.getMessage()
        error = record.exc_info[1] if record.exc_info else None
        about = {"logger": record.name, "level": record.levelname, "message": str(record.msg)}
        return _line("library", **about, **(describe(error) if error else {}))


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    write(logging.WARNING, "warning", warning=category.__name__, where=f"{filename}:{lineno}")


def _line(event: str, **facts: Any) -> str:
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    return orjson.dumps({"time": time, "event": event, **facts}).decode()
