"""SQLite beside the data, or PostgreSQL for many machines: how it is opened, and how it fails."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from sqlalchemy import Engine, MetaData, create_engine, event, inspect, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from study.errors import FailedError, RefusedError

DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
"""What a URL begins with, and what works on it."""

INSERT: Mapping[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
"""Kind of database to its ``insert``, which knows ``on_conflict_do_nothing``."""

LATER: Mapping[str, str] = {"sqlite": "max", "postgresql": "greatest"}
"""Kind of database to the function that gives the larger of two values."""

CONNECTIONS = 5
"""Connections to PostgreSQL that one process keeps for one purpose; as many again in a rush."""

CONNECT_ARGS: Mapping[str, Any] = {
    "options": "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3",
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "connect_timeout": 10,
}
"""Of every connection to PostgreSQL: each side notices within 20 s that the other is gone, and what
the session had locked is free. Seconds; of `tcp_user_timeout`, ms."""

BUSY_MS = 30_000
"""ms that a writer of SQLite waits for another one; then the database is away."""

_ALONE = {"sqlite": "begin immediate", "postgresql": "select pg_advisory_xact_lock(4207849484)"}
_AWAY = ("is locked", "connect", "starting up", "shutting down", "terminating", "server closed")
_OTHER = ("unable to open", "full", "no space")

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
    ("too many clients", "it has no connection left: raise its max_connections"),
    ("connect", "it cannot be reached: look whether it runs, and at {setting}"),
)
"""What a database's own message holds, and what a person is told; the message itself may quote."""


class AwayError(FailedError):
    """A database that cannot be used for now; once it is back, the same call may succeed."""


def kind_of(url: str) -> str:
    """``"sqlite"`` or ``"postgresql"``; empty for what is neither."""
    return DRIVERS.get(url.partition(":")[0].partition("+")[0], "").partition("+")[0]


def with_driver(url: str, setting: str) -> str:
    """A URL with the driver that is installed.

    Raises
    ------
    RefusedError
        If it is for another kind of database; ``setting`` is where it was given.
    """
    kind, colon, rest = url.partition(":")
    kind = kind.removesuffix("+psycopg")
    if kind not in DRIVERS or not colon:
        raise RefusedError(
            "Glioloop keeps this in SQLite or PostgreSQL:"
            f" {setting} begins with sqlite:/// or postgresql://"
        )
    return f"{DRIVERS[kind]}:{rest}"


def open_engine(
    url: str, setting: str, *, page_bytes: int | None = None, cached_kib: int | None = None
) -> Engine:
    """An engine, which connects when it is first used.

    Parameters
    ----------
    url
        ``sqlite:///path`` or ``postgresql://...``.
    setting
        Where it was given, for messages.
    page_bytes, cached_kib
        Of SQLite, for a database that is only now made, and for each connection.

    Raises
    ------
    RefusedError
        If the URL is none, or for another kind of database.
    """
    whole = with_driver(url, setting)
    try:
        parsed = make_url(whole)
        if parsed.get_backend_name() == "sqlite":
            engine = create_engine(parsed)
        else:
            engine = create_engine(
                parsed,
                pool_pre_ping=True,
                pool_size=CONNECTIONS,
                max_overflow=CONNECTIONS,
                connect_args=dict(CONNECT_ARGS),
            )
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise RefusedError(f"{setting} is no URL of a database: {type(error).__name__}") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", partial(_durable, page_bytes, cached_kib))
    return engine


def make_tables(engine: Engine, tables: MetaData) -> None:
    """Make what is missing: one process does, and others that start just now wait."""
    if not set(tables.tables) - set(inspect(engine).get_table_names()):
        return
    with engine.begin() as connection:
        connection.exec_driver_sql(_ALONE[engine.dialect.name])
        tables.create_all(connection)


def place(engine: Engine) -> str:
    """Its URL without the password."""
    return engine.url.render_as_string(hide_password=True)


def is_away(error: BaseException) -> bool:
    """Whether a database was only not there, or locked, when this was raised."""
    if isinstance(error, AwayError | PoolTimeoutError):
        return True
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    said = str(error.orig).lower()
    if any(sign in said for sign in _OTHER):
        return False
    return bool(error.connection_invalidated) or any(sign in said for sign in _AWAY)


def in_words(error: SQLAlchemyError, setting: str) -> str:
    """What is the matter with a database, without a row that its own message may quote."""
    said = str(error.orig).lower() if isinstance(error, DBAPIError) else ""
    found = next((words for sign, words in _SAID if sign in said), type(error).__name__)
    return found.format(setting=setting)


def say_when_away(engine: Engine, what: str, setting: str) -> None:
    """Let every use of an engine raise `AwayError` where its database is not there."""

    def translate(context: ExceptionContext) -> None:
        error = context.sqlalchemy_exception
        if error is not None and is_away(error):
            raise AwayError(
                f"{what} in {place(engine)} cannot be used for now: {in_words(error, setting)}"
            ) from error

    event.listen(engine, "handle_error", translate)


def _durable(page_bytes: int | None, cached_kib: int | None, connection: Any, _record: Any) -> None:
    """Each commit is one durable write, and readers never wait for writers."""
    connection.execute(f"pragma busy_timeout={BUSY_MS}")
    if page_bytes:
        connection.execute(f"pragma page_size={page_bytes}")
    connection.execute("pragma journal_mode=wal")
    connection.execute("pragma synchronous=full")
    if cached_kib:
        connection.execute(f"pragma cache_size=-{cached_kib}")
