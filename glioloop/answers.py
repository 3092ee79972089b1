"""What the archive gets of a study that could not be segmented: a page and a report saying why.

A study that is in scope and stays without a word in the PACS is a silent failure: who sent it waits
for a result that never comes.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from converter.series import scan
from dicomseg.identity import PRODUCT
from glioloop import inference, jobs
from glioloop.delivery import JOB as DELIVER
from glioloop.delivery import Deliveries
from glioloop.judging import images, paths_of
from glioloop.site import Site

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
        if plan is None:
            return
        jobs.step(self.draw, plan)
        answer_id = plan["identity"]["result_id"]
        for name in jobs.step(self._deliveries.begin, answer_id, study_uid):
            jobs.start(DELIVER, answer_id, name, job_id=f"{DELIVER}:{answer_id}:{name}")

    def plan(self, study_uid: str, reason: str) -> dict[str, Any] | None:
        """What is to be drawn; None where none is wanted, or no image is there to answer to."""
        readable = scan(paths_of(images(self._site, study_uid))).series
        if not readable or not self._site.settings.answers.unsegmented:
            return None
        answer_id = hashlib.sha256(f"answer\x00{study_uid}\x00{reason}".encode()).hexdigest()[:32]
        return {
            "folder": str(self._site.results.path(answer_id, ".").absolute()),
            "source": str(readable[0].instances[0].path),
            "sentences": [reason],
            "identity": {
                "result_id": answer_id,
                "model_name": PRODUCT,
                "model_version": metadata.version("glioloop"),
                "created": datetime.now(UTC).isoformat(),
                "note": "not segmented",
            },
        }

    def draw(self, plan: dict[str, Any]) -> None:
        """Page and report, in a child process, once for an answer."""
        inference.run("answer", plan, 60 * TASK_MINUTES)
