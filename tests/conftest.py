"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]

# xdist sets it in its processes; a console that finds it keeps that width whatever a test says.
os.environ.pop("COLUMNS", None)

LONGEST = ("acceptance", "glioloop", "engine", "converter")
"""Rooms whose files take minutes, the longest first: of several processes, the one that begins such
a file last would keep the others waiting."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest."""

    def place(item: pytest.Item) -> int:
        room = item.path.parent.name
        return LONGEST.index(room) if room in LONGEST else len(LONGEST)

    items.sort(key=place)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real data (see CONTRIBUTING.md); the test is skipped where it is missing."""
    folder = Path(os.environ.get("GLIOLOOP_TEST_DATA", CHECKOUT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"needs real data: set GLIOLOOP_TEST_DATA, nothing is at {folder}")
    return folder


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """A function that names a free TCP port of the loopback interface, another one each time."""
    named: set[int] = set()

    def find() -> int:
        while True:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port: int = probe.getsockname()[1]
            if port not in named:
                named.add(port)
                return port

    return find
