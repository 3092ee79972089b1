"""A real PostgreSQL on the loopback interface, from Debian's packages, while a test runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

NOBODY = "nobody"
"""PostgreSQL refuses to run as root; then it runs as this account."""


def _programs() -> Path:
    """The folder of the newest PostgreSQL that is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[4]))
    assert found, "PostgreSQL is missing: scripts/system-packages installs it"
    return found[-1].parent


@dataclass
class Server:
    """A PostgreSQL in a folder of its own; it can be crashed and started again."""

    folder: Path
    host: str
    port: int
    prefix: tuple[str, ...] = ()
    """What its programs are started with, such as ``ip netns exec NAME``."""

    @property
    def url(self) -> str:
        """Of its empty database."""
        return f"postgresql://glioloop@{self.host}:{self.port}/postgres"

    def make(self) -> None:
        """Prepare its files."""
        self._run("initdb", "-U", "glioloop", "-A", "trust", "--no-sync")
        with (self.folder / "data" / "pg_hba.conf").open("a") as file:
            file.write("host all all samenet trust\n")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = (
            f"-p {self.port} -c listen_addresses={self.host}"
            f" -c unix_socket_directories={self.folder}"
        )
        self._run("pg_ctl", "-o", options, "-l", self.folder / "log", "-w", "start")

    def crash(self) -> None:
        """End it as a power failure would."""
        self._run("pg_ctl", "-m", "immediate", "-w", "stop")

    def _run(self, program: str, *arguments: object) -> None:
        """Run one of its programs, as an account that may."""
        as_whom = ["setpriv", f"--reuid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
        given = map(str, ("-D", self.folder / "data", *arguments))
        subprocess.run(
            [*self.prefix, *as_whom, str(_programs() / program), *given],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
        )


@contextmanager
def cluster(port: int, host: str = "127.0.0.1", prefix: tuple[str, ...] = ()) -> Iterator[Server]:
    """Start one with an empty database."""
    # Its socket's path must be short, and another account must get there.
    folder = Path(tempfile.mkdtemp(prefix="glioloop-pg-", dir="/tmp"))
    if os.geteuid() == 0:
        shutil.chown(folder, NOBODY)
    made = Server(folder, host, port, prefix)
    try:
        made.make()
        made.start()
        try:
            yield made
        finally:
            made.crash()
    finally:
        shutil.rmtree(folder)


@contextmanager
def server(port: int) -> Iterator[str]:
    """Start one with an empty database; yields its URL."""
    with cluster(port) as made:
        yield made.url
