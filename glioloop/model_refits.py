"""The job `refit`: a head fitted again to all that is known, for a patient or for a group.

Again, because the backbone is another one, two patients were merged or split, or a group has more
corrections than before. It passes the same gate as any head; until then nothing changes: an old
backbone goes on to serve its heads.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from importlib import metadata
from typing import Any

import pydicom

from converter.files import READ_ERRORS
from glioloop import audit_events, confinement, inference, jobs, model_networks
from glioloop.board import Board
from glioloop.judging import files_of, images
from glioloop.ledger_schema import TAKEN, CorrectionRow
from glioloop.lessons import lesson_json, with_layers
from glioloop.model_groups import groups_of
from glioloop.models import BASE, HeadVersion, PatientModels
from glioloop.site import Site
from study.errors import GlioloopError, HeldError, RefusedError
from study.patient import PatientKey

logger = logging.getLogger(__name__)

JOB, LANE = "refit", "adapt"
AGAIN = "again"
"""State of a fit that must be done once more, because its lessons changed under it."""
AT_ONCE = 1000
"""Owners of heads on older backbones that are looked up in one question."""


class Refits:
    """Body and steps of the job. All that it knows is in the site's stores."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def refit(self, whose: str) -> None:
        """Body of the job. ``whose`` is a patient's key, or the name of a group."""
        outcome = jobs.step(self.fit, whose)
        while outcome["state"] == AGAIN:
            outcome = jobs.step(self.fit, whose)
        jobs.note(f"{outcome['state']}: {outcome['reason']}")

    def fit(self, whose: str) -> dict[str, str]:
        """Fit in a child process, and store the head if it passes the gate."""
        site, began = self._site, time.time()
        owner = owner_of(site, whose)
        rows = corrections_of(site, owner)
        if not rows:
            return {"state": "nothing to do", "reason": f"{owner.title} has no correction"}
        taught = with_layers(site, rows)
        try:
            fit = fit_head(site, rows)
        except GlioloopError as error:
            logger.warning("%s was not fitted again: %s", owner.title, error)
            return {"state": "not fitted", "reason": str(error)}
        if _uids(with_layers(site, corrections_of(site, owner))) != _uids(taught):
            return {"state": AGAIN, "reason": "its corrections changed meanwhile"}
        if not fit["accepted"]:
            return {"state": "not better", "reason": fit["reason"]}
        # A group may be fitted again after it was forgotten: its corrections are still there.
        since = began if owner.group else min(row.received_at for row in rows)
        number = store_head(site, owner.patient_key, owner, fit, taught, since)
        name = owner_of(site, whose).name(number)
        return {"state": "accepted", "reason": f"head {name}; {fit['reason']}"}

    def resume(self) -> int:
        """Queue whoever has a head on an older backbone alone; each once for each backbone."""
        try:
            backbone = self._site.manifest()["backbone_sha256"]
        except RefusedError:  # without a network, each study says so
            return 0
        count, after = 0, ""
        while found := self._site.models.left_behind(backbone, after, AT_ONCE):
            for key in found:
                jobs.start(JOB, key, job_id=f"{JOB}:{key}:{backbone[:12]}", serial=key)
            count, after = count + len(found), found[-1]
        if count:
            logger.info("%d heads are fitted again for another backbone", count)
        return count


def queue(site: Site, whose: str) -> str:
    """Queue the job under an id of its own, which is returned."""
    serial = owner_of(site, whose).patient_key
    job_id = jobs.fresh_id(f"{JOB}:{whose}")
    with closing(Board(site.settings.database)) as board:
        board.start(JOB, whose, job_id=job_id, serial=serial, lane=LANE)
    return job_id


def owner_of(site: Site, whose: str) -> PatientModels:
    """The models of a group of the settings, or of the patient with a key."""
    if whose in {group.name for group in site.settings.adaptation.groups}:
        return site.models.group(whose)
    return site.models.patient(PatientKey(whose))


def corrections_of(site: Site, owner: PatientModels) -> list[CorrectionRow]:
    """The newest correction of each study of a patient or a group, the earliest first."""
    keys = set() if owner.group else set(site.models.keys_of(owner.patient_key))
    found = []
    for row in site.ledger.corrections(*TAKEN):
        if row.result_id is None:
            continue
        if (owner.group in _groups(site, row)) if owner.group else (row.patient_key in keys):
            found.append(row)
    return newest_of_studies(found)


def newest_of_studies(rows: Sequence[CorrectionRow]) -> list[CorrectionRow]:
    """The last of each study, of corrections that have the earliest first; again in this order.

    Of a study, not of a result: two of one study would be learnt from and tested on each other.
    """
    newest = {row.study_uid: row for row in rows}
    return sorted(newest.values(), key=lambda row: row.received_at)


def fit_head(
    site: Site,
    rows: Sequence[CorrectionRow],
    current: tuple[HeadVersion, CorrectionRow] | None = None,
) -> dict[str, Any]:
    """Fit a head to corrections, in child processes; what `network_tasks.learn` answers.

    Parameters
    ----------
    site
        Where.
    rows
        What it is fitted to.
    current
        The version in use, and the correction of ``rows`` that came after it: on that it is scored
        before anything is learnt.

    Raises
    ------
    GlioloopError
        If one of them cannot be learnt from, or we failed.
    """
    lessons = [_lesson(site, row) for row in rows]
    for row, lesson in zip(rows, lessons, strict=True):
        _outline(row, lesson)
    wanted = site.settings.adaptation
    arguments = {
        "lessons": lessons,
        "options": site.inference_options(),
        "voxels": wanted.voxels,
        "wanted": wanted.model_dump(mode="json", exclude={"groups"}),
        "current": None,
    }
    if current is not None:
        version, newest = current
        at = _uids(rows).index(newest.sop_instance_uid)
        arguments["current"] = (json.dumps(dict(version.head)), at)
    limit_s = 60 * site.settings.inference.wall_clock_minutes
    return inference.run("learn", arguments, limit_s, module=inference.NETWORK_TASKS)


def store_head(
    site: Site,
    key: PatientKey,
    before: PatientModels,
    fit: Mapping[str, Any],
    taught: Sequence[CorrectionRow],
    began_at: float,
) -> int:
    """Store a head that passed the gate as a new version, whose number is returned.

    Parameters
    ----------
    site
        Its network is the one that the head belongs to, and is kept.
    key, before
        Whose it is, and their models when it was fitted: what was in use is its parent.
    fit
        What `fit_head` answered.
    taught
        All corrections that it was fitted to, layers too.
    began_at
        As for `glioloop.models.ModelStore.accept`.
    """
    backbone = site.manifest()["backbone_sha256"]
    used = before.in_use(backbone)
    model_networks.keep(site)
    made = site.models.accept(
        key,
        parent=used.number if used else BASE,
        backbone=backbone,
        head=fit["head"],
        corrections=tuple(sorted(_uids(taught))),
        metrics=fit["metrics"],
        software=metadata.version("glioloop"),
        group=before.group,
        began_at=began_at,
    )
    name = site.models.patient(key).name(made.number)
    said = {"backbone": backbone, "parent": str(made.parent)}
    audit_events.model(site, "adapted", key, name, said, made.corrections)
    return made.number


class UnreadableError(HeldError):
    """A correction that cannot be read; its message quotes nothing of what the file says."""

    def __init__(self, sop_instance_uid: str, reason: str) -> None:
        super().__init__(f"SEG {sop_instance_uid} cannot be read")
        self.reason = reason


def reason_of(error: GlioloopError) -> str:
    """Why a head was not fitted, as it is kept in the ledger: it may quote labels of a file."""
    return error.reason if isinstance(error, UnreadableError) else str(error)


def _outline(row: CorrectionRow, lesson: Mapping[str, Any]) -> None:
    """Read what a correction outlines."""
    try:
        confinement.outline(lesson, f"SEG {row.sop_instance_uid}")
    except GlioloopError as error:
        raise UnreadableError(row.sop_instance_uid, str(error)) from error


def _lesson(site: Site, row: CorrectionRow) -> Mapping[str, Any]:
    """A lesson with the files of its study, as far as they are there: inputs may be made again."""
    lesson = lesson_json(site, row)
    report = site.results.report(str(row.result_id))
    try:
        series = files_of(site, row.study_uid, report["instances"])
    except (KeyError, RefusedError):  # the images are gone; the kept inputs may suffice
        return lesson
    return {**lesson, "series": series}


def _groups(site: Site, row: CorrectionRow) -> list[str]:
    """Groups that the study of a correction belongs to, by its first image that can be read."""
    for image in images(site, row.study_uid):
        try:
            header = pydicom.dcmread(str(image.path), stop_before_pixels=True)
            return groups_of(header, image.calling_ae, site.settings.adaptation.groups)
        except READ_ERRORS:
            continue
    return []


def _uids(rows: Sequence[CorrectionRow]) -> list[str]:
    """SOP Instance UIDs."""
    return [row.sop_instance_uid for row in rows]
