"""Which steps a process died in, so that one that kills it is not tried for ever.

A step leaves a file while it runs. Those that a dead process left are its suspects. Several may be:
then each runs alone from the second time on, until it ends well or dies alone. Who died alone
`MOST` times is not tried again until a person says so. So a study that brings the service down is
parked, and what only ran beside it is not.

The files of what runs are not fsynced: they must outlive the process, not the machine.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from glioloop import durable, failures
from study.errors import FailedError

T = TypeVar("T")

MOST = 5
"""How often a step may end its process, alone, before it is parked."""
TOGETHER = 2
"""How often it may have been running with others when the process ended, before it runs alone."""

RUNNING, SUSPECT = ".running", ".suspect"
LOOKS = ("look ", "take ")
"""How the keys of steps begin that are no job's: a look at a study, the taking of a SEG."""


class Watch:
    """The steps of one process.

    Parameters
    ----------
    folder
        Where it writes; of one process at a time. None watches nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._free = threading.Condition()
        self._running = 0
        self._solos = 0
        self._closed = folder is None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._judge(folder)

    def run(self, key: str, function: Callable[..., T], *args: object) -> T:
        """Call a function, as `glioloop.failures.guarded`.

        Parameters
        ----------
        key
            What it does, and for which job: UIDs, no patient's identifier.

        Raises
        ------
        FailedError
            If it ended the process too often; also what `guarded` raises.
        """
        if self._folder is None:
            return failures.guarded(function, *args)
        mark = self._folder / f"{_hashed(key)}{RUNNING}"
        suspect = mark.with_suffix(SUSPECT)
        together, alone = _read(suspect)
        if alone >= MOST:
            raise FailedError(
                f"it ended the whole process {alone} times and is not tried again by itself; when"
                " the cause is mended: glioloop jobs retry"
            )
        with self._place(alone=together >= TOGETHER or alone > 0):
            self._mark(mark, key)
            try:
                return failures.guarded(function, *args)
            finally:
                with suppress(OSError):  # what was done is done, whatever the folder is like
                    mark.unlink(missing_ok=True)
                    suspect.unlink(missing_ok=True)

    def close(self) -> None:
        """The process ends as it should: nobody is suspected of it."""
        self._closed = True
        if self._folder is not None:
            for mark in self._folder.glob(f"*{RUNNING}"):
                mark.unlink(missing_ok=True)

    def _mark(self, mark: Path, key: str) -> None:
        """Say that a step runs; on a full disk it runs without that."""
        if not self._closed:
            with suppress(OSError):
                mark.write_text(key)

    @contextmanager
    def _place(self, *, alone: bool) -> Iterator[None]:
        """Wait until a step may run: beside others, or alone. Who waits to be alone goes first."""
        with self._free:
            self._solos += alone
            self._free.wait_for(lambda: self._running == 0 if alone else not self._solos)
            self._running += 1
        try:
            yield
        finally:
            with self._free:
                self._running -= 1
                self._solos -= alone
                self._free.notify_all()

    def _judge(self, folder: Path) -> None:
        """Count what the last process died in."""
        left = sorted(folder.glob(f"*{RUNNING}"))
        for mark in left:
            suspect = mark.with_suffix(SUSPECT)
            together, alone = _read(suspect)
            counts = [together, alone + 1] if len(left) == 1 else [together + 1, alone]
            said = json.dumps({"key": mark.read_text(), "ended": counts})
            durable.write(suspect, said.encode())
            mark.unlink()


def pardon(data: Path, job_id: str) -> None:
    """Let a job's steps be tried again, on every node: a person says so.

    Parameters
    ----------
    data
        Data folder of the site.
    job_id
        Of the job; of what the service does beside jobs, UID of the study or SEG that it looks at.
    """
    for suspect in (data / "running").glob(f"*/*{SUSPECT}"):
        with suppress(FileNotFoundError):  # its step ended well meanwhile
            key = json.loads(suspect.read_text())["key"]
            look = key.startswith(LOOKS)
            if key.split(" ")[1 if look else 0] == job_id:
                suspect.unlink()


def _read(suspect: Path) -> tuple[int, int]:
    """How often a step was running when the process ended: with others, and alone."""
    try:
        together, alone = json.loads(suspect.read_text())["ended"]
    except OSError:
        return 0, 0
    return int(together), int(alone)


def _hashed(key: str) -> str:
    """Name of a file that stands for a step."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]
