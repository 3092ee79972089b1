"""Storage Commitment (PS3.4 Annex J): to ask a destination whether it keeps what it was sent.

Who asks sends an N-ACTION; the answer is an N-EVENT-REPORT, seconds or days later, on the same
association or on another one, which the destination opens to our own port (`commitment_scp`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, cast

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import build_role, evt

from listener import scu, statuses
from listener.header import is_uid
from study.errors import RefusedError

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.events import Event

PUSH_MODEL = UID("1.2.840.10008.1.20.1")
"""Storage Commitment Push Model SOP Class."""
PUSH_MODEL_INSTANCE = UID("1.2.840.10008.1.20.1.1")
"""Its one, well-known instance."""

REQUEST = 1
"""*Action Type ID* of a request (PS3.4 section J.3.2)."""
ALL_COMMITTED, SOME_FAILED = 1, 2
"""*Event Type ID* of an answer (PS3.4 section J.3.3)."""

NO_SUCH_INSTANCE = 0x0112
NOT_SUPPORTED = 0x0122
"""(0008,1197) *Failure Reason*: the instance is not there; it is of a SOP class for which nothing
is committed (PS3.3 section C.14.1.1)."""

MOST_REFERENCES = 100_000
"""No request and no answer names more instances."""

POLL_S = 0.05
ACKNOWLEDGED_S = 0.2
"""Between an answer and the release of its association: another thread still acknowledges it."""


@dataclass(frozen=True)
class Reference:
    """An instance."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True)
class Report:
    """What a destination says of the instances of one request.

    Parameters
    ----------
    transaction_uid
        (0008,1195) *Transaction UID* of the request.
    committed
        What it keeps.
    failed
        What it does not, and its (0008,1197) *Failure Reason*.
    """

    transaction_uid: str
    committed: Sequence[Reference] = ()
    failed: Mapping[Reference, int] = field(default_factory=dict)


def references_of(paths: Sequence[Path]) -> list[Reference]:
    """References to Part-10 files.

    Raises
    ------
    DeliveryError, RejectedDeliveryError
        As `listener.scu.store`, of files that cannot be read.
    """
    parcels = [scu.parcel_of(path) for path in paths]
    return [Reference(parcel.sop_class_uid, parcel.sop_instance_uid) for parcel in parcels]


def ask(
    peer: scu.Peer, transaction_uid: str, references: Sequence[Reference], wait_s: float
) -> Report | None:
    """Ask a destination whether it keeps some instances.

    Parameters
    ----------
    peer
        The destination.
    transaction_uid
        New for each request.
    references
        The instances.
    wait_s
        How long the association stays open for an answer; most destinations open one of their own.

    Returns
    -------
    Report or None
        The answer, if it came on this association.

    Raises
    ------
    DeliveryError
        If it could not be asked now.
    RejectedDeliveryError
        If it does not commit itself, or not to these instances.
    """
    ae = scu.entity(peer, peer.answer_timeout_s)
    ae.add_requested_context(PUSH_MODEL)
    came: SimpleQueue[Report] = SimpleQueue()

    def on_report(event: Event) -> tuple[int, None]:
        came.put(read_report(event.event_information))
        return statuses.SUCCESS, None

    with scu.associated(ae, peer, [(evt.EVT_N_EVENT_REPORT, on_report)]) as association:
        try:
            answer, _ = association.send_n_action(
                request_data(transaction_uid, references), REQUEST, PUSH_MODEL, PUSH_MODEL_INSTANCE
            )
        except (RuntimeError, OSError, ValueError) as error:
            raise scu.DeliveryError(f"{peer}: the association ended before it was asked") from error
        _require_success(peer, scu.status_of(answer))
        return _wait(came, association, transaction_uid, wait_s)


def report(peer: scu.Peer, found: Report) -> None:
    """Tell who asked what is kept, on an association of our own.

    Raises
    ------
    DeliveryError
        If it could not be told.
    RejectedDeliveryError
        If it takes no such report.
    """
    ae = scu.entity(peer, peer.answer_timeout_s)
    ae.add_requested_context(PUSH_MODEL)
    # Who opens an association is the SCU, unless it says otherwise (PS3.7 section D.3.3.4).
    with scu.associated(ae, peer, roles=[build_role(PUSH_MODEL, scp_role=True)]) as association:
        report_on(association, peer, found)


def report_on(association: Association, peer: object, found: Report) -> None:
    """Tell what is kept on an association that is there.

    Raises
    ------
    DeliveryError
        If it could not be told.
    """
    kind = SOME_FAILED if found.failed else ALL_COMMITTED
    try:
        answer, _ = association.send_n_event_report(
            report_data(found), kind, PUSH_MODEL, PUSH_MODEL_INSTANCE
        )
    except (RuntimeError, OSError, ValueError) as error:
        raise scu.DeliveryError(f"{peer}: the association ended before it was told") from error
    if scu.status_of(answer) != statuses.SUCCESS:
        raise scu.DeliveryError(f"{peer} did not take the report on storage commitment")


def request_data(transaction_uid: str, references: Sequence[Reference]) -> Dataset:
    """*Action Information* of a request (PS3.4 Table J.3-1)."""
    data = Dataset()
    data.TransactionUID = transaction_uid
    data.ReferencedSOPSequence = [_item(one) for one in references]
    return data


def report_data(found: Report) -> Dataset:
    """*Event Information* of an answer (PS3.4 Table J.3-2)."""
    data = Dataset()
    data.TransactionUID = found.transaction_uid
    if found.committed:
        data.ReferencedSOPSequence = [_item(one) for one in found.committed]
    if found.failed:
        items = [_item(one) for one in found.failed]
        for item, reason in zip(items, found.failed.values(), strict=True):
            item.FailureReason = reason
        data.FailedSOPSequence = items
    return data


def read_request(data: Dataset) -> tuple[str, list[Reference]]:
    """*Transaction UID* and instances of a request.

    Raises
    ------
    RefusedError
        If it lacks a UID, or names too many instances.
    """
    return _transaction(data), _references(data, "ReferencedSOPSequence")


def read_report(data: Dataset) -> Report:
    """What an answer says.

    Raises
    ------
    RefusedError
        As `read_request`.
    """
    failed = _references(data, "FailedSOPSequence")
    reasons = [int(item.get("FailureReason") or 0) for item in data.get("FailedSOPSequence") or ()]
    return Report(
        _transaction(data),
        _references(data, "ReferencedSOPSequence"),
        dict(zip(failed, reasons, strict=True)),
    )


def _require_success(peer: scu.Peer, status: int | None) -> None:
    """Raise unless a request was taken."""
    if status is None:
        raise scu.DeliveryError(f"{peer} gave no answer to a request for storage commitment")
    if statuses.is_retryable(status) or status == statuses.RESOURCE_LIMITATION:
        raise scu.DeliveryError(
            f"{peer} takes no request for storage commitment now ({statuses.name(status)})"
        )
    if status != statuses.SUCCESS:
        raise scu.RejectedDeliveryError(
            f"{peer} refused a request for storage commitment with {statuses.name(status)}"
        )


def _wait(
    came: SimpleQueue[Report], association: Association, transaction_uid: str, wait_s: float
) -> Report | None:
    """The answer to our request, if it comes while the association lasts."""
    until = time.monotonic() + wait_s
    while association.is_established and time.monotonic() < until:
        try:
            found = came.get(timeout=POLL_S)
        except Empty:
            continue
        if found.transaction_uid == transaction_uid:
            time.sleep(ACKNOWLEDGED_S)
            return found
    return None


def _item(reference: Reference) -> Dataset:
    """Item of a sequence of references."""
    item = Dataset()
    item.ReferencedSOPClassUID = reference.sop_class_uid
    item.ReferencedSOPInstanceUID = reference.sop_instance_uid
    return item


def _transaction(data: Dataset) -> str:
    """The (0008,1195) *Transaction UID*."""
    uid = str(data.get("TransactionUID") or "")
    if not is_uid(uid):
        raise RefusedError("it has no (0008,1195) *Transaction UID*")
    return uid


def _references(data: Dataset, keyword: str) -> list[Reference]:
    """References in a sequence; none where it is missing."""
    items = cast("Sequence[Dataset]", data.get(keyword) or ())
    if len(items) > MOST_REFERENCES:
        raise RefusedError(f"it names {len(items)} instances; {MOST_REFERENCES} are the most")
    found = [
        Reference(
            str(item.get("ReferencedSOPClassUID") or ""),
            str(item.get("ReferencedSOPInstanceUID") or ""),
        )
        for item in items
    ]
    if not all(is_uid(one.sop_class_uid) and is_uid(one.sop_instance_uid) for one in found):
        raise RefusedError(f"a reference in its {keyword} has no valid UID")
    return found
