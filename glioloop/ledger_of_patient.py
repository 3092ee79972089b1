"""What the ledger knows of one patient, and how it forgets it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from glioloop.ledger_schema import (
    CommitmentRow,
    CorrectionRow,
    DeliveryRow,
    InstanceRow,
    NameRow,
    PatientRow,
    ResultRow,
    RunRow,
    StudyRow,
)


@dataclass(frozen=True)
class Known:
    """Rows about one patient, by their keys.

    Parameters
    ----------
    studies
        Study Instance UIDs.
    results
        Ids of results, and of what else was delivered of those studies.
    corrections
        SOP Instance UIDs of SEGs.
    """

    studies: frozenset[str]
    results: frozenset[str]
    corrections: frozenset[str]


def known(session: Session, keys: Collection[str]) -> Known:
    """All rows about the patient of some keys."""
    of_results = session.execute(
        select(ResultRow.study_uid, ResultRow.result_id).where(ResultRow.patient_key.in_(keys))
    ).all()
    of_segs = session.execute(
        select(CorrectionRow.study_uid, CorrectionRow.sop_instance_uid).where(
            CorrectionRow.patient_key.in_(keys)
        )
    ).all()
    studies = {
        *session.scalars(select(StudyRow.study_uid).where(StudyRow.patient_key.in_(keys))),
        *(study for study, _ in of_results),
        *(study for study, _ in of_segs),
    }
    others = set(
        session.scalars(
            select(ResultRow.result_id).where(
                ResultRow.study_uid.in_(studies),
                or_(ResultRow.patient_key.is_(None), ResultRow.patient_key.not_in(keys)),
            )
        )
    )
    made = {
        *(result for _, result in of_results),
        *session.scalars(select(RunRow.result_id).where(RunRow.study_uid.in_(studies))),
        *session.scalars(select(DeliveryRow.result_id).where(DeliveryRow.study_uid.in_(studies))),
    }
    return Known(
        frozenset(studies),
        frozenset(made - others),
        frozenset(uid for _, uid in of_segs),
    )


def is_known(session: Session, key: str) -> bool:
    """Whether anything of a patient ever came."""
    found = (
        session.scalar(select(column).where(column == key).limit(1))
        for column in (StudyRow.patient_key, ResultRow.patient_key, CorrectionRow.patient_key)
    )
    return any(one is not None for one in found)


def unjudged(session: Session) -> set[str]:
    """Studies of which it was never found whose they are."""
    return set(session.scalars(select(StudyRow.study_uid).where(StudyRow.patient_key.is_(None))))


def forget(session: Session, keys: Collection[str], gone: Known, paths: Collection[str]) -> None:
    """Remove the rows about a patient whose files are gone.

    Parameters
    ----------
    session
        Of the ledger.
    keys
        The patient's.
    gone
        From `known`.
    paths
        Files of the inbox that were removed. A study of which others are left stays, as nobody's.
    """
    corrections = set(gone.corrections)
    for some in _parts(paths):
        came = select(InstanceRow.sop_instance_uid).where(InstanceRow.path.in_(some))
        corrections |= set(session.scalars(came))
        session.execute(delete(InstanceRow).where(InstanceRow.path.in_(some)))
    for some in _parts(corrections):
        session.execute(delete(CorrectionRow).where(CorrectionRow.sop_instance_uid.in_(some)))
    for some in _parts(gone.results):
        for table in (ResultRow, DeliveryRow, CommitmentRow, RunRow):
            session.execute(delete(table).where(table.result_id.in_(some)))
    left = select(InstanceRow.study_uid).where(InstanceRow.path.is_not(None))
    for some in _parts(gone.studies):
        mine = StudyRow.study_uid.in_(some)
        empty = StudyRow.study_uid.not_in(left)
        uids = list(session.scalars(select(StudyRow.study_uid).where(mine, empty)))
        session.execute(delete(InstanceRow).where(InstanceRow.study_uid.in_(uids)))
        session.execute(delete(StudyRow).where(StudyRow.study_uid.in_(uids)))
        session.execute(update(StudyRow).where(mine).values(patient_key=None))
    session.execute(delete(PatientRow).where(PatientRow.patient_key.in_(keys)))
    session.execute(delete(NameRow).where(NameRow.patient_key.in_(keys)))


def _parts(values: Collection[str], size: int = 500) -> list[list[str]]:
    """Some at a time: a statement takes no more than some thousand values."""
    ordered = sorted(values)
    return [ordered[i : i + size] for i in range(0, len(ordered), size)]
