"""Keys of callers: what a key may do, how it is stored (SHA-256 alone), and the ones in force held in memory.

A key is 32 random bytes, so a plain hash is enough. Once a key was ever added the service asks for one, also after
the last was revoked: taking a key away must not open the door.
"""

import hashlib
import hmac
import logging
import re
import secrets
import time
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from classifier.errors import DualuseError
from service import log
from service.database import KeyRow, writing

REFRESH_SECONDS = 2.0
"""After how long an added or revoked key counts in a service that runs."""

_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")


class Role(StrEnum):
    """What a key is for: to hand in texts, to read results, or both and the rest."""

    SUBMIT = "submit"
    READ = "read"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a key's id and role."""

    id: str
    role: Role


LOCAL = Caller("local", Role.ADMIN)
"""Whoever asks from this machine while no key is defined."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is listed: never the key itself."""

    id: str
    name: str
    role: str  # whatever the database says; only a Role counts
    created: float
    revoked: float | None


def add_key(engine: Engine, name: str, role: Role) -> str:
    """Make a key and return it: the one time that it is seen.

    Raises DualuseError where the name is taken, also by a revoked key, or holds more than letters, digits and "._-".
    """
    if not _NAME.fullmatch(name):
        raise DualuseError(f"{name!r} is no name for a key: give 1 to 100 of A-Z, a-z, 0-9, '.', '_' and '-'.")
    key = f"du_{secrets.token_urlsafe(32)}"
    row = KeyRow(id=secrets.token_hex(4), name=name, role=role.value, sha256=_sha256(key), created=time.time())
    try:
        with writing(engine) as session:
            session.add(row)
    except IntegrityError:
        raise DualuseError(f"There is, or was, a key named {name}. Choose another name, such as {name}-2.") from None
    return key


def list_keys(engine: Engine) -> list[Key]:
    """Return all keys, the revoked ones too, in the order they were added."""
    with Session(engine) as session:
        rows = session.scalars(select(KeyRow).order_by(KeyRow.created))
        return [Key(row.id, row.name, row.role, row.created, row.revoked) for row in rows]


def revoke_key(engine: Engine, name: str) -> None:
    """Put a key, told by its name or id, out of force.

    Raises DualuseError where there is none in force.
    """
    with writing(engine) as session:
        named = (KeyRow.name == name) | (KeyRow.id == name)
        row = session.scalar(select(KeyRow).where(named, KeyRow.revoked.is_(None)))
        if row is None:
            raise DualuseError(f"No key in force is named {name}. `dualuse keys list` shows them.")
        row.revoked = time.time()


class KeyRing:
    """The keys in force, in memory: a request costs no look into the database."""

    def __init__(self, engine: Engine) -> None:
        """Read the keys."""
        self._engine = engine
        self._known: list[tuple[bytes, Caller]] = []
        self._odd: set[str] = set()  # ids of the keys that were told of in the log
        self.is_open = True
        self._read()

    def refresh(self) -> None:
        """Read the keys again; while the database does not answer, those known go on to count."""
        try:
            self._read()
        except Exception as error:  # an end here would be an end of all refreshing: no key could be revoked any more
            log.write(logging.WARNING, "keys not refreshed", **log.describe(error))

    def find(self, given: str) -> Caller | None:
        """Return the caller whose key this is; takes as long whichever key it is, or none."""
        digest = _sha256(given).encode()
        found = None
        for sha256, caller in self._known:
            if hmac.compare_digest(sha256, digest):
                found = caller
        return found

    def _read(self) -> None:
        with Session(self._engine) as session:
            rows = list(session.scalars(select(KeyRow)))
        self.is_open = not rows
        known = []
        for row in rows:
            if row.revoked is not None:
                continue
            if row.role in list(Role):
                known.append((row.sha256.encode(), Caller(row.id, Role(row.role))))
            elif row.id not in self._odd:  # of another version, or changed by hand: it counts as none
                self._odd.add(row.id)
                log.write(logging.ERROR, "key with an unknown role", key_id=row.id)
        self._known = known


def _sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
