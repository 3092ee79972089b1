"""What an archive says of what it took, and what is done about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from small_dicom import MR, make_instance, write_instance
from small_world import World, write_study

from glioloop import commitments, overview, results, settings
from glioloop.commitments import Commitments
from glioloop.delivery import Deliveries
from glioloop.ledger_schema import CommitmentRow, DeliveryRow
from glioloop.site import Site, open_site
from listener import commitment, scp, scu
from listener.commitment import Reference, Report
from listener.commitment_scp import Desk
from listener.inbox import Inbox
from study.errors import FailedError

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


RESULT, ASKED = "0" * 32, "1.2.3.99"


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[tuple[Site, Commitments]]:
    """A result that an archive, which is not there, was asked about."""
    pacs = {"name": "pacs", "ae_title": "ARCHIVE", "host": "127.0.0.1", "port": 1}
    site = open_site(settings.load(data=tmp_path / "data", destinations=[pacs]))
    given = {"result_id": RESULT, "destination": "pacs", "study_uid": "1.2.3", "updated_at": 1.0}
    site.ledger.put(DeliveryRow(**given, state="delivered"))
    site.ledger.put(CommitmentRow(**given, state="asked", transaction_uid=ASKED))
    yield site, Commitments(site, Deliveries(site))
    site.ledger.close()
    site.models.close()


def sent(site: Site) -> Reference:
    """Write the one object of the result."""
    path = site.results.path(RESULT, results.SEG)
    path.parent.mkdir(parents=True)
    write_instance(path.parent, make_instance(1)).rename(path)
    return Reference(MR, "1.2.3.4.1.1")


def test_an_answer_about_a_result_that_is_not_in_the_data_folder_is_no_commitment(
    asking: tuple[Site, Commitments],
) -> None:
    site, mine = asking
    gone = f"there is no object of {RESULT} in the data folder"
    with pytest.raises(FailedError, match=gone):
        mine.take("ARCHIVE", Report(ASKED, [Reference(MR, "1.2.3.4.1.1")], {}))
    assert mine.state(RESULT, "pacs") == "asked"
    with pytest.raises(scu.DeliveryError, match=gone):
        mine.ask(RESULT, "pacs")
    (row,) = site.ledger.commitments()
    assert (row.state, row.attempts) == ("asked", 1)
    assert gone in row.reason


def test_what_an_archive_calls_both_kept_and_failed_is_not_kept(
    asking: tuple[Site, Commitments],
) -> None:
    site, mine = asking
    one = sent(site)
    mine.take("ARCHIVE", Report(ASKED, [one], {one: 0x0110}))
    (row,) = site.ledger.commitments()
    assert (row.state, row.reason) == ("failed", "it does not keep 1.2.3.4.1.1 (0x0110)")


def test_what_an_archive_calls_kept_is_committed(asking: tuple[Site, Commitments]) -> None:
    site, mine = asking
    mine.take("ARCHIVE", Report(ASKED, [sent(site)], {}))
    (row,) = site.ledger.commitments()
    assert (row.state, row.reason) == ("committed", "")
