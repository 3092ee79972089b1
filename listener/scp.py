"""The C-STORE SCP: what it listens on, and whom it lets in."""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pynetdicom import AE, evt

from listener import handlers
from listener.access import Access
from listener.admission import Doorkeeper
from listener.commitment import PUSH_MODEL
from listener.commitment_scp import CommitmentScp, Desk
from listener.connection import Caller, bound_pdus, number_association, tune_socket
from listener.happenings import Happening, Kind, OnHappening, Transfers, unheard
from listener.inbox import Inbox
from listener.limits import Limits
from listener.presentation import contexts
from listener.server import OnRefused, Server
from listener.tls import TlsFiles, server_context
from listener.waiting import end_waiting, wait_for_events
from study.errors import FailedError

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
        What each calling AE title may do. None lets everyone in, and send everything.
    max_pdu
        Largest PDU that peers may send (bytes).
    socket_timeout_s
        A peer that is silent for longer in the middle of a PDU, or takes longer for one, is
        disconnected.
    idle_timeout_s
        So is one that is silent for longer between two messages.
    limits
        Of how much, and how often.
    tls
        Certificates for DICOM TLS; None: without.
    tls_port
        0 for any free one.
    plain
        Whether the port without TLS is open.
    """

    host: str = "0.0.0.0"  # noqa: S104 - a DICOM node is there to be called
    port: int = 11112
    ae_titles: tuple[str, ...] = ("GLIOLOOP", "GLIOLOOP_LEARN")
    peers: Mapping[str, Access] | None = None
    max_pdu: int = MAX_PDU
    socket_timeout_s: float = 30.0
    idle_timeout_s: float = 300.0
    limits: Limits = field(default_factory=Limits)
    tls: TlsFiles | None = None
    tls_port: int = 2762
    plain: bool = True


class Scp:
    """A running listener, of one port or two."""

    def __init__(self, ae: AE, plain: Server | None, secured: Server | None) -> None:
        self._ae = ae
        self._plain, self._secured = plain, secured
        self._stopped = False

    @property
    def port(self) -> int:
        """Port that it listens on without TLS; 0 where there is none."""
        return _port_of(self._plain)

    @property
    def tls_port(self) -> int:
        """Port that it listens on with TLS; 0 where there is none."""
        return _port_of(self._secured)

    def stop(self, patience_s: float = 5.0) -> None:
        """Accept nobody any more, give those who are sending some seconds, then disconnect them."""
        if self._stopped:
            return
        self._stopped = True
        for server in self._servers():
            server.shutdown()
        until = time.monotonic() + patience_s
        while self._is_busy() and time.monotonic() < until:
            time.sleep(0.02)
        self._ae.shutdown()
        logger.info("the DICOM listener has stopped")

    def _is_busy(self) -> bool:
        """Whether a peer is connected that may be sending."""
        return any(one.is_established for one in self._ae.active_associations)

    def _servers(self) -> list[Server]:
        """Those that were begun."""
        return [server for server in (self._plain, self._secured) if server is not None]


def _port_of(server: Server | None) -> int:
    """Port of a server; 0 of none."""
    return 0 if server is None else int(server.server_address[1])


def start(
    config: ScpConfig,
    inbox: Inbox,
    on_received: handlers.OnReceived,
    is_full: Callable[[], bool] = handlers.never_full,
    tell: OnHappening = unheard,
    desk: Desk | None = None,
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
    tell
        Told of associations, of what they brought and of what was refused. Several threads call it.
    desk
        What is done about storage commitment; None does not offer it.

    Raises
    ------
    RefusedError
        If the TLS files cannot be used.
    FailedError
        If the port cannot be bound.
    """
    inbox.sweep()
    context = server_context(config.tls) if config.tls else None
    ae = AE(ae_title=config.ae_titles[0])
    ae.supported_contexts = contexts()
    ae.maximum_pdu_size = config.max_pdu
    # pynetdicom counts connections, whoever is behind them; the doorkeeper counts peers.
    ae.maximum_associations = 2 * config.limits.connections
    ae.network_timeout = config.idle_timeout_s
    ae.acse_timeout = config.socket_timeout_s
    ae.dimse_timeout = config.socket_timeout_s
    door = Doorkeeper(config.ae_titles, config.peers, config.limits)

    def refused(address: str, why: str) -> None:
        if door.is_told(address):
            logger.warning("a connection from %s was refused: %s", address, why)
            tell(Happening(Kind.REJECTED, Caller("", "", "", address), why))

    events = _events(config, door, inbox, on_received, is_full, tell)
    if desk is not None:
        # Others ask us as SCU; who answers what we asked opens the association, and is the SCP.
        ae.add_supported_context(PUSH_MODEL, scu_role=True, scp_role=True)
        events += CommitmentScp(desk, door.may_ask).events()
    plain = _serve(ae, config, config.port, events, None, refused) if config.plain else None
    try:
        secured = _serve(ae, config, config.tls_port, events, context, refused) if context else None
    except FailedError:
        ae.shutdown()
        raise
    listener = Scp(ae, plain, secured)
    logger.info(
        "DICOM listener %s on %s, port %s, with TLS %s",
        "/".join(config.ae_titles),
        config.host,
        listener.port or "none",
        listener.tls_port or "none",
    )
    return listener


def _events(
    config: ScpConfig,
    door: Doorkeeper,
    inbox: Inbox,
    on_received: handlers.OnReceived,
    is_full: Callable[[], bool],
    tell: OnHappening,
) -> list[evt.EventHandlerType]:
    """What is done on each event of an association."""
    transfers = Transfers(tell)
    return [
        (evt.EVT_CONN_OPEN, number_association),
        (evt.EVT_CONN_OPEN, tune_socket, [config.socket_timeout_s]),
        (evt.EVT_CONN_OPEN, bound_pdus, [config.socket_timeout_s]),
        (evt.EVT_CONN_OPEN, wait_for_events),
        (evt.EVT_CONN_CLOSE, end_waiting),
        (evt.EVT_REQUESTED, handlers.handle_admission, [door, tell]),
        (evt.EVT_PDU_RECV, handlers.handle_pdu, [config.limits]),
        (evt.EVT_C_ECHO, handlers.handle_echo),
        (evt.EVT_C_STORE, handlers.handle_store, [inbox, on_received, is_full, door, transfers]),
        (evt.EVT_RELEASED, handlers.handle_end, ["released", transfers]),
        (evt.EVT_ABORTED, handlers.handle_end, ["aborted", transfers]),
        (evt.EVT_CONN_CLOSE, handlers.handle_close, [transfers]),
    ]


def _serve(
    ae: AE,
    config: ScpConfig,
    port: int,
    events: list[evt.EventHandlerType],
    context: ssl.SSLContext | None,
    refused: OnRefused,
) -> Server:
    """Begin to listen on a port."""
    try:
        server = Server(
            ae, (config.host, port), ae.ae_title, ae.supported_contexts, evt_handlers=events
        )
    except OSError as error:
        raise FailedError(
            f"cannot listen on {config.host}:{port} ({error}); stop what uses the port, or choose"
            " another"
        ) from error
    server.bound(config.limits.connections, config.socket_timeout_s, context, refused)
    # As AE.start_server does, which knows no other class of server; AE.shutdown ends those listed.
    ae._servers.append(server)  # noqa: SLF001
    threading.Thread(target=server.serve_forever, name=f"listener-{port}", daemon=True).start()
    return server
