"""What a correction yields for the archive: a report of the corrected outline, and what came of it.

It names who corrected. The patient's other studies are compared with the corrected volumes.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import UTC, datetime
from typing import Any

from dicomseg.identity import PRODUCT
from glioloop import history, inference, jobs, results
from glioloop.delivery import Deliveries
from glioloop.judging import files_of
from glioloop.ledger_schema import CorrectionRow, CorrectionState
from glioloop.lessons import lesson_json
from glioloop.site import Site
from study.errors import GlioloopError

logger = logging.getLogger(__name__)

TOLD = (CorrectionState.ACCEPTED, CorrectionState.NOT_BETTER)
"""States of a correction that a report is made of: it was taken, whatever was learnt from it."""
TASK_MINUTES = 10
"""Wall clock of measuring and writing."""


class CorrectionReports:
    """Makes the reports and queues their delivery. All that it knows is in the site's stores."""

    def __init__(self, site: Site, deliveries: Deliveries) -> None:
        self._site = site
        self._deliveries = deliveries

    def give(self, sop_instance_uid: str) -> None:
        """Report a correction that was taken.

        Part of a job: each step is recorded, and safe to repeat.
        """
        plan = jobs.step(self.plan, sop_instance_uid)
        if plan is None or not jobs.step(self.write, sop_instance_uid, plan):
            return
        report_id = plan["report_id"]
        names = jobs.step(self._deliveries.begin, report_id, plan["study_uid"])
        self._deliveries.start(report_id, names)

    def plan(self, sop_instance_uid: str) -> dict[str, Any] | None:
        """What is to be written; None where the correction was not taken."""
        site = self._site
        row = site.ledger.correction(sop_instance_uid)
        if row.state not in TOLD or row.result_id is None:
            return None
        result = site.results.report(row.result_id)
        learnt = f"{row.sop_instance_uid}\x00{row.head}\x00{row.label_map}"
        report_id = hashlib.sha256(f"correction\x00{learnt}".encode()).hexdigest()[:32]
        before = {**result["identity"], "kind": "report", "predecessor": None}
        superseded = results.identity_of(before)
        others = history.of_patient(
            site, result["patient_key"] if result["same_person"] else None, row.study_uid
        )
        return {
            "report_id": report_id,
            "study_uid": row.study_uid,
            "folder": str(site.results.path(report_id, ".").absolute()),
            "lesson": lesson_json(site, row),
            "series": files_of(site, row.study_uid, result["instances"]),
            "identity": {
                "result_id": report_id,
                "model_name": result["identity"]["model_name"],
                "model_version": result["identity"]["model_version"],
                "head_version": result["identity"]["head_version"],
                "created": datetime.now(UTC).isoformat(),
                "kind": "report",
                "algorithm_type": "MANUAL",
                "series_number": 904,
                "note": "corrected",
                "predecessor": {
                    "study_uid": row.study_uid,
                    "series_uid": superseded.series_uid,
                    "sop_instance_uid": superseded.sop_instance_uid,
                    "sop_class_uid": results.SR_SOP_CLASS,
                },
            },
            "told": {
                "warnings": [_outcome(row)],
                "others": [point.as_json() for point in others],
                "study_date": result.get("study_date", ""),
                "supersedes": "",
            },
            "sender": row.calling_ae,
        }

    def write(self, sop_instance_uid: str, plan: dict[str, Any]) -> bool:
        """The report, in a child process; False where it cannot be made, which is noted."""
        ledger = self._site.ledger
        row = ledger.correction(sop_instance_uid)
        try:
            found = inference.run("report_correction", plan, 60 * TASK_MINUTES)
        except GlioloopError as error:
            logger.error("correction %s has no report: %s", sop_instance_uid, error)  # noqa: TRY400
            said = {"no_report": str(error)}
        else:
            said = {"volumes_ml": found["volumes_ml"]}
        ledger.set_correction(sop_instance_uid, report={**row.report, **said})
        return "volumes_ml" in said


def _outcome(row: CorrectionRow) -> str:
    """What became of a correction, as a sentence."""
    if row.state == CorrectionState.ACCEPTED:
        return (
            f"{PRODUCT} learnt from this correction ({row.reason}): the patient's next study is"
            f" segmented with head {row.head}."
        )
    return f"{PRODUCT} did not learn from this correction: {row.reason}."
