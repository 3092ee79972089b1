"""The listener under attack, and who attacks it."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from fuzz.hostile_bytes import (
    LAST_COMMAND,
    LAST_DATA,
    MR_CONTEXT,
    RELEASE,
    association,
    data,
    store,
)
from fuzz.table import Count

CHECKOUT = Path(__file__).parents[2]
MEMORY_MIB = 3072
"""Of the whole process, address space and not only memory in use."""
HANG_S = 20.0
"""Ten times what the listener waits for the rest of a PDU."""
ATTACKERS = 16


@dataclass
class Target:
    """A listener in a process of its own."""

    process: subprocess.Popen[str]
    folder: Path
    port: int

    @classmethod
    def start(cls, folder: Path) -> Target:
        """Start it and wait for its port."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = os.pathsep.join((str(CHECKOUT), str(CHECKOUT / "tests")))
        script = Path(__file__).with_name("listener_process.py")
        with (folder / "stderr").open("w") as errors:
            process = subprocess.Popen(
                [sys.executable, str(script), str(folder), str(MEMORY_MIB)],
                env={**os.environ, "PYTHONPATH": paths},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert process.stdout is not None
        return cls(process, folder, int(process.stdout.readline()))

    def stop(self) -> None:
        """Let it end."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def lives(self) -> bool:
        """Whether the process is there."""
        return self.process.poll() is None

    def peak_mib(self) -> int:
        """Most address space that it had at any time."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmPeak"):
                return int(line.split()[1]) >> 10
        return 0

    def unforeseen(self) -> int:
        """Errors that nobody foresaw."""
        log = (self.folder / "listener.log").read_text(errors="replace")
        return log.count("an unforeseen error")

    def sockets(self) -> int:
        """Sockets that it has open: the port, and connections."""
        found = 0
        for one in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                found += str(one.readlink()).startswith("socket:")
        return found


def conversation(port: int, *steps: bytes) -> tuple[str, bytes]:
    """Send some bytes after others, each but the last answered by a PDU; how it ended, the last."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), HANG_S) as connection:
        try:
            for step in steps[:-1]:
                connection.sendall(step)
                answer = pdu_of(connection)
                if answer[:1] != b"\x02":
                    return "not admitted", answer
            connection.sendall(steps[-1])
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while part := connection.recv(65536):
                answer = part
        except TimeoutError:
            return "hang", answer
        except OSError:
            return "closed", answer
    return {
        0x02: "admitted",
        0x03: "rejected",
        0x04: "answered",
        0x06: "released",
        0x07: "aborted",
    }.get(answer[0] if answer else 0, "closed"), answer


def pdu_of(connection: socket.socket) -> bytes:
    """One PDU."""
    head = exactly(connection, 6)
    return head + exactly(connection, int(struct.unpack(">L", head[2:])[0])) if head else b""


def exactly(connection: socket.socket, wanted: int) -> bytes:
    """So many bytes; fewer at the end."""
    found = b""
    while len(found) < wanted and (part := connection.recv(wanted - len(found))):
        found += part
    return found


def attack(
    target: Target, kind: str, seed: int, inputs: Iterator[bytes], number: int, *, first: bytes
) -> Count:
    """Send each input over a connection of its own, several at a time.

    Parameters
    ----------
    first
        What is sent, and answered, before each; empty: nothing.
    """
    count = Count(kind, seed, cap_mib=MEMORY_MIB)
    adding = threading.Lock()

    def one(content: bytes) -> None:
        began = time.monotonic()
        try:
            outcome, _ = conversation(target.port, *([first] if first else []), content)
        except OSError:
            outcome = "refused"
        with adding:
            count.add(outcome, time.monotonic() - began)

    with ThreadPoolExecutor(ATTACKERS) as pool:
        list(pool.map(one, islice(inputs, number)))
    return ended(count, target)


def attack_with_data_sets(target: Target, seed: int, inputs: Iterator[bytes], number: int) -> Count:
    """Send each as the data set of a C-STORE, many over one association."""
    count = Count("data sets", seed, cap_mib=MEMORY_MIB)
    left = iter(islice(inputs, number))
    connection: socket.socket | None = None
    for content in left:
        began = time.monotonic()
        try:
            if connection is None:
                connection = socket.create_connection(("127.0.0.1", target.port), HANG_S)
                connection.sendall(association())
                pdu_of(connection)
            connection.sendall(
                data((MR_CONTEXT, LAST_COMMAND, store())) + data((MR_CONTEXT, LAST_DATA, content))
            )
            answer = pdu_of(connection)
            outcome = status_of(answer)
        except TimeoutError:
            outcome = "hang"
        except OSError:
            outcome = "closed"
        if outcome in ("hang", "closed") and connection is not None:
            connection.close()
            connection = None
        count.add(outcome, time.monotonic() - began)
    if connection is not None:
        connection.sendall(RELEASE)
        connection.close()
    return ended(count, target)


def status_of(answer: bytes) -> str:
    """The status in a C-STORE response."""
    at = answer.find(b"\x00\x00\x00\x09\x02\x00\x00\x00")
    if answer[:1] != b"\x04" or at < 0:
        return "closed"
    return f"0x{int.from_bytes(answer[at + 8 : at + 10], 'little'):04X}"


def ended(count: Count, target: Target) -> Count:
    """The count, with what the target says of itself at the end."""
    count.hangs = count.outcomes.get("hang", 0)
    count.crashes = int(not target.lives())
    count.unforeseen = target.unforeseen()
    count.peak_mib = target.peak_mib() if target.lives() else 0
    return count
