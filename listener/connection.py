"""The TCP connection under an association, and what logs call it."""

from __future__ import annotations

import itertools
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.events import Event

LARGEST_PDU = 1 << 20
"""Bytes of the largest PDU that is read at all. A peer respects the length announced to it in its
P-DATA, and no association request comes near."""

CHUNK = 1 << 16
"""Bytes read at once: no more memory is taken than has come."""

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Caller:
    """Who is at the other end of an association that we accepted.

    Parameters
    ----------
    number
        Counts the associations of this process.
    calling, called
        AE titles; printable ASCII, as pynetdicom refuses others.
    """

    number: str
    calling: str
    called: str
    address: str

    def __str__(self) -> str:
        return f"association {self.number} of {self.calling} at {self.address}"


def caller(association: Association) -> Caller:
    """Who is at the other end of an association that we accepted."""
    requested = association.requestor.primitive
    where = association.requestor.address_info
    return Caller(
        number=association.name.rpartition("-")[2],
        calling=requested.calling_ae_title if requested else "",
        called=requested.called_ae_title if requested else "",
        address=where.address if where else "",
    )


def log_context(who: Caller) -> dict[str, str]:
    """Fields that every log record of an association carries."""
    return {"association": who.number, "calling_ae": who.calling, "address": who.address}


def number_association(event: Event) -> None:
    """Give a new association its number, in the name of its thread.

    pynetdicom counts its associations by the first part of that name.
    """
    event.assoc.name = f"AcceptorThread-{next(_numbers)}"


def tune_socket(event: Event, timeout_s: float) -> None:
    """Set up the socket of a new connection, on either side.

    Without TCP_NODELAY each small message waits some 40 ms for the other side's acknowledgement.
    Without a timeout a peer that falls silent in the middle of a PDU holds its association for
    ever; one that is idle between PDUs is not touched by it.
    """
    wrapper = event.assoc.dul.socket
    if wrapper is None or wrapper.socket is None:
        return
    wrapper.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    wrapper.socket.settimeout(timeout_s)


def bound_pdus(event: Event, patience_s: float = 30.0, largest: int = LARGEST_PDU) -> None:
    """Refuse to read a PDU that announces more bytes than any real one has, or takes for ever.

    pynetdicom reads what is announced, up to 4 GiB, before it looks at who is calling, and waits
    anew for each byte of it.
    """
    wrapper = event.assoc.dul.socket
    if wrapper is None or wrapper.socket is None:
        return
    connection = wrapper.socket

    def recv(nr_bytes: int) -> bytearray:
        if nr_bytes > largest:
            raise OSError(f"a PDU of {nr_bytes} bytes is announced; {largest} are the most")
        return _read(connection, nr_bytes, time.monotonic() + patience_s)

    wrapper.recv = recv  # type: ignore[method-assign]


def _read(connection: socket.socket, wanted: int, until: float) -> bytearray:
    """So many bytes of a connection, fewer if it ends before; `TimeoutError` at a moment."""
    found = bytearray()
    while len(found) < wanted:
        part = connection.recv(min(wanted - len(found), CHUNK))
        if not part:
            break
        found += part
        if time.monotonic() > until:
            raise TimeoutError("a PDU came too slowly")
    return found


def hang_up(event: Event) -> None:
    """Read nothing more from a connection: to pynetdicom it then ends with the next byte.

    An abort would wait for the very thread that calls this.
    """
    wrapper = event.assoc.dul.socket
    if wrapper is not None:
        wrapper.recv = _nothing  # type: ignore[assignment, method-assign]


def _nothing(_nr_bytes: int) -> bytearray:
    """What is read from a connection that has ended."""
    return bytearray()
