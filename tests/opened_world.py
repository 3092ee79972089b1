"""Fixtures: a service with real listener, ledger, jobs and archive, and a stand-in network."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_world import StandIn, World

from glioloop import inference, jobs, service, studies

PAUSE_S = 0.25
"""How often the service looks for work; to look ten times a second takes a fifth of a processor."""


@pytest.fixture(scope="session")
def empty_jobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of jobs without any: making one takes the engine seconds."""
    path = tmp_path_factory.mktemp("jobs") / "jobs.db"
    jobs.run(f"sqlite:///{path}")
    jobs.stop()
    with sqlite3.connect(path) as database:
        database.execute("pragma wal_checkpoint(truncate)")
    return path


@pytest.fixture
def world(tmp_path: Path, empty_jobs: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world whose service is not started yet."""
    network = StandIn()
    monkeypatch.setattr(inference, "run", network.run)
    monkeypatch.setattr(studies, "AGAIN_S", 0.1)
    monkeypatch.setattr(studies, "PAUSE_S", 0.1)
    monkeypatch.delenv("GLIOLOOP_CONFIG", raising=False)
    monkeypatch.setattr(jobs, "POLL_S", PAUSE_S)
    monkeypatch.setattr(service, "TICK_S", PAUSE_S)
    made = World(tmp_path, network)
    made.settings.data.mkdir()
    shutil.copy(empty_jobs, made.settings.data / "jobs.db")
    yield made
    made.stop()
    made.pacs.stop(0.5)
