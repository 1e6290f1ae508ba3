"""Write docs/openapi.json: `python -m service.openapi`, after a change of addresses or schemas.

It is the document of a service with all settings at their defaults.
"""

from pathlib import Path
from typing import Any

import orjson

from service.app import create_app
from service.settings import Settings

_PLACE = Path(__file__).parent.parent / "docs" / "openapi.json"


def described() -> dict[str, Any]:
    """Return the OpenAPI document, whatever the environment says."""
    document: dict[str, Any] = orjson.loads(orjson.dumps(create_app(Settings.model_construct()).openapi()))
    return document


if __name__ == "__main__":
    _PLACE.write_bytes(orjson.dumps(described(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
