"""Which one of several services looks after what arrived: it judges studies, and opens SEGs.

Quiet time counts from the last image at any listener, and each SEG is opened once: so of all
services that share a ledger, one does it. It leads while it holds a lock of the database; a service
that is killed, or cut off, loses that, and another one leads within seconds.
"""

from __future__ import annotations

import logging
import threading

import psycopg

from glioloop import peers
from study.errors import FailedError

logger = logging.getLogger(__name__)

SPACE, NAME = "glioloop", "leader"


class Leader:
    """Whether this process leads.

    Parameters
    ----------
    url
        Database of the jobs. With SQLite, which no other machine has, it always does.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._alone = url.startswith("sqlite")
        self._asking = threading.Lock()
        self._session: psycopg.Connection[tuple[object, ...]] | None = None
        self._leads = False

    def leads(self) -> bool:
        """Ask again: whether it still leads, or leads from now on."""
        if self._alone:
            return True
        with self._asking:
            try:
                leads = self._ask()
            except (psycopg.Error, FailedError):
                leads = False
                self._leave()
            if leads != self._leads:
                self._leads = leads
                logger.info("this service %s", "leads" if leads else "no longer leads")
            return leads

    def close(self) -> None:
        """Let another one lead."""
        with self._asking:
            self._leave()

    def _ask(self) -> bool:
        """Whether the lock is ours; `psycopg.Error` when the session that had it ended."""
        if self._session is None:
            self._session = peers.connect(self._url)
        if self._leads:
            self._session.execute("select 1")
            return True
        return peers.try_lock(self._session, SPACE, NAME)

    def _leave(self) -> None:
        """End the session, and with it the lock."""
        self._leads = False
        if self._session is not None:
            self._session.close()
            self._session = None
