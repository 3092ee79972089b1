"""A real PostgreSQL on the loopback interface, from Debian's packages, while a test runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = "nobody"
"""PostgreSQL refuses to run as root; then it runs as this account."""


def _programs() -> Path:
    """The folder of the newest PostgreSQL that is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[4]))
    assert found, "PostgreSQL is missing: scripts/system-packages installs it"
    return found[-1].parent


@contextmanager
def server(port: int) -> Iterator[str]:
    """Start one with an empty database; yields its URL."""
    programs = _programs()
    # Its socket's path must be short, and another account must get there.
    folder = Path(tempfile.mkdtemp(prefix="glioloop-pg-", dir="/tmp"))
    as_whom = []
    if os.geteuid() == 0:
        shutil.chown(folder, NOBODY)
        as_whom = ["setpriv", f"--reuid={NOBODY}", "--clear-groups"]
    data = folder / "data"

    def run(*command: object) -> None:
        subprocess.run(
            [*as_whom, *map(str, command)],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
        )

    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    try:
        run(programs / "initdb", "-D", data, "-U", "glioloop", "-A", "trust", "--no-sync")
        run(programs / "pg_ctl", "-D", data, "-o", options, "-l", folder / "log", "-w", "start")
        try:
            yield f"postgresql://glioloop@127.0.0.1:{port}/postgres"
        finally:
            run(programs / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder)
