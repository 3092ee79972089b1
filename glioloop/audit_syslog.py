"""Audit messages on their way to a collector: syslog (RFC 5424) over TLS (RFC 5425).

What is sent is read from the trail's files, and how far is written down; so a collector that is
away for days gets everything later, and some of it twice.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

from glioloop import durable
from glioloop.audit_trail import AuditTrail
from glioloop.settings_audit import Syslog
from listener.tls import TlsFiles, client_context, why_refused

logger = logging.getLogger(__name__)

PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
PRIORITY = 10 * 8 + 5
"""Facility *security/authorization messages*, severity *notice* (RFC 5424 section 6.2.1)."""
MESSAGE_ID = "IHE+RFC-3881"
POSITION = "syslog-position"
BATCH = 500


class Forwarder:
    """A thread that sends what was appended.

    Parameters
    ----------
    trail
        What is sent.
    settings
        Where to.
    """

    def __init__(self, trail: AuditTrail, settings: Syslog) -> None:
        given = settings.tls
        files = TlsFiles(given.certificate, given.key, given.authorities, given.revoked)
        self._context = client_context(files)
        self._trail = trail
        self._settings = settings
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._repeat, name="audit-syslog", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after one more look."""
        self._ending.set()
        self._thread.join(5)

    def _repeat(self) -> None:
        """Body of the thread."""
        pause = PAUSE_S
        while True:
            last = self._ending.is_set()
            try:
                self.send()
                pause = PAUSE_S
            except OSError as error:
                pause = min(2 * pause, LONGEST_PAUSE_S)
                at = f"{self._settings.host}:{self._settings.port}"
                logger.error("the audit collector at %s: %s", at, why_refused(error))  # noqa: TRY400
            if last:
                return
            self._ending.wait(pause)

    def send(self) -> int:
        """Send all that was not sent yet; the number of messages.

        Raises
        ------
        OSError
            If the collector does not take it.
        """
        sent = 0
        while batch := list(self._unsent()):
            with self._connected() as connection:
                for _, _, line in batch:
                    connection.sendall(framed(line, self._trail.source))
                _close(connection)
            inode, offset, _ = batch[-1]
            position = json.dumps({"file": inode, "offset": offset}).encode()
            durable.write(self._trail.folder / POSITION, position)
            sent += len(batch)
        return sent

    def _connected(self) -> ssl.SSLSocket:
        """A connection with TLS."""
        where = (self._settings.host, self._settings.port)
        name = self._settings.tls.name or self._settings.host
        return self._context.wrap_socket(socket.create_connection(where, 10), server_hostname=name)

    def _unsent(self) -> Iterator[tuple[int, int, bytes]]:
        """Some messages: their file, where they end in it, and their bytes."""
        inode, offset = self._position()
        files = [(path.stat().st_ino, path) for path in self._trail.files()]
        known = [at for at, (number, _) in enumerate(files) if number == inode]
        left = BATCH
        for number, path in files[known[0] :] if known else files:
            at = offset if number == inode else 0
            with path.open("rb") as file:
                file.seek(at)
                for line in file:
                    if not line.endswith(b"\n") or left == 0:
                        break
                    left -= 1
                    at += len(line)
                    yield number, at, line.rstrip(b"\n")

    def _position(self) -> tuple[int, int]:
        """How far it came: a file, by its inode, and bytes of it."""
        path = self._trail.folder / POSITION
        if not path.is_file():
            return 0, 0
        found = json.loads(path.read_bytes())
        return int(found["file"]), int(found["offset"])


def _close(connection: ssl.SSLSocket) -> None:
    """End a connection so that all that was sent is read.

    To close it while tickets of TLS 1.3 lie unread would reset it, and what is on its way be lost.
    """
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(4096):
        pass


def framed(line: bytes, source: str) -> bytes:
    """A message as RFC 5425 section 4.3 frames one: its length, and what RFC 5424 has."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    head = f"<{PRIORITY}>1 {at} {socket.gethostname()} {source} {os.getpid()} {MESSAGE_ID} - "
    content = head.encode("ascii", "replace") + b"\xef\xbb\xbf" + line
    return str(len(content)).encode() + b" " + content
