"""What several senders bring at once, entered into the ledger together, by one commit.

A commit is on the disk when it returns, which takes as long for one image as for fifty. While one
is under way, those that come meanwhile wait, and go into the next.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from glioloop import database
from glioloop.ledger import SETTING, Ledger
from listener.inbox import Received
from study.errors import FailedError

MOST = 256
"""Instances in one commit."""


@dataclass
class _Entry:
    """One instance on its way into the ledger."""

    received: Received
    fresh: bool | None = None
    error: FailedError | None = None


class Arrivals:
    """The way into a ledger, for any number of threads."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: list[_Entry] = []
        self._queueing, self._committing = threading.Lock(), threading.Lock()

    def enter(self, received: Received) -> bool:
        """As `Ledger.enter`: when it returns, the instance is in the ledger, and that on the disk.

        Raises
        ------
        FailedError
            If the ledger cannot be written.
        """
        entry = _Entry(received)
        with self._queueing:
            self._waiting.append(entry)
        with self._committing:
            while entry.fresh is None and entry.error is None:
                with self._queueing:
                    batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                self._commit(batch)
        if entry.error is not None:
            raise entry.error
        return bool(entry.fresh)

    def _commit(self, batch: list[_Entry]) -> None:
        """Enter some; where that fails, each by itself, so that one does not spoil the others."""
        try:
            answers = self._ledger.enter_all([entry.received for entry in batch])
        except database.AwayError as error:
            for entry in batch:
                entry.error = error
        except SQLAlchemyError:
            for entry in batch:
                self._alone(entry)
        else:
            for entry, fresh in zip(batch, answers, strict=True):
                entry.fresh = fresh
        finally:
            # Whatever broke in here, those who wait for it must not wait for ever.
            for entry in batch:
                if entry.fresh is None and entry.error is None:
                    entry.error = FailedError(
                        f"instance {entry.received.sop_instance_uid} was not entered in the ledger:"
                        " the commit that it was part of broke; send it again"
                    )

    def _alone(self, entry: _Entry) -> None:
        """Enter one."""
        try:
            entry.fresh = self._ledger.enter(entry.received)
        except database.AwayError as error:
            entry.error = error
        except SQLAlchemyError as error:
            entry.error = FailedError(
                f"instance {entry.received.sop_instance_uid} was not entered in the ledger:"
                f" {database.in_words(error, SETTING)}"
            )
