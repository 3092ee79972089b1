"""The patients' heads, with their history, and which of them is in use.

Every version that was ever accepted is kept; for each backbone one of them is in use. A wrong one
is undone by pointing at its parent. Groups (a site, a scanner, a trial) have heads in the same way:
a patient without one of their own gets the group's, else the base head. Nothing here says who a
patient is.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from glioloop.model_database import Database
from glioloop.model_file import pack
from glioloop.model_groups import key_of_group
from glioloop.model_schema import AliasRow, AuditRow, ChoiceRow, OwnerRow, VersionRow
from glioloop.model_versions import (
    BASE,
    CHOICE,
    CHOICES,
    HeadVersion,
    PatientModels,
    Used,
    models_of,
    no_own_head,
    used_of,
    version_of,
)
from study.errors import RefusedError
from study.patient import PatientKey

__all__ = ["BASE", "HeadVersion", "ModelStore", "PatientModels", "Used"]

_DIGITS = 64
"""Of a key."""
FORGOTTEN = "the patient was forgotten meanwhile: nothing that was learnt before is stored"


class ModelStore:
    """All models. Any number of threads, processes and machines may hold one.

    Parameters
    ----------
    place
        Folder of a SQLite file, or URL of a database.

    Raises
    ------
    FailedError
        From any method: the database is read-only, full or gone, and nothing was changed.
    """

    def __init__(self, place: Path | str) -> None:
        if isinstance(place, Path):
            place.mkdir(parents=True, exist_ok=True)
            place = f"sqlite:///{place.absolute() / 'models.db'}"
        self.database = Database(place)

    def close(self) -> None:
        """Give the database back."""
        self.database.close()

    # -- what is there ---------------------------------------------------------------------------

    def patient(self, patient_key: PatientKey) -> PatientModels:
        """Models of one patient; one who was never learnt from has only the base model.

        A patient whose ID was merged into another has that one's.
        """
        with self.database.reading() as session:
            return models_of(session, self._owner(session, patient_key))

    def group(self, name: str) -> PatientModels:
        """Models of a group; one for which nothing was fitted yet has only the base model."""
        found = self.patient(key_of_group(name))
        return found if found.group else PatientModels(key_of_group(name), group=name)

    def patients(self) -> Iterator[PatientModels]:
        """Every patient and group with a version, in the order of their keys."""
        with self.database.reading() as session:
            keys = session.scalars(select(VersionRow.owner).distinct().order_by(VersionRow.owner))
            for key in keys.all():
                yield models_of(session, PatientKey(key))

    def latest(self, limit: int) -> list[tuple[PatientModels, HeadVersion]]:
        """The newest versions, with all that is known of whom they belong to."""
        query = select(VersionRow.owner, VersionRow.number)
        query = query.order_by(VersionRow.created_at.desc(), VersionRow.number.desc()).limit(limit)
        with self.database.reading() as session:
            rows = session.execute(query).all()
            known = {key: models_of(session, PatientKey(key)) for key in {r.owner for r in rows}}
        return [(known[row.owner], known[row.owner].version(row.number)) for row in rows]

    def find(self, beginning: str) -> PatientModels:
        """The patient with models whose key begins so; `RefusedError` if none or several do.

        A key that was merged into another finds that one.
        """
        query = (
            select(func.coalesce(AliasRow.owner, VersionRow.owner))
            .outerjoin_from(VersionRow, AliasRow, AliasRow.key == VersionRow.owner)
            .distinct()
            .where(VersionRow.owner.between(*_range(beginning)))
            .limit(2)
        )
        with self.database.reading() as session:
            found = session.scalars(query).all()
            if len(found) == 1:
                return models_of(session, PatientKey(found[0]))
        raise RefusedError(
            f"{'several' if found else 'no'} patients with a model have a key that begins with"
            f" {beginning!r}; `glioloop models list` shows the keys"
        )

    def used(
        self, patient_key: PatientKey, backbone: str, groups: Sequence[str] = ()
    ) -> Used | None:
        """The head for a patient's study: their own, else a group's; None for the base head.

        Parameters
        ----------
        patient_key
            Whose study it is.
        backbone
            Hash of the backbone that computes its features.
        groups
            Names of the groups that the study belongs to, the first one first.
        """
        with self.database.looking() as connection:
            row = connection.execute(CHOICE, {"key": patient_key, "backbone": backbone}).first()
            if row is not None and row.chosen == BASE:  # a person chose the base or a group's head
                groups = [row.chosen_group] if row.chosen_group else []
            elif row is not None:
                return used_of(row)
            for name in groups:
                key = key_of_group(name)
                row = connection.execute(CHOICE, {"key": key, "backbone": backbone}).first()
                if row is not None and row.chosen != BASE:
                    return used_of(row)
        return None

    def used_elsewhere(self, patient_key: PatientKey, backbone: str) -> list[Used]:
        """Heads in use with other backbones, the newest first; none once this one has its own.

        Until a head was refitted, its old backbone goes on to serve it.
        """
        with self.database.looking() as connection:
            rows = connection.execute(CHOICES, {"key": patient_key}).all()
            if any(row.chosen_backbone == backbone for row in rows):
                return []
            found = [used_of(row) for row in rows if row.chosen != BASE]
        return sorted(found, key=lambda used: used.version.created_at, reverse=True)

    def keys_of(self, patient_key: PatientKey) -> tuple[PatientKey, ...]:
        """Every key of the patient who has this one: their own, and what was merged into it."""
        with self.database.reading() as session:
            owner = self._owner(session, patient_key)
            merged = session.scalars(select(AliasRow.key).where(AliasRow.owner == owner)).all()
        return (owner, *(PatientKey(key) for key in sorted(merged)))

    def merged(self) -> dict[str, str]:
        """Every key that was merged, and the key that it was merged into."""
        with self.database.reading() as session:
            rows = session.execute(select(AliasRow.key, AliasRow.into))
            return {row.key: row.into for row in rows}

    def id_keys_of(self, patient_key: PatientKey) -> set[str]:
        """Keys of the Patient IDs alone that were merged with this patient; none without."""
        with self.database.reading() as session:
            theirs = AliasRow.owner == self._owner(session, patient_key)
            rows = session.execute(select(AliasRow.id_key, AliasRow.into_id_key).where(theirs))
            return {key for row in rows for key in row}

    def owner(self, patient_key: PatientKey) -> PatientKey:
        """The key that has a patient's models: another one where a person merged the two."""
        with self.database.reading() as session:
            return self._owner(session, patient_key)

    def left_behind(self, backbone: str, after: str, limit: int) -> list[PatientKey]:
        """Owners with a version in use on other backbones and nothing on this one; no merged keys.

        Parameters
        ----------
        backbone
            Hash of the backbone that is in use.
        after
            Key after which to go on; empty at first.
        limit
            How many at most.
        """
        here = select(ChoiceRow.owner).where(ChoiceRow.backbone == backbone)
        query = (
            select(ChoiceRow.owner)
            .distinct()
            .where(ChoiceRow.number != BASE, ChoiceRow.backbone != backbone)
            .where(ChoiceRow.owner.not_in(here), ChoiceRow.owner > after.ljust(_DIGITS, "0"))
            .where(ChoiceRow.owner.not_in(select(AliasRow.key)))
            .order_by(ChoiceRow.owner)
            .limit(limit)
        )
        with self.database.reading() as session:
            return [PatientKey(key) for key in session.scalars(query)]

    def forgotten(self, patient_key: PatientKey, began_at: float) -> bool:
        """Whether a patient was forgotten after something of theirs began."""
        with self.database.reading() as session:
            found = session.get(OwnerRow, self._owner(session, patient_key))
        return found is not None and (found.forgotten_at or 0.0) >= began_at

    def audit(self, patient_key: PatientKey | None = None) -> list[AuditRow]:
        """What persons did to models (of one patient), the first one first."""
        query = select(AuditRow).order_by(AuditRow.number)
        if patient_key is not None:
            query = query.where(or_(AuditRow.key == patient_key, AuditRow.other == patient_key))
        with self.database.reading() as session:
            return list(session.scalars(query))

    # -- what changes ----------------------------------------------------------------------------

    def accept(
        self,
        patient_key: PatientKey,
        *,
        parent: int,
        backbone: str,
        head: Mapping[str, Any],
        corrections: tuple[str, ...],
        metrics: Mapping[str, Any],
        software: str,
        group: str = "",
        began_at: float | None = None,
        created_at: float | None = None,
    ) -> HeadVersion:
        """Store a new version and use it; the same head from the same corrections is one version.

        So an adaptation that a crash made run twice yields one.

        Parameters
        ----------
        patient_key
            Whose it is; `key_of_group` of a group.
        parent, backbone, head, corrections, metrics, software
            As in `HeadVersion`.
        group
            Name of the group; empty for a patient.
        began_at
            When the first correction came that it was fitted on, seconds since 1970.
        created_at
            When it was made, if not now; seconds since 1970.

        Raises
        ------
        RefusedError
            If the patient was forgotten after that, or the head says that it belongs to another
            backbone.
        """
        if head.get("backbone_sha256", backbone) != backbone:
            raise RefusedError(
                f"this head belongs to backbone {str(head['backbone_sha256'])[:12]}, not to"
                f" {backbone[:12]}: it is not stored under that"
            )
        content = pack(head)
        with self.database.changing() as session:
            owner = self.change(session, patient_key, group)
            if began_at is not None and (owner.forgotten_at or 0.0) >= began_at:
                raise RefusedError(FORGOTTEN)
            known = session.scalars(select(VersionRow).where(VersionRow.owner == owner.key)).all()
            row = next(
                (
                    v
                    for v in known
                    if (tuple(v.corrections), v.backbone, v.head)
                    == (corrections, backbone, content)
                ),
                None,
            )
            if row is None:
                row = VersionRow(
                    owner=owner.key,
                    number=max((v.number for v in known), default=BASE) + 1,
                    parent=parent,
                    backbone=backbone,
                    head=content,
                    corrections=list(corrections),
                    metrics=dict(metrics),
                    software=software,
                    created_at=time.time() if created_at is None else created_at,
                )
                session.add(row)
            session.merge(ChoiceRow(owner=owner.key, backbone=backbone, number=row.number))
        return version_of(row)

    def use(self, patient_key: PatientKey, number: int, backbone: str) -> None:
        """Point at a version, or at `BASE`.

        Raises
        ------
        RefusedError
            If there is no such version, or it belongs to another backbone.
        """
        with self.database.changing() as session:
            key = self.change(session, patient_key).key
            if number == BASE:
                no_own_head(session, PatientKey(key))
            else:
                models_of(session, PatientKey(key)).version_for(number, backbone)
            session.merge(ChoiceRow(owner=key, backbone=backbone, number=number))

    def use_group(self, patient_key: PatientKey, name: str, backbone: str) -> None:
        """Let a patient have a group's head, whatever their own; `RefusedError` if it has none."""
        with self.database.changing() as session:
            key = self.change(session, patient_key).key
            given = {"key": key_of_group(name), "backbone": backbone}
            row = session.execute(CHOICE, given).first()
            if row is None or row.chosen == BASE:
                raise RefusedError(
                    f"group {name} has no head for backbone {backbone[:12]};"
                    f" `glioloop models fit {name}` makes one"
                )
            session.merge(ChoiceRow(owner=key, backbone=backbone, number=BASE, group_name=name))

    def use_nothing(self, patient_key: PatientKey, backbone: str) -> None:
        """Undo every choice: a group's head if there is one, else the base head."""
        with self.database.changing() as session:
            key = self.change(session, patient_key).key
            chosen = session.get(ChoiceRow, (key, backbone))
            if chosen is not None:
                session.delete(chosen)

    def rollback(self, patient_key: PatientKey, backbone: str) -> int:
        """Point at the parent of the version in use, and say which that is.

        The first version's parent is what was there before any: a group's head, or the base head.
        """
        used = self.patient(patient_key).own(backbone)
        if used.parent == BASE:
            self.use_nothing(patient_key, backbone)
        else:
            self.use(patient_key, used.parent, backbone)
        return used.parent

    def forget(self, patient_key: PatientKey) -> int:
        """Remove all versions of a patient, also of merged IDs; how many versions there were.

        What began before can never be stored again.
        """
        with self.database.changing() as session:
            owner = self.change(session, patient_key)
            merged = session.scalars(select(AliasRow.key).where(AliasRow.owner == owner.key)).all()
            keys, removed = [owner.key, *merged], 0
            for key in keys:
                self.change_row(session, PatientKey(key)).forgotten_at = time.time()
                gone = session.execute(delete(VersionRow).where(VersionRow.owner == key))
                removed += gone.rowcount  # type: ignore[attr-defined]
                session.execute(delete(ChoiceRow).where(ChoiceRow.owner == key))
        return removed

    def forget_merges(self, patient_key: PatientKey) -> None:
        """Forget that a patient had several IDs, once nothing is left under any of them."""
        with self.database.changing() as session:
            owner = self.change(session, patient_key)
            session.execute(delete(AliasRow).where(AliasRow.owner == owner.key))

    def change(self, session: Session, patient_key: PatientKey, group: str = "") -> OwnerRow:
        """An owner's row, which nobody else changes until the session ends.

        Its first statement writes: so no two changes of one owner are ever based on the same state.
        """
        self.change_row(session, patient_key, group)
        key = self._owner(session, patient_key)
        return self.change_row(session, key)

    def change_row(self, session: Session, key: PatientKey, group: str = "") -> OwnerRow:
        """As `change`, of a key itself, whatever it was merged into."""
        self.database.add_once(session, OwnerRow, key=key, group_name=group or None, changes=0)
        mine = OwnerRow.key == key
        session.execute(update(OwnerRow).where(mine).values(changes=OwnerRow.changes + 1))
        return session.get_one(OwnerRow, key)

    @staticmethod
    def _owner(session: Session, patient_key: PatientKey) -> PatientKey:
        """Where a key was merged into."""
        found = session.scalar(select(AliasRow.owner).where(AliasRow.key == patient_key))
        return PatientKey(found) if found else patient_key


def _range(beginning: str) -> tuple[str, str]:
    """The first and the last key that begin so; of what begins no key, a range that is empty."""
    wanted = beginning.lower()
    if not 0 < len(wanted) <= _DIGITS or set(wanted) - set("0123456789abcdef"):
        return "f" * _DIGITS, "0" * _DIGITS
    return wanted.ljust(_DIGITS, "0"), wanted.ljust(_DIGITS, "f")
