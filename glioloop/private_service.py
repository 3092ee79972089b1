"""A Glioloop service of one's own, on free ports: for the demo and the acceptance tests."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml

from glioloop.ledger import Ledger
from glioloop.ledger_schema import StudyRow
from glioloop.private_orthanc import PACS_AET, free_port
from glioloop.results import ResultStore
from glioloop.settings import environment_without_settings
from study.errors import FailedError, RefusedError

START_S, STOP_S = 90.0, 20.0

QUICK: Mapping[str, Any] = {
    "completeness": {"quiet_seconds": 2, "incomplete_after_minutes": 0.2},
    "delivery": {"first_pause_seconds": 1, "longest_pause_minutes": 0.1},
}
"""Settings of a service that nobody wants to wait for: the images come from this machine."""


@dataclass
class Service:
    """``glioloop serve`` as a process of its own; it may be ended and started again."""

    folder: Path
    pacs_port: int
    """DICOM port of the archive that gets the results."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What differs from `QUICK` and from the defaults; whole branches."""
    port: int = field(default_factory=free_port)
    web_port: int = field(default_factory=free_port)
    command: Sequence[str] = (sys.executable, "-m", "glioloop")
    arguments: Sequence[str] = ()
    """Of ``serve``, such as ``--lanes none``."""
    process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def log(self) -> Path:
        """File of what the service says."""
        return self.folder / "service.log"

    @property
    def data(self) -> Path:
        """The service's data folder."""
        return self.folder / "data"

    @property
    def configuration(self) -> Path:
        """The service's settings file."""
        return self.folder / "glioloop.yaml"

    @property
    def results(self) -> ResultStore:
        """The service's results."""
        return ResultStore(self.data / "results")

    def start(self) -> None:
        """Start it and wait until both ports answer.

        Raises
        ------
        FailedError
            If it ends, or does not answer in time.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.configuration.write_text(yaml.safe_dump(self._configuration()))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command, "serve", *self.arguments, "--config", str(self.configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=environment_without_settings(),
            )
        give_up = time.monotonic() + START_S
        while not (_listens(self.port) and _listens(self.web_port)):
            if self.process.poll() is not None or time.monotonic() > give_up:
                self.stop()
                raise FailedError(f"the service did not start; its log is {self.log}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Ask it to end; it may be started again."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it and all of its processes without warning, as a power failure would."""
        self._end(signal.SIGKILL)

    def runs(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.poll() is None

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another command of Glioloop on the same data, such as ``jobs list``."""
        return subprocess.run(
            [*self.command, *arguments, "--config", str(self.configuration)],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env=environment_without_settings(),
        )

    def ledger(self) -> Ledger:
        """The service's ledger; for looking."""
        return Ledger(self.data / "ledger.db", create=False)

    def study(self, study_uid: str) -> StudyRow | None:
        """A study in the ledger; None before its first image."""
        ledger = self.ledger()
        try:
            return ledger.study(study_uid)
        except RefusedError:
            return None
        finally:
            ledger.close()

    def _end(self, how: signal.Signals) -> None:
        """End the process; at last its whole group, which its children are in."""
        if self.process is None:
            return
        group = self.process.pid
        if how is signal.SIGTERM:
            self.process.send_signal(how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def _configuration(self) -> dict[str, Any]:
        """What the settings file says."""
        listener = {"peers": {PACS_AET: ["127.0.0.1"]}, **self.settings.get("listener", {})}
        pacs = {
            "name": "pacs",
            "ae_title": PACS_AET,
            "host": "127.0.0.1",
            "port": self.pacs_port,
        }
        return {
            **QUICK,
            **self.settings,
            "data": str(self.data),
            "listener": {**listener, "host": "127.0.0.1", "port": self.port},
            "web": {"host": "127.0.0.1", "port": self.web_port},
            "destinations": [pacs],
        }


def _listens(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
