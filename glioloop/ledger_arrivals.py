"""How an instance that arrived is entered into the ledger, by any number of listeners at once."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

from sqlalchemy import case, func
from sqlalchemy.orm import Session

from glioloop import database
from glioloop.ledger_schema import (
    NOT_LEARNT_YET,
    CorrectionRow,
    CorrectionState,
    InstanceRow,
    StudyRow,
    StudyState,
)
from listener.inbox import Received

logger = logging.getLogger(__name__)

LOOKED_AT_AGAIN = (StudyState.HELD, StudyState.IGNORED, StudyState.FAILED)
"""States from which another image brings a study back."""

TICK_S = 0.001
"""Least time (s) between the last arrivals of a study. A listener's clock may be behind that of
another, or be set back; still each image must change what `Ledger.settle` compares."""

_NEW_STUDY = {
    "state": StudyState.RECEIVING,
    "reason": "",
    "settled": False,
    "judged": "",
    "request": 0,
    "overrides": {},
    "expected": [],
    "progress": 0.0,
}
_FIELDS = (
    "sop_instance_uid",
    "sha256",
    "sop_class_uid",
    "series_uid",
    "study_uid",
    "modality",
    "calling_ae",
    "called_ae",
    "received_at",
    "conflict",
)


def enter(session: Session, kind: str, arrival: Received) -> bool:
    """Write down an instance; entering it again changes nothing.

    Parameters
    ----------
    session
        Of the ledger, in a transaction.
    kind
        Of its database, as in `glioloop.database.INSERT`.
    arrival
        What came.

    Returns
    -------
    bool
        Whether it is new, or is to be looked at again.
    """
    row = {name: getattr(arrival, name) for name in _FIELDS}
    row["path"] = str(arrival.path) if arrival.path else None
    if session.connection().execute(_instance(kind), row).first() is None:
        return _sent_elsewhere(session, arrival)
    if arrival.path is not None and arrival.modality == "SEG":
        _enter_seg(session, kind, arrival)
    elif arrival.path is not None and not arrival.conflict:
        _enter_image(session, kind, arrival)
    return True


def _enter_image(session: Session, kind: str, arrival: Received) -> None:
    """Open the study for judgement, in one statement: two listeners may do so at once."""
    came = {"study_uid": arrival.study_uid, "last_arrival": arrival.received_at}
    session.connection().execute(_study(kind), {**_NEW_STUDY, **came})


@cache
def _instance(kind: str) -> Any:
    """Statement that adds an instance which is not there. Made once: it is run for every image."""
    table = InstanceRow.__table__
    return database.INSERT[kind](table).on_conflict_do_nothing().returning(table.c.sha256)


@cache
def _study(kind: str) -> Any:
    """Statement that adds a study, or opens it again."""
    table = StudyRow.__table__
    back = table.c.state.in_(LOOKED_AT_AGAIN)
    statement = database.INSERT[kind](table)
    came = statement.excluded.last_arrival
    return statement.on_conflict_do_update(
        index_elements=[table.c.study_uid],
        set_={
            "last_arrival": getattr(func, database.LATER[kind])(
                table.c.last_arrival + TICK_S, came
            ),
            "settled": False,
            "state": case((back, StudyState.RECEIVING), else_=table.c.state),
            "reason": case((back, ""), else_=table.c.reason),
        },
    )


def _sent_elsewhere(session: Session, arrival: Received) -> bool:
    """Look again at a held SEG that a person sends once more to another of our AE titles.

    Sent to be learnt from, it may be recognised by what did not suffice before.
    """
    if arrival.modality != "SEG":
        return False
    found = session.get(CorrectionRow, arrival.sop_instance_uid, with_for_update=True)
    if found is None or found.state != CorrectionState.HELD or found.called_ae == arrival.called_ae:
        return False
    found.called_ae, found.calling_ae = arrival.called_ae, arrival.calling_ae
    found.received_at, found.state = arrival.received_at, CorrectionState.RECEIVED
    return True


def _enter_seg(session: Session, kind: str, arrival: Received) -> None:
    """Queue a SEG for recognition, again where other bytes come under its UID."""
    path = str(arrival.path)
    statement = database.INSERT[kind](CorrectionRow).values(
        sop_instance_uid=arrival.sop_instance_uid,
        study_uid=arrival.study_uid,
        state=CorrectionState.RECEIVED,
        calling_ae=arrival.calling_ae,
        called_ae=arrival.called_ae,
        received_at=arrival.received_at,
        path=path,
        reason="",
        looked_at=False,
        label_map={},
        report={},
    )
    added = statement.on_conflict_do_nothing().returning(CorrectionRow.sop_instance_uid)
    if session.execute(added).first() is not None:
        return
    found = session.get_one(CorrectionRow, arrival.sop_instance_uid, with_for_update=True)
    logger.warning("SEG %s came again with other bytes", arrival.sop_instance_uid)
    # What a person decided stays so, however often an archive sends it back.
    decided = (CorrectionState.ACCEPTED, CorrectionState.REJECTED, CorrectionState.WITHDRAWN)
    if found.state not in (*NOT_LEARNT_YET, *decided):
        found.state, found.path = CorrectionState.RECEIVED, path
