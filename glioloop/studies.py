"""The job `infer`: from a complete study to its stored result."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from dicomseg.identity import SEG_KIND
from glioloop import (
    audit_events,
    disagreement,
    history,
    inference,
    jobs,
    model_forgetting,
    model_networks,
    results,
)
from glioloop import choice as choosing
from glioloop.answers import Answers
from glioloop.database import AwayError
from glioloop.delivery import Deliveries
from glioloop.history import study_date
from glioloop.judging import JOB, files_of, images, look
from glioloop.lanes import ended_too_often
from glioloop.ledger_schema import LEARNT, DeliveryState, ResultRow, StudyState
from glioloop.model_groups import groups_of
from glioloop.models import BASE
from glioloop.results import Choice, Recipe
from glioloop.site import Site
from study.errors import FailedError, GlioloopError, HeldError
from study.patient import PatientKey
from study.tissue import Role

logger = logging.getLogger(__name__)

ANSWER, ANSWER_LANE = "answer", "deliver"
"""The job that answers a study whose own job cannot: where it crashed, it must not run again."""
PAUSE_S = 2.0
"""Between two looks whether the patient's adaptations are done."""
AGAIN_S = 30.0
"""Before an inference that failed is tried once more."""


class Studies:
    """Body and steps of the job. All that it knows is in the site's stores."""

    def __init__(self, site: Site, deliveries: Deliveries) -> None:
        self._site = site
        self._deliveries = deliveries
        self._answers = Answers(site, deliveries)

    def infer(self, study_uid: str, request: int) -> None:
        """Body of the job. ``request`` is a person's request number, 0 for none."""
        try:
            self._infer(study_uid, request)
        except jobs.STEP_FAILURES as error:
            jobs.step(self.fail, study_uid, str(error))
            self._answers.give(study_uid, str(error))
            raise

    def _infer(self, study_uid: str, request: int) -> None:
        """The steps, in their order."""
        plan = jobs.step(self.plan, study_uid, request)
        if plan["outcome"] != "go":
            jobs.note(f"{plan['outcome']}: {plan['reason']}")
            if plan["outcome"] == "held":
                self._answers.give(study_uid, plan["reason"])
            return
        if plan["patient_key"]:
            self._wait_for_adaptations(plan["patient_key"])
        recipe = jobs.step(self.decide_recipe, study_uid, request, plan)
        self._insist_on_segmenting(study_uid, recipe)
        jobs.step(self.encode, study_uid, recipe)
        destinations = jobs.step(self.record, study_uid, recipe)
        result_id = recipe["result_id"]
        self._deliveries.start(result_id, destinations)
        said = [f"result {result_id}", f"head {recipe['head']}", recipe["without"]]
        jobs.note(", ".join(filter(None, said)))

    def _wait_for_adaptations(self, patient_key: str) -> None:
        """A study waits a little for what its patient's corrections will have taught."""
        left = 60 * self._site.settings.adaptation.wait_minutes
        while left > 0 and jobs.step(self.learning, patient_key):
            jobs.note("waits for the patient's adaptation")
            jobs.sleep(min(PAUSE_S, left))
            left -= PAUSE_S

    def _insist_on_segmenting(self, study_uid: str, recipe: Mapping[str, Any]) -> None:
        """Segment, and once more where that failed."""
        attempts = self._site.settings.inference.attempts
        for attempt in range(1, attempts + 1):
            outcome = jobs.step(self.segment, study_uid, recipe)
            if outcome["outcome"] == "done":
                return
            jobs.note(f"{outcome['outcome']}: {outcome['reason']}")
            if outcome["outcome"] == "held":
                jobs.step(self.hold, study_uid, outcome["reason"])
                raise HeldError(outcome["reason"])
            if attempt < attempts:
                jobs.sleep(AGAIN_S)
        raise FailedError(outcome["reason"])

    def answer(self, study_uid: str, reason: str) -> None:
        """Body of the job `ANSWER`."""
        self._answers.give(study_uid, reason)

    # -- its steps: safe to repeat, JSON in and out --------------------------------------------

    def learning(self, patient_key: str) -> bool:
        """Whether corrections of the patient, by any of their IDs, are still to be learnt from."""
        keys = self._site.models.keys_of(PatientKey(patient_key))
        return self._site.ledger.learning(*keys)

    def plan(self, study_uid: str, request: int) -> dict[str, Any]:
        """What there is to do for a study."""
        ledger = self._site.ledger
        study, rows = ledger.study(study_uid), images(self._site, study_uid)
        ledger.set_study(study_uid, state=StudyState.WAITING, reason="")
        try:
            tolerated = choosing.tolerated_by(self._site.manifest()["tolerates_missing"])
            looked = look(self._site, study, rows)
            found = looked.found
            choosing.check(found, tolerated)
            if looked.refused and not request:
                raise HeldError(
                    f"{looked.lost()} Send the study again, or have it segmented without them:"
                    f" glioloop jobs retry {study_uid}"
                )
            header = found.chosen[Role.T1GD].header
            ids = {str(s.header.get("PatientID", "")).strip() for s in found.chosen.values()}
            if len(ids) > 1:
                raise HeldError("the sequences belong to different patients")
        except HeldError as error:
            self.hold(study_uid, str(error))
            return {"outcome": "held", "reason": str(error)}
        choice = Choice.of(found.chosen)
        if not request and (reason := self._nothing_new(study_uid, choice.id)):
            self._show_result_state(study_uid)
            return {"outcome": "nothing new", "reason": reason}
        calling_ae = rows[0].calling_ae
        key = self._site.patient(header, calling_ae)
        merged = self._site.models.keys_of(key) if key else ()
        same = key is None or ledger.same_person(key, self._site.birth_key(header), *merged)
        ledger.set_study(study_uid, patient_key=key)
        return {
            "outcome": "go",
            "choice": choice.id,
            "series": {r.value: uid for r, uid in choice.series.items()},
            "instances": {r.value: list(uids) for r, uids in choice.instances.items()},
            "without": choosing.without(found.chosen),
            "lost": looked.lost(),
            "study_date": study_date(header),
            "patient_key": key,
            "patient_id_key": self._site.patient_id_key(header),
            "same_person": same,
            "same_name": key is None or ledger.same_name(key, self._site.name_key(header)),
            "groups": groups_of(header, calling_ae, self._site.settings.adaptation.groups),
        }

    def decide_recipe(
        self, study_uid: str, request: int, plan: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Fix everything that the result depends on."""
        key = plan["patient_key"] if plan["same_person"] else None
        served = model_networks.serve(self._site, key, plan.get("groups", ()))
        manifest, used = served.manifest, served.used
        backbone, head = manifest["backbone_sha256"], used.name if used else "base"
        options = self._site.settings.inference
        made = self._site.ledger.results(study_uid)
        recipe = Recipe(
            choice=plan["choice"],
            model=f"{manifest['name']} {manifest['version']}",
            backbone=backbone,
            head=head,
            settings={"mode": options.mode},
            request=request,
        )
        identity = {
            "result_id": recipe.result_id,
            "model_name": manifest["name"],
            "model_version": manifest["version"],
            "head_version": head,
            "created": datetime.now(UTC).isoformat(),
            "predecessor": results.predecessor(study_uid, made[0].result_id, SEG_KIND)
            if made
            else None,
            "note": plan["without"],
        }
        return {
            **asdict(recipe),
            "result_id": recipe.result_id,
            "series": plan["series"],
            "instances": plan["instances"],
            "without": plan["without"],
            "study_date": plan["study_date"],
            "warnings": _warnings(plan),
            "supersedes": made[0].result_id if made else "",
            "patient_key": plan["patient_key"],
            "patient_id_key": plan["patient_id_key"],
            "same_person": plan["same_person"],
            "head_number": used.version.number if used else BASE,
            "head_owner": used.owner if used else None,
            "identity": identity,
        }

    def segment(self, study_uid: str, recipe: Mapping[str, Any]) -> dict[str, str]:
        """Labels, in a child process, once for a result."""
        site, result_id = self._site, str(recipe["result_id"])
        model_forgetting.insist(site, recipe)
        if site.results.has(result_id, results.FACTS):
            return {"outcome": "done"}
        site.ledger.began(result_id, study_uid, "infer")
        site.ledger.set_study(study_uid, state=StudyState.SEGMENTING, progress=0.0)
        head = None
        if recipe["head_number"] != BASE:
            models = site.models.patient(recipe.get("head_owner") or recipe["patient_key"])
            head = json.dumps(dict(models.version(recipe["head_number"]).head))
        attempt = site.results.attempt(result_id)
        arguments = {
            **self._task_arguments(study_uid, recipe),
            "folder": str(attempt.absolute()),
            "head": head,
            "options": site.inference_options(recipe["backbone"]),
        }
        limit_s = 60 * site.settings.inference.wall_clock_minutes
        try:
            progress = _progress(site, study_uid)
            inference.run("segment", arguments, limit_s, progress, inference.NETWORK_TASKS)
        except FailedError as error:
            logger.warning("inference for result %s failed: %s", result_id, error)
            return {"outcome": "failed", "reason": str(error)}
        except GlioloopError as error:
            return {"outcome": "held", "reason": str(error)}
        jobs.insist_mine()
        model_forgetting.insist(site, recipe)
        site.results.adopt(result_id, attempt)
        return {"outcome": "done"}

    def encode(self, study_uid: str, recipe: Mapping[str, Any]) -> None:
        """The objects that are delivered, each encoded once for a result."""
        model_forgetting.insist(self._site, recipe)
        others = history.of_patient(
            self._site, recipe["patient_key"] if recipe["same_person"] else None, study_uid
        )
        apart = disagreement.told(self._site, recipe["result_id"])
        arguments = {
            **self._task_arguments(study_uid, recipe),
            "identity": recipe["identity"],
            "told": {
                "warnings": [*recipe["warnings"], *apart],
                "others": [point.as_json() for point in others],
                "study_date": recipe["study_date"],
                "supersedes": recipe["supersedes"],
                "supersedes_report": self._latest_report(recipe["supersedes"]),
            },
            "label_map": any(d.encoding == "LABELMAP" for d in self._site.settings.addressees),
        }
        limit_s = 60 * self._site.settings.inference.wall_clock_minutes
        for problem in inference.run("encode", arguments, limit_s)["problems"]:
            logger.error("result %s: %s", recipe["result_id"], problem)

    def record(self, study_uid: str, recipe: Mapping[str, Any]) -> list[str]:
        """Enter the result, and what is to be delivered where."""
        model_forgetting.insist(self._site, recipe)
        result_id = recipe["result_id"]
        store = self._site.results
        facts = json.loads(store.path(result_id, results.FACTS).read_text())
        apart = disagreement.told(self._site, result_id)
        report = {
            "study_uid": study_uid,
            **recipe,
            **facts,
            "warnings": [*recipe["warnings"], *apart],
            "remark": " ".join([recipe["without"], *apart]).strip(),
        }
        store.write(result_id, results.REPORT, json.dumps(report, indent=1).encode())
        enter_result(self._site, result_id)
        audit_events.result(self._site, self._site.ledger.result(result_id))
        self._site.ledger.set_study(
            study_uid, state=StudyState.SEGMENTED, reason=report["remark"], progress=1.0
        )
        return self._deliveries.begin(result_id, study_uid)

    def hold(self, study_uid: str, reason: str) -> None:
        """A person must look at it."""
        logger.warning("study %s is held: %s", study_uid, reason)
        self._site.ledger.set_study(study_uid, state=StudyState.HELD, reason=reason)

    def fail(self, study_uid: str, reason: str) -> None:
        """It failed, and stays as it is until a person asks again."""
        if self._site.ledger.study(study_uid).state == StudyState.HELD:
            return
        logger.error("study %s failed: %s", study_uid, reason)
        self._site.ledger.set_study(study_uid, state=StudyState.FAILED, reason=reason)

    def give_up(self, job_ids: Iterable[str]) -> None:
        """Say so where a job took too many processes down to be tried again."""
        for job_id in job_ids:
            kind, study_uid, *_ = f"{job_id}:".split(":")
            if kind == JOB:
                reason = f"{ended_too_often(JOB)}: glioloop jobs retry {study_uid}"
                self.fail(study_uid, reason)
                answer_id = f"{ANSWER}:{job_id.removeprefix(f'{JOB}:')}"
                jobs.start(ANSWER, study_uid, reason, job_id=answer_id)

    # -- small things --------------------------------------------------------------------------

    def _nothing_new(self, study_uid: str, choice: str) -> str:
        """Why images that came later lead to no new result; empty when they do."""
        made = self._site.ledger.results(study_uid)
        if any(result.choice == choice for result in made):
            return "the same images were segmented before"
        ids = {result.result_id for result in made}
        taken = self._site.ledger.corrections(*LEARNT)
        if any(correction.result_id in ids for correction in taken):
            return "a correction of this study was accepted; ask for a new result if one is wanted"
        return ""

    def _show_result_state(self, study_uid: str) -> None:
        """Show a study again as it was before images came that changed nothing."""
        made = self._site.ledger.results(study_uid)[0].result_id
        states = self._site.ledger.deliveries_of(made)
        done = states and states <= {DeliveryState.DELIVERED.value}
        state = StudyState.DELIVERED if done else StudyState.SEGMENTED
        report = self._site.results.report(made)
        reason = report.get("remark", report.get("without", ""))
        self._site.ledger.set_study(study_uid, state=state, reason=reason)

    def _latest_report(self, result_id: str) -> str:
        """Id under which the latest report of a result lies; empty for no result."""
        return self._site.results.latest_report(result_id) if result_id else ""

    def _task_arguments(self, study_uid: str, recipe: Mapping[str, Any]) -> dict[str, Any]:
        """What every task of a result needs: exactly the files that were chosen."""
        return {
            "folder": str(self._site.results.path(recipe["result_id"], ".").absolute()),
            "series": files_of(self._site, study_uid, recipe["instances"]),
        }


def enter_result(site: Site, result_id: str) -> None:
    """Enter a finished result into the ledger, from its own report."""
    report = site.results.report(result_id)
    identity = results.identity_of(report["identity"])
    site.ledger.put(
        ResultRow(
            result_id=result_id,
            study_uid=report["study_uid"],
            patient_key=report["patient_key"],
            patient_id_key=report["patient_id_key"],
            choice=report["choice"],
            request=report["request"],
            model=report["model"],
            backbone=report["backbone"],
            head=report["head"],
            sop_instance_uid=identity.sop_instance_uid,
            series_uid=identity.series_uid,
            created_at=identity.created.timestamp(),
        )
    )


def _warnings(plan: Mapping[str, Any]) -> list[str]:
    """What a reader of the result must know."""
    said = choosing.warnings(plan["without"])
    if plan["lost"]:
        said.append(plan["lost"])
    if not plan["same_person"]:
        said.append(
            "The birth date differs from that of this Patient ID's first study: segmented with the"
            " base model, and not compared with earlier studies."
        )
    elif not plan.get("same_name", True):
        said.append(
            "The patient's name differs from that of this Patient ID's first study: look whether"
            " both are one person."
        )
    return said


def _progress(site: Site, study_uid: str) -> Any:
    """Write progress into the ledger, once a second at most."""
    last = [0.0]

    def tell(part: float) -> None:
        if time.monotonic() - last[0] >= 1.0:
            last[0] = time.monotonic()
            with suppress(AwayError):  # the work goes on, though nobody can see it
                site.ledger.set_study(study_uid, progress=part)

    return tell
