"""C-STORE SCU: files as they are, to an archive.

A delivery may be repeated: the archive knows the SOP Instance UIDs, and the bytes are the same
each time. So everything that leaves it in doubt counts as not delivered.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, _config, evt

from listener import statuses
from listener.connection import tune_socket
from listener.presentation import VERIFICATION
from listener.tls import TlsFiles, client_context, probe
from study.errors import FailedError, RefusedError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pynetdicom.association import Association
    from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation

logger = logging.getLogger(__name__)

# pynetdicom's one switch for sending the bytes of a file as they are, rather than a decoded and
# encoded copy of them. It affects only files given by their path, which only this module does.
_config.STORE_SEND_CHUNKED_DATASET = True

SLOWEST_BYTES_PER_S = 250_000
"""A large object gets this much more time for its answer: the clock of pynetdicom starts when its
last byte is queued, not when it is sent."""


class DeliveryError(FailedError, OSError):
    """The destination did not take it now, and may later."""


class RejectedDeliveryError(RefusedError):
    """The destination will not take it, however often it is sent."""


@dataclass(frozen=True)
class Peer:
    """A destination.

    Parameters
    ----------
    ae_title, host, port
        Of the destination.
    calling_ae
        What we call ourselves there.
    connect_timeout_s
        For the connection, and for the answer to the association request.
    answer_timeout_s
        For the answer to an object; large ones get more (`SLOWEST_BYTES_PER_S`).
    tls
        Certificates for DICOM TLS; None: without.
    tls_name
        What its certificate must bear; empty: its ``host``.
    """

    ae_title: str
    host: str
    port: int
    calling_ae: str = "GLIOLOOP"
    connect_timeout_s: float = 10.0
    answer_timeout_s: float = 15.0
    tls: TlsFiles | None = None
    tls_name: str = ""

    def __str__(self) -> str:
        return f"{self.ae_title} at {self.host}:{self.port}"


@dataclass(frozen=True)
class Parcel:
    """A file to be sent, and what its file meta information says of it."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    size: int


def store(peer: Peer, paths: Sequence[Path]) -> None:
    """Send Part-10 files, each in the transfer syntax that it is in.

    A destination that knows explicit VR only from hearsay gets an uncompressed file in implicit VR
    little endian, which every DICOM node accepts (PS3.5 section 10.1); pixels are never
    re-encoded.

    Parameters
    ----------
    peer
        The destination.
    paths
        Files; on return all of them were accepted.

    Raises
    ------
    DeliveryError
        If it could not be reached, refused the association, did not answer, or asked to try
        later. Some of the files may have been accepted.
    RejectedDeliveryError
        If it refused at least one file for good, and accepted all the others.
    RefusedError
        If the TLS files cannot be used.
    """
    parcels = [parcel_of(path) for path in paths]
    if not parcels:
        return
    largest = max(parcel.size for parcel in parcels)
    ae = entity(peer, peer.answer_timeout_s + largest / SLOWEST_BYTES_PER_S)
    for sop_class, syntax in dict.fromkeys(_proposals(parcels)):
        ae.add_requested_context(sop_class, syntax)
    refused: list[str] = []
    with associated(ae, peer) as association:
        for parcel in parcels:
            refused += _send(association, peer, parcel)
    if refused:
        raise RejectedDeliveryError(
            f"{peer} refused {len(refused)} of {len(parcels)} objects: {'; '.join(refused)}"
        )


def echo(peer: Peer) -> None:
    """Verify by C-ECHO that a destination answers.

    Raises
    ------
    DeliveryError
        If it does not.
    """
    ae = entity(peer, peer.answer_timeout_s)
    ae.add_requested_context(VERIFICATION)
    with associated(ae, peer) as association:
        answer = association.send_c_echo()
    if status_of(answer) != statuses.SUCCESS:
        raise DeliveryError(f"{peer} did not answer a C-ECHO with success")


def parcel_of(path: Path) -> Parcel:
    """What a file says of itself."""
    try:
        meta = read_file_meta_info(path)
        return Parcel(
            path,
            str(meta.MediaStorageSOPClassUID),
            str(meta.MediaStorageSOPInstanceUID),
            str(meta.TransferSyntaxUID),
            path.stat().st_size,
        )
    except (InvalidDicomError, AttributeError) as error:
        raise RejectedDeliveryError(f"{path.name} is not a DICOM file with a header") from error
    except OSError as error:
        raise DeliveryError(f"{path.name} cannot be read ({error})") from error


def _proposals(parcels: Sequence[Parcel]) -> Iterator[tuple[str, str]]:
    """Presentation contexts to propose, each with one transfer syntax, so that it is known which
    one is accepted.
    """
    for parcel in parcels:
        yield parcel.sop_class_uid, parcel.transfer_syntax_uid
        if parcel.transfer_syntax_uid == ExplicitVRLittleEndian:
            yield parcel.sop_class_uid, ImplicitVRLittleEndian


def entity(peer: Peer, answer_timeout_s: float) -> AE:
    """Application entity with this peer's timeouts."""
    ae = AE(ae_title=peer.calling_ae)
    ae.connection_timeout = peer.connect_timeout_s
    ae.acse_timeout = peer.connect_timeout_s
    ae.dimse_timeout = answer_timeout_s
    ae.network_timeout = answer_timeout_s + peer.connect_timeout_s
    return ae


@contextmanager
def associated(
    ae: AE,
    peer: Peer,
    events: Sequence[evt.EventHandlerType] = (),
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
) -> Iterator[Association]:
    """Association with a peer, released at the end.

    Parameters
    ----------
    ae
        From `entity`, with the contexts that are proposed.
    peer
        Whom to call.
    events
        What is done on requests that the peer makes.
    roles
        Where we propose to be the SCP of what we call for.
    """
    timeout_s = peer.connect_timeout_s + peer.answer_timeout_s
    name = peer.tls_name or peer.host
    context = client_context(peer.tls) if peer.tls else None
    try:
        association = ae.associate(
            peer.host,
            peer.port,
            ae_title=peer.ae_title,
            ext_neg=[*roles],
            evt_handlers=[(evt.EVT_CONN_OPEN, tune_socket, [timeout_s]), *events],
            tls_args=(context, name) if context else None,
        )
    except OSError as error:
        raise DeliveryError(f"{peer} cannot be found ({error})") from error
    if not association.is_established:
        if association.rejected_contexts and not association.accepted_contexts:
            raise RejectedDeliveryError(
                f"{peer} accepts none of these SOP classes in their transfer syntaxes: "
                + ", ".join(str(context.abstract_syntax) for context in ae.requested_contexts)
            )
        why = _why_not(association)
        if context and not association.is_rejected:
            found = probe(peer.host, peer.port, context, name, peer.connect_timeout_s)
            why = f"cannot be reached over TLS: {found}" if found else why
        raise DeliveryError(f"{peer} {why}")
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def _why_not(association: Association) -> str:
    """Why an association was not established."""
    if association.is_rejected:
        answer = association.acceptor.primitive
        reason = f": {answer.reason_str}" if answer is not None else ""
        return f"rejected the association{reason}"
    return "does not answer, or ended the connection"


def _send(association: Association, peer: Peer, parcel: Parcel) -> list[str]:
    """Send one file; the reason if it is refused for good."""
    uid = parcel.sop_instance_uid
    payload = _payload(association, parcel)
    if payload is None:
        return [f"{uid}: SOP class {parcel.sop_class_uid} in {parcel.transfer_syntax_uid}"]
    try:
        answer = association.send_c_store(payload)
    except (RuntimeError, OSError) as error:
        raise DeliveryError(f"{peer}: the association ended before {uid} was sent") from error
    status = status_of(answer)
    if status is None:
        raise DeliveryError(f"{peer} gave no answer to {uid}")
    if statuses.is_retryable(status):
        raise DeliveryError(f"{peer} cannot take {uid} now ({statuses.name(status)})")
    if status in statuses.WARNINGS:
        logger.warning(
            "%s accepted %s with %s: %s",
            peer,
            uid,
            statuses.name(status),
            statuses.WARNINGS[status],
        )
    elif status != statuses.SUCCESS:
        return [f"{uid}: status {statuses.name(status)}"]
    return []


def _payload(association: Association, parcel: Parcel) -> Path | Dataset | None:
    """What to give pynetdicom: the file itself, or decoded where only implicit VR is accepted."""
    accepted = {
        (str(context.abstract_syntax), str(context.transfer_syntax[0]))
        for context in association.accepted_contexts
    }
    if (parcel.sop_class_uid, parcel.transfer_syntax_uid) in accepted:
        return parcel.path
    explicit = parcel.transfer_syntax_uid == ExplicitVRLittleEndian
    if explicit and (parcel.sop_class_uid, str(ImplicitVRLittleEndian)) in accepted:
        return dcmread(parcel.path)
    return None


def status_of(answer: Dataset) -> int | None:
    """Status of an answer; None when there was none, which pynetdicom shows as an empty one."""
    return int(answer.Status) if "Status" in answer else None
