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


def test_no_more_is_read_than_a_pdu_may_have() -> None:
    wrapper = SimpleNamespace(recv=bytearray)
    event = SimpleNamespace(assoc=SimpleNamespace(dul=SimpleNamespace(socket=wrapper)))

    bound_pdus(event, largest=100)  # type: ignore[arg-type]

    assert len(wrapper.recv(100)) == 100
    with pytest.raises(OSError, match="a PDU of 101 bytes is announced; 100 are the most"):
        wrapper.recv(101)
