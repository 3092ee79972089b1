"""A head in use that turned out worse than base is put out of use, and that is written down."""

from __future__ import annotations

import time

from glioloop.model_schema import AuditRow, ChoiceRow
from glioloop.model_versions import HeadVersion, no_own_head
from glioloop.models import ModelStore
from study.patient import PatientKey

REVERT = "revert"
"""What it is called in the audit."""
BY = "the gate"
"""Who does it, in the audit: no person."""


def revert(store: ModelStore, patient_key: PatientKey, version: HeadVersion, why: str) -> bool:
    """Let a patient have the base head instead of a version; False if that is not in use any more.

    The base head, and no group's: that is what the version was found to be worse than. A later
    correction that passes the gate gives the patient a head again. Once more is harmless.

    Parameters
    ----------
    store
        Where.
    patient_key
        Whose, under any of their keys.
    version
        That lost.
    why
        For the audit; it names no patient.
    """
    with store.database.changing() as session:
        owner = store.change(session, patient_key)
        chosen = session.get(ChoiceRow, (owner.key, version.backbone))
        if chosen is None or chosen.number != version.number:
            return False
        no_own_head(session, PatientKey(owner.key))
        session.add(
            AuditRow(
                at=time.time(),
                action=REVERT,
                key=owner.key,
                by=BY,
                details={"from": version.number, "reason": why},
            )
        )
    return True
