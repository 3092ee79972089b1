"""The whole service in one process: listener, tickers, jobs and web page, wired together.

All that it decides it decides from the ledger and the inbox, so a restart goes on where the last
process was killed.
"""

from __future__ import annotations

import json
import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from glioloop import (
    audit_events,
    corrections,
    durable,
    failures,
    jobs,
    listening,
    model_import,
    studies,
)
from glioloop.arrivals import Arrivals
from glioloop.audit_syslog import Forwarder
from glioloop.fetching import Fetcher
from glioloop.judging import Judge
from glioloop.lanes import LANES, ended_too_often
from glioloop.leader import Leader
from glioloop.ledger_schema import CorrectionState, StudyState
from glioloop.quiet import Quiet
from glioloop.settings import Settings
from glioloop.site import Site, open_site
from glioloop.web import WebServer, application
from glioloop.work import Work
from listener import scp
from listener.commitment import Report
from listener.commitment_scp import Desk
from listener.happenings import Happening
from listener.inbox import Inbox, Received
from study.errors import FailedError, GlioloopError, OutageError

if TYPE_CHECKING:
    from listener.scp import Scp

logger = logging.getLogger(__name__)

TICK_S = 1.0
"""The tickers look at least so often, and at once when something arrives."""


OUTAGE_PAUSE_S = 5.0
"""Before a study is looked at again when that failed for want of disk or database."""


@dataclass(frozen=True)
class Ports:
    """Where the service listens."""

    dicom: int
    web: int
    dicom_tls: int = 0
    """0: none."""


class Service:
    """The running service.

    Parameters
    ----------
    settings
        Its settings.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._wake, self._seg_came = threading.Event(), threading.Event()
        self._ending = threading.Event()
        self._forwarder: Forwarder | None = None
        self._quiet = Quiet()
        self._look_again: dict[str, tuple[float, float]] = {}
        self.site: Site = open_site(settings)
        self._work = Work(self.site)
        self._judge = Judge(self.site)
        self._arrivals = Arrivals(self.site.ledger)
        self._leader = Leader(settings.database)
        self._led = False

    def start(self, lanes: tuple[str, ...] = tuple(LANES)) -> Ports:
        """Begin to listen, and to work on some lanes; returns where it listens.

        Raises
        ------
        FailedError
            If a port cannot be bound.
        """
        settings = self._settings
        least = int(settings.listener.min_free_gib * 2**30)
        name = settings.node_name
        jobs.take_name(settings.database, name)  # what another one of this name writes is not ours
        inbox = Inbox(self.site.inbox_folder, min_free_bytes=least, writer=name)
        inbox.sweep()
        if self._leader.leads():
            self._restore(inbox)
            model_import.take_over(settings.data / "models", self.site.models)
        self._work.begin(lanes)
        self._lead()
        # A SEG that takes minutes to open must not keep studies waiting.
        archives = settings.dicomweb.archives
        given = self.site, inbox, self._received, self._may_fetch
        fetchers = [Fetcher(archive, *given) for archive in archives]
        looks: list[tuple[Callable[[float], None], threading.Event]] = [
            (self.tick, self._wake),
            (self.take_segs, self._seg_came),
            *((fetcher.look, threading.Event()) for fetcher in fetchers),
        ]
        self._tickers = [
            threading.Thread(target=self._repeat, args=args, name=args[0].__name__, daemon=True)
            for args in looks
        ]
        for ticker in self._tickers:
            ticker.start()
        self._web = WebServer(application(self.site, self.wake), settings.web)
        self._scp: Scp = scp.start(
            listening.config(settings),
            inbox,
            self._received,
            self._is_full,
            self._happened,
            self._desk(),
        )
        if settings.audit.syslog is not None:
            self._forwarder = Forwarder(self.site.audit, settings.audit.syslog)
            self._forwarder.start()
        audit_events.application(self.site, starts=True)
        ports = Ports(self._scp.port, self._web.start(), self._scp.tls_port)
        ports_file = f"ports-{name}.json" if settings.shared else "ports.json"
        durable.write(settings.data / ports_file, json.dumps(asdict(ports)).encode())
        logger.info("DICOM on port %d, web page on http://%s:%d", *self._addresses(ports))
        return ports

    def stop_listening(self) -> None:
        """Accept nothing more, and begin nothing more."""
        self._ending.set()
        self._wake_tickers()
        self._scp.stop()
        self._web.stop()
        audit_events.application(self.site, starts=False)
        if self._forwarder is not None:
            self._forwarder.stop()
        for ticker in self._tickers:
            ticker.join(5)

    def stop(self) -> None:
        """End; what is half done goes on at the next start."""
        self.stop_listening()
        self._leader.close()
        jobs.stop()
        self.site.ledger.close()
        self.site.models.close()

    def wake(self) -> None:
        """Let the tickers look at once."""
        self._look_again.clear()
        self._wake_tickers()

    def _wake_tickers(self) -> None:
        """End their pause."""
        self._wake.set()
        self._seg_came.set()

    def _lead(self) -> bool:
        """Whether this service leads; one that begins to takes up what was left without a job."""
        leads = self._leader.leads()
        if leads and not self._led:
            self._work.resume()
        self._led = leads
        return leads

    def _restore(self, inbox: Inbox) -> None:
        """Enter what the files say and the ledger lost."""
        known_files = self.site.ledger.files()
        entered = sum(self.site.ledger.enter(received) for received in inbox.scan(known_files))
        known = {result.result_id for result in self.site.ledger.results()}
        lost = [r for r in self.site.results.finished() if r not in known]
        for result_id in lost:
            studies.enter_result(self.site, result_id)
        if entered:
            self._work.deliveries.restore()
        if entered or lost:
            logger.info("entered %d instances and %d results from files", entered, len(lost))

    def _received(self, received: Received) -> None:
        """An instance is on the disk: enter it, before its sender is told so.

        Raises
        ------
        FailedError
            If the ledger cannot be written; the listener then asks the sender to come again.
        """
        if self._arrivals.enter(received):
            self._wake_tickers()

    def _happened(self, what: Happening) -> None:
        """Something about an association is to be audited."""
        audit_events.happening(self.site, what)

    def _may_fetch(self) -> bool:
        """Whether studies are fetched from archives now, and by this service."""
        return self._leader.leads() and not self._is_full() and not self._ending.is_set()

    def _desk(self) -> Desk:
        """What is done about storage commitment."""
        at = {}
        for destination in self._settings.destinations:
            found, peer = self._work.deliveries.target(destination.name)
            at[found.ae_title] = peer
        return Desk(self._told, self._work.commitments.keeps, at)

    def _told(self, calling_ae: str, report: Report) -> None:
        """A destination says what it keeps.

        Raises
        ------
        FailedError
            If that cannot be written down: it may be said again.
        """
        try:
            self._work.commitments.take(calling_ae, report)
        except SQLAlchemyError as error:
            raise FailedError(
                f"an answer on storage commitment was not entered: {type(error).__name__}"
            ) from error

    def _is_full(self) -> bool:
        """Whether nothing more can be accepted: the disk is too full, or the service ends.

        What was accepted still has the room that stays free, to be finished in.
        """
        if self._ending.is_set():
            return True
        free = shutil.disk_usage(self._settings.data).free
        return free < self._settings.listener.min_free_gib * 2**30

    def _addresses(self, ports: Ports) -> tuple[int, str, int]:
        """What the log says about where it listens."""
        return ports.dicom, self._settings.web.host, ports.web

    def _repeat(self, look: Callable[[float], None], wake: threading.Event) -> None:
        """Body of a ticker."""
        while not self._ending.is_set():
            wake.wait(TICK_S)
            wake.clear()
            try:
                failures.guarded(look, time.time())
            except (GlioloopError, OutageError) as error:
                logger.error("%s", error)  # noqa: TRY400 - the message says where

    def tick(self, now: float) -> None:
        """One look at every study that waits for a decision."""
        if not self._lead():
            return
        gone = jobs.given_up()
        self._work.studies.give_up(gone)
        self._give_up_corrections(gone)
        jobs.dismiss(gone)
        for study in self.site.ledger.unsettled():
            last, again = self._look_again.get(study.study_uid, (0.0, 0.0))
            clock = self._quiet.clock(study, now)
            if last == study.last_arrival and clock < again:
                continue
            try:
                when = jobs.watched(f"look {study.study_uid}", self._judge.look_at, study, clock)
            except OutageError as error:
                logger.warning("study %s: %s", study.study_uid, error)
                when = clock + OUTAGE_PAUSE_S
            except GlioloopError as error:
                state = {"state": StudyState.FAILED, "reason": str(error)}
                self.site.ledger.set_study(study.study_uid, **state)
                self.site.ledger.settle(study)  # an image that came meanwhile is looked at
                continue
            self._look_again[study.study_uid] = (study.last_arrival, when or 0.0)
            if when is None:
                self._quiet.forget(study.study_uid)

    def _give_up_corrections(self, job_ids: Iterable[str]) -> None:
        """Let a person decide about a SEG whose job saw too many ends of its process."""
        for job_id in job_ids:
            kind, uid, *_ = f"{job_id}:".split(":")
            if kind == corrections.JOB:
                reason = f"{ended_too_often(kind)}: glioloop jobs retry {job_id}"
                self._work.corrections.hold(uid, reason)

    def take_segs(self, now: float) -> None:
        """One look at every SEG that waits for a decision."""
        del now
        if not self._leader.leads():
            return
        for correction in self.site.ledger.corrections(CorrectionState.RECEIVED):
            if self._ending.is_set():
                return
            try:
                uid = correction.sop_instance_uid
                jobs.watched(f"take {uid}", self._work.corrections.take, correction)
            except OutageError as error:
                logger.warning("SEG %s: %s", uid, error)  # it is as it was, and is looked at again
            except GlioloopError as error:
                # One that cannot be judged must not keep others from it.
                held = {"state": CorrectionState.HELD, "reason": f"it could not be judged: {error}"}
                self.site.ledger.set_correction(correction.sop_instance_uid, **held)
