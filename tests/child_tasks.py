"""Tasks that a spawned child of a test runs; they stand in for `glioloop.tasks`."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from study.errors import FailedError, HeldError, RefusedError

Arguments = Mapping[str, Any]
Progress = Callable[[float], None]


def answer(arguments: Arguments, progress: Progress) -> Arguments:
    """Tell progress, and who computes."""
    progress(0.25)
    progress(1.0)
    return {**arguments, "pid": os.getpid(), "nice": os.nice(0)}


def hold(arguments: Arguments, progress: Progress) -> Arguments:
    """Find something that a person must decide."""
    raise HeldError("FLAIR is ambiguous")


def refuse(arguments: Arguments, progress: Progress) -> Arguments:
    """Refuse the data, with an error of a kind that only its room knows."""

    class OddError(RefusedError):
        """A refusal of a room's own."""

    raise OddError("no brain was found")


def fail(arguments: Arguments, progress: Progress) -> Arguments:
    """Fail in a foreseen way."""
    raise FailedError("the device is gone")


def surprise(arguments: Arguments, progress: Progress) -> Arguments:
    """Fail in a way that quotes a header."""
    raise ValueError("Doe^John is no valid PN")


def die(arguments: Arguments, progress: Progress) -> Arguments:
    """Be killed, as when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def stop(arguments: Arguments, progress: Progress) -> Arguments:
    """Be told to end, as with the whole service."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)
    return {}


def leave(arguments: Arguments, progress: Progress) -> Arguments:
    """End without an answer."""
    os._exit(7)


def hang(arguments: Arguments, progress: Progress) -> Arguments:
    """Never end; say who hangs."""
    if "pid_file" in arguments:
        Path(arguments["pid_file"]).write_text(str(os.getpid()))
    progress(0.5)
    time.sleep(600)
    return {}
