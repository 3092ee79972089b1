"""Which nodes are alive, where several share the jobs of one PostgreSQL; and who may still act.

A node is alive while it holds a session's advisory lock that is named after it: PostgreSQL drops
the lock with the connection. Every node looks for unfinished jobs whose owner's lock has been free
for `GRACE_S`, and puts them back on their queues. The engine lends each run of a job a token, and
records steps only under the latest: `insist_mine` asks for that before anything is done that others
see.
"""

from __future__ import annotations

import fcntl
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from dbos import DBOS
from dbos._context import get_local_dbos_context
from dbos._dbos import _get_dbos_instance
from sqlalchemy.exc import InterfaceError, OperationalError

from glioloop import database, failures
from study.errors import FailedError, GlioloopError, OutageError, RefusedError

logger = logging.getLogger(__name__)
T = TypeVar("T")

GRACE_S = 30.0
"""A node whose lock has been free for so long (s) is gone, and its jobs run elsewhere."""

EVERY_S = 5.0
"""Between two looks (s). `GRACE_S` is several of them: a live node that lost its session takes its
lock again within one."""

AWAY_S, AWAY_PAUSE_S = 3600.0, 2.0
"""How long a step waits for a database that is away, and how often it asks (s)."""

SPACE = "glioloop node"
"""First half of the key of a node's lock."""


class FileNode:
    """This process among those that share a SQLite file: it holds the lock of its name."""

    def __init__(self, url: str, name: str) -> None:
        path = Path(url.removeprefix("sqlite:///"))
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = path.with_name(f"{path.name}.{name}.lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        # One durable sync for each commit; without WAL, SQLite does not promise the last one.
        with sqlite3.connect(path) as jobs:
            jobs.execute("pragma journal_mode=wal")

    def watch(self) -> None:
        """Do nothing: whoever starts under the name of a dead process takes its jobs up."""

    def close(self) -> None:
        """Give the name back."""
        self._lock.close()


class Node:
    """This process among those that share a database, from `hold` to `close`."""

    def __init__(self, url: str, name: str) -> None:
        self.name = name
        self._url = url
        self._ending = threading.Event()
        self._session = hold(url, SPACE, name)
        self._watcher = threading.Thread(target=self._watch, daemon=True, name="peers")

    def watch(self) -> None:
        """Begin to look after the jobs of nodes that are gone."""
        self._watcher.start()

    def close(self) -> None:
        """Stop being alive."""
        self._ending.set()
        if self._watcher.is_alive():
            self._watcher.join(EVERY_S)
        self._session.close()

    def _watch(self) -> None:
        """Look, and begin anew where the database was gone."""
        while not self._ending.is_set():
            try:
                # Whatever it meets: a node that no longer looks would leave jobs of others undone.
                failures.guarded(self._look)
            except (GlioloopError, OutageError) as error:
                logger.warning("who is alive cannot be asked; again in %g s: %s", EVERY_S, error)
            if self._ending.wait(EVERY_S):
                return
            with suppress(psycopg.Error, FailedError):
                self._session.close()
                self._session = hold(self._url, SPACE, self.name)

    def _look(self) -> None:
        """Look until the session ends. After each new one, others get the whole grace again."""
        free_since: dict[str, float] = {}
        while not self._ending.is_set():
            # It also tells that our own session ended, and with it our lock.
            self._session.execute("select 1")
            now = time.monotonic()
            owners = _owners() - {self.name}
            free_since = {o: since for o, since in free_since.items() if o in owners}
            for owner in sorted(owners):
                if not try_lock(self._session, SPACE, owner):
                    free_since.pop(owner, None)
                    continue
                try:
                    if now - free_since.setdefault(owner, now) >= GRACE_S:
                        logger.warning("node %s is gone: its jobs go back to their queues", owner)
                        # Keeps queue and number of attempts; the public call loses both.
                        DBOS._recover_pending_workflows([owner])  # noqa: SLF001
                finally:
                    unlock(self._session, SPACE, owner)
            self._ending.wait(min(EVERY_S, GRACE_S / 4))


def hold(url: str, space: str, name: str) -> psycopg.Connection[tuple[object, ...]]:
    """Wait for a lock of the database; the session that has it.

    Raises
    ------
    FailedError
        If the database cannot be reached.
    """
    session = connect(url)
    if not try_lock(session, space, name):
        logger.warning(
            "another process is node %s: this one waits to take its place; each process that is to"
            " work beside others needs a name of its own",
            name,
        )
        session.execute("select pg_advisory_lock(hashtext(%s), hashtext(%s))", (space, name))
    return session


def connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    """A session of its own, which PostgreSQL ends soon after the network between us did."""
    plain = database.with_driver(url, "jobs_url").replace("+psycopg", "")
    try:
        return psycopg.connect(plain, autocommit=True, **database.CONNECT_ARGS)
    except psycopg.ProgrammingError as error:
        raise RefusedError(f"jobs_url is no URL of a database: {type(error).__name__}") from None
    except psycopg.Error as error:
        raise FailedError(
            f"the jobs' database cannot be reached ({type(error).__name__}): look whether it runs,"
            " and at jobs_url"
        ) from None


def clock_ahead_s(url: str) -> float:
    """How far this machine's clock is ahead of the database's (s); errors as `connect`."""
    with connect(url) as session:
        asked = time.time()
        found = session.execute("select extract(epoch from clock_timestamp())::float8").fetchone()
        answered = time.time()
    return (asked + answered) / 2 - float(str(found[0] if found else 0.0))


def try_lock(session: psycopg.Connection[tuple[object, ...]], space: str, name: str) -> bool:
    """Whether a lock was free, and is ours now."""
    query = "select pg_try_advisory_lock(hashtext(%s), hashtext(%s))"
    found = session.execute(query, (space, name)).fetchone()
    return bool(found and found[0])


def unlock(session: psycopg.Connection[tuple[object, ...]], space: str, name: str) -> None:
    """Give a lock back."""
    session.execute("select pg_advisory_unlock(hashtext(%s), hashtext(%s))", (space, name))


def insist_mine() -> None:
    """End this run of a job, unless the job is still ours: another node may have taken it over.

    Outside a job, and on SQLite, where no node takes over from another, it does nothing. While the
    database is away, nobody can take a job over either, and the engine's own error tells so.
    """
    context = get_local_dbos_context()
    if context is None or context.owner_xid is None:
        return
    system = _get_dbos_instance()._sys_db  # noqa: SLF001
    if system._is_sqlite:  # noqa: SLF001
        return
    with system.engine.begin() as connection:
        system._check_owner_txn(connection, context.workflow_id, context.owner_xid)  # noqa: SLF001


def as_owner(function: Callable[..., T]) -> Callable[..., T]:
    """A function that runs only while the job is ours, and once more when a database is back."""

    @wraps(function)
    def owned(*args: Any) -> T:
        give_up = time.monotonic() + AWAY_S
        while True:
            try:
                insist_mine()
                return function(*args)
            except (database.AwayError, OperationalError, InterfaceError) as error:
                if time.monotonic() > give_up or not database.is_away(error):
                    raise
                logger.warning("%s waits for a database that is away", function.__name__)
                time.sleep(AWAY_PAUSE_S)

    return owned


def _owners() -> set[str]:
    """Nodes that have jobs in progress."""
    found = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
    return {workflow.executor_id for workflow in found if workflow.executor_id}
