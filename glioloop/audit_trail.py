"""The audit trail on this machine: files that only grow.

::

    <data>/audit/
        audit.log                       one message a line
        audit-20260131T235959.123Z.log  an earlier file, which nothing touches any more
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from glioloop.audit_message import Message, encoded

logger = logging.getLogger(__name__)

CURRENT = "audit.log"

_acting: ContextVar[tuple[str, str]] = ContextVar("acting", default=("", ""))


def act_as(user: str) -> None:
    """Name the person on whose behalf this whole process acts: it is a command of theirs."""
    _acting.set((user, ""))


@contextmanager
def acting(user: str, address: str = "") -> Iterator[None]:
    """Name the person on whose behalf something is done: an account, or the name of a token."""
    token = _acting.set((user, address))
    try:
        yield
    finally:
        _acting.reset(token)


def actor() -> tuple[str, str]:
    """The person on whose behalf something is done, and their address; empty: nobody's."""
    return _acting.get()


@dataclass(frozen=True)
class AuditTrail:
    """Appends messages; any number of processes may do so at a time.

    Parameters
    ----------
    folder
        Where; made when missing, for its owner alone.
    most_bytes
        Of a file, after which the next one is begun.
    source, site
        Who reports.
    """

    folder: Path
    most_bytes: int
    source: str
    site: str = ""

    def note(self, message: Message) -> None:
        """Append a message, and see it onto the disk.

        What cannot be written is logged, and hinders nobody: an image that is not accepted because
        its audit message was not written would be lost to the patient.
        """
        line = encoded(message, self.source, self.site) + b"\n"
        try:
            self._append(line)
        except OSError as error:
            logger.error(  # noqa: TRY400 - the traceback adds nothing
                "an audit message was not written (%s): look at the disk and at %s",
                type(error).__name__,
                self.folder,
            )

    def files(self) -> list[Path]:
        """All files, the oldest first."""
        current = self.folder / CURRENT
        earlier = sorted(self.folder.glob("audit-*.log"))
        return [*earlier, current] if current.exists() else earlier

    def _append(self, line: bytes) -> None:
        """Write one line at the end of the current file."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                if not self._is_current(handle):  # somebody began the next file meanwhile
                    continue
                if os.fstat(handle).st_size >= self.most_bytes:
                    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
                    self._path.rename(self.folder / f"audit-{stamp}Z.log")
                    continue
                size = os.fstat(handle).st_size
                if os.write(handle, line) != len(line):  # half a message would spoil the next one
                    os.ftruncate(handle, size)
                    raise OSError(errno.ENOSPC, "no room for an audit message")
                os.fsync(handle)
                return
            finally:
                os.close(handle)

    @property
    def _path(self) -> Path:
        """The file that grows."""
        return self.folder / CURRENT

    def _is_current(self, handle: int) -> bool:
        """Whether an open file is still the one that grows."""
        try:
            return self._path.stat().st_ino == os.fstat(handle).st_ino
        except FileNotFoundError:
            return False
