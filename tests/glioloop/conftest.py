"""A service with real listener, ledger, jobs and archive; only the network is a stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from small_world import StandIn, World

from glioloop import inference, studies


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world whose service is not started yet."""
    network = StandIn()
    monkeypatch.setattr(inference, "run", network.run)
    monkeypatch.setattr(studies, "AGAIN_S", 0.1)
    monkeypatch.setattr(studies, "PAUSE_S", 0.1)
    monkeypatch.delenv("GLIOLOOP_CONFIG", raising=False)
    made = World(tmp_path, network)
    yield made
    made.stop()
    made.pacs.stop(0.5)
