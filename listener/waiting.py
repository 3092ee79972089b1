"""Associations that wait until there is something to do, where pynetdicom looks every millisecond.

Between a message and its answer pynetdicom sleeps three times for 1 ms: its reader before it looks
at the socket, the association before it looks for a message, the reader before it looks for the
answer. A sender that waits for each answer then gets no further than some 200 images a second,
however little is done with them; and fifty idle associations look 100,000 times a second.

This is the one place that reaches behind pynetdicom's interface; tests/listener/test_waiting.py
looks whether what it takes hold of is still there.
"""

from __future__ import annotations

import queue
import select
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import finalize

if TYPE_CHECKING:
    from pynetdicom.events import Event

LONGEST_S = 0.02
"""The longest wait (s): then timers, and orders to end, are looked at."""


def wait_for_events(event: Event) -> None:
    """Let both threads of a new association wait for what they have to do next."""
    dul = event.assoc.dul
    wake, woken = socket.socketpair()
    for end in (wake, woken):
        end.setblocking(False)  # noqa: FBT003 - the socket's own parameter
    put, look = dul.to_provider_queue.put, dul._is_transport_event  # noqa: SLF001

    def put_and_wake(item: Any, *args: Any, **named: Any) -> None:
        put(item, *args, **named)
        with suppress(OSError):  # it is full, and wakes anyway; or the connection has ended
            wake.send(b"\0")

    def wait_and_look() -> bool:
        wrapper = dul.socket
        if wrapper is not None and wrapper.socket is not None:
            _wait(wrapper.socket, woken)
        return bool(look())

    dul.to_provider_queue.put = put_and_wake  # type: ignore[method-assign]
    dul._is_transport_event = wait_and_look  # type: ignore[method-assign]  # noqa: SLF001
    dul._run_loop_delay = 0  # noqa: SLF001
    event.assoc.woken_by = finalize(event.assoc, _close, wake, woken)  # type: ignore[attr-defined]
    _wait_for_messages(event)


def end_waiting(event: Event) -> None:
    """Give back what waiting took, when a connection ends."""
    close = getattr(event.assoc, "woken_by", None)
    if close is not None:
        close()


def _close(*ends: socket.socket) -> None:
    """Close both ends; it is also done where pynetdicom forgets to say that a connection ended."""
    for end in ends:
        end.close()


def _wait(connection: socket.socket, woken: socket.socket) -> None:
    """Wait until a connection has something to read, or somebody something to send."""
    # TLS may hold what it has decrypted already, of which the system knows nothing.
    pending = getattr(connection, "pending", None)
    try:
        if pending is not None and pending():
            return
        select.select([connection, woken], [], [], LONGEST_S)
        while woken.recv(4096):
            pass
    except (OSError, ValueError):
        pass  # nothing woke, or one of them is closed: what follows looks for itself


def _wait_for_messages(event: Event) -> None:
    """Let the association's own thread wait for a message, not only look for one."""
    provider = event.assoc.dimse
    get = provider.get_msg

    def wait_for_message(block: bool = False) -> Any:  # noqa: FBT001, FBT002 - pynetdicom's own
        if block:
            return get(block=True)
        try:
            return provider.msg_queue.get(timeout=LONGEST_S)
        except queue.Empty:
            return None, None

    provider.get_msg = wait_for_message  # type: ignore[method-assign]
