"""A service that is killed and started again, many times a minute."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from glioloop.ledger import Ledger
from glioloop.private_orthanc import free_port

SCRIPT = Path(__file__).with_name("phantom_service.py")
QUICK: Mapping[str, Any] = {
    "completeness": {"quiet_seconds": 0.3, "incomplete_after_minutes": 10},
    "delivery": {"first_pause_seconds": 0.1, "longest_pause_minutes": 0.01},
    "adaptation": {"wait_minutes": 0.2},
}


@dataclass
class Life:
    """One installation, and the process that serves it for the moment."""

    folder: Path
    nursery: subprocess.Popen[str]
    destinations: list[Mapping[str, Any]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: int = 0
    starts: int = 0

    @property
    def data(self) -> Path:
        """Data folder of the service."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What all its processes said."""
        return self.folder / "service.log"

    def start(self) -> None:
        """Start a process; it may take a moment until it listens."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "glioloop.yaml"
        listener = {"host": "127.0.0.1", "port": self.port, "min_free_gib": 0}
        wanted = {
            **QUICK,
            **self.settings,
            "data": str(self.data),
            "listener": listener,
            "web": {"port": 0},
            "destinations": self.destinations,
        }
        path.write_text(yaml.safe_dump(wanted))
        assert self.nursery.stdin is not None
        assert self.nursery.stdout is not None
        self.nursery.stdin.write(f"{path}\t{self.log}\n")
        self.nursery.stdin.flush()
        self.process = int(self.nursery.stdout.readline())
        self.starts += 1

    def listens(self) -> bool:
        """Whether somebody answers on the DICOM port."""
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def until_it_listens(self, seconds: float = 60.0) -> None:
        """Wait for the DICOM port."""
        give_up = time.monotonic() + seconds
        while not self.listens():
            assert time.monotonic() < give_up, self.log.read_text()[-4000:]
            time.sleep(0.05)

    def kill(self) -> None:
        """End it without warning, with all that it started."""
        if self.process:
            try:
                os.killpg(self.process, signal.SIGKILL)
            except ProcessLookupError:  # before it led a group of its own
                os.kill(self.process, signal.SIGKILL)
            while _is_there(self.process):
                time.sleep(0.005)
            self.process = 0

    def runs(self) -> bool:
        """Whether the process is there."""
        return bool(self.process) and _is_there(self.process)

    def ledger(self) -> Ledger:
        """Its ledger, for looking."""
        return Ledger(self.data / "ledger.db", create=False)


def _is_there(process: int) -> bool:
    """Whether a process has not ended."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def nursery() -> Iterator[subprocess.Popen[str]]:
    """A process that has loaded all libraries and starts services (`phantom_service`)."""
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[2]), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, str(SCRIPT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.terminate()
