"""SEGs that arrive: what they correct, and the job `adapt` that learns from them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from dicomseg.facts import SegFacts
from dicomseg.identity import LABEL_MAP_KIND, series_uid_for, uid_for
from dicomseg.recognise import Kind, KnownResult, Recognition, known_result, recognise
from glioloop import (
    audit_events,
    confinement,
    jobs,
    model_refits,
    model_reverting,
    model_taught,
    results,
)
from glioloop.board import Board
from glioloop.confinement import named
from glioloop.correction_reports import CorrectionReports
from glioloop.delivery import Deliveries
from glioloop.label_file import labels_from_file
from glioloop.ledger_schema import LEARNT, CorrectionRow, CorrectionState, ResultRow
from glioloop.lessons import with_layers
from glioloop.model_refits import AGAIN
from glioloop.models import HeadVersion
from glioloop.site import Site
from study.errors import GlioloopError, HeldError, RefusedError
from study.patient import PatientKey

logger = logging.getLogger(__name__)

JOB = "adapt"


class Corrections:
    """Recognition of SEGs, and the job `adapt`. All that it knows is in the site's stores."""

    def __init__(self, site: Site, deliveries: Deliveries) -> None:
        self._site = site
        self._reports = CorrectionReports(site, deliveries)

    def take(self, row: CorrectionRow) -> None:
        """Decide what a SEG is, and queue what follows."""
        try:
            facts = confinement.facts(Path(row.path), named(row.sop_instance_uid))
            found = self._recognise(row, facts)
        except (RefusedError, HeldError) as error:
            self._set(row, CorrectionState.HELD, f"it is not usable: {error}")
            return
        if found.kind is Kind.ECHO:
            self._set(row, CorrectionState.ECHO, found.reason, signal=found.signal)
            return
        values = {"signal": found.signal, "result_id": found.result_id}
        if found.kind is Kind.HELD or found.result_id is None:
            self._set(row, CorrectionState.HELD, found.reason, **values)
            return
        result = self._site.ledger.result(found.result_id)
        reason = self._why_not_learn(result)
        if reason:
            self._set(row, CorrectionState.HELD, reason, **values)
            return
        values["patient_key"] = result.patient_key
        self._set(row, CorrectionState.LEARNING, found.reason, **values)
        self._queue(row.sop_instance_uid, result)

    def resume(self) -> None:
        """Queue again what a crash left between its recognition and its job."""
        waiting = self._site.ledger.corrections(CorrectionState.LEARNING)
        if not waiting:
            return
        with closing(Board(self._site.settings.database)) as board:
            queued = board.queued()
            for row in waiting:
                if f"{JOB}:{row.sop_instance_uid}" not in queued:
                    start_again(self._site, board, row)

    def adapt(self, sop_instance_uid: str) -> None:
        """Body of the job."""
        try:
            outcome = jobs.step(self.learn, sop_instance_uid)
            while outcome["state"] == AGAIN:
                outcome = jobs.step(self.learn, sop_instance_uid)
        except jobs.STEP_FAILURES as error:
            jobs.step(self.hold, sop_instance_uid, str(error))
            raise
        self._reports.give(sop_instance_uid)
        jobs.note(outcome["state"])

    def learn(self, sop_instance_uid: str) -> dict[str, str]:
        """Fit the patient's head in a child process, and store it if it passes the gate."""
        site = self._site
        row = site.ledger.correction(sop_instance_uid)
        if row.state != CorrectionState.LEARNING or row.result_id is None:
            return {"state": row.state}
        rows = self._lessons(row)
        taught = with_layers(site, rows)
        site.ledger.began(row.result_id, row.study_uid, "adapt")
        used = self._in_use(row, rows)
        try:
            fit = model_refits.fit_head(site, rows, (used, row) if used else None)
        except GlioloopError as error:
            self.hold(sop_instance_uid, model_refits.reason_of(error))
            return {"state": CorrectionState.HELD}
        return self._settle(row, taught, fit, used)

    def hold(self, sop_instance_uid: str, reason: str) -> None:
        """A person must look at it; unless one decided about it meanwhile."""
        logger.info("SEG %s: held", sop_instance_uid)
        self._site.ledger.settle_correction(
            sop_instance_uid, state=CorrectionState.HELD, reason=reason
        )
        self._audit(sop_instance_uid)

    def _settle(
        self,
        row: CorrectionRow,
        taught: list[CorrectionRow],
        fit: Mapping[str, Any],
        used: HeadVersion | None,
    ) -> dict[str, str]:
        """Store an accepted head, or say in the ledger why there is none; the new state."""
        ledger = self._site.ledger
        mine = self._again(row)
        if mine.state != CorrectionState.LEARNING:  # a person withdrew it meanwhile
            return {"state": mine.state}
        now = with_layers(self._site, self._lessons(mine))
        # One was withdrawn, or layered by another one, or there was a merge or a split.
        if [one.sop_instance_uid for one in now] != [one.sop_instance_uid for one in taught]:
            return {"state": AGAIN}
        report: dict[str, Any] = {"fit": fit["metrics"]}
        uid, reason = row.sop_instance_uid, fit["reason"]
        if used is not None and (why := fit.get("out_of_use")):
            reason = f"{reason}; {self._put_out_of_use(row, used, why)}"
        if not fit["accepted"]:
            state = CorrectionState.NOT_BETTER
            ledger.settle_correction(uid, state=state, reason=reason, report=report, head=None)
            self._audit(uid)
            return {"state": state}
        assert row.patient_key is not None  # noqa: S101 - it was queued under one
        key, since = PatientKey(row.patient_key), min(one.received_at for one in taught)
        before = self._site.models.patient(key)
        number = model_refits.store_head(self._site, key, before, fit, taught, since)
        gone = {one.sop_instance_uid for one in taught if self._again(one).state not in LEARNT}
        if gone:  # withdrawn after the look above, by who could not see this version yet
            model_taught.point_elsewhere(self._site.models, key, gone)
            return {"state": AGAIN}
        name = self._site.models.patient(key).name(number)
        state = CorrectionState.ACCEPTED
        if not ledger.settle_correction(uid, state=state, reason=reason, head=name, report=report):
            # Whoever withdrew it may have done so already; once more changes nothing.
            model_taught.point_elsewhere(self._site.models, key, {uid})
            return {"state": ledger.correction(uid).state}
        self._audit(uid)
        return {"state": state}

    def _audit(self, sop_instance_uid: str) -> None:
        """Write down what became of a SEG."""
        audit_events.correction(self._site, self._site.ledger.correction(sop_instance_uid))

    def _in_use(self, row: CorrectionRow, rows: list[CorrectionRow]) -> HeadVersion | None:
        """The patient's own head in use, if a lesson's study had no part in it."""
        if row.sop_instance_uid not in {one.sop_instance_uid for one in rows}:
            return None  # a newer correction of its study counts instead
        known = self._site.models.patient(PatientKey(str(row.patient_key)))
        used = known.in_use(self._site.manifest()["backbone_sha256"])
        here = [c for c in self._site.ledger.corrections() if c.study_uid == row.study_uid]
        taught = used is not None and any(c.sop_instance_uid in used.corrections for c in here)
        return None if taught else used

    def _put_out_of_use(self, row: CorrectionRow, used: HeadVersion, why: str) -> str:
        """Point at the base head instead of one that lost against it; what is told of that."""
        key = PatientKey(str(row.patient_key))
        if not model_reverting.revert(self._site.models, key, used, why):
            return "the head that was in use was worse than base, and is in use no more"
        name = self._site.models.patient(key).name(used.number)
        logger.warning("head %s is put out of use: %s", name, why)
        details = {"by": model_reverting.BY, "reason": why}
        audit_events.model(self._site, model_reverting.REVERT, key, name, details)
        return f"head {name} is put out of use: {why}"

    def _again(self, row: CorrectionRow) -> CorrectionRow:
        """A correction as it stands now."""
        return self._site.ledger.correction(row.sop_instance_uid)

    def _recognise(self, row: CorrectionRow, facts: SegFacts) -> Recognition:
        """Ask dicomseg, with all results that the SEG could be about."""
        candidates = [r for r in self._site.ledger.results() if _may_concern(facts, r)]
        before = self._corrections_of(candidates, row.sop_instance_uid)
        paths = [Path(one.path) for one in (row, *before)]
        content, *known = confinement.contents(paths, named(row.sop_instance_uid))
        corrections: dict[str | None, dict[str, str]] = {}
        for one, digest in zip(before, known, strict=True):
            corrections.setdefault(one.result_id, {})[one.sop_instance_uid] = digest
        patient, whole = self._site.named_patient(facts.patient_id, facts.issuer, row.calling_ae)
        theirs = {
            r.result_id: patient
            for r in candidates
            if self._site.is_theirs(r.patient_key, r.patient_id_key, patient, whole=whole)
        }
        return recognise(
            facts,
            content,
            [
                self._known(r, corrections.get(r.result_id, {}), theirs.get(r.result_id))
                for r in candidates
            ],
            patient=patient,
            at_learn=row.called_ae == self._site.settings.listener.learn_ae_title,
        )

    def _corrections_of(self, found: list[ResultRow], but: str) -> list[CorrectionRow]:
        """Known corrections of some results, but for one."""
        ids = {result.result_id for result in found}
        known = self._site.ledger.corrections(*LEARNT)
        return [c for c in known if c.result_id in ids and c.sop_instance_uid != but]

    def _known(
        self, result: ResultRow, corrections: Mapping[str, str], patient: PatientKey | None
    ) -> KnownResult:
        """A result as recognition needs it; ``patient`` where it is the SEG's own."""
        store = self._site.results
        labels = labels_from_file(store.path(result.result_id, results.LABELS))
        label_map = store.path(result.result_id, results.LABEL_MAP)
        return known_result(
            store.path(result.result_id, results.SEG),
            result_id=result.result_id,
            patient=patient,
            created=result.created_at,
            geometry=labels.geometry,
            corrections=corrections,
            copies=[label_map] if label_map.is_file() else [],
        )

    def _why_not_learn(self, result: ResultRow) -> str:
        """Why nothing may be learnt for the patient of a result; empty when it may."""
        if result.patient_key is None:
            return "its patient has no usable Patient ID: nothing is learnt for nobody"
        if not self._site.results.report(result.result_id)["same_person"]:
            return "the birth date in its study differs from that of the patient's first study"
        return ""

    def _lessons(self, row: CorrectionRow) -> list[CorrectionRow]:
        """The newest correction of each study of the patient."""
        found = []
        theirs = self._site.models.keys_of(PatientKey(str(row.patient_key)))
        for known in self._site.ledger.corrections(*LEARNT):
            mine = known.sop_instance_uid == row.sop_instance_uid
            waiting = known.state == CorrectionState.LEARNING and not mine
            if known.patient_key in theirs and known.result_id and not waiting:
                found.append(known)
        return model_refits.newest_of_studies(found)

    def _queue(self, sop_instance_uid: str, result: ResultRow) -> None:
        """Queue the job, one at a time for a patient."""
        job_id = f"{JOB}:{sop_instance_uid}"
        if jobs.ended(job_id):  # other bytes came under its UID
            job_id = jobs.fresh_id(job_id)
        serial = self._site.models.owner(PatientKey(str(result.patient_key)))
        jobs.start(JOB, sop_instance_uid, job_id=job_id, serial=serial)

    def _set(self, row: CorrectionRow, state: CorrectionState, reason: str, **values: Any) -> None:
        """Write what became of a SEG."""
        # The reason may quote what others wrote: it is told on the page, and by the ledger.
        logger.info("SEG %s: %s", row.sop_instance_uid, state.value)
        self._site.ledger.set_correction(row.sop_instance_uid, state=state, reason=reason, **values)
        self._audit(row.sop_instance_uid)


def start_again(site: Site, board: Board, row: CorrectionRow) -> str:
    """Queue the job of a correction under a fresh id, which is returned."""
    job_id = jobs.fresh_id(f"{JOB}:{row.sop_instance_uid}")
    serial = site.models.owner(PatientKey(row.patient_key)) if row.patient_key else None
    board.start(JOB, row.sop_instance_uid, job_id=job_id, serial=serial)
    return job_id


def _may_concern(facts: SegFacts, result: ResultRow) -> bool:
    """Whether a SEG lies in the study of a result, or names it."""
    named = {*facts.predecessors, *facts.referenced_instances, facts.sop_instance_uid}
    label_map = uid_for(result.result_id, LABEL_MAP_KIND)
    label_map_series = series_uid_for(result.result_id, LABEL_MAP_KIND)
    return (
        result.study_uid == facts.study_uid
        or not named.isdisjoint({result.sop_instance_uid, label_map})
        or facts.series_uid in {result.series_uid, label_map_series}
    )
