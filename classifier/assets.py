"""Find the files that travel with the package: taxonomy and shipped model.

In a wheel they lie inside `classifier/_assets` (top-level `data` and `models` in site-packages would collide with
the world); in a checkout they stand where people look for them, in `data/` and `models/`.
"""

from pathlib import Path

from classifier.errors import ModelError

SHIPPED = {"fast": "fast-1.0.0", "careful": "careful-1.0.0"}
DEFAULT = "careful"
_PACKAGE = Path(__file__).parent
_ASSETS = _PACKAGE / "_assets"
_CHECKOUT = _PACKAGE.parent


def model_folder(name: str = SHIPPED[DEFAULT]) -> Path:
    """Return the folder of a shipped model.

    Raises ModelError where no such model is shipped.
    """
    for root in (_ASSETS / "models", _CHECKOUT / "models"):
        if (root / name).is_dir():
            return root / name
    known = sorted(p.name for root in (_ASSETS, _CHECKOUT) for p in root.glob("models/*") if p.is_dir())
    raise ModelError(f"No model named {name!r} is shipped; known: {', '.join(known) or 'none'}. Pass a folder instead.")


def data_file(name: str) -> Path:
    """Return the path of a shipped data file, such as `taxonomy.toml`."""
    packed = _ASSETS / "data" / name
    return packed if packed.exists() else _CHECKOUT / "data" / name


def taxonomy_path() -> Path:
    """Return the path of the shipped taxonomy."""
    return data_file("taxonomy.toml")
