"""``glioloop serve`` with a network that answers at once, and a start that takes no time.

The libraries are loaded once. Each line on the standard input names a settings file and a log, and
is answered with the number of a process that serves by them. It is a real service but for the child
processes of inference and of SEGs, whose work is done in the service itself: so that it can be
killed two hundred times in minutes.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pydicom

sys.path.insert(0, str(Path(__file__).parents[1]))

from small_world import StandIn

from glioloop import cli_work, failures, inference, jobs, service, studies, watch

POISON = "poison"
"""File beside the settings: the UID of a study whose inference ends the whole service."""


def deadly(run: Callable[..., dict[str, Any]], poison: Path) -> Callable[..., dict[str, Any]]:
    """The stand-in, which dies of one study."""
    if poison.is_file():
        watch.MOST = 2

    def running(task: str, arguments: Mapping[str, Any], *others: Any, **more: Any) -> Any:
        if task == "segment" and poison.is_file():
            image = pydicom.dcmread(arguments["series"]["T1GD"][0], stop_before_pixels=True)
            if poison.read_text() == image.StudyInstanceUID:
                os._exit(9)
        return run(task, arguments, *others, **more)

    return running


def serve(configuration: str, log: str) -> None:
    """Serve until killed, as a process of its own."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(0)
    failures.hush_libraries()
    inference.run = deadly(StandIn().run, Path(configuration).with_name(POISON))
    jobs.POLL_S, service.TICK_S = 0.1, 0.1
    studies.AGAIN_S = studies.PAUSE_S = 0.2
    cli_work.serve(Path(configuration))


def main() -> None:
    """Start services as long as somebody asks for them."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that were killed
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        configuration, log = line.rstrip("\n").split("\t")
        child = os.fork()
        if child == 0:
            serve(configuration, log)
            os._exit(0)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
