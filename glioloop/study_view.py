"""One study as a person sees it: where it is, what is left, what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from glioloop import estimates, overview
from glioloop.judging import images, look
from glioloop.ledger_schema import (
    CorrectionRow,
    CorrectionState,
    DeliveryRow,
    DeliveryState,
    StudyRow,
    StudyState,
)
from glioloop.site import Site
from study.errors import HeldError, RefusedError

UNKNOWN = "unknown"
"""Phase of a study of which nothing ever came."""
PHASES = {
    StudyState.RECEIVING: "received",
    StudyState.WAITING: "waiting",
    StudyState.SEGMENTING: "segmenting",
    StudyState.HELD: "held",
    StudyState.FAILED: "failed",
    StudyState.IGNORED: "ignored",
}
"""What a study's state is called before there is a result."""
CORRECTED = {
    CorrectionState.RECEIVED: "learning",
    CorrectionState.LEARNING: "learning",
    CorrectionState.ACCEPTED: "learnt",
    CorrectionState.NOT_BETTER: "not better",
    CorrectionState.HELD: "correction held",
}
"""What a study is called whose newest correction is in such a state."""
LATEST = 50
"""Studies that are listed."""


def study(site: Site, study_uid: str, now: float) -> dict[str, Any]:
    """All that is known of a study, as plain values; its phase is `UNKNOWN` where that is nothing.

    Parameters
    ----------
    site
        Where.
    study_uid
        (0020,000D) *Study Instance UID*.
    now
        Seconds since 1970.
    """
    try:
        row = site.ledger.study(study_uid)
    except RefusedError:
        return {"study_uid": study_uid, "phase": UNKNOWN, "reason": ""}
    with site.ledger.transaction() as session:
        sent = list(
            session.scalars(
                select(DeliveryRow)
                .where(DeliveryRow.study_uid == study_uid)
                .order_by(DeliveryRow.updated_at.desc())
            )
        )
        segs = list(
            session.scalars(
                select(CorrectionRow)
                .where(CorrectionRow.study_uid == study_uid)
                .where(CorrectionRow.state.not_in((CorrectionState.ECHO, CorrectionState.IGNORED)))
                .order_by(CorrectionRow.received_at.desc())
            )
        )
    return {
        "study_uid": study_uid,
        "state": row.state,
        "phase": _phase(row, segs, sent),
        "reason": row.reason,
        "progress": row.progress,
        "seconds_left": _left(site, row, now),
        "patient": row.patient_key,
        "last_arrival": overview.time_of(row.last_arrival),
        "results": [
            {
                "result_id": made.result_id,
                "head": made.head,
                "model": made.model,
                "created_at": overview.time_of(made.created_at),
            }
            for made in site.ledger.results(study_uid)
        ],
        "deliveries": [overview.shown(one) for one in sent],
        "corrections": [overview.shown(one) for one in segs],
    }


def _phase(row: StudyRow, segs: Sequence[CorrectionRow], sent: Sequence[DeliveryRow]) -> str:
    """One word for where a study is."""
    state = StudyState(row.state)
    if state in PHASES:
        return PHASES[state]
    for one in segs:
        told = CORRECTED.get(CorrectionState(one.state))
        if told is not None:
            return told
    stuck = (DeliveryState.PARKED, DeliveryState.REFUSED)
    if state is StudyState.SEGMENTED and any(one.state in stuck for one in sent):
        return "not delivered"
    return state.value


def _left(site: Site, row: StudyRow, now: float) -> float | None:
    """Seconds until a study has its result; None where that is not known, or it is no question."""
    if row.state == StudyState.SEGMENTING:
        return _left_of_run(site, row, now, estimates.usual_seconds(site))
    if row.state == StudyState.WAITING:
        return next(
            (one["seconds_left"] for one in queue(site, now) if one["study_uid"] == row.study_uid),
            None,
        )
    return None


def _left_of_run(site: Site, row: StudyRow, now: float, usual: float | None) -> float | None:
    """Seconds left of an inference that runs."""
    began = estimates.began_at(site, row.study_uid)
    if began is None:
        return None
    return estimates.seconds_left(max(0.0, now - began), row.progress, usual)


def queue(site: Site, now: float) -> list[dict[str, Any]]:
    """Studies that are worked on, then those that wait for it, the earliest first."""
    wanted = StudyRow.state.in_((StudyState.SEGMENTING, StudyState.WAITING))
    with site.ledger.transaction() as session:
        rows = list(session.scalars(select(StudyRow).where(wanted).order_by(StudyRow.last_arrival)))
    usual = estimates.usual_seconds(site)
    running = [row for row in rows if row.state == StudyState.SEGMENTING]
    waiting = [row for row in rows if row.state == StudyState.WAITING]
    left = [_left_of_run(site, row, now, usual) for row in running]
    lines = [(row, seconds) for row, seconds in zip(running, left, strict=True)]
    lines += [(row, estimates.waits(left, usual, n)) for n, row in enumerate(waiting)]
    return [
        {
            "study_uid": row.study_uid,
            "state": row.state,
            "progress": row.progress,
            "seconds_left": seconds,
        }
        for row, seconds in lines
    ]


def work(site: Site, now: float) -> dict[str, Any]:
    """What the page of all studies shows: what runs, what waits for whom, the latest studies."""
    waiting = (StudyState.HELD, StudyState.FAILED)
    learning = (CorrectionState.RECEIVED, CorrectionState.LEARNING)
    stuck = (DeliveryState.WAITING, DeliveryState.PARKED, DeliveryState.REFUSED)
    newest = StudyRow.last_arrival.desc()
    with site.ledger.transaction() as session:
        held = select(StudyRow).where(StudyRow.state.in_(waiting)).order_by(newest)
        latest = select(StudyRow).order_by(newest).limit(LATEST)
        studies = [list(session.scalars(query)) for query in (held, latest)]
    return {
        "status": overview.status(site),
        "queue": queue(site, now),
        "held": [overview.shown(row) for row in studies[0]],
        "held_corrections": [
            overview.shown(row) for row in site.ledger.corrections(CorrectionState.HELD)
        ],
        "learning": [overview.shown(row) for row in site.ledger.corrections(*learning)],
        "deliveries": [overview.shown(row) for row in site.ledger.deliveries(*stuck)],
        "latest": [overview.shown(row) for row in studies[1]],
    }


def evidence(site: Site, study_uid: str) -> dict[str, Any]:
    """Which series of a study is which, and why: what a person needs to choose others.

    Descriptions of series are for that person's eyes, and are in no log.

    Raises
    ------
    RefusedError
        If nothing ever came of that study.
    """
    row = site.ledger.study(study_uid)
    try:
        looked = look(site, row, images(site, study_uid))
    except HeldError as error:
        return {"explanation": str(error), "refused": "", "series": [], "chosen": {}}
    found = looked.found
    weighed = zip(found.as_json()["series"], found.evidence, found.parts, strict=True)
    return {
        **found.as_json(),
        "refused": looked.lost(),
        "given": row.overrides,
        "series": [
            {**one, "why": weight.why(), "images": part.slices} for one, weight, part in weighed
        ],
    }
