"""The models of a patient or a group as values, and how they are read from their tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, Select, and_, bindparam, func, select, update
from sqlalchemy.orm import Session

from glioloop.model_file import unpack
from glioloop.model_schema import AliasRow, ChoiceRow, Key, OwnerRow, VersionRow
from study.errors import RefusedError
from study.patient import PatientKey

BASE = 0
"""The version that stands for the head everybody starts with."""


@dataclass(frozen=True)
class HeadVersion:
    """An accepted head of one patient, or of a group."""

    number: int
    parent: int
    """Version it was fitted from; `BASE` for the shipped head."""
    backbone: str
    """Hash of the backbone it belongs to; with any other it means nothing."""
    head: Mapping[str, Any]
    """As `engine.head.Head.to_json` wrote it."""
    corrections: tuple[str, ...]
    """SOP Instance UIDs of the SEGs it was fitted on."""
    metrics: Mapping[str, Any]
    software: str
    created_at: float


@dataclass(frozen=True)
class PatientModels:
    """All versions of one patient, or of a group, and which is in use for each backbone."""

    patient_key: PatientKey
    versions: tuple[HeadVersion, ...] = ()
    current: Mapping[str, int] = field(default_factory=dict)
    """Backbone to the number of the version in use, or `BASE`."""
    groups: Mapping[str, str] = field(default_factory=dict)
    """Backbone to the group whose head a person chose."""
    group: str = ""
    """Name of the group whose models these are; empty for a patient's."""

    def version(self, number: int) -> HeadVersion:
        """One version; `RefusedError` when there is none of that number."""
        for found in self.versions:
            if found.number == number:
                return found
        raise RefusedError(
            f"{self.title} has no model version {number}, "
            f"only {[v.number for v in self.versions] or 'the base model'}"
        )

    def in_use(self, backbone: str) -> HeadVersion | None:
        """The own version in use with a backbone; None for the base or a group's head."""
        number = self.current.get(backbone, BASE)
        return None if number == BASE else self.version(number)

    def own(self, backbone: str) -> HeadVersion:
        """The own version in use with a backbone; `RefusedError` without one."""
        found = self.in_use(backbone)
        if found is None:
            raise RefusedError(
                f"{self.title} uses no version of its own: nothing to undo or export"
            )
        return found

    def version_for(self, number: int, backbone: str) -> HeadVersion:
        """One version; `RefusedError` when there is none, or it belongs to another backbone."""
        found = self.version(number)
        if found.backbone != backbone:
            raise RefusedError(
                f"model version {number} of {self.title} belongs to backbone "
                f"{found.backbone[:12]}, but {backbone[:12]} is in use"
            )
        return found

    def ancestor_without(self, number: int, corrections: Collection[str]) -> int:
        """The nearest version that one was made from and that none of some SEGs taught."""
        while number != BASE and set(corrections) & set(self.version(number).corrections):
            number = self.version(number).parent
        return number

    def name(self, number: int) -> str:
        """What a version is called in a SEG: it names the model, not the patient."""
        return "base" if number == BASE else f"{self.group or self.patient_key[:8]}.{number}"

    @property
    def title(self) -> str:
        """Who it is, in messages."""
        return f"group {self.group}" if self.group else f"patient {self.patient_key[:8]}"


@dataclass(frozen=True)
class Used:
    """The head that a study of a patient is segmented with.

    Parameters
    ----------
    owner
        Key of the patient or group that it belongs to.
    name
        What it is called in a SEG.
    version
        Itself.
    """

    owner: PatientKey
    name: str
    version: HeadVersion


def models_of(session: Session, owner: PatientKey) -> PatientModels:
    """All that is known of one owner."""
    known = session.get(OwnerRow, owner)
    versions = session.scalars(
        select(VersionRow).where(VersionRow.owner == owner).order_by(VersionRow.number)
    )
    choices = session.scalars(select(ChoiceRow).where(ChoiceRow.owner == owner)).all()
    return PatientModels(
        patient_key=owner,
        versions=tuple(map(version_of, versions)),
        current={c.backbone: c.number for c in choices if c.group_name is None},
        groups={c.backbone: c.group_name for c in choices if c.group_name is not None},
        group=(known.group_name or "") if known else "",
    )


def no_own_head(session: Session, owner: PatientKey) -> None:
    """Let an owner have no version in use, with any backbone: none comes back with the next one."""
    mine = (ChoiceRow.owner == owner, ChoiceRow.number != BASE)
    session.execute(update(ChoiceRow).where(*mine).values(number=BASE))


def version_of(row: VersionRow | Row[Any]) -> HeadVersion:
    """A version from its row."""
    return HeadVersion(
        number=row.number,
        parent=row.parent,
        backbone=row.backbone,
        head=unpack(row.head),
        corrections=tuple(row.corrections),
        metrics=row.metrics,
        software=row.software,
        created_at=row.created_at,
    )


def _choice() -> Select[*tuple[Any, ...]]:
    """What the owner of a key uses with a backbone, in one look: ``key`` and ``backbone``."""
    merged = select(AliasRow.owner).where(AliasRow.key == bindparam("key", type_=Key()))
    owner = func.coalesce(merged.scalar_subquery(), bindparam("key", type_=Key()), type_=Key())
    version = and_(VersionRow.owner == ChoiceRow.owner, VersionRow.number == ChoiceRow.number)
    return (
        select(
            ChoiceRow.owner,
            ChoiceRow.backbone.label("chosen_backbone"),
            ChoiceRow.number.label("chosen"),
            ChoiceRow.group_name.label("chosen_group"),
            OwnerRow.group_name,
            VersionRow.number,
            VersionRow.parent,
            VersionRow.backbone,
            VersionRow.head,
            VersionRow.corrections,
            VersionRow.metrics,
            VersionRow.software,
            VersionRow.created_at,
        )
        .join(OwnerRow, OwnerRow.key == ChoiceRow.owner)
        .outerjoin(VersionRow, version)
        .where(ChoiceRow.owner == owner)
    )


CHOICES = _choice()
CHOICE = CHOICES.where(ChoiceRow.backbone == bindparam("backbone"))


def used_of(row: Row[Any]) -> Used:
    """The head of a row of `CHOICE` that names a version."""
    owner = PatientKey(row.owner)
    version = version_of(row)
    name = PatientModels(owner, group=row.group_name or "").name(version.number)
    return Used(owner, name, version)
