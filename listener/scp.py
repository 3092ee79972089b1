"""The C-STORE SCP: what it listens on, and whom it lets in."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

from pynetdicom import AE, evt
from pynetdicom.transport import ThreadedAssociationServer

from listener import handlers
from listener.connection import bound_pdus, number_association, tune_socket
from listener.inbox import Inbox
from listener.presentation import contexts
from study.errors import FailedError, RefusedError

logger = logging.getLogger(__name__)

MAX_PDU = 128 * 1024
"""Announced to peers (bytes): eight times DCMTK's default, which nearly doubles the speed."""


@dataclass(frozen=True)
class ScpConfig:
    """What the listener listens on, and whom it lets in.

    Parameters
    ----------
    host
        Address to bind.
    port
        0 for any free one.
    ae_titles
        What peers may call us.
    peers
        Calling AE title to the addresses or networks (``10.1.2.0/24``) it may call from, none for
        any. None lets everyone in.
    max_pdu
        Largest PDU that peers may send (bytes).
    socket_timeout_s
        A peer that is silent for longer in the middle of a PDU is disconnected.
    idle_timeout_s
        So is one that is silent for longer between two messages.
    max_associations
        At a time.
    max_object_bytes
        The largest data set; the association that brings a larger one is closed.

    Raises
    ------
    RefusedError
        If a peer's address is neither an address nor a network.
    """

    host: str = "0.0.0.0"  # noqa: S104 - a DICOM node is there to be called
    port: int = 11112
    ae_titles: tuple[str, ...] = ("GLIOLOOP", "GLIOLOOP_LEARN")
    peers: Mapping[str, frozenset[str]] | None = None
    max_pdu: int = MAX_PDU
    socket_timeout_s: float = 30.0
    idle_timeout_s: float = 300.0
    max_associations: int = 10
    max_object_bytes: int = 512 << 20

    def __post_init__(self) -> None:
        for calling, allowed in (self.peers or {}).items():
            for place in allowed:
                try:
                    ip_network(place, strict=False)
                except ValueError as error:
                    raise RefusedError(
                        f"peer {calling}: {place!r} is neither an IP address nor a network;"
                        " write one like 10.1.2.3 or 10.1.2.0/24"
                    ) from error

    def knows(self, calling: str, address: str) -> bool:
        """Whether this AE title may call from this address."""
        if self.peers is None:
            return True
        allowed = self.peers.get(calling)
        if allowed is None:
            return False
        here = ip_address(address)
        if isinstance(here, IPv6Address) and here.ipv4_mapped:
            here = here.ipv4_mapped
        return not allowed or any(here in ip_network(place, strict=False) for place in allowed)


class Scp:
    """A running listener."""

    def __init__(self, ae: AE, server: ThreadedAssociationServer) -> None:
        self._ae = ae
        self._server = server
        self._stopped = False

    @property
    def port(self) -> int:
        """Port that it listens on."""
        return int(self._server.server_address[1])

    def stop(self, patience_s: float = 5.0) -> None:
        """Accept nobody any more, give those who are sending some seconds, then disconnect them."""
        if self._stopped:
            return
        self._stopped = True
        self._server.shutdown()
        until = time.monotonic() + patience_s
        while self._is_busy() and time.monotonic() < until:
            time.sleep(0.02)
        self._ae.shutdown()
        logger.info("the DICOM listener has stopped")

    def _is_busy(self) -> bool:
        """Whether a peer is connected that may be sending."""
        return any(one.is_established for one in self._server.active_associations)


def start(
    config: ScpConfig,
    inbox: Inbox,
    on_received: handlers.OnReceived,
    is_full: Callable[[], bool] = handlers.never_full,
) -> Scp:
    """Start the listener in threads of its own.

    What an earlier run left half written in the inbox is removed first.

    Parameters
    ----------
    config
        Where to listen, and whom to let in.
    inbox
        Where instances are kept. This process is the only one that writes there.
    on_received
        Called for each instance after it is on the disk and before its sender gets 0x0000, also
        for those that are not kept. Several threads call it.
    is_full
        Asked before each instance; True answers it with 0xA700.

    Raises
    ------
    FailedError
        If the port cannot be bound.
    """
    inbox.sweep()
    ae = AE(ae_title=config.ae_titles[0])
    ae.supported_contexts = contexts()
    ae.maximum_pdu_size = config.max_pdu
    ae.maximum_associations = config.max_associations
    ae.network_timeout = config.idle_timeout_s
    ae.acse_timeout = config.socket_timeout_s
    ae.dimse_timeout = config.socket_timeout_s
    events: list[evt.EventHandlerType] = [
        (evt.EVT_CONN_OPEN, number_association),
        (evt.EVT_CONN_OPEN, tune_socket, [config.socket_timeout_s]),
        (evt.EVT_CONN_OPEN, bound_pdus),
        (evt.EVT_REQUESTED, handlers.handle_admission, [config]),
        (evt.EVT_PDU_RECV, handlers.handle_pdu, [config.max_object_bytes]),
        (evt.EVT_C_ECHO, handlers.handle_echo),
        (evt.EVT_C_STORE, handlers.handle_store, [inbox, on_received, is_full]),
        (evt.EVT_RELEASED, handlers.handle_end, ["released"]),
        (evt.EVT_ABORTED, handlers.handle_end, ["aborted"]),
    ]
    try:
        server = ae.start_server((config.host, config.port), block=False, evt_handlers=events)
    except OSError as error:
        raise FailedError(
            f"cannot listen on {config.host}:{config.port} ({error}); stop what uses the port, or"
            " choose another"
        ) from error
    if server is None:
        raise FailedError("pynetdicom returned no server")
    listener = Scp(ae, server)
    logger.info(
        "DICOM listener %s on %s:%d", "/".join(config.ae_titles), config.host, listener.port
    )
    return listener
