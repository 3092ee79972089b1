"""Foreign programs that decode what came from outside, confined.

A damaged codestream can make a decoder compute for ever, ask for any amount of memory, or crash.
So decoders run in a child process with little time, little memory, an empty environment and a
folder of their own.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_LIMITED = (
    'ulimit -c 0 && ulimit -t "$1" && ulimit -v "$2" && ulimit -f "$3" && shift 3 && exec "$@"'
)
"""The limits are set by a shell that then becomes the program: none of it runs without them."""

_BLOCK = 512
"""Bytes of the unit in which a POSIX shell counts file sizes."""


@dataclass(frozen=True)
class Limits:
    """What a child process may use.

    Parameters
    ----------
    cpu_s, wall_s
        Seconds of processor time, and of the clock on the wall.
    memory_bytes
        Address space.
    file_bytes
        Size of any file that it writes.
    """

    cpu_s: int
    wall_s: float
    memory_bytes: int
    file_bytes: int


def run(command: Sequence[str], folder: Path, limits: Limits) -> bool:
    """Run a program in a folder; True when it ended well, and within its limits.

    What it writes to its outputs is thrown away, for it may quote headers.

    Raises
    ------
    OSError
        If it cannot be started.
    """
    numbers = (limits.cpu_s, limits.memory_bytes // 1024, limits.file_bytes // _BLOCK + 1)
    started = ["/bin/sh", "-c", _LIMITED, "sh", *(str(number) for number in numbers), *command]
    environment = {
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    try:
        done = subprocess.run(
            started,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=limits.wall_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
