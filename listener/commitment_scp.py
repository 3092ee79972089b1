"""Storage Commitment on our own port: answers to what we asked, and requests of others.

A sender may delete what is committed to it. The spool is no archive, so every instance of a request
is reported as failed, unless the application says that it keeps it for good.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pynetdicom import evt

from listener import commitment, scu, statuses
from listener.commitment import Reference, Report
from listener.connection import caller, log_context
from study.errors import GlioloopError, RefusedError

if TYPE_CHECKING:
    from pynetdicom.events import Event

logger = logging.getLogger(__name__)

AT_ONCE = 16
"""Requests that are being answered; more are told to come again."""
PAUSES_S = (0.2, 5.0, 60.0)
"""Before each attempt to report. An answer that is lost leaves the sender with its images."""


def keeps_nothing(_reference: Reference) -> bool:
    """Say of every instance that it is not kept for good."""
    return False


@dataclass(frozen=True)
class Desk:
    """What is done about storage commitment.

    Parameters
    ----------
    on_report
        Told who answers, by its AE title, and what; it may raise `FailedError`.
    keeps
        Whether an instance is kept for good.
    at
        AE title to where its reports go. Others get them on the association of their request.
    """

    on_report: Callable[[str, Report], None]
    keeps: Callable[[Reference], bool] = keeps_nothing
    at: Mapping[str, scu.Peer] = field(default_factory=dict)


class CommitmentScp:
    """Answers requests in threads of its own, of calling AE titles that may ask."""

    def __init__(self, desk: Desk, may_ask: Callable[[str], bool]) -> None:
        self._desk, self._may_ask = desk, may_ask
        self._free = threading.BoundedSemaphore(AT_ONCE)

    def events(self) -> list[evt.EventHandlerType]:
        """What the listener is to call."""
        return [(evt.EVT_N_ACTION, self.handle_request), (evt.EVT_N_EVENT_REPORT, self.take_report)]

    def take_report(self, event: Event) -> tuple[int, None]:
        """Handle an N-EVENT-REPORT: the answer to what we asked."""
        who = caller(event.assoc)
        try:
            found = commitment.read_report(event.event_information)
            self._desk.on_report(who.calling, found)
        except RefusedError as error:
            logger.warning("%s: N-EVENT-REPORT: %s", who, error, extra=log_context(who))
            return statuses.INVALID_ARGUMENT, None
        except GlioloopError as error:
            logger.error("%s: N-EVENT-REPORT: %s", who, error, extra=log_context(who))  # noqa: TRY400
            return statuses.PROCESSING_FAILURE, None
        logger.info(
            "%s: storage commitment, %d kept, %d failed",
            who,
            len(found.committed),
            len(found.failed),
            extra=log_context(who),
        )
        return statuses.SUCCESS, None

    def handle_request(self, event: Event) -> tuple[int, None]:
        """Handle an N-ACTION: somebody asks whether we keep something."""
        who = caller(event.assoc)
        if not self._may_ask(who.calling):
            logger.warning("%s: N-ACTION: it may send nothing", who, extra=log_context(who))
            return statuses.NOT_AUTHORISED, None
        try:
            if event.action_type != commitment.REQUEST:
                return statuses.NO_SUCH_ACTION, None
            transaction, wanted = commitment.read_request(event.action_information)
        except RefusedError as error:
            logger.warning("%s: N-ACTION: %s", who, error, extra=log_context(who))
            return statuses.INVALID_ARGUMENT, None
        if not self._free.acquire(blocking=False):
            return statuses.RESOURCE_LIMITATION, None
        logger.info(
            "%s: asks for the commitment of %d instances", who, len(wanted), extra=log_context(who)
        )
        threading.Thread(
            target=self._answer,
            args=(event, transaction, wanted),
            name=f"commitment-{who.number}",
            daemon=True,
        ).start()
        return statuses.SUCCESS, None

    def _answer(self, event: Event, transaction: str, wanted: list[Reference]) -> None:
        """Report, a few times if need be."""
        who = caller(event.assoc)
        try:
            kept = {one for one in wanted if self._desk.keeps(one)}
            found = Report(
                transaction,
                [one for one in wanted if one in kept],
                {one: commitment.NOT_SUPPORTED for one in wanted if one not in kept},
            )
            for pause_s in PAUSES_S:
                time.sleep(pause_s)
                if self._told(event, found):
                    return
            logger.warning("%s: could not be told of its commitment", who, extra=log_context(who))
        finally:
            self._free.release()

    def _told(self, event: Event, found: Report) -> bool:
        """Whether one attempt succeeded."""
        who = caller(event.assoc)
        peer = self._desk.at.get(who.calling)
        try:
            if peer is not None:
                commitment.report(peer, found)
            else:
                commitment.report_on(event.assoc, who, found)
        except GlioloopError as error:
            logger.info("%s: %s", who, error, extra=log_context(who))
            return False
        return True
