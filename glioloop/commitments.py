"""Whether an archive keeps what it took: the job `commit` asks it, by DICOM Storage Commitment.

An archive that answered 0x0000 may lose an object before it is on its disk. What it does not commit
itself to is delivered again, byte for byte, and asked about again.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path

from pydicom.uid import generate_uid
from sqlalchemy import select

from glioloop import jobs
from glioloop.delivery import DELIVERED, GONE, Deliveries
from glioloop.ledger_schema import CommitmentRow, CommitmentState, InstanceRow
from glioloop.site import Site
from listener import commitment, scu
from listener.commitment import Reference, Report
from study.errors import FailedError, RefusedError

logger = logging.getLogger(__name__)

SAME_ASSOCIATION_S = 1.0
"""How long the association of a request stays open for its answer."""
LONGEST_LOOK_S = 60.0
"""Between two looks whether an answer came."""


class Commitments:
    """Body and steps of the job, and what is done with answers."""

    def __init__(self, site: Site, deliveries: Deliveries) -> None:
        self._site = site
        self._deliveries = deliveries

    def commit(self, result_id: str, destination: str) -> None:
        """Body of the job."""
        wanted = self._site.settings.delivery
        try:
            self._insist(result_id, destination, 3600 * wanted.park_after_hours)
        except jobs.STEP_FAILURES as error:
            jobs.step(self.park, result_id, destination, str(error))
            raise

    def _insist(self, result_id: str, destination: str, left_s: float) -> None:
        """Ask, wait and deliver again until it is kept, or the time is over."""
        wanted = self._site.settings.delivery
        pause_s, longest_s = wanted.first_pause_seconds, 60 * wanted.longest_pause_minutes
        state = ""
        while left_s > 0:
            state = jobs.insist(
                self.ask,
                result_id,
                destination,
                first_s=wanted.first_pause_seconds,
                longest_s=longest_s,
                for_s=left_s,
            )
            look_s, waited_s = wanted.first_pause_seconds, 0.0
            while state == CommitmentState.ASKED and waited_s < 60 * wanted.commitment_wait_minutes:
                jobs.sleep(look_s)
                waited_s += look_s
                look_s = min(2 * look_s, LONGEST_LOOK_S)
                state = jobs.step(self.state, result_id, destination)
            left_s -= waited_s
            if state in (CommitmentState.COMMITTED, CommitmentState.REFUSED):
                jobs.note(state)
                return
            if state == CommitmentState.FAILED and not self._delivered_again(
                result_id, destination, left_s
            ):
                return
            jobs.sleep(pause_s)
            left_s -= pause_s
            pause_s = min(2 * pause_s, longest_s)
        raise FailedError(
            f"not committed after {wanted.park_after_hours:g} hours; the last word is {state!r}:"
            " look whether the archive has it, then glioloop jobs retry"
        )

    def _delivered_again(self, result_id: str, destination: str, left_s: float) -> bool:
        """Deliver what was lost; whether it was taken."""
        wanted = self._site.settings.delivery
        jobs.note("not kept: it is delivered again")
        outcome = jobs.insist(
            self._deliveries.send,
            result_id,
            destination,
            first_s=wanted.first_pause_seconds,
            longest_s=60 * wanted.longest_pause_minutes,
            for_s=max(left_s, wanted.first_pause_seconds),
        )
        if outcome != DELIVERED:
            jobs.note(outcome)
        return bool(outcome == DELIVERED)

    # -- its steps: safe to repeat, JSON in and out --------------------------------------------

    def ask(self, result_id: str, destination: str) -> str:
        """Ask under a new *Transaction UID*; the state after it.

        The request is in the ledger before it is made: its answer may come first.
        """
        before = self._site.ledger.commitment(result_id, destination)
        if before is not None and before.state == CommitmentState.COMMITTED:
            return before.state
        transaction = generate_uid()
        row = CommitmentRow(
            result_id=result_id,
            destination=destination,
            study_uid=self._deliveries.study_of(result_id, destination),
            transaction_uid=transaction,
            state=CommitmentState.ASKED,
            updated_at=time.time(),
            attempts=before.attempts + 1 if before else 1,
            reason=before.reason if before else "",
        )
        self._site.ledger.put(row)
        try:
            found, peer = self._deliveries.target(destination)
            files = self._site.results.objects(result_id, found.objects, found.encoding)
            if not files:
                raise scu.DeliveryError(GONE.format(result_id))
            references = commitment.references_of(files)
            answer = commitment.ask(peer, transaction, references, SAME_ASSOCIATION_S)
        except scu.DeliveryError as error:
            self._site.ledger.put(replace(row, reason=str(error)))
            raise
        except RefusedError as error:
            logger.error("result %s: %s", result_id, error)  # noqa: TRY400
            refused = replace(row, state=CommitmentState.REFUSED, reason=str(error))
            self._site.ledger.put(refused)
            return CommitmentState.REFUSED
        if answer is not None:
            self.take(found.ae_title, answer)
        return self.state(result_id, destination)

    def state(self, result_id: str, destination: str) -> str:
        """What is known by now."""
        found = self._site.ledger.commitment(result_id, destination)
        return found.state if found else CommitmentState.ASKED

    def park(self, result_id: str, destination: str, reason: str) -> None:
        """Stop asking, and show it."""
        logger.error("result %s is not committed: %s", result_id, reason)
        found = self._site.ledger.commitment(result_id, destination)
        if found is not None:
            now = time.time()
            parked = replace(found, state=CommitmentState.PARKED, reason=reason, updated_at=now)
            self._site.ledger.put(parked)

    # -- answers -------------------------------------------------------------------------------

    def take(self, calling_ae: str, report: Report) -> None:
        """Enter an answer; one that nobody waits for is logged, and changes nothing.

        Parameters
        ----------
        calling_ae
            Who answers: only the destination that was asked may.
        report
            What it says.
        """
        row = self._site.ledger.asked(report.transaction_uid)
        if row is None:
            logger.warning("an answer on storage commitment that nobody waits for")
            return
        found, _ = self._deliveries.target(row.destination)
        if found.ae_title != calling_ae:
            logger.warning("%s answers for %s", calling_ae, found.ae_title)
            return
        files = self._site.results.objects(row.result_id, found.objects, found.encoding)
        wanted = set(commitment.references_of(files))
        if not wanted:  # nothing is kept only because nobody knows what was sent
            raise FailedError(GONE.format(row.result_id))
        kept = {*report.committed} - {*report.failed}
        missing = {one: report.failed.get(one) for one in wanted - kept}
        state = CommitmentState.FAILED if missing else CommitmentState.COMMITTED
        self._site.ledger.put(
            replace(row, state=state, reason=_in_words(missing), updated_at=time.time())
        )

    def keeps(self, reference: Reference) -> bool:
        """Whether an instance that was received is kept for good (`listener.archive`)."""
        if not self._site.settings.listener.archive:
            return False
        named = select(InstanceRow.path).where(
            InstanceRow.sop_instance_uid == reference.sop_instance_uid,
            InstanceRow.sop_class_uid == reference.sop_class_uid,
            InstanceRow.path.is_not(None),
        )
        with self._site.ledger.transaction() as session:
            return any(Path(str(path)).is_file() for path in session.scalars(named))


def _in_words(missing: dict[Reference, int | None]) -> str:
    """What a destination does not keep, and why; empty for nothing."""
    said = [
        f"{one.sop_instance_uid} ({'not named' if why is None else f'0x{why:04X}'})"
        for one, why in sorted(missing.items(), key=lambda item: item[0].sop_instance_uid)
    ]
    return f"it does not keep {', '.join(said)}" if said else ""
