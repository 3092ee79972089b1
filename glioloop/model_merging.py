"""Two Patient IDs that are one patient: merged and split by a person, and written down for ever.

An archive gives a patient another ID, or two IDs turn out to be one patient's. Nothing that was
received is rewritten: the one key points at the other, so a split makes two patients of them again,
neither of whom uses what the other's corrections taught.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from glioloop.model_schema import AliasRow, AuditRow, ChoiceRow, VersionRow
from glioloop.model_taught import let_go
from glioloop.model_versions import BASE, models_of
from glioloop.models import ModelStore
from study.errors import RefusedError
from study.patient import PatientKey, patient_key


@dataclass(frozen=True)
class Person:
    """What stands for one Patient ID.

    Parameters
    ----------
    key
        Of issuer and ID.
    id_key
        Of the ID alone, which is all that many viewers send back.
    """

    key: PatientKey
    id_key: PatientKey


def person(secret: bytes, issuer: str, patient_id: str) -> Person:
    """What stands for a Patient ID that a person names; the ID itself is kept nowhere.

    Raises
    ------
    RefusedError
        If it is empty or a placeholder, which stands for nobody.
    """
    key, id_key = patient_key(secret, issuer, patient_id), patient_key(secret, "", patient_id)
    if key is None or id_key is None:
        raise RefusedError(
            "an empty Patient ID, or one that is a placeholder, stands for nobody: it has no model"
        )
    return Person(key, id_key)


def merge(store: ModelStore, one: Person, into: Person, by: str) -> bool:
    """Let one patient's corrections and models be another's; False where they already are.

    The other's heads are used. Where there is none for a backbone, that is the one's.

    Parameters
    ----------
    store
        Where.
    one, into
        Whose ID is given up, and whose stays.
    by
        Who asks for it, for the audit.

    Raises
    ------
    RefusedError
        If both are the same, or the one was merged into somebody else before.
    """
    if one.key == into.key:
        raise RefusedError("these are one Patient ID of one issuer: there is nothing to merge")
    with store.database.changing() as session:
        # In the order of the keys, so that two merges never wait for one another.
        for key in sorted((one.key, into.key)):
            store.change_row(session, key)
        root, before = _root(session, into.key), session.get(AliasRow, one.key)
        if before is not None and before.owner == root:
            return False
        if before is not None or root == one.key:
            other = before.owner if before is not None else into.key
            raise RefusedError(
                f"patient {one.key[:8]} was merged with {other[:8]} before: split those two first"
            )
        store.change_row(session, root)
        session.add(
            AliasRow(
                key=one.key,
                into=into.key,
                owner=root,
                id_key=one.id_key,
                into_id_key=into.id_key,
            )
        )
        session.flush()
        _settle_owners(session, one.key)
        taken = _take_over(session, one.key, root)
        _write(session, "merge", one.key, into.key, by, heads_taken=taken)
    return True


def split(
    store: ModelStore,
    one: Person,
    other: Person,
    theirs: Collection[str],
    by: str,
    others: Collection[str] = (),
) -> bool:
    """Undo a merge: nothing that either's corrections taught stays in use for the other.

    Nor for any ID that was merged with one of them, should it be split off later.

    Parameters
    ----------
    store
        Where.
    one, other
        As they were merged.
    theirs
        SOP Instance UIDs of all corrections that belong to the one.
    by
        Who asks for it, for the audit.
    others
        SOP Instance UIDs of all corrections that are known and belong to anybody else.

    Returns
    -------
    bool
        Whether the other now uses another head than before.

    Raises
    ------
    RefusedError
        If the one was not merged into the other.
    """
    with store.database.changing() as session:
        for key in sorted((one.key, other.key)):
            store.change_row(session, key)
        found = session.get(AliasRow, one.key)
        root = _root(session, other.key)
        if found is None or found.owner != root:
            raise RefusedError(
                f"patient {one.key[:8]} was not merged into {other.key[:8]}:"
                " `glioloop models show` says what was"
            )
        session.delete(found)
        session.flush()
        _settle_owners(session, one.key)
        moved = list(let_go(session, root, theirs))
        for key in _merged_into(session, root):
            let_go(session, key, theirs)
        for key in (one.key, *_merged_into(session, one.key)):
            let_go(session, key, others)
        _write(session, "split", one.key, other.key, by, heads_let_go=moved)
    return bool(moved)


def note(
    store: ModelStore, action: str, key: PatientKey, by: str, **details: str | int | list[str]
) -> None:
    """Write down what a person did to a patient's or a group's models."""
    with store.database.changing() as session:
        _write(session, action, key, None, by, **details)


def _root(session: Session, key: PatientKey) -> PatientKey:
    """Where a key leads."""
    return PatientKey(session.scalar(select(AliasRow.owner).where(AliasRow.key == key)) or key)


def _merged_into(session: Session, root: PatientKey) -> list[PatientKey]:
    """Every key that leads to another one."""
    keys = session.scalars(
        select(AliasRow.key).where(AliasRow.owner == root).order_by(AliasRow.key)
    )
    return [PatientKey(key) for key in keys]


def _settle_owners(session: Session, changed: PatientKey) -> None:
    """Let everything that was merged into a key lead where that leads now."""
    root = _root(session, changed)
    below = [changed]
    while below:
        rows = session.scalars(select(AliasRow).where(AliasRow.into.in_(below))).all()
        for row in rows:
            row.owner = root
        below = [PatientKey(row.key) for row in rows]
    session.flush()


def _take_over(session: Session, one: PatientKey, root: PatientKey) -> list[int]:
    """Copy the heads in use to who has none for their backbone; the numbers they get."""
    known = models_of(session, root)
    numbers = []
    last = max((version.number for version in known.versions), default=BASE)
    for choice in session.scalars(select(ChoiceRow).where(ChoiceRow.owner == one)).all():
        if choice.number == BASE or session.get(ChoiceRow, (root, choice.backbone)) is not None:
            continue
        row = session.get_one(VersionRow, (one, choice.number))
        last += 1
        session.add(
            VersionRow(
                owner=root,
                number=last,
                parent=BASE,
                backbone=row.backbone,
                head=row.head,
                corrections=row.corrections,
                metrics={**row.metrics, "merged_from": f"{one[:8]}.{row.number}"},
                software=row.software,
                created_at=time.time(),
            )
        )
        session.add(ChoiceRow(owner=root, backbone=row.backbone, number=last))
        numbers.append(last)
    return numbers


def _write(
    session: Session,
    action: str,
    key: PatientKey,
    other: PatientKey | None,
    by: str,
    **details: str | int | list[str] | list[int],
) -> None:
    """One line of the audit."""
    session.add(
        AuditRow(at=time.time(), action=action, key=key, other=other, by=by, details=details)
    )
