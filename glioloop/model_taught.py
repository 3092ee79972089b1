"""What some corrections taught: every head that they had a part in is let go, or removed."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from glioloop.model_schema import ChoiceRow, OwnerRow, VersionRow
from glioloop.model_versions import BASE, models_of
from glioloop.models import ModelStore
from study.patient import PatientKey


def let_go(session: Session, owner: PatientKey, corrections: Collection[str]) -> dict[int, int]:
    """Point away from versions of one owner that some SEGs taught; once more is harmless.

    Returns
    -------
    dict
        Number of a version that was in use, to the number of the ancestor that is used now: `BASE`
        stands for what is used without a choice, a group's head or the base head.
    """
    known, moved = models_of(session, owner), {}
    for backbone, number in known.current.items():
        found = known.ancestor_without(number, corrections)
        if found == number:
            continue
        moved[number] = found
        if found == BASE:
            session.delete(session.get_one(ChoiceRow, (owner, backbone)))
        else:
            session.merge(ChoiceRow(owner=owner, backbone=backbone, number=found))
    session.flush()
    return moved


def point_elsewhere(
    store: ModelStore, patient_key: PatientKey, corrections: Collection[str]
) -> dict[int, int]:
    """As `let_go`, of a patient under any of their keys, or of a group."""
    with store.database.changing() as session:
        owner = PatientKey(store.change(session, patient_key).key)
        return let_go(session, owner, corrections)


def groups(store: ModelStore) -> list[PatientKey]:
    """Keys of all groups that ever had a head, also of those that the settings name no more."""
    query = select(OwnerRow.key).where(OwnerRow.group_name.is_not(None)).order_by(OwnerRow.key)
    with store.database.reading() as session:
        return [PatientKey(key) for key in session.scalars(query)]


def remove(store: ModelStore, corrections: Collection[str]) -> int:
    """Remove every version that some SEGs taught, whosever it is; how many there were.

    A merge copies heads and a group pools corrections, so they may be anybody's. What was made from
    such a version counts as made from the nearest one before it that stays.
    """
    gone, removed = set(corrections), 0
    query = select(VersionRow.owner, VersionRow.corrections)
    with store.database.reading() as session:
        rows = session.execute(query.execution_options(yield_per=1000))
        owners = {row.owner for row in rows if not gone.isdisjoint(row.corrections)}
    for owner in sorted(owners):
        with store.database.changing() as session:
            store.change_row(session, PatientKey(owner))
            let_go(session, PatientKey(owner), gone)
            removed += _remove_of(session, PatientKey(owner), gone)
    return removed


def _remove_of(session: Session, owner: PatientKey, gone: set[str]) -> int:
    """Remove one owner's versions that some SEGs taught, none of which is in use."""
    known, removed = models_of(session, owner), 0
    for version in known.versions:
        mine = VersionRow.owner == owner, VersionRow.number == version.number
        if gone.isdisjoint(version.corrections):
            parent = known.ancestor_without(version.parent, gone)
            session.execute(update(VersionRow).where(*mine).values(parent=parent))
        else:
            session.execute(delete(VersionRow).where(*mine))
            removed += 1
    return removed
