"""An archive that is down, refuses, is slow, drops associations or has no room; then it is well."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from dicom_network import dcmtk_program, wait_for_port
from small_world import World, write_study

from faults.table import Row, table

# pynetdicom leaves the socket of a refused connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

ILL: dict[str, Sequence[str] | None] = {
    "is down": None,
    "refuses associations": ["--refuse"],
    "is slow": ["--sleep-after", "1"],
    "drops the association in the middle of an object": ["--abort-during"],
    "drops it before its answer": ["--abort-after"],
    "answers 0xA700: its disk is gone": ["--output-directory"],
}
"""What is wrong with the archive, and how DCMTK's storescp is made so."""
LONG = 20
"""Studies of a long trial."""


@contextmanager
def archive(folder: Path, port: int, options: Sequence[str] = ()) -> Iterator[None]:
    """DCMTK's storescp."""
    place = folder
    if "--output-directory" in options:
        place = folder.with_name("gone")
        place.mkdir()
    process = subprocess.Popen(
        [
            dcmtk_program("storescp"),
            "--output-directory",
            str(place),
            *(option for option in options if option != "--output-directory"),
            str(port),
        ],
        env={**os.environ, "TCP_NODELAY": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_port(port)
        if place is not folder:
            shutil.rmtree(place)
        yield
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.parametrize("number", [1, pytest.param(LONG, marks=pytest.mark.faults)])
@pytest.mark.parametrize("what", ILL)
def test_results_wait_and_arrive_once(
    world: World, free_port: Callable[[], int], what: str, number: int
) -> None:
    port, folder, options = free_port(), world.folder / "pacs", ILL[what]
    folder.mkdir()
    pacs = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": port}
    world.given = {"destinations": [pacs]}
    service = world.start()
    studies = [write_study(world.folder / "in" / str(n), n) for n in range(1, number + 1)]

    def tried() -> bool:
        rows = service.site.ledger.deliveries()
        return len(rows) == number and all(row.attempts >= 2 for row in rows)

    def states() -> set[str]:
        return {row.state for row in service.site.ledger.deliveries()}

    if options is None:
        for study in studies:
            world.send(study.every())
        world.until(tried, 300)
    else:
        with archive(folder, port, options):
            for study in studies:
                world.send(study.every())
            slow = what == "is slow"
            world.until((lambda: states() == {"delivered"}) if slow else tried, 300)
    if options is None or states() != {"delivered"}:
        assert states() == {"waiting"}
        with archive(folder, port):
            world.until(lambda: states() == {"delivered"}, 300)
    results = [result.sop_instance_uid for result in service.site.ledger.results()]
    there = sorted(path.name.partition(".")[2] for path in folder.iterdir())
    assert there == sorted(results)
    assert len(results) == number
    table(Row(f"the archive {what}", number, len(there), number - len(there), 0, 0, 0))
