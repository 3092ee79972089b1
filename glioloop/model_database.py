"""The database of the models: SQLite beside the data, or PostgreSQL for many machines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from glioloop import database
from glioloop.model_schema import ModelRow
from study.errors import FailedError

SETTING = "models_url"
PAGE_BYTES = 16_384
"""Of SQLite: a version takes 1 to 2 KB, and several fit a page."""
CACHED_KIB = 16_384
"""KiB of the database that one connection to SQLite keeps in memory."""


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
        self._engine = database.open_engine(
            url, SETTING, page_bytes=PAGE_BYTES, cached_kib=CACHED_KIB
        )
        self.place = database.place(self._engine)
        self._sessions = sessionmaker(self._engine, expire_on_commit=False)
        with self._in_words():
            database.make_tables(self._engine, ModelRow.metadata)

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
        insert = database.INSERT[self._engine.dialect.name]
        session.execute(insert(table).values(**values).on_conflict_do_nothing())

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """Say what is the matter with the database, and quote no row."""
        try:
            yield
        except SQLAlchemyError as error:
            kind = database.AwayError if database.is_away(error) else FailedError
            raise kind(
                f"the models' database {self.place} could not be used, and nothing was changed:"
                f" {database.in_words(error, SETTING)}"
            ) from error
