"""Results, and answers where there is none, on their way to the archives."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

import pydicom

from glioloop import audit_events, dicomweb, jobs, listening, results
from glioloop.board import Board
from glioloop.ledger_schema import DeliveryRow, DeliveryState, StudyState
from glioloop.settings_dicomweb import DicomwebDestination
from glioloop.settings_network import Destination
from glioloop.site import Site
from listener import dicomweb as dicomweb_client
from listener import scu
from study.errors import RefusedError

logger = logging.getLogger(__name__)

JOB = "deliver"
COMMIT = "commit"
"""The job that asks a destination whether it keeps what it took (`glioloop.commitments`)."""
AUDITED = (DeliveryState.DELIVERED, DeliveryState.REFUSED, DeliveryState.PARKED)
"""States in which a delivery ends at its destination, or does not get there."""
GONE = "there is no object of {} in the data folder: is it all there?"
DELIVERED = "delivered"
"""Outcome of a job that brought everything to its destination."""


def job_id(result_id: str, destination: str) -> str:
    """Id of the job that brings something to a destination."""
    return f"{JOB}:{result_id}:{destination}"


class Deliveries:
    """The job `deliver`: one result or answer to one destination, until it is there or parked."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def begin(self, result_id: str, study_uid: str) -> list[str]:
        """Write down what is to be delivered where; the names of the destinations."""
        store = self._site.results
        names = [
            destination.name
            for destination in self._site.settings.addressees
            if store.objects(result_id, destination.objects, destination.encoding)
        ]
        for name in names:
            if self._site.ledger.delivery(result_id, name) is None:
                self._put(result_id, name, study_uid, DeliveryState.WAITING)
        return names

    def start(self, result_id: str, destinations: Iterable[str]) -> None:
        """Queue a job for each destination; part of another job."""
        for name in destinations:
            jobs.start(JOB, result_id, name, job_id=job_id(result_id, name), serial=name)

    def deliver(self, result_id: str, destination: str) -> None:
        """Body of the job."""
        wanted = self._site.settings.delivery
        try:
            outcome = jobs.insist(
                self.send,
                result_id,
                destination,
                first_s=wanted.first_pause_seconds,
                longest_s=60 * wanted.longest_pause_minutes,
                for_s=3600 * wanted.park_after_hours,
            )
        except jobs.STEP_FAILURES as error:
            jobs.step(self.park, result_id, destination, str(error))
            raise
        if outcome == DELIVERED and jobs.step(self.is_asked, destination):
            job = f"{COMMIT}:{result_id}:{destination}"
            # Those that wait for an answer hold up no delivery.
            jobs.start(COMMIT, result_id, destination, job_id=job, serial=f"{COMMIT} {destination}")
        jobs.note(outcome)

    def is_asked(self, destination: str) -> bool:
        """Whether a destination is asked for storage commitment."""
        return any(d.name == destination and d.commitment for d in self._site.settings.destinations)

    def target(self, destination: str) -> tuple[Destination, scu.Peer]:
        """Where a destination is.

        Raises
        ------
        RefusedError
            If there is none of this name.
        """
        found = [d for d in self._site.settings.destinations if d.name == destination]
        if not found:
            raise RefusedError(f"destination {destination} is no longer in the settings")
        return found[0], listening.peer(found[0], self._site.settings)

    def send(self, result_id: str, destination: str) -> str:
        """One attempt; `listener.scu.DeliveryError` when it is to be repeated."""
        study_uid = self.study_of(result_id, destination)
        found = [d for d in self._site.settings.addressees if d.name == destination]
        if not found:
            reason = f"destination {destination} is no longer in the settings"
            self._put(result_id, destination, study_uid, DeliveryState.REFUSED, reason)
            return reason
        at = found[0]
        store = self._site.results
        if store.has(result_id, results.ANSWER) and self._site.ledger.results(study_uid):
            reason = "the study was segmented meanwhile"
            self._put(result_id, destination, study_uid, DeliveryState.OBSOLETE, reason)
            return reason
        try:
            files = store.objects(result_id, at.objects, at.encoding)
            if not files:
                raise scu.DeliveryError(GONE.format(result_id))
            jobs.insist_mine()
            # A ledger that cannot be written stops it here, and not after each time it was sent.
            self._write_again(result_id, destination)
            self._store(at, files)
        except scu.DeliveryError as error:
            self._put(result_id, destination, study_uid, DeliveryState.WAITING, str(error))
            raise
        except RefusedError as error:
            logger.error("result %s is refused by %s: %s", result_id, destination, error)  # noqa: TRY400
            self._put(result_id, destination, study_uid, DeliveryState.REFUSED, str(error))
            return f"refused: {error}"
        self._put(result_id, destination, study_uid, DeliveryState.DELIVERED)
        logger.info("result %s delivered to %s", result_id, destination)
        self._show(result_id, study_uid)
        return DELIVERED

    def _store(self, at: Destination | DicomwebDestination, files: Sequence[Path]) -> None:
        """Bring files to an archive, by C-STORE or STOW-RS."""
        if isinstance(at, DicomwebDestination):
            dicomweb_client.store(dicomweb.server(at), files)
        else:
            scu.store(listening.peer(at, self._site.settings), files)

    def restore(self) -> None:
        """Write down again what a lost ledger knew: all that lies there may not have been sent."""
        known = {delivery.result_id for delivery in self._site.ledger.deliveries()}
        for result_id in self._site.results.with_objects():
            if result_id not in known:
                first = self._site.results.objects(result_id, ("seg", "report", "pictures"))[0]
                header = pydicom.dcmread(first, stop_before_pixels=True)
                self.begin(result_id, str(header.StudyInstanceUID))

    def resume(self) -> None:
        """Queue what waits and has no job: a crash came between the two, or the ledger was lost."""
        waiting = self._site.ledger.deliveries(DeliveryState.WAITING)
        if not waiting:
            return
        with closing(Board(self._site.settings.database)) as board:
            queued = board.queued()
            for row in waiting:
                usual = job_id(row.result_id, row.destination)
                if board.outcome(usual) == DELIVERED:  # only the ledger had lost it
                    self._put(
                        row.result_id, row.destination, row.study_uid, DeliveryState.DELIVERED
                    )
                    self._show(row.result_id, row.study_uid)
                elif usual not in queued:
                    # The usual id, where it is not spent: the job that is about to queue it under
                    # that id may just run on another node.
                    mine = jobs.fresh_id(usual) if board.knows(usual) else usual
                    board.start(
                        JOB, row.result_id, row.destination, job_id=mine, serial=row.destination
                    )

    def park(self, result_id: str, destination: str, reason: str) -> None:
        """Stop trying, and show it."""
        study_uid = self.study_of(result_id, destination)
        logger.error("result %s is parked: %s", result_id, reason)
        self._put(result_id, destination, study_uid, DeliveryState.PARKED, reason)

    def _show(self, result_id: str, study_uid: str) -> None:
        """A study is delivered when its latest result is everywhere."""
        ledger = self._site.ledger
        made = ledger.results(study_uid)
        if not made or made[0].result_id != result_id:
            return  # an answer, or an older result
        states = ledger.deliveries_of(result_id)
        segmented = ledger.study(study_uid).state == StudyState.SEGMENTED
        if segmented and states == {DeliveryState.DELIVERED.value}:
            ledger.set_study(study_uid, state=StudyState.DELIVERED)

    def study_of(self, result_id: str, destination: str) -> str:
        """Study of a delivery."""
        found = self._site.ledger.delivery(result_id, destination)
        if found is None:
            raise RefusedError(f"nothing of {result_id} was ever to be sent to {destination}")
        return found.study_uid

    def _write_again(self, result_id: str, name: str) -> None:
        """Write the state of a delivery as it is."""
        known = self._site.ledger.delivery(result_id, name)
        if known is not None:
            self._site.ledger.put(known)

    def _put(
        self, result_id: str, name: str, study_uid: str, state: DeliveryState, reason: str = ""
    ) -> None:
        """Write the state of a delivery; each writing after the first is an attempt."""
        ledger = self._site.ledger
        before = ledger.delivery(result_id, name)
        ledger.put(
            DeliveryRow(
                result_id=result_id,
                destination=name,
                study_uid=study_uid,
                state=state,
                attempts=before.attempts + 1 if before else 0,
                reason=reason,
                updated_at=time.time(),
            )
        )
        if state in AUDITED:
            audit_events.delivery(self._site, name, study_uid, result_id, state, reason)
