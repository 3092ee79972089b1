"""The TCP server under the listener: how many may be connected, and the TLS handshake.

pynetdicom takes any number of connections, each with two threads, before anybody says who calls;
and it shakes hands over TLS in the loop that accepts, so one silent caller would keep all out.
"""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

from pynetdicom.transport import ThreadedAssociationServer

from listener.tls import why_refused

logger = logging.getLogger(__name__)

OnRefused = Callable[[str, str], None]
"""Told the address of a caller that was refused before it said who calls, and why."""


class Server(ThreadedAssociationServer):
    """A server that knows its bounds. `bound` is called once, before `serve_forever`."""

    daemon_threads = True  # a caller in the middle of a handshake keeps nobody from stopping

    def bound(
        self,
        most: int,
        handshake_s: float,
        context: ssl.SSLContext | None,
        on_refused: OnRefused,
    ) -> None:
        """Set the bounds.

        Parameters
        ----------
        most
            Connections at a time.
        handshake_s
            For the TLS handshake.
        context
            None: without TLS.
        on_refused
            Told of every caller that is turned away here.
        """
        self._most = most
        self._handshake_s = handshake_s
        self._context = context
        self._on_refused = on_refused
        self._opening = 0
        self._counting = threading.Lock()

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002
        """Whether there is room for one more connection."""
        with self._counting:
            fine = self._opening + len(self.active_associations) < self._most
            self._opening += fine
        if not fine:
            self._on_refused(client_address[0], f"{self._most} connections are open already")
        return fine

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Body of the thread of a new connection."""
        secured = None
        try:
            secured = self._secured(request, client_address[0]) if self._context else request
        finally:
            # Together, so that no connection is counted twice or not at all.
            with self._counting:
                self._opening -= 1
                if secured is not None:
                    super().process_request_thread(secured, client_address)

    def _secured(self, request: socket.socket, address: str) -> ssl.SSLSocket | None:
        """The connection with TLS on it; None where the other side is not accepted."""
        assert self._context is not None  # noqa: S101 - for mypy; asked by the caller
        request.settimeout(self._handshake_s)
        try:
            return self._context.wrap_socket(request, server_side=True)
        except OSError as error:
            self._on_refused(address, f"TLS: {why_refused(error)}")
            self.shutdown_request(request)
            return None
