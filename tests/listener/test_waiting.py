"""Associations that wait for what they have to do, and do it at once."""

from __future__ import annotations

import gc
import time
from pathlib import Path

import pytest
from dicom_network import send
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dul import DULServiceProvider
from small_dicom import make_instance, write_instance

# pynetdicom leaves the socket of a refused connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


def test_pynetdicom_still_has_what_is_taken_hold_of() -> None:
    assert callable(DIMSEServiceProvider.get_msg)
    names = DULServiceProvider.run_reactor.__code__.co_names
    assert {"_run_loop_delay", "_is_transport_event"} <= set(names)
    assert {"get_msg"} <= set(Association._run_reactor.__code__.co_names)


def test_an_idle_association_looks_seldom(listen, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[float] = []
    look = DULServiceProvider._is_transport_event

    def counted(self: DULServiceProvider) -> bool:
        if self.assoc.is_acceptor:
            looked.append(time.monotonic())
        return look(self)

    monkeypatch.setattr(DULServiceProvider, "_is_transport_event", counted)
    running = listen()
    ae = AE(ae_title="SCANNER")
    ae.add_requested_context("1.2.840.10008.1.1")
    found = ae.associate("127.0.0.1", running.port, ae_title="GLIOLOOP")
    assert found.is_established
    time.sleep(0.5)
    looked.clear()
    time.sleep(1.0)
    before = len(looked)
    found.release()
    assert 1 <= before <= 60  # of 50 waits of 20 ms; pynetdicom alone looks a thousand times


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_nothing_stays_open_of_associations_that_ended(listen, tmp_path: Path) -> None:
    running = listen()
    file = write_instance(tmp_path, make_instance(1))
    assert send(running.port, [file]) == [0]
    gc.collect()
    time.sleep(1)
    before = open_files()
    for _ in range(10):
        assert send(running.port, [file]) == [0]
    give_up = time.monotonic() + 30
    while open_files() > before + 4 and time.monotonic() < give_up:
        gc.collect()
        time.sleep(0.2)
    assert open_files() <= before + 4
