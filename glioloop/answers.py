"""What the archive gets of a study that could not be segmented: a page and a report saying why.

A study that is in scope and stays without a word in the PACS is a silent failure: who sent it waits
for a result that never comes.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from converter.series import scan
from dicomseg.identity import PRODUCT
from glioloop import inference, jobs, model_forgetting
from glioloop.delivery import Deliveries
from glioloop.judging import images, paths_of
from glioloop.site import Site
from study.errors import GlioloopError

logger = logging.getLogger(__name__)

TASK_MINUTES = 5
"""Wall clock of drawing a page."""


class Answers:
    """Makes answers and queues their delivery. All that it knows is in the site's stores."""

    def __init__(self, site: Site, deliveries: Deliveries) -> None:
        self._site = site
        self._deliveries = deliveries

    def give(self, study_uid: str, reason: str) -> None:
        """Answer a study; the same words are sent once.

        Part of a job: each step is recorded, and safe to repeat.
        """
        plan = jobs.step(self.plan, study_uid, reason)
        if plan is None or not jobs.step(self.draw, plan):
            return
        answer_id = plan["identity"]["result_id"]
        names = jobs.step(self._deliveries.begin, answer_id, study_uid)
        self._deliveries.start(answer_id, names)

    def plan(self, study_uid: str, reason: str) -> dict[str, Any] | None:
        """What is to be drawn; None where none is wanted, or nothing is there to answer to.

        A study that has a result keeps it, and is not said to have none; and where its images are
        several patients', there is nobody to file an answer under.
        """
        if not self._site.settings.answers.unsegmented or self._site.ledger.results(study_uid):
            return None
        series = scan(paths_of(images(self._site, study_uid))).series
        whole = [instance for one in series for instance in one.instances if not instance.defect]
        patients = {str(one.header.get("PatientID", "") or "").strip() for one in series}
        if not whole or len(patients) > 1:
            logger.warning(
                "study %s gets no answer: %d images, %d patients",
                study_uid,
                len(whole),
                len(patients),
            )
            return None
        answer_id = hashlib.sha256(f"answer\x00{study_uid}\x00{reason}".encode()).hexdigest()[:32]
        return {
            "folder": str(self._site.results.path(answer_id, ".").absolute()),
            "study_uid": study_uid,
            "source": str(whole[0].path),
            "sentences": [reason],
            "identity": {
                "result_id": answer_id,
                "model_name": PRODUCT,
                "model_version": metadata.version("glioloop"),
                "created": datetime.now(UTC).isoformat(),
                "note": "not segmented",
            },
        }

    def draw(self, plan: dict[str, Any]) -> bool:
        """Page and report, in a child process, once for an answer; False where that fails."""
        try:
            inference.run("answer", plan, 60 * TASK_MINUTES)
        except GlioloopError as error:
            logger.error("study %s gets no answer: %s", plan["study_uid"], error)  # noqa: TRY400
            return False
        model_forgetting.bury_if_forgotten(self._site, plan["study_uid"], Path(plan["folder"]))
        return True
