"""What is done on each event of an association: plain functions, wired up in `listener.scp`."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from listener import statuses
from listener.admission import Doorkeeper
from listener.connection import caller, hang_up, log_context
from listener.happenings import Happening, Kind, OnHappening, Transfers
from listener.header import DamagedError, is_uid, read_header
from listener.inbox import Inbox, Received, received
from listener.limits import MIB, Limits
from listener.part10 import Arrival
from listener.presentation import KEPT
from study.errors import FailedError

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.dimse_primitives import C_STORE
    from pynetdicom.events import Event

logger = logging.getLogger(__name__)

OnReceived = Callable[[Received], None]
"""The application's ledger. It is called from several threads; 0x0000 waits for its return."""

MOST_WAITING = 4
"""Messages of an association that wait to be served; who waits for each answer has one."""
SMALL = 16 * MIB
"""A data set up to this size is not counted among those of all associations."""


def never_full() -> bool:
    """Say that there is always room for more."""
    return False


def handle_admission(event: Event, door: Doorkeeper, tell: OnHappening) -> None:
    """Reject the association of a peer that is not known here, or that calls somebody else."""
    who = caller(event.assoc)
    found = door.judge(who, event.assoc)
    if found is None:
        logger.info("%s: accepted, calls %s", who, who.called, extra=log_context(who))
        tell(Happening(Kind.ADMITTED, who))
        return
    reason, why = found
    if door.is_told(who.address):
        logger.warning("%s: rejected, %s", who, why, extra=log_context(who))
        tell(Happening(Kind.REJECTED, who, why))
    event.assoc.acse.send_reject(*reason)
    event.assoc.kill()


def handle_pdu(event: Event, limits: Limits) -> None:
    """End the association of a peer whose messages grow beyond all bounds.

    They are gathered in memory, and only the last fragment says that it is the last. A message
    that is whole waits there until it is answered; nobody here negotiated that several do.
    """
    why = _too_much(event.assoc, limits)
    if why:
        who = caller(event.assoc)
        logger.error("%s: hung up on, %s", who, why, extra=log_context(who))
        hang_up(event)


def _too_much(association: Association, limits: Limits) -> str:
    """What an association has too much of in memory; empty where that is bearable."""
    waiting = association.dimse.msg_queue.qsize()
    if waiting > MOST_WAITING:
        return f"{waiting} messages that it sent without waiting for an answer"
    message = association.dimse.message
    if message is None:
        return ""
    command = message.encoded_command_set
    if command is not None and command.tell() > limits.command_bytes:
        return f"a command set of more than {limits.command_bytes} bytes"
    gathered = _gathered(association)
    if gathered > limits.object_bytes:
        return f"a data set of more than {limits.object_bytes} bytes"
    return _too_much_of_all(association, limits) if gathered > SMALL else ""


def _too_much_of_all(association: Association, limits: Limits) -> str:
    """The same of all associations together."""
    everybody = sum(_gathered(one) for one in association.ae.active_associations)
    if everybody > limits.bytes_in_memory:
        return f"{limits.bytes_in_memory} bytes of data sets are in memory"
    return ""


def _gathered(association: Association) -> int:
    """Bytes of the data set that an association is bringing."""
    message = association.dimse.message
    gathered = message.data_set if message else None
    return gathered.tell() if gathered is not None else 0


def handle_end(event: Event, how: str, transfers: Transfers) -> None:
    """Log that an association ended, and tell what it brought."""
    who = caller(event.assoc)
    logger.info("%s: %s", who, how, extra=log_context(who))
    transfers.end(who)


def handle_close(event: Event, transfers: Transfers) -> None:
    """Tell what an association brought whose connection broke.

    One that ended before any request would keep its place until a timeout: pynetdicom waits on.
    """
    transfers.end(caller(event.assoc))
    if event.assoc.requestor.primitive is None:
        waiting: Any = event.assoc.dul.to_user_queue  # its annotation leaves out the end of all
        waiting.put(None)


def handle_echo(event: Event) -> int:
    """Answer a C-ECHO."""
    who = caller(event.assoc)
    logger.info("%s: C-ECHO", who, extra=log_context(who))
    return statuses.SUCCESS


def handle_store(
    event: Event,
    inbox: Inbox,
    on_received: OnReceived,
    is_full: Callable[[], bool],
    door: Doorkeeper,
    transfers: Transfers,
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
    door
        Says who may send what.
    transfers
        Is told of what was taken, and of what was not.

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
        status, why = _refused(event, is_full, door) or _store(
            event, inbox, on_received, door, transfers
        )
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
        named = uid if is_uid(uid) else ""
        transfers.tell(Happening(Kind.REFUSED, who, why, sop_instance_uid=named))
    return status


def _refused(event: Event, is_full: Callable[[], bool], door: Doorkeeper) -> tuple[int, str] | None:
    """Status and reason of a C-STORE that is refused unread."""
    request = cast("C_STORE", event.request)
    if not is_uid(str(request.AffectedSOPInstanceUID)):
        return statuses.INVALID_SOP_INSTANCE, "*Affected SOP Instance UID* is not a UID"
    found = door.may_send(caller(event.assoc), str(request.AffectedSOPClassUID))
    if found is None and is_full():
        return statuses.OUT_OF_RESOURCES, "the application has too much waiting"
    return found


def _store(
    event: Event,
    inbox: Inbox,
    on_received: OnReceived,
    door: Doorkeeper,
    transfers: Transfers,
) -> tuple[int, str]:
    """Status of a C-STORE, and the reason of one that is not success."""
    request = cast("C_STORE", event.request)
    sop_class, sop_instance = str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID)
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
        refused = door.may_grow(header.study_uid)
        if refused is not None:
            return refused
        entry = inbox.store(data_set, header, arrival)
        if not entry.repeated:
            door.grew(header.study_uid)
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
    transfers.add(who, entry)
    logger.debug("%s: %s %s", who, sop_instance, "kept" if entry.path else "dropped")
    return statuses.SUCCESS, ""
