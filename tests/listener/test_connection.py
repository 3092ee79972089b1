"""Sockets under associations."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import pytest

from listener.connection import bound_pdus, tune_socket


def test_a_new_connection_sends_at_once_and_does_not_wait_for_ever() -> None:
    with socket.socket() as raw:
        event = SimpleNamespace(
            assoc=SimpleNamespace(dul=SimpleNamespace(socket=SimpleNamespace(socket=raw)))
        )

        tune_socket(event, 30.0)  # type: ignore[arg-type]

        assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        assert raw.gettimeout() == 30.0


def test_a_connection_that_is_gone_already_is_left_alone() -> None:
    event = SimpleNamespace(assoc=SimpleNamespace(dul=SimpleNamespace(socket=None)))

    tune_socket(event, 30.0)  # type: ignore[arg-type]
    bound_pdus(event)  # type: ignore[arg-type]


def reading(largest: int, patience_s: float = 30.0) -> tuple[socket.socket, SimpleNamespace]:
    """The far end of a connection, and what its near end is read by."""
    far, near = socket.socketpair()
    wrapper = SimpleNamespace(socket=near, recv=None)
    event = SimpleNamespace(assoc=SimpleNamespace(dul=SimpleNamespace(socket=wrapper)))
    bound_pdus(event, patience_s, largest)  # type: ignore[arg-type]
    return far, wrapper


def test_no_more_is_read_than_a_pdu_may_have() -> None:
    far, near = reading(largest=100)
    with far, near.socket:
        far.sendall(bytes(100))

        assert len(near.recv(100)) == 100
        with pytest.raises(OSError, match="a PDU of 101 bytes is announced; 100 are the most"):
            near.recv(101)


def test_what_comes_before_the_end_is_read() -> None:
    far, near = reading(largest=100)
    with near.socket:
        far.sendall(b"four")
        far.close()

        assert near.recv(100) == b"four"


def test_a_pdu_that_comes_byte_by_byte_is_not_waited_for() -> None:
    far, near = reading(largest=100, patience_s=0.0)
    with far, near.socket:
        far.sendall(b"x")

        with pytest.raises(TimeoutError, match="too slowly"):
            near.recv(100)
