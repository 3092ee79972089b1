"""The database of the models: SQLite beside the data, or PostgreSQL for many machines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from glioloop.model_schema import ModelRow
from study.errors import FailedError, RefusedError

DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
"""What a URL begins with, and what works on it."""
PAGE_BYTES = 16_384
"""Of SQLite: a version takes 1 to 2 KB, and several fit a page."""
CACHED_KIB = 16_384
"""KiB of the database that one connection to SQLite keeps in memory."""

_ALONE = {"sqlite": "begin immediate", "postgresql": "select pg_advisory_xact_lock(4207849484)"}
_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}

_SAID = (
    ("readonly", "it is read-only: give this account the right to write there"),
    ("read-only", "it is read-only: give this account the right to write there"),
    ("disk is full", "its disk is full: free some space"),
    ("no space left", "its disk is full: free some space"),
    ("disk i/o error", "its disk cannot be read or written: free some space, and look at the disk"),
    ("unable to open", "it cannot be opened: look whether its folder exists and may be written"),
    ("not a database", "the file is no database: put back a copy of it"),
    ("malformed", "the file is damaged: put back a copy of it"),
    ("is locked", "another program has locked it"),
    ("connect", "it cannot be reached: look whether it runs, and at models_url"),
)
"""What a database's own message holds, and what a person is told; the message itself may quote."""


class Database:
    """The engine, its sessions, and its failures in words.

    Parameters
    ----------
    url
        ``sqlite:///path`` or ``postgresql://...``; tables are made where they are missing.

    Raises
    ------
    RefusedError
        If the URL is for another kind of database.
    FailedError
        If it cannot be opened.
    """

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        self.place = self._engine.url.render_as_string(hide_password=True)
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", _durable)
        self._sessions = sessionmaker(self._engine, expire_on_commit=False)
        with self._in_words():
            if set(ModelRow.metadata.tables) - set(inspect(self._engine).get_table_names()):
                self._make_tables()

    def _make_tables(self) -> None:
        """Make what is missing: one process does, and others that start just now wait."""
        with self._engine.begin() as connection:
            connection.exec_driver_sql(_ALONE[self._engine.dialect.name])
            ModelRow.metadata.create_all(connection)

    def close(self) -> None:
        """Give the database back."""
        self._engine.dispose()

    @property
    def engine(self) -> Engine:
        """For who asks the database itself."""
        return self._engine

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that changes nothing."""
        with self._in_words(), self._sessions() as session:
            yield session

    @contextmanager
    def looking(self) -> Iterator[Connection]:
        """A bare connection, for the one question that is asked for every study."""
        with self._in_words(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def changing(self) -> Iterator[Session]:
        """One transaction: all of it, or nothing.

        Raises
        ------
        FailedError
            If the database is read-only, full, or gone; then nothing was changed.
        """
        with self._in_words(), self._sessions.begin() as session:
            yield session

    def add_once(self, session: Session, table: type[ModelRow], **values: Any) -> None:
        """Add a row, unless one with its key is there."""
        insert = _INSERT[self._engine.dialect.name]
        session.execute(insert(table).values(**values).on_conflict_do_nothing())

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """Say what is the matter with the database, and quote no row."""
        try:
            yield
        except SQLAlchemyError as error:
            cause = str(error.orig).lower() if isinstance(error, DBAPIError) else ""
            said = next((words for sign, words in _SAID if sign in cause), type(error).__name__)
            raise FailedError(
                f"the models' database {self.place} could not be used, and nothing was changed:"
                f" {said}"
            ) from error


def _engine(url: str) -> Engine:
    """An engine for a URL, with the driver that is installed."""
    kind, colon, rest = url.partition(":")
    if kind not in DRIVERS or not colon:
        raise RefusedError(
            "models are kept in SQLite or PostgreSQL: models_url begins with sqlite:/// or"
            " postgresql://"
        )
    try:
        return create_engine(make_url(f"{DRIVERS[kind]}:{rest}"), pool_pre_ping=kind != "sqlite")
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise RefusedError(f"models_url is no URL of a database: {type(error).__name__}") from error


def _durable(connection: Any, _record: Any) -> None:
    """Each commit is one durable write, and readers never wait for writers."""
    connection.execute("pragma busy_timeout=30000")
    connection.execute(f"pragma page_size={PAGE_BYTES}")  # of a database that is only now made
    connection.execute("pragma journal_mode=wal")
    connection.execute("pragma synchronous=full")
    connection.execute(f"pragma cache_size=-{CACHED_KIB}")
