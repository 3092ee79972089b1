"""A listener in a process of its own, under a cap of memory: what the fuzz suite talks to.

``python listener_process.py FOLDER MEMORY_MIB``; it prints its port, and ends with its input.
"""

from __future__ import annotations

import logging
import resource
import sys
from pathlib import Path

from glioloop.failures import hush_libraries
from glioloop.ledger import Ledger
from listener.inbox import Inbox
from listener.limits import MIB, Limits
from listener.scp import ScpConfig, start

LIMITS = Limits(
    object_bytes=64 * MIB,
    bytes_in_memory=256 * MIB,
    associations_per_minute=10**9,
    instances_per_minute=10**9,
    instances_per_study=10**9,
)
"""Smaller than usual, so that the suite comes near; nothing that ends it early."""


def main(folder: Path, memory_mib: int) -> None:
    """Listen until the input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_mib * MIB, memory_mib * MIB))
    hush_libraries()
    logging.basicConfig(filename=folder / "listener.log", level=logging.INFO)
    ledger = Ledger(folder / "ledger.db")
    inbox = Inbox(folder / "inbox", 0)
    config = ScpConfig(
        host="127.0.0.1", port=0, limits=LIMITS, socket_timeout_s=2.0, idle_timeout_s=5.0
    )
    scp = start(config, inbox, lambda received: ledger.enter(received) and None)
    sys.stdout.write(f"{scp.port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    scp.stop()
    ledger.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
