"""Storage Commitment between two listeners, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from dicom_network import wait_until
from pydicom.dataset import Dataset
from pynetdicom import AE
from small_dicom import MR, make_instance, write_instance

from listener import commitment, scp, scu, statuses
from listener.access import Access, Right
from listener.commitment import Reference, Report
from listener.commitment_scp import Desk
from listener.inbox import Inbox
from study.errors import FailedError, RefusedError

# pynetdicom leaves the socket of an association to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

KEPT, LOST = Reference(MR, "1.2.3.4.1.1"), Reference(MR, "1.2.3.4.1.2")
TRANSACTION = "1.2.3.99"


@dataclass
class Office:
    """A listener, what it was told, and where others find it."""

    peer: scu.Peer
    told: list[tuple[str, Report]] = field(default_factory=list)
    broken: bool = False

    def take(self, calling: str, report: Report) -> None:
        if self.broken:
            raise FailedError("the ledger is down")
        self.told.append((calling, report))


@contextmanager
def office(
    folder: Path,
    name: str,
    port: int,
    keeps: Callable[[Reference], bool] = lambda one: one == KEPT,
    at: dict[str, scu.Peer] | None = None,
    peers: dict[str, Access] | None = None,
) -> Iterator[Office]:
    made = Office(scu.Peer(name, "127.0.0.1", port, "NOBODY"))
    config = scp.ScpConfig("127.0.0.1", port, (name,), peers=peers)
    desk = Desk(made.take, keeps, at or {})
    running = scp.start(config, Inbox(folder / name, 0), lambda _: None, desk=desk)
    try:
        yield made
    finally:
        running.stop(0.2)


def peer(name: str, port: int, calling: str) -> scu.Peer:
    return scu.Peer(name, "127.0.0.1", port, calling)


def test_an_answer_comes_on_an_association_of_its_own(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    ours, theirs = free_port(), free_port()
    at = {"US": peer("US", ours, "ARCHIVE")}
    with office(tmp_path, "US", ours) as us, office(tmp_path, "ARCHIVE", theirs, at=at):
        asked = peer("ARCHIVE", theirs, "US")
        assert commitment.ask(asked, TRANSACTION, [KEPT, LOST], 0.0) is None
        assert wait_until(lambda: bool(us.told))
    reason = commitment.NOT_SUPPORTED
    assert us.told == [("ARCHIVE", Report(TRANSACTION, [KEPT], {LOST: reason}))]


def test_an_answer_comes_on_the_same_association_from_who_does_not_know_us(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    theirs = free_port()
    with office(tmp_path, "ARCHIVE", theirs):
        found = commitment.ask(peer("ARCHIVE", theirs, "US"), TRANSACTION, [KEPT], 10.0)
    assert found == Report(TRANSACTION, [KEPT], {})


def test_a_listener_that_is_no_archive_commits_itself_to_nothing(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    theirs = free_port()
    with office(tmp_path, "US", theirs, Desk(lambda *_: None).keeps):
        found = commitment.ask(peer("US", theirs, "SCANNER"), TRANSACTION, [KEPT, LOST], 10.0)
    assert found == Report(TRANSACTION, [], {KEPT: 0x0122, LOST: 0x0122})


def test_a_destination_without_storage_commitment_is_refused_for_good(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    config = scp.ScpConfig("127.0.0.1", port, ("ARCHIVE",))
    running = scp.start(config, Inbox(tmp_path, 0), lambda _: None)
    with pytest.raises(scu.RejectedDeliveryError, match=r"accepts none.*1\.20\.1"):
        commitment.ask(peer("ARCHIVE", port, "US"), TRANSACTION, [KEPT], 0.0)
    running.stop(0.2)


def test_a_report_that_cannot_be_entered_is_asked_for_again(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    with office(tmp_path, "US", port) as us:
        us.broken = True
        with pytest.raises(scu.DeliveryError, match="did not take the report"):
            commitment.report(us.peer, Report(TRANSACTION, [KEPT], {}))
        us.broken = False
        commitment.report(us.peer, Report(TRANSACTION, [KEPT], {}))
        assert us.told == [("NOBODY", Report(TRANSACTION, [KEPT], {}))]


@pytest.mark.parametrize(
    ("action", "data", "status"),
    [
        (2, {"TransactionUID": TRANSACTION}, statuses.NO_SUCH_ACTION),
        (1, {"ReferencedSOPSequence": []}, statuses.INVALID_ARGUMENT),
        (1, {"TransactionUID": "../etc"}, statuses.INVALID_ARGUMENT),
        (1, {"TransactionUID": TRANSACTION, "ReferencedSOPSequence": [Dataset()]}, 0x0115),
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI:UserWarning")
def test_a_request_that_cannot_be_read_is_refused(
    tmp_path: Path,
    free_port: Callable[[], int],
    action: int,
    data: dict[str, object],
    status: int,
) -> None:
    port, wanted = free_port(), Dataset()
    for keyword, value in data.items():
        setattr(wanted, keyword, value)
    with office(tmp_path, "US", port):
        ae = AE(ae_title="SCANNER")
        ae.add_requested_context(commitment.PUSH_MODEL)
        association = ae.associate("127.0.0.1", port, ae_title="US")
        answer, _ = association.send_n_action(
            wanted, action, commitment.PUSH_MODEL, commitment.PUSH_MODEL_INSTANCE
        )
        association.release()
    assert answer.Status == status


@pytest.mark.parametrize(
    ("may", "status"), [(set(), 0x0124), ({Right.IMAGES}, 0x0000), ({Right.CORRECTIONS}, 0x0000)]
)
def test_who_may_send_nothing_may_not_ask_what_is_kept(
    tmp_path: Path, free_port: Callable[[], int], may: set[Right], status: int
) -> None:
    port = free_port()
    with office(tmp_path, "US", port, peers={"SCANNER": Access(may=frozenset(may))}):
        ae = AE(ae_title="SCANNER")
        ae.add_requested_context(commitment.PUSH_MODEL)
        association = ae.associate("127.0.0.1", port, ae_title="US")
        answer, _ = association.send_n_action(
            commitment.request_data(TRANSACTION, [KEPT]),
            commitment.REQUEST,
            commitment.PUSH_MODEL,
            commitment.PUSH_MODEL_INSTANCE,
        )
        association.release()
    assert answer.Status == status


def test_references_are_those_of_the_files(tmp_path: Path) -> None:
    path = write_instance(tmp_path, make_instance(1))
    assert commitment.references_of([path]) == [KEPT]


def test_too_many_references_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commitment, "MOST_REFERENCES", 1)
    data = commitment.request_data(TRANSACTION, [KEPT, LOST])
    with pytest.raises(RefusedError, match="names 2 instances; 1 are the most"):
        commitment.read_request(data)
    assert commitment.read_request(commitment.request_data(TRANSACTION, [KEPT])) == (
        TRANSACTION,
        [KEPT],
    )
