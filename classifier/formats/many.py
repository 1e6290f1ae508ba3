"""Folders, patterns (`*.xml.gz`) and ZIP archives: many files read as one source, in the order of their names.

What a folder holds but cannot be read is an error rather than left out in silence; only hidden files are passed over
(a leading dot, or a leading underscore and no known suffix, as Spark's _SUCCESS).
"""

import glob
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO, Any

from classifier.compression import SUFFIXES, format_of
from classifier.errors import InputError
from classifier.records import Record, Refusal, show_names

_WILD = frozenset("*?[")
_ONE_BY_ONE = ("json", "xml")  # formats of which funders give a file an award


@dataclass(frozen=True, slots=True)
class Member:
    """A file of a source; `name` is its place in it, which goes into ids and messages."""

    name: str
    path: Path
    inside: str | None = None  # its name in the ZIP archive at `path`

    @property
    def subject(self) -> str:
        """What messages call it."""
        return f"{self.path}:{self.inside}" if self.inside else str(self.path)


def list_members(source: str | Path, format: str | None = None) -> list[Member] | None:
    """Return the files of a folder, a pattern or an archive in the order they are read; None for a single file.

    With a `format` given, files of any suffix are taken.

    Raises InputError where there is none, or where some are of no known format.
    """
    path = Path(source)
    if path.is_dir():
        named = {str(PurePosixPath(file.relative_to(path))): file for file in path.rglob("*") if file.is_file()}
    elif not path.exists() and _WILD & set(str(source)):
        base = _fixed_part(path)
        files = map(Path, glob.glob(str(source), recursive=True))  # noqa: PTH207  # Path.glob takes no absolute pattern
        named = {str(PurePosixPath(file.relative_to(base))): file for file in files if file.is_file()}
    elif path.suffix.lower() == ".zip" and path.is_file():
        named = {path.name: path}
    else:
        return None
    members: list[Member] = []
    for name, file in named.items():
        if file.suffix.lower() == ".zip":
            around = "" if file == path else f"{name}:"
            members += [Member(around + inside, file, inside) for inside in _names_in(file)]
        else:
            members.append(Member(name, file))
    members = [member for member in members if not _is_hidden(member.name)]
    unknown = [member.name for member in members if not format and format_of(Path(member.name)) is None]
    if unknown:
        raise InputError(
            f"{source} holds files of no known format: {show_names(sorted(unknown))}. Known suffixes: {SUFFIXES}. "
            "Move them away, name a pattern such as 'FOLDER/*.json', or say --format to read every file as that."
        )
    empty = [member.name for member in members if member.inside is None and not member.path.stat().st_size]
    if stops := [name for name in empty if (format or format_of(Path(name))) not in _ONE_BY_ONE]:
        raise InputError(
            f"{source} holds empty files: {show_names(sorted(stops))}. Fetch them again or move them away."
        )
    if not members:
        raise InputError(f"{source} holds no file to read. Check the name, and that the files are not hidden.")
    return sorted(members, key=lambda member: member.name)


def read_members(
    members: list[Member],
    read_one: Callable[[Path | IO[bytes], Member], Iterator[Any]],
    place: Callable[[Any, str], Any],
) -> Iterator[Any]:
    """Read one file after the other; `place` gives everything that was read the name of its file.

    Funders give an award a file: one JSON or XML file that cannot be used is a refusal. Of other formats it is an
    InputError, since any number of rows may be lost with it.
    """
    with _Archives() as archives:
        for member in members:
            begun = False
            try:
                with archives.open(member) as file:
                    for outcome in read_one(file, member):
                        begun = True
                        yield place(outcome, member.name)
            except InputError as error:
                if begun or format_of(Path(member.name)) not in _ONE_BY_ONE:
                    raise
                reason = f"in {member.name}: the file cannot be used. {error}"
                yield Refusal(1, None, reason, "Mend the file or move it away.", f"{member.name}:row-1")


def place_outcome(outcome: Record | Refusal, name: str) -> Record | Refusal:
    """Say in an id made of a row's place in which file it is, and in every refusal."""
    if isinstance(outcome, Refusal):
        given = outcome.id or f"{name}:row-{outcome.row}"
        return replace(outcome, id=given, reason=f"in {name}: {outcome.reason}")
    return replace(outcome, id=f"{name}:{outcome.id}") if outcome.id == f"row-{outcome.row}" else outcome


class _Archives(ExitStack):
    """Opens files, and keeps the archive of the last one open: its list of members is read once, not for each."""

    def __init__(self) -> None:
        super().__init__()
        self._path: Path | None = None

    @contextmanager
    def open(self, member: Member) -> Iterator[Path | IO[bytes]]:
        """Open a file: a path stays one, a member of an archive is a stream.

        Raises InputError where it cannot be unpacked.
        """
        if member.inside is None:
            yield member.path
            return
        try:
            if self._path != member.path:
                self.close()
                self._path = None
                self._archive = self.enter_context(zipfile.ZipFile(member.path))
                self._path = member.path
            with self._archive.open(member.inside) as stream:
                yield stream
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            # RuntimeError is what zipfile says of a password.
            raise InputError(
                f"{member.subject} cannot be unpacked: it is damaged, locked with a password or packed in a way that "
                "is not known. Unpack it with another tool and give the folder."
            ) from error


def _names_in(archive: Path) -> list[str]:
    try:
        with zipfile.ZipFile(archive) as opened:
            return [part.filename for part in opened.infolist() if not part.is_dir()]
    except zipfile.BadZipFile as error:
        raise InputError(f"{archive} is damaged, cut short or not a ZIP archive. Fetch it again.") from error


def _fixed_part(pattern: Path) -> Path:
    fixed = Path(pattern.anchor)
    for part in pattern.relative_to(pattern.anchor).parts[:-1]:
        if _WILD & set(part):
            break
        fixed /= part
    return fixed


def _is_hidden(name: str) -> bool:
    parts = name.replace(":", "/").split("/")
    return any(part.startswith(".") for part in parts) or (
        parts[-1].startswith("_") and format_of(Path(parts[-1])) is None
    )
