"""Audit messages on their way to a collector."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from audit_schema import parsed
from certificates import Authority
from dicom_network import wait_until

from glioloop import audit_syslog
from glioloop.audit_message import Event, Message, Participant
from glioloop.audit_syslog import Forwarder
from glioloop.audit_trail import AuditTrail
from glioloop.settings_audit import Syslog
from listener.tls import server_context


@dataclass
class Collector:
    """One that takes what comes over TLS."""

    port: int
    received: bytearray = field(default_factory=bytearray)

    def messages(self) -> list[bytes]:
        """What came, frame by frame (RFC 5425 section 4.3)."""
        found, rest = [], bytes(self.received)
        while rest:
            length, _, rest = rest.partition(b" ")
            found.append(rest[: int(length)])
            rest = rest[int(length) :]
        return found


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("certificates") / "site")


@pytest.fixture
def collector(authority: Authority) -> Iterator[Collector]:
    context = server_context(authority.sign("collector"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        found = Collector(listening.getsockname()[1])

        def serve() -> None:
            while True:
                try:
                    plain, _ = listening.accept()
                except OSError:
                    return
                try:
                    with context.wrap_socket(plain, server_side=True) as secured:
                        while part := secured.recv(65536):
                            found.received += part
                except ssl.SSLError:
                    continue

        threading.Thread(target=serve, daemon=True).start()
        yield found
        listening.shutdown(socket.SHUT_RDWR)


def settings(authority: Authority, port: int) -> Syslog:
    ours = authority.sign("glioloop")
    return Syslog.model_validate(
        {
            "host": "127.0.0.1",
            "port": port,
            "tls": {
                "certificate": ours.certificate,
                "key": ours.key,
                "authorities": ours.authorities,
            },
        }
    )


def note(trail: AuditTrail, *users: str) -> None:
    for user in users:
        trail.note(Message(Event.APPLICATION, "E", (Participant(user),)))


def users(collector: Collector) -> list[str]:
    """Whom the messages that came name."""
    found = []
    for frame in collector.messages():
        header, mark, content = frame.partition(b"\xef\xbb\xbf")
        assert header.startswith(b"<85>1 2")
        assert header.endswith(b" IHE+RFC-3881 - ")
        assert mark
        found.append(parsed(content)[1].attrib["UserID"])
    return found


def test_everything_is_sent_once_and_in_order(
    tmp_path: Path, authority: Authority, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over files that are begun meanwhile, in batches, and by another process after the first."""
    monkeypatch.setattr(audit_syslog, "BATCH", 2)
    trail = AuditTrail(tmp_path, 1200, "us")
    note(trail, "a", "b", "c")

    assert Forwarder(trail, settings(authority, collector.port)).send() == 3
    note(trail, "d", "e")
    again = Forwarder(trail, settings(authority, collector.port))
    assert (again.send(), again.send()) == (2, 0)

    assert len(trail.files()) > 1
    again.start()
    note(trail, "f")
    again.stop()
    # What is sent is not yet read at the other end.
    assert wait_until(lambda: collector.received.count(b"</AuditMessage>") == 6)
    assert users(collector) == ["a", "b", "c", "d", "e", "f"]


def test_a_collector_that_is_away_gets_it_later(
    tmp_path: Path, authority: Authority, collector: Collector
) -> None:
    trail = AuditTrail(tmp_path, 1 << 20, "us")
    note(trail, "a")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        nobody = probe.getsockname()[1]

    with pytest.raises(ConnectionRefusedError):
        Forwarder(trail, settings(authority, nobody)).send()
    assert Forwarder(trail, settings(authority, collector.port)).send() == 1


def test_a_collector_that_is_not_the_one_gets_nothing(
    tmp_path: Path, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = Authority.create(tmp_path / "elsewhere")
    trail = AuditTrail(tmp_path / "audit", 1 << 20, "us")
    note(trail, "a")

    forwarder = Forwarder(trail, settings(stranger, collector.port))
    forwarder.start()
    forwarder.stop()

    assert "its certificate is not accepted" in caplog.text
    assert collector.received == b""
