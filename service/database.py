"""The service's tables, in SQLite or PostgreSQL, and how they come into being.

Times are seconds since 1970 (UTC), which both databases hold alike. No text of a document is ever in here: uploads
and results are files in the data folder.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    Double,
    Engine,
    String,
    UniqueConstraint,
    create_engine,
    event,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from classifier.errors import DualuseError
from classifier.writers import replacing
from service.settings import Settings

_BUSY_SECONDS = 30
_ID_FILE = "database-id"


class Base(DeclarativeBase):
    """The tables; `service/migrations` makes just these."""


class DatabaseRow(Base):
    """One row, which tells this database from every other."""

    __tablename__ = "database_id"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)


class KeyRow(Base):
    """A key; a revoked one stays, so that what it did can still be told."""

    __tablename__ = "keys"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    role: Mapped[str] = mapped_column(String(10))
    sha256: Mapped[str] = mapped_column(String(64))
    created: Mapped[float] = mapped_column(Double)
    revoked: Mapped[float | None] = mapped_column(Double)


class JobRow(Base):
    """A job, from its upload to its end."""

    __tablename__ = "jobs"
    __table_args__ = (UniqueConstraint("caller", "idempotency"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    caller: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(10), index=True)
    format: Mapped[str | None] = mapped_column(String(10))  # of the upload; None: by its content
    output: Mapped[str] = mapped_column(String(10))
    keep: Mapped[str] = mapped_column(String(10))
    profile: Mapped[str] = mapped_column(String(100))
    id_column: Mapped[str | None] = mapped_column(String(200))
    title_column: Mapped[str | None] = mapped_column(String(200))
    abstract_column: Mapped[str | None] = mapped_column(String(200))
    body_sha256: Mapped[str] = mapped_column(String(64))
    idempotency: Mapped[str | None] = mapped_column(String(64))  # SHA-256 of the header
    rows: Mapped[int | None]
    refused: Mapped[int | None]
    failure: Mapped[str | None]
    model: Mapped[str | None] = mapped_column(String(100))
    created: Mapped[float] = mapped_column(Double)
    started: Mapped[float | None] = mapped_column(Double)
    tries: Mapped[int] = mapped_column(default=0, server_default=text("0"))  # since the job last got further
    kept: Mapped[int] = mapped_column(default=0, server_default=text("0"))  # rows done when a try last began
    finished: Mapped[float | None] = mapped_column(Double)


def open_database(settings: Settings) -> Engine:
    """Return an engine for the database of `settings`, its tables made or brought up to date.

    Raises DualuseError where the URL is of another kind, its driver is missing, or the data folder belongs to another
    database.
    """
    if settings.database_url is None:
        make_folder(settings.data_dir)
        engine = create_engine(f"sqlite:///{settings.data_dir / 'dualuse.sqlite'}")
        _set_up_sqlite(engine)
    else:
        engine = _open_postgresql(settings.database_url.get_secret_value())
    try:
        _migrate(engine)
        _check_folder(engine, settings.data_dir)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """Open a session that changes something; what is changed counts once the block has ended without an error."""
    with Session(engine.execution_options(**{_WRITES: True})) as session, session.begin():
        yield session


def keep_id(engine: Engine, folder: Path) -> None:
    """Note in a data folder which database its jobs are in.

    Raises DualuseError where that cannot be written.
    """
    path = folder / _ID_FILE
    if not path.exists():
        with replacing(path) as file:
            file.write(f"{_database_id(engine)}\n".encode())


def _check_folder(engine: Engine, folder: Path) -> None:
    path = folder / _ID_FILE
    if path.exists() and path.read_text("utf-8").strip() != _database_id(engine):
        raise DualuseError(
            f"{folder} holds the files of jobs that are in another database than this one: here are neither these jobs "
            "nor the keys. Set DUALUSE_DATABASE_URL as it was, or DUALUSE_DATA_DIR to another folder; if the database "
            f"was changed for good, remove {path}."
        )


def _database_id(engine: Engine) -> str:
    with Session(engine) as session:
        return session.scalars(select(DatabaseRow.id)).one()


def make_folder(path: Path) -> None:
    """Make a folder that only its owner may look into; one that is there keeps its rights.

    Raises DualuseError where that cannot be.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DualuseError(
            f"{path} cannot be made: {error.strerror}. Set DUALUSE_DATA_DIR to a folder that can be written to."
        ) from error


def _open_postgresql(url: str) -> Engine:
    wanted = "Give postgresql://USER:PASSWORD@HOST/NAME, or leave it out for SQLite in the data folder."
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise DualuseError(f"DUALUSE_DATABASE_URL is not a URL. {wanted}") from error
    if parsed.get_backend_name() != "postgresql":
        raise DualuseError(f"DUALUSE_DATABASE_URL is for {parsed.get_backend_name()}. {wanted}")
    try:
        return create_engine(parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise DualuseError(f"PostgreSQL needs {error.name}: pip install 'dualuse[service,postgres]'") from error


def _set_up_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver's own BEGIN would leave tables half made after a kill
        for pragma in (
            f"busy_timeout = {_BUSY_SECONDS * 1000}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # At once for writing: a transaction that first reads and then writes would fail where another wrote meanwhile.
        # Who only reads must not wait for who writes.
        is_writing = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")


def _migrate(engine: Engine) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    with engine.execution_options(**{_WRITES: True}).begin() as connection:
        if engine.dialect.name == "postgresql":  # two at a time would both make the tables
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATING})")
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise DualuseError(
                "The database was brought up to date by a newer version of dualuse. Install that version again, or put "
                "back the copy of the database that was taken before."
            ) from error


_WRITES = "dualuse_writes"
_MIGRATING = 0x6475616C01  # any number that is nobody else's
_SERVING = _MIGRATING + 1


def hold_database(engine: Engine) -> Connection | None:
    """Keep other services off a PostgreSQL database until the connection returned is closed.

    SQLite needs none: it lies in the data folder, which has a lock of its own.

    Raises DualuseError where another has it.
    """
    if engine.dialect.name != "postgresql":
        return None
    connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    if connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({_SERVING})").scalar():
        return connection
    connection.close()
    raise DualuseError("Another service works this database. Stop it, or give this one a database of its own.")
