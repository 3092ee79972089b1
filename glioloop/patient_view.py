"""Patients as a person sees them: by their keys, with their models and their volumes over time."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from glioloop import history, model_choices, overview, volume_chart
from glioloop.ledger_schema import CorrectionRow, ResultRow
from glioloop.models import HeadVersion, PatientModels
from glioloop.site import Site
from study.errors import RefusedError
from study.patient import PatientKey

LATEST = 200
"""Patients that are listed: those with the newest results, and with the newest versions."""


def patients(site: Site) -> list[dict[str, Any]]:
    """Patients and groups, those first of whom something came last."""
    query = (
        select(ResultRow.patient_key, func.max(ResultRow.created_at))
        .where(ResultRow.patient_key.is_not(None))
        .group_by(ResultRow.patient_key)
        .order_by(func.max(ResultRow.created_at).desc())
        .limit(LATEST)
    )
    with site.ledger.transaction() as session:
        seen = [(str(key), float(at)) for key, at in session.execute(query)]
    seen += [(models.patient_key, v.created_at) for models, v in site.models.latest(LATEST)]
    merged = site.models.merged()
    last: dict[str, float] = {}
    for key, at in seen:
        owner = _owner(key, merged)
        last[owner] = max(at, last.get(owner, 0.0))
    ordered = sorted(last, key=lambda owner: -last[owner])
    return [_row(site, PatientKey(owner), last[owner]) for owner in ordered[:LATEST]]


def _owner(key: str, merged: dict[str, str]) -> str:
    """Where a key leads."""
    while key in merged:
        key = merged[key]
    return key


def _row(site: Site, key: PatientKey, last: float) -> dict[str, Any]:
    """One line of the list."""
    found = site.models.patient(key)
    made = site.ledger.results_of_patient(*site.models.keys_of(key))
    return {
        **_whom(site, found),
        "versions": len(found.versions),
        "study_uid": made[0].study_uid if made else "",
        "last": overview.time_of(last),
    }


def _whom(site: Site, found: PatientModels) -> dict[str, Any]:
    """Who it is, and what they use."""
    return {
        "patient": found.group or found.patient_key,
        "title": found.title,
        "is_group": bool(found.group),
        "uses": model_choices.used_name(site, found),
    }


def patient(site: Site, found: PatientModels) -> dict[str, Any]:
    """All that is known of one patient or group, as plain values."""
    backbone = site.manifest()["backbone_sha256"]
    in_use = found.in_use(backbone)
    taught = sorted({uid for version in found.versions for uid in version.corrections})
    with site.ledger.transaction() as session:
        query = select(CorrectionRow).where(CorrectionRow.sop_instance_uid.in_(taught))
        segs = {row.sop_instance_uid: row for row in session.scalars(query)}
    return {
        **_whom(site, found),
        "own_in_use": in_use.number if in_use else None,
        "versions": [_version(found, one, backbone) for one in reversed(found.versions)],
        "corrections": {uid: _seg(row) for uid, row in segs.items()},
        "volumes": [point.as_json() for point in volumes(site, found)],
        "audit": [
            {"at": overview.time_of(row.at), "action": row.action, "by": row.by, **row.details}
            for row in site.models.audit(found.patient_key)
        ],
    }


def _version(found: PatientModels, version: HeadVersion, backbone: str) -> dict[str, Any]:
    """One version, with what the gate said of it."""
    return {
        "number": version.number,
        "name": found.name(version.number),
        "parent": found.name(version.parent),
        "in_use": found.current.get(version.backbone) == version.number,
        "other_network": version.backbone != backbone,
        "corrections": list(version.corrections),
        "dice_base": version.metrics.get("dice_base"),
        "dice_fitted": version.metrics.get("dice_fitted"),
        "software": version.software,
        "created_at": overview.time_of(version.created_at),
    }


def _seg(row: CorrectionRow) -> dict[str, Any]:
    """What became of a SEG that taught something."""
    return {
        "state": row.state,
        "study_uid": row.study_uid,
        "received_at": overview.time_of(row.received_at),
    }


def volumes(site: Site, found: PatientModels) -> list[history.Point]:
    """A patient's studies that have a date, the earliest first; none of a group."""
    return [] if found.group else history.of_patient(site, found.patient_key, "")


def chart(site: Site, found: PatientModels) -> str:
    """The curves of a patient's volumes, as SVG."""
    return volume_chart.chart([volume_chart.trend_point(point) for point in volumes(site, found)])


def decide(site: Site, found: PatientModels, wanted: str, body: Any, by: str) -> dict[str, Any]:
    """Do what a person decides about a patient's or a group's models.

    Parameters
    ----------
    site
        Where.
    found
        Whose.
    wanted
        ``use`` (the body's ``what``: see `model_choices.use`), ``rollback`` or ``forget`` (the
        body's ``confirm`` is the title again, so that nobody is forgotten by a slip).
    body
        JSON of the request.
    by
        Who says so, for the audit.

    Raises
    ------
    RefusedError
        If it is none of these, or cannot be done.
    """
    given = body if isinstance(body, dict) else {}
    if wanted == "use":
        return {"uses": model_choices.use(site, found, str(given.get("what", "")), by)}
    if wanted == "rollback":
        return {"uses": model_choices.roll_back(site, found, by)}
    if wanted != "forget":
        raise RefusedError(f"{wanted!r} is no decision; it is use, rollback or forget")
    if given.get("confirm") != found.title:
        raise RefusedError(f"to forget {found.title}, say so: confirm is {found.title!r}")
    return model_choices.forget(site, found, by)
