"""Tell where what is written would meet what is read, before anything is read.

An output inside the folder that is read, or of a name that the pattern matches, would be taken for input by the next
run, or by this one. What stands beside OUT counts too: OUT.partial, OUT.run.json and the rejects.
"""

import glob
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path


def find_clash(source: object, target: Path | None, others: Sequence[Path | None] = ()) -> str | None:
    """Say what is wrong with writing `target` and `others` while `source` is read, or return None."""
    written = [path for path in (target, *others) if path is not None]
    real = [path.resolve() for path in written]
    for place, path in enumerate(real):
        if path in real[:place]:
            return f"{written[place]} would be written twice; choose another file."
    if not isinstance(source, (str, Path)) or str(source) == "-":
        return None
    origin = Path(source)
    beside = []
    if target is not None:
        beside = [Path(f"{target}{end}") for end in (".run.json", ".partial/data")]
    for path in (*written, *beside):
        if origin.is_dir() and path.resolve().is_relative_to(origin.resolve()):
            return f"{path} would be inside {source}, the folder that is read; choose a place outside it."
        if path.resolve() == origin.resolve() or (path.exists() and origin.is_file() and path.samefile(origin)):
            name = "OUT" if path == target else str(path)
            return f"{name} is IN ({source}); choose another file."
        if not origin.exists() and glob.has_magic(str(source)) and _matches(path, origin):
            return f"{path} would be read as part of {source} by the next run; choose another name or folder."
    return None


def _matches(path: Path, pattern: Path) -> bool:
    path, pattern = path.absolute(), pattern.absolute()
    if "**" in pattern.parts:
        return fnmatchcase(str(path), str(pattern).replace("/**/", "/*"))
    pairs = zip(path.parts, pattern.parts, strict=False)
    return len(path.parts) == len(pattern.parts) and all(fnmatchcase(part, like) for part, like in pairs)
