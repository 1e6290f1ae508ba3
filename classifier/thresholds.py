"""Thresholds of one's own: the file that `dualuse thresholds -o` writes and `dualuse classify --thresholds` uses.

They become a profile of the loaded model, named after the thresholds themselves: so a run's record and what it may be
resumed with depend on their values, and not on the file's name. A file belongs to the one model it was made for.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from classifier.errors import ChoiceError, InputError
from classifier.model import Model

FORMAT = 1
_MEND = "Make the file with `dualuse thresholds ... -o FILE`."


def to_file(model: Model, flag: Mapping[str, float], review: Mapping[str, float], made: Mapping[str, Any]) -> str:
    """Return the text of a thresholds file; `made` tells how they were found."""
    content = {"format": FORMAT, "model": {"id": model.id, "digest": model.digest}, "made": dict(made)}
    return json.dumps(content | {"flag": dict(flag), "review": dict(review)}, indent=1) + "\n"


def use_file(model: Model, path: Path) -> tuple[Model, str]:
    """Return the model with the thresholds of a file, and the profile under which it has them.

    Raises ChoiceError where there is no such file, InputError where it cannot be read or was made for another model,
    DualuseError where a threshold is missing or no probability.
    """
    try:
        content = json.loads(path.read_bytes())
        found, digest = content["format"], content["model"]["digest"]
        flag, review = ({str(tag): float(p) for tag, p in content[part].items()} for part in ("flag", "review"))
    except FileNotFoundError as error:
        raise ChoiceError(f"{path}: no such file. {_MEND}") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}. Check its access rights.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} holds no thresholds, or is damaged. {_MEND}") from error
    if found != FORMAT:
        raise InputError(f"{path}: format {found!r}; this version reads {FORMAT}. Make the file again.")
    if digest != model.digest:
        raise InputError(
            f"{path}: made for {content['model'].get('id')} ({digest[:12]}), but the model is {model.id} "
            f"({model.digest[:12]}), whose probabilities differ. Make the file again with this model."
        )
    values = json.dumps([flag, review], sort_keys=True).encode()
    profile = f"thresholds-{hashlib.sha256(values).hexdigest()[:12]}"
    return model.with_thresholds(profile, flag, review), profile
