"""What is done on each event of an association: plain functions, wired up in `listener.scp`."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from listener import statuses
from listener.connection import caller, hang_up, log_context
from listener.header import DamagedError, is_uid, read_header
from listener.inbox import Inbox, Received, received
from listener.part10 import Arrival
from listener.presentation import KEPT
from study.errors import FailedError

if TYPE_CHECKING:
    from pynetdicom.dimse_primitives import C_STORE
    from pynetdicom.events import Event

    from listener.scp import ScpConfig

logger = logging.getLogger(__name__)

OnReceived = Callable[[Received], None]
"""The application's ledger. It is called from several threads; 0x0000 waits for its return."""

CALLING_AE_NOT_RECOGNISED = (0x01, 0x01, 0x03)
"""Rejected permanently, by the service user (PS3.8 Table 9-21)."""
CALLED_AE_NOT_RECOGNISED = (0x01, 0x01, 0x07)


def never_full() -> bool:
    """Say that there is always room for more."""
    return False


def handle_admission(event: Event, config: ScpConfig) -> None:
    """Reject the association of a peer that is not known here, or that calls somebody else."""
    who = caller(event.assoc)
    if who.called not in config.ae_titles:
        reason, why = CALLED_AE_NOT_RECOGNISED, f"nobody here is called {who.called!r}"
    elif not config.knows(who.calling, who.address):
        reason, why = CALLING_AE_NOT_RECOGNISED, "this AE title at this address is not a peer"
    else:
        logger.info("%s: accepted, calls %s", who, who.called, extra=log_context(who))
        return
    logger.warning("%s: rejected, %s", who, why, extra=log_context(who))
    event.assoc.acse.send_reject(*reason)
    event.assoc.kill()


def handle_pdu(event: Event, max_object_bytes: int) -> None:
    """End the association of a peer whose data set grows beyond all bounds.

    The data set is gathered in memory, and only its last fragment says that it is the last.
    """
    message = event.assoc.dimse.message
    gathered = message.data_set if message else None
    if gathered is not None and gathered.tell() > max_object_bytes:
        who = caller(event.assoc)
        logger.error(
            "%s: hung up on, a data set of more than %d bytes",
            who,
            max_object_bytes,
            extra=log_context(who),
        )
        hang_up(event)


def handle_end(event: Event, how: str) -> None:
    """Log that an association ended."""
    who = caller(event.assoc)
    logger.info("%s: %s", who, how, extra=log_context(who))


def handle_echo(event: Event) -> int:
    """Answer a C-ECHO."""
    who = caller(event.assoc)
    logger.info("%s: C-ECHO", who, extra=log_context(who))
    return statuses.SUCCESS


def handle_store(
    event: Event,
    inbox: Inbox,
    on_received: OnReceived,
    is_full: Callable[[], bool] = never_full,
) -> int:
    """Keep one instance, or say why not.

    0x0000 is returned when the instance is on the disk and the application has entered it in its
    ledger, not before.

    Parameters
    ----------
    event
        A C-STORE request.
    inbox
        Where it is kept.
    on_received
        The application's ledger. If it raises `FailedError` or `OSError` the sender is told to
        try again later.
    is_full
        Whether the application can take nothing more for now.

    Returns
    -------
    int
        A status of `listener.statuses`.
    """
    who = caller(event.assoc)
    request = cast("C_STORE", event.request)
    uid = str(request.AffectedSOPInstanceUID or "")
    shown = uid if is_uid(uid) else "an instance without a valid UID"
    try:
        status, why = _store(event, inbox, on_received, is_full)
    except (FailedError, OSError, MemoryError) as error:
        status, why = statuses.OUT_OF_RESOURCES, f"{type(error).__name__}: {error}"
    except DamagedError as error:
        status, why = statuses.CANNOT_UNDERSTAND, str(error)
    except Exception:
        status, why = statuses.HANDLER_FAILED, "an unforeseen error"
        logger.exception("%s: C-STORE of %s failed", who, shown, extra=log_context(who))
    if status != statuses.SUCCESS:
        logger.error(
            "%s: %s answered with %s: %s",
            who,
            shown,
            statuses.name(status),
            why,
            extra=log_context(who),
        )
    return status


def _store(
    event: Event, inbox: Inbox, on_received: OnReceived, is_full: Callable[[], bool]
) -> tuple[int, str]:
    """Status of a C-STORE, and the reason of one that is not success."""
    request = cast("C_STORE", event.request)
    sop_class, sop_instance = str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID)
    if not is_uid(sop_instance):
        return statuses.INVALID_SOP_INSTANCE, "*Affected SOP Instance UID* is not a UID"
    if is_full():
        return statuses.OUT_OF_RESOURCES, "the application has too much waiting"
    data_set = request.DataSet.getvalue() if request.DataSet else b""
    if not data_set:
        return statuses.NO_DATA_SET, "no data set came with it"
    who = caller(event.assoc)
    arrival = Arrival.now(str(event.context.transfer_syntax), who.calling, who.called)
    header = read_header(data_set, arrival.transfer_syntax_uid)
    unnamed = not header.sop_class_uid and sop_class not in KEPT
    if header.sop_class_uid != sop_class and not unnamed:
        return statuses.DOES_NOT_MATCH_SOP_CLASS, "the data set is of another SOP class, or of none"
    if header.sop_instance_uid != sop_instance and header.sop_instance_uid:
        return statuses.DOES_NOT_MATCH_SOP_CLASS, "the data set is another SOP instance"
    if sop_class in KEPT:
        entry = inbox.store(data_set, header, arrival)
    else:
        header = replace(header, sop_class_uid=sop_class, sop_instance_uid=sop_instance)
        entry = received(header, arrival, hashlib.sha256(data_set).hexdigest())
    if entry.conflict and not entry.repeated:
        logger.warning(
            "%s: %s came before with other bytes; both are kept",
            who,
            sop_instance,
            extra=log_context(who),
        )
    on_received(entry)
    logger.debug("%s: %s %s", who, sop_instance, "kept" if entry.path else "dropped")
    return statuses.SUCCESS, ""
