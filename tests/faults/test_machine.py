"""What happens to the machine under the service: full disks, locked databases, dying children."""

from __future__ import annotations

import errno
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from small_world import REAL_RUN, World, write_slice, write_study

from faults.table import Row, table
from glioloop import database, durable, inference, jobs, overview
from glioloop.lanes import LANES
from glioloop.ledger_schema import CorrectionState, DeliveryState
from study.errors import FailedError

# pynetdicom leaves the socket of a refused connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

LONG = pytest.param(20, marks=pytest.mark.faults)


def count(world: World, what: str, number: int) -> None:
    """Every study has one result in the archive, and nothing was learnt twice."""
    assert world.service is not None
    site = world.service.site
    results = [result.sop_instance_uid for result in site.ledger.results()]
    there = set(world.archived)
    learnt = [c for c in site.ledger.corrections() if c.state == CorrectionState.ACCEPTED]
    versions = sum(len(patient.versions) for patient in site.models.patients())
    assert len(results) == number
    assert there == set(results)
    assert versions == len(learnt)
    table(Row(what, number, len(there), number - len(there), 0, len(learnt), 0))


@pytest.mark.parametrize("number", [1, LONG])
def test_a_full_disk_delays_what_was_accepted(
    world: World, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Not even the room that is left free for it is there any more; then somebody makes some."""
    monkeypatch.setattr(jobs, "OUTAGE_FIRST_S", 0.1)
    full, met, write = threading.Event(), threading.Event(), durable.write

    def unless_full(path: Path, content: bytes) -> None:
        if full.is_set():
            met.set()
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content)

    monkeypatch.setattr(durable, "write", unless_full)
    service = world.start()
    full.set()
    studies = [write_study(world.folder / "in" / str(n), n) for n in range(1, number + 1)]
    for study in studies:
        world.send(study.every())
    world.until(met.is_set)
    world.until(lambda: "again in" in " ".join(job["note"] for job in overview.jobs(service.site)))
    assert {state for state, _ in map(world.state, (s.uid for s in studies))}.isdisjoint(
        {"failed", "held"}
    )
    full.clear()
    for study in studies:
        world.until_state(study, "delivered")
    count(world, "the disk is full", number)


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("ledger.db", 3.0),
        ("jobs.db", 3.0),
        pytest.param("ledger.db", 60.0, marks=pytest.mark.faults),
        pytest.param("jobs.db", 60.0, marks=pytest.mark.faults),
    ],
)
def test_a_locked_database_delays_studies_and_their_acceptance(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str, seconds: float
) -> None:
    monkeypatch.setattr(database, "BUSY_MS", 500)
    monkeypatch.setattr(jobs, "OUTAGE_FIRST_S", 0.1)
    service = world.start()
    first, second = (write_study(world.folder / "in" / str(n), n) for n in (1, 2))
    world.send(first.every())
    with sqlite3.connect(world.settings.data / name, isolation_level=None) as other:
        other.execute("begin exclusive")
        began = time.monotonic()
        taken = 0
        while time.monotonic() - began < seconds:
            try:
                world.send(second.every())
                taken += 1
                time.sleep(0.5)
            except FailedError as error:
                assert "A700" in str(error)  # noqa: PT017 - of each attempt
        other.execute("rollback")
    other.close()
    assert (taken == 0) is (name == "ledger.db")
    world.send(second.every())
    for study in (first, second):
        world.until_state(study, "delivered")
    assert len(service.site.ledger.results()) == 2
    count(world, f"{name} is locked for {seconds:g} s", 2)


DEATHS: dict[str, Mapping[str, Any]] = {
    "inference is killed, as where memory ends": {"task": "die", "limit_s": 60.0},
    "inference hangs, and is ended by its wall clock": {"task": "hang", "limit_s": 4.0},
    "inference ends without a word": {"task": "leave", "limit_s": 60.0},
    "all processes of the service are told to end": {"task": "stop", "limit_s": 60.0},
}


@pytest.mark.parametrize("number", [1, pytest.param(5, marks=pytest.mark.faults)])
@pytest.mark.parametrize("what", DEATHS)
def test_a_child_that_dies_costs_an_attempt(
    world: World, monkeypatch: pytest.MonkeyPatch, what: str, number: int
) -> None:
    monkeypatch.setattr(jobs, "OUTAGE_FIRST_S", 0.1)
    died: set[str] = set()

    def run(task: str, arguments: Mapping[str, Any], *others: Any, **more: Any) -> dict[str, Any]:
        # Each attempt has a folder of its own, in that of the result.
        result = Path(str(arguments.get("folder", ""))).parent.name
        if task == "segment" and result not in died:
            died.add(result)
            how = DEATHS[what]
            return REAL_RUN(how["task"], {}, how["limit_s"], module="child_tasks")
        return world.network.run(task, arguments, *others, **more)

    monkeypatch.setattr(inference, "run", run)
    world.start()
    studies = [write_study(world.folder / "in" / str(n), n) for n in range(1, number + 1)]
    for study in studies:
        world.send(study.every())
    for study in studies:
        world.until_state(study, "delivered")
    assert len(died) == number
    count(world, what, number)


@pytest.mark.parametrize("number", [3, LONG])
def test_interleaved_and_repeated_images_make_one_result_for_each_study(
    world: World, number: int
) -> None:
    """Images of all studies come mixed, each twice, on four associations; then a late one."""
    world.given = {"completeness": {"quiet_seconds": 1.5, "incomplete_after_minutes": 5}}
    service = world.start()
    studies = [write_study(world.folder / "in" / str(n), n) for n in range(1, number + 1)]
    mixed = [path for of_all in zip(*(s.every() for s in studies), strict=True) for path in of_all]
    failures: list[BaseException] = []

    def send(part: list[Path]) -> None:
        try:
            world.send(part)
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=send, args=(mixed[n % 2 :: 2],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failures == []
    for study in studies:
        world.until_state(study, "delivered")
    count(world, "images come interleaved and twice", number)
    late = write_slice(
        world.folder / "in", studies[0].uid, 2, 12, SeriesDescription="t1_tra +Gd", EchoTime=10,
        RepetitionTime=500,
    )  # fmt: skip
    world.send([late, late])
    world.until(lambda: len(set(world.archived)) == number + 1)
    assert len(service.site.ledger.results(studies[0].uid)) == 2


@pytest.mark.parametrize("jump_s", [-86400.0, 86400.0])
def test_a_clock_that_jumps_while_images_come_neither_hurries_nor_stops_a_study(
    world: World, monkeypatch: pytest.MonkeyPatch, jump_s: float
) -> None:
    world.given = {"completeness": {"quiet_seconds": 0.5, "incomplete_after_minutes": 0.2}}
    world.start()
    study = write_study(world.folder / "in")
    world.send(study.every("FLAIR", "T1GD"))
    world.until(lambda: world.state(study.uid)[0] == "receiving")
    time.sleep(0.5)
    jumped(monkeypatch, jump_s)
    time.sleep(1.0)
    assert world.state(study.uid)[0] == "receiving"
    world.send(study.every("T2"))
    world.until_state(study, "delivered")
    assert world.state(study.uid) == ("delivered", "")
    count(world, f"the clock jumps by {jump_s / 86400:+g} day while images come", 1)


def jumped(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Set the clock that the service reads."""
    now: Callable[[], float] = time.time
    now_ns = time.time_ns
    monkeypatch.setattr(time, "time", lambda: now() + seconds)
    monkeypatch.setattr(time, "time_ns", lambda: now_ns() + int(seconds * 1e9))


def test_one_bad_study_holds_up_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does a destination that is down hold up another, nor a correction another patient's."""
    few: Any = LANES["deliver"]
    monkeypatch.setitem(few, "partition_worker_concurrency", 2)
    pacs = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": world.pacs.port}
    down = {"name": "down", "ae_title": "DOWN", "host": "127.0.0.1", "port": 1}
    world.given = {"destinations": [down, pacs]}
    service = world.start()
    world.network.failures = [FailedError("a bad one")] * 2
    bad, *good = (
        write_study(world.folder / "in" / str(n), n, PatientID=f"P{n}") for n in range(1, 6)
    )
    world.send(bad.every())
    world.until_state(bad, "failed")
    for study in good:
        world.send(study.every())
    # More than may be under way to one destination at once.
    world.until(lambda: len(set(world.archived)) == len(good))
    waiting = [row.destination for row in service.site.ledger.deliveries(DeliveryState.WAITING)]
    assert waiting.count("down") == len(good) + 1  # and that the bad one could not be segmented
    assert world.state(bad.uid) == ("failed", "a bad one")
