"""What an archive says of what it took, and what is done about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from small_world import World, write_study

from glioloop import commitments, overview
from listener import commitment, scp, scu
from listener.commitment import Reference
from listener.commitment_scp import Desk
from listener.inbox import Inbox

# pynetdicom leaves the socket of a refused connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@contextmanager
def archive(
    world: World,
    free_port: Callable[[], int],
    keeps: Callable[[Reference], bool],
    *,
    answers: bool = True,
    **delivery: Any,
) -> Iterator[list[str]]:
    """An archive that is asked for storage commitment; the SOP Instance UIDs that it got."""
    ours, theirs, got = free_port(), free_port(), []
    at = {"GLIOLOOP": scu.Peer("GLIOLOOP", "127.0.0.1", ours, "ARCHIVE" if answers else "OTHER")}
    pacs = {"name": "pacs", "ae_title": "ARCHIVE", "host": "127.0.0.1", "port": theirs}
    world.given = {
        "listener": {"host": "127.0.0.1", "port": ours, "min_free_gib": 0},
        "destinations": [{**pacs, "commitment": True}],
        "delivery": {"first_pause_seconds": 0.1, "longest_pause_minutes": 0.01, **delivery},
    }
    running = scp.start(
        scp.ScpConfig("127.0.0.1", theirs, ("ARCHIVE",)),
        Inbox(world.folder / "the-archive", 0),
        lambda received: got.append(received.sop_instance_uid),
        desk=Desk(lambda *_: None, keeps, at),
    )
    try:
        yield got
    finally:
        world.stop()
        running.stop(0.2)


def test_what_an_archive_keeps_is_shown_as_committed(
    world: World, free_port: Callable[[], int]
) -> None:
    with archive(world, free_port, lambda _: True) as got:
        service, study = world.start(), write_study(world.folder / "in")
        world.send(study.every())
        world.until(lambda: [c.state for c in service.site.ledger.commitments()] == ["committed"])
        (result,) = service.site.ledger.results()
        assert got == [result.sop_instance_uid]
        notes = {job["kind"]: job["note"] for job in overview.jobs(service.site)}
        world.until(
            lambda: (
                {j["kind"]: j["note"] for j in overview.jobs(service.site)}["commit"] == "committed"
            )
        )
        assert notes["deliver"] == "delivered"
        assert overview.status(service.site)["commitments"] == {"committed": 1}


def test_what_an_archive_lost_is_delivered_again(
    world: World, free_port: Callable[[], int]
) -> None:
    asked: list[Reference] = []

    def keeps(one: Reference) -> bool:
        asked.append(one)
        return len(asked) > 1

    with archive(world, free_port, keeps) as got:
        service, study = world.start(), write_study(world.folder / "in")
        world.send(study.every())
        world.until(lambda: [c.state for c in service.site.ledger.commitments()] == ["committed"])
        (result,) = service.site.ledger.results()
        assert got == [result.sop_instance_uid] * 2
        (row,) = service.site.ledger.commitments()
        assert (row.attempts, row.reason) == (2, "")
        assert [d.state for d in service.site.ledger.deliveries()] == ["delivered"]


def test_a_request_that_nobody_answers_is_repeated_and_parked_at_last(
    world: World, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archive answers under another AE title, which is not heard."""
    monkeypatch.setattr(commitments, "SAME_ASSOCIATION_S", 0.1)
    soon = {"commitment_wait_minutes": 0.01, "park_after_hours": 0.0006}
    with archive(world, free_port, lambda _: True, answers=False, **soon) as got:
        service, study = world.start(), write_study(world.folder / "in")
        world.send(study.every())
        world.until(lambda: [c.state for c in service.site.ledger.commitments()] == ["parked"])
        (row,) = service.site.ledger.commitments()
        assert row.attempts >= 2
        assert "not committed after 0.0006 hours; the last word is 'asked'" in row.reason
        assert overview.status(service.site)["parked"] == 1
        assert len(got) == 1


def test_an_archive_without_storage_commitment_is_said_so(
    world: World,
) -> None:
    pacs = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": world.pacs.port}
    world.given = {"destinations": [{**pacs, "commitment": True}]}
    service, study = world.start(), write_study(world.folder / "in")
    world.send(study.every())
    world.until(lambda: [c.state for c in service.site.ledger.commitments()] == ["refused"])
    (row,) = service.site.ledger.commitments()
    assert "accepts none of these SOP classes" in row.reason
    assert world.state(study.uid)[0] == "delivered"


@pytest.mark.parametrize("kept", [False, True])
def test_a_scanner_is_told_that_its_images_are_kept_by_an_archive_alone(
    world: World, *, kept: bool
) -> None:
    world.given = {"listener": {"host": "127.0.0.1", "port": 0, "min_free_gib": 0, "archive": kept}}
    world.start()
    study = write_study(world.folder / "in")
    world.send(study.files["T2"])
    wanted = commitment.references_of(study.files["T2"][:1])
    nowhere = Reference(wanted[0].sop_class_uid, "1.2.3.4")
    peer = scu.Peer("GLIOLOOP", "127.0.0.1", world.dicom, "SCANNER")
    found = commitment.ask(peer, "1.2.3.5", [*wanted, nowhere], 10.0)
    assert found is not None
    assert found.committed == (wanted if kept else [])
    assert set(found.failed) == ({nowhere} if kept else {*wanted, nowhere})
