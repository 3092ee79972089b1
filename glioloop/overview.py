"""What there is to see of a site, as plain tables for the web page, the interface and the CLI.

Everything is read from the databases, so it works whether the service runs or not.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from glioloop import estimates
from glioloop.board import Board, Job
from glioloop.ledger_schema import (
    TAKEN,
    CommitmentState,
    CorrectionState,
    DeliveryState,
    StudyState,
)
from glioloop.models import HeadVersion, PatientModels
from glioloop.site import Site
from glioloop.watch import pardon
from study.errors import RefusedError
from study.tissue import Role

Table = list[dict[str, Any]]

HIDDEN = {
    "judged",
    "path",
    "patient_key",
    "patient_id_key",
    "expected",
    "overrides",
    "settled",
    "label_map",
    "report",
}
"""Columns that are not shown in tables."""


def status(site: Site) -> dict[str, Any]:
    """Counts of what runs and of what waits for a person."""
    free = shutil.disk_usage(site.settings.data).free
    states = Counter(study.state for study in site.ledger.studies())
    corrections = Counter(c.state for c in site.ledger.corrections())
    deliveries = Counter(d.state for d in site.ledger.deliveries())
    median_s, count = estimates.median_wait(site)
    commitments = Counter(c.state for c in site.ledger.commitments())
    parked = deliveries[DeliveryState.PARKED] + deliveries[DeliveryState.REFUSED]
    return {
        "version": metadata.version("glioloop"),
        "studies": dict(states),
        "held": states[StudyState.HELD] + corrections[CorrectionState.HELD],
        "failed": states[StudyState.FAILED],
        "parked": parked + commitments[CommitmentState.PARKED],
        "corrections": dict(corrections),
        "deliveries": dict(deliveries),
        "commitments": dict(commitments),
        "instances_ignored": site.ledger.count_ignored(),
        "disk_free_gib": round(free / 2**30, 1),
        "median_seconds_to_seg": None if median_s is None else round(median_s),
        "of_results": count,
    }


def studies(site: Site) -> Table:
    """Every study, the latest first."""
    return [shown(row) for row in site.ledger.studies()]


def results(site: Site) -> Table:
    """Every result, the latest first."""
    return [shown(row) for row in site.ledger.results()]


def corrections(site: Site) -> Table:
    """Every SEG that arrived, the latest first."""
    return [shown(row) for row in reversed(site.ledger.corrections())]


def deliveries(site: Site) -> Table:
    """Every delivery, the latest first."""
    return [shown(row) for row in site.ledger.deliveries()]


def commitments(site: Site) -> Table:
    """What destinations say of what they took, the latest first."""
    return [shown(row) for row in site.ledger.commitments()]


def models(site: Site, limit: int = 200) -> Table:
    """The newest versions of patients' and groups' models, the latest first."""
    return [version_row(patient, version) for patient, version in site.models.latest(limit)]


def version_row(patient: PatientModels, version: HeadVersion) -> dict[str, Any]:
    """One version of a patient's or a group's models."""
    return {
        "patient": patient.group or patient.patient_key[:8],
        "version": version.number,
        "in_use": patient.current.get(version.backbone) == version.number,
        "parent": version.parent,
        "backbone": version.backbone[:12],
        "corrections": len(version.corrections),
        "dice_base": version.metrics.get("dice_base"),
        "dice_fitted": version.metrics.get("dice_fitted"),
        "rung": version.metrics.get("rung", "head"),
        "software": version.software,
        "created_at": time_of(version.created_at),
    }


def learnt(site: Site, keys: Collection[str]) -> Table:
    """Corrections of the patient with these keys that were learnt from, and what the gate said."""
    return [
        {
            "correction": row.sop_instance_uid,
            "received_at": time_of(row.received_at),
            "state": row.state,
            "head": row.head,
            "reason": row.reason,
        }
        for row in site.ledger.corrections(*TAKEN)
        if row.patient_key in keys
    ]


def jobs(site: Site) -> Table:
    """The newest jobs, with what the ledger knows of their study."""
    try:
        with closing(Board(site.settings.database)) as board:
            found = board.listing()
    except RefusedError:  # there were never any
        return []
    held = {study.study_uid for study in site.ledger.studies() if study.state == StudyState.HELD}
    held |= {c.sop_instance_uid for c in site.ledger.corrections(CorrectionState.HELD)}
    rows = [job_row(job) for job in found]
    for row in rows:
        about = row["id"].split(":")[1:2]
        if row["state"] == "held" and held.isdisjoint(about):
            row["state"] = RESOLVED
    return rows


RESOLVED = "resolved"
"""State of a job that held something which nobody holds any more."""


def job_row(job: Job) -> dict[str, Any]:
    """One job; a job that ended with a study held is shown as held, with the reason."""
    row = {**asdict(job), "created": time_of(job.created), "updated": time_of(job.updated)}
    if job.note.partition(":")[0] == "held":
        row["state"] = "held"
    kind, _, rest = job.id.partition(":")
    row["study_uid"] = rest.split(":")[0] if kind == "infer" else ""
    return row


def request_study(site: Site, study_uid: str, given: Mapping[str, str] | None = None) -> str:
    """A person asks for a study: a fresh request number, and a job of its own.

    Parameters
    ----------
    site
        Where.
    study_uid
        (0020,000D) *Study Instance UID*.
    given
        Role to SeriesInstanceUID, where the person knows better.

    Returns
    -------
    str
        Id of the job.
    """
    overrides = {}
    for role, uid in (given or {}).items():
        if role.upper() not in set(Role):
            raise RefusedError(f"{role!r} is no role; roles are {', '.join(Role)}")
        overrides[role.upper()] = str(uid)
    site.ledger.study(study_uid)
    pardon(site.settings.data, study_uid)  # its later images are looked at again, too
    with closing(Board(site.settings.database)) as board:
        number = site.ledger.request(study_uid, overrides)
        job_id = f"infer:{study_uid}:{number}:request"
        board.start("infer", study_uid, number, job_id=job_id)
    return job_id


def cancel(site: Site, job_id: str) -> None:
    """A person ends a job; its study then waits for a person."""
    with closing(Board(site.settings.database)) as board:
        job, _ = board.show(job_id)
        board.cancel(job_id)
    if job.kind == "infer":
        reason = "cancelled by a person; `glioloop jobs retry` starts it again"
        site.ledger.set_study(job_id.split(":")[1], state=StudyState.HELD, reason=reason)


TABLES: Mapping[str, Callable[[Site], Table]] = {
    "studies": studies,
    "jobs": jobs,
    "results": results,
    "corrections": corrections,
    "deliveries": deliveries,
    "commitments": commitments,
    "models": models,
}


TIMES = ("_at", "_arrival")
"""Endings of columns that hold seconds since 1970; `looked_at` is no number."""


def shown(row: Any) -> dict[str, Any]:
    """Columns of a row that are shown, times readable."""
    return {
        name: time_of(value) if isinstance(value, float) and name.endswith(TIMES) else value
        for name, value in asdict(row).items()
        if name not in HIDDEN
    }


def time_of(seconds: float) -> str:
    """ISO 8601, UTC, to the second."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
