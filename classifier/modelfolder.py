"""Read and write a model folder: plain arrays and JSON, listed with size and SHA-256 in MANIFEST.json.

Reading runs no code from the folder: arrays are loaded with `allow_pickle=False` and everything is checked before
anything is built. The fitted scikit-learn pipeline that lies beside them is listed too, but never opened here.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from classifier.errors import ModelError, NoModelError
from classifier.results import ROLES

FORMAT = 2
MANIFEST = "MANIFEST.json"
PARAMETERS = "model.json"
ARRAYS: dict[str, np.dtype[Any]] = {
    "ngrams": np.dtype("<u8"),
    "idf": np.dtype("<u2"),
    "weights": np.dtype("<i2"),
    "role_ngrams": np.dtype("<u8"),
    "role_idf": np.dtype("<u2"),
    "role_weights": np.dtype("<i2"),
}
ENCODER, TOKENIZER = "encoder.onnx", "tokenizer.json"
MAX_FILE_BYTES = 512 * 1024 * 1024

Arrays = dict[str, npt.NDArray[Any]]
_DESCRIPTIVE = ("id", "libraries", "trained_on")  # what a rebuild may differ in without being another model


def read(folder: Path) -> tuple[dict[str, Any], Arrays]:
    """Return a checked folder's parameters and its arrays, memory-mapped.

    Raises ModelError naming the file that is missing, unlisted, changed or malformed.
    """
    verify(folder)
    parameters = json.loads((folder / PARAMETERS).read_bytes())
    if parameters.get("format") != FORMAT:
        raise ModelError(
            f"{folder / PARAMETERS}: format {parameters.get('format')!r}; this version reads {FORMAT}. "
            "Update dualuse, or train the model again."
        )
    arrays: Arrays = {}
    for name, dtype in ARRAYS.items():
        path = folder / f"{name}.npy"
        try:
            arrays[name] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise ModelError(f"{path}: not a readable array ({error}).") from error
        if arrays[name].dtype != dtype:
            raise ModelError(f"{path}: holds {arrays[name].dtype}, expected {dtype}.")
    _check_shapes(folder, parameters, arrays)
    return parameters, arrays


def verify(folder: Path) -> None:
    """Check every file of a folder against its manifest.

    Raises ModelError naming the first file that is missing, not listed, a link, or changed.
    """
    if not folder.is_dir():
        raise NoModelError(f"{folder}: no such model folder. Say fast, careful, or the folder of a model.")
    expected = _listed(folder)
    for name in (PARAMETERS, *(f"{array}.npy" for array in ARRAYS)):
        if name not in expected:
            raise ModelError(f"{folder / MANIFEST}: {name} is not listed. Get the model again.")
    found = {path.name for path in folder.iterdir()}
    for name in sorted(found - expected.keys() - {MANIFEST}):
        raise ModelError(f"{folder / name}: not listed in {MANIFEST}. Remove it, or get the model again.")
    for name, (size, digest) in expected.items():
        path = folder / name
        if path.parent != folder or path.is_symlink() or not path.is_file():
            raise ModelError(f"{path}: listed in {MANIFEST} but missing or not a plain file. Get the model again.")
        if path.stat().st_size != size or size > MAX_FILE_BYTES or _sha256(path) != digest:
            raise ModelError(f"{path}: differs from {MANIFEST} (damaged or changed). Get the model again.")


def _listed(folder: Path) -> dict[str, tuple[int, str]]:
    """Return size and SHA-256 of every file that a folder's manifest lists."""
    try:
        listed = json.loads((folder / MANIFEST).read_bytes())["files"]
        return {str(name): (int(entry["bytes"]), str(entry["sha256"])) for name, entry in listed.items()}
    except FileNotFoundError as error:
        raise ModelError(f"{folder}: {MANIFEST} is missing; this is not a model folder.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{folder / MANIFEST}: cannot be read ({error}). Get the model again.") from error


def digest(folder: Path, parameters: dict[str, Any], arrays: Arrays) -> str:
    """Return the SHA-256 over arrays, encoder, parameters, calibration, thresholds: equal digests score alike.

    What was `read` before is as its manifest says, so the encoder's 23 MB are not digested a second time.
    """
    total = hashlib.sha256()
    numeric = {key: value for key, value in parameters.items() if key not in _DESCRIPTIVE}
    total.update(json.dumps(numeric, sort_keys=True, separators=(",", ":")).encode())
    for name in ARRAYS:
        array = np.ascontiguousarray(arrays[name], dtype=ARRAYS[name])
        total.update(f"{name}{array.shape}".encode())
        total.update(array.tobytes())
    listed = _listed(folder)
    for name in (ENCODER, TOKENIZER):
        if name in listed:
            total.update(f"{name}{listed[name][1]}".encode())
    return total.hexdigest()


def write(folder: Path, parameters: dict[str, Any], arrays: Arrays) -> None:
    """Write parameters and arrays into a folder, then its manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, dtype in ARRAYS.items():
        np.save(folder / f"{name}.npy", np.ascontiguousarray(arrays[name], dtype=dtype), allow_pickle=False)
    text = json.dumps({"format": FORMAT, **parameters}, indent=1, sort_keys=True) + "\n"
    (folder / PARAMETERS).write_text(text, encoding="utf-8")
    write_manifest(folder)


def write_beside(path: Path, text: str) -> None:
    """Write a text file; where it lies in a model folder, such as metrics or a card, list it in the manifest."""
    path.write_text(text, encoding="utf-8")
    if (path.parent / MANIFEST).exists():
        write_manifest(path.parent)


def write_manifest(folder: Path) -> None:
    """List every file of a folder with size and SHA-256."""
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": _sha256(path)}
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != MANIFEST
    }
    text = json.dumps({"files": files}, indent=1, sort_keys=True) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def _check_shapes(folder: Path, parameters: dict[str, Any], arrays: Arrays) -> None:
    tags = len(parameters["tags"])
    for table, columns in (("", tags), ("role_", tags * len(ROLES))):
        ngrams = arrays[f"{table}ngrams"]
        size = len(ngrams)
        for name, shape in (("ngrams", (size,)), ("idf", (size,)), ("weights", (size, columns))):
            found = arrays[table + name].shape
            if found != shape:
                raise ModelError(f"{folder / (table + name)}.npy: shape {found}, expected {shape}.")
        if size == 0 or not np.all(ngrams[1:] > ngrams[:-1]):
            raise ModelError(f"{folder}/{table}ngrams.npy: must hold at least one hash, sorted, none twice.")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
