"""What a correction yields for the archive: a report of the corrected outline, and what came of it.

It names who corrected. The patient's other studies are compared with the corrected volumes. Each
report of a result takes the place of the last one, so that the archive shows one line of them: that
of the result, that of each correction, and that of what counts again when one was withdrawn.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dicomseg.identity import PRODUCT
from glioloop import confinement, history, jobs, model_forgetting, results
from glioloop.confinement import named
from glioloop.delivery import Deliveries
from glioloop.judging import files_of
from glioloop.ledger_schema import LEARNT, TAKEN, CorrectionRow, CorrectionState
from glioloop.lessons import layers_of, lesson_json
from glioloop.site import Site
from study.errors import GlioloopError

logger = logging.getLogger(__name__)

SERIES_NUMBER = 904
"""(0020,0011) *Series Number*."""
LIMITS = replace(confinement.LIMITS, cpu_s=480, wall_s=600.0)
"""Of measuring and writing."""


class CorrectionReports:
    """Makes the reports and queues their delivery. All that it knows is in the site's stores."""

    def __init__(self, site: Site, deliveries: Deliveries) -> None:
        self._site = site
        self._deliveries = deliveries

    def give(self, sop_instance_uid: str) -> None:
        """Report a correction that was taken, or what counts again where it was withdrawn.

        Part of a job: each step is recorded, and safe to repeat.
        """
        plan = jobs.step(self.plan, sop_instance_uid)
        if plan is None or not jobs.step(self.write, sop_instance_uid, plan):
            return
        report_id = plan["report_id"]
        names = jobs.step(self._deliveries.begin, report_id, plan["study_uid"])
        self._deliveries.start(report_id, names)

    def plan(self, sop_instance_uid: str) -> dict[str, Any] | None:
        """What is to be written; None where nothing new is to be told."""
        site = self._site
        row = site.ledger.correction(sop_instance_uid)
        if row.result_id is None:
            return None
        withdrawn = row.state == CorrectionState.WITHDRAWN
        if not withdrawn and row.state not in TAKEN:
            return None
        outlined = self._newest(row.result_id) if withdrawn else row
        layers = layers_of(site, outlined) if outlined else []
        parts = [[one.sop_instance_uid, one.label_map] for one in layers]
        learnt = (
            [outlined.sop_instance_uid, outlined.head, outlined.label_map, parts]
            if outlined
            else []
        )
        said = _digest([row.result_id, learnt, sop_instance_uid if withdrawn else ""])
        told = site.results.reports(row.result_id)
        # The job of a crash, or of a person who asks again, makes no second report of the same,
        # but sees to it that the one which is written is delivered.
        again = bool(told) and told[-1]["said"] == said
        if withdrawn and not again and not (told and _speaks_of(told[-1], sop_instance_uid)):
            return None  # what it said is not what the archive shows last
        before = told[:-1] if again else told
        supersedes = before[-1]["report_id"] if before else row.result_id
        report_id = _digest([said, supersedes])
        warnings = [_why_again(row, outlined)] if withdrawn else [_outcome(row)]
        return {
            "report_id": report_id,
            "result_id": row.result_id,
            "entry": {
                "report_id": report_id,
                "seg": outlined.sop_instance_uid if outlined else "",
                "layers": [one.sop_instance_uid for one in layers],
                "said": said,
            },
            "study_uid": row.study_uid,
            "folder": str(site.results.path(report_id, ".").absolute()),
            "own_seg": str(site.results.path(row.result_id, results.SEG).absolute()),
            "sender": outlined.calling_ae if outlined else "",
            **self._about(row, report_id, supersedes, warnings, manual=outlined is not None),
        }

    def _about(
        self,
        row: CorrectionRow,
        report_id: str,
        supersedes: str,
        warnings: list[str],
        *,
        manual: bool,
    ) -> dict[str, Any]:
        """Images, identity and words of a report."""
        site = self._site
        result = site.results.report(str(row.result_id))
        others = history.of_patient(
            site, result["patient_key"] if result["same_person"] else None, row.study_uid
        )
        return {
            "series": files_of(site, row.study_uid, result["instances"]),
            "identity": {
                "result_id": report_id,
                "model_name": result["identity"]["model_name"],
                "model_version": result["identity"]["model_version"],
                "head_version": result["identity"]["head_version"],
                "created": datetime.now(UTC).isoformat(),
                "kind": results.REPORT_KIND,
                "algorithm_type": "MANUAL" if manual else "AUTOMATIC",
                "series_number": SERIES_NUMBER,
                "note": "corrected" if manual else "correction withdrawn",
                "predecessor": results.predecessor(row.study_uid, supersedes, results.REPORT_KIND),
            },
            "told": {
                "warnings": warnings,
                "others": [point.as_json() for point in others],
                "study_date": result.get("study_date", ""),
            },
        }

    def _newest(self, result_id: str) -> CorrectionRow | None:
        """The newest correction of a result that is taken for one."""
        known = self._site.ledger.corrections(*LEARNT)
        return next((c for c in reversed(known) if c.result_id == result_id), None)

    def write(self, sop_instance_uid: str, plan: dict[str, Any]) -> bool:
        """The report, in a child process; False where it cannot be made, which is noted."""
        ledger = self._site.ledger
        row = ledger.correction(sop_instance_uid)
        seg = plan["entry"]["seg"]
        # Labels of segments are text of others, and stay out of the record of a job.
        lesson = lesson_json(self._site, ledger.correction(seg)) if seg else None
        asked = {**plan, "lesson": lesson}
        try:
            found = confinement.run("report_correction", asked, named(sop_instance_uid), LIMITS)
        except GlioloopError as error:
            logger.error("correction %s has no report", sop_instance_uid)  # noqa: TRY400
            ledger.set_correction(sop_instance_uid, report={**row.report, "no_report": str(error)})
            return False
        model_forgetting.bury_if_forgotten(self._site, row.study_uid, Path(plan["folder"]))
        if seg:  # another one's, where this was a layer of it
            said = {**ledger.correction(seg).report, "volumes_ml": found["volumes_ml"]}
            ledger.set_correction(seg, report=said)
        self._site.results.add_report(plan["result_id"], plan["entry"])
        return True


def _digest(value: Any) -> str:
    """32 hex digits of a JSON value."""
    return hashlib.sha256(json.dumps(["correction", value]).encode()).hexdigest()[:32]


def _speaks_of(entry: Mapping[str, Any], sop_instance_uid: str) -> bool:
    """Whether a report is of a SEG, or of one that it is a layer of."""
    return sop_instance_uid in (entry["seg"], *entry.get("layers", ()))


def _why_again(row: CorrectionRow, outlined: CorrectionRow | None) -> str:
    """Why there is a report after a correction was withdrawn."""
    if outlined is not None and row.received_at < outlined.received_at:
        return "A person withdrew a layer that was reported with this correction."
    again = "the correction before it" if outlined else f"{PRODUCT}'s own outline"
    return f"A person withdrew the correction that was reported last: this is {again}."


def _outcome(row: CorrectionRow) -> str:
    """What became of a correction, as a sentence."""
    if row.state == CorrectionState.ACCEPTED:
        return (
            f"{PRODUCT} learnt from this correction ({row.reason}): the patient's next study is"
            f" segmented with head {row.head}."
        )
    return f"{PRODUCT} did not learn from this correction: {row.reason}."
