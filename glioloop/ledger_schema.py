"""The ledger's tables. No name, identifier or birth date of a patient: only keys made from them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Index, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column


class StudyState(StrEnum):
    """Where a study is; `HELD` and `FAILED` wait for a person."""

    RECEIVING = "receiving"
    WAITING = "waiting"
    SEGMENTING = "segmenting"
    SEGMENTED = "segmented"
    DELIVERED = "delivered"
    HELD = "held"
    FAILED = "failed"
    IGNORED = "ignored"


class CorrectionState(StrEnum):
    """What became of a SEG that arrived."""

    RECEIVED = "received"
    ECHO = "echo"
    LEARNING = "learning"
    ACCEPTED = "accepted"
    NOT_BETTER = "not better"
    HELD = "held"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    IGNORED = "ignored"


LEARNT = (CorrectionState.LEARNING, CorrectionState.ACCEPTED, CorrectionState.NOT_BETTER)
"""States of a SEG that is taken for a correction, whether a model learnt from it or not."""
NOT_LEARNT_YET = (CorrectionState.RECEIVED, CorrectionState.LEARNING)
TAKEN = (CorrectionState.ACCEPTED, CorrectionState.NOT_BETTER)
"""Those of a correction that was learnt from, or tried."""


class DeliveryState(StrEnum):
    """Where a result is on its way to one destination."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    PARKED = "parked"
    REFUSED = "refused"
    OBSOLETE = "no longer needed"


class CommitmentState(StrEnum):
    """What a destination says of a result that it took; `PARKED` waits for a person."""

    ASKED = "asked"
    COMMITTED = "committed"
    FAILED = "failed"
    REFUSED = "refused"
    PARKED = "parked"


class Row(MappedAsDataclass, DeclarativeBase, kw_only=True):
    """A row of any table; times are seconds since 1970."""


def columns_of(row: Row) -> dict[str, Any]:
    """Column to value, for a statement."""
    return {column.key: getattr(row, column.key) for column in type(row).__table__.columns}


class InstanceRow(Row):
    """An instance as it was received; one row for each different content."""

    __tablename__ = "instances"
    sop_instance_uid: Mapped[str] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(primary_key=True)
    sop_class_uid: Mapped[str]
    series_uid: Mapped[str]
    study_uid: Mapped[str] = mapped_column(index=True)
    modality: Mapped[str]
    calling_ae: Mapped[str]
    called_ae: Mapped[str]
    received_at: Mapped[float]
    path: Mapped[str | None]
    """In the inbox; null where the bytes were dropped."""
    conflict: Mapped[bool]
    """Another content came under the same SOP Instance UID before."""


class StudyRow(Row):
    """A study."""

    __tablename__ = "studies"
    study_uid: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    last_arrival: Mapped[float]
    reason: Mapped[str] = mapped_column(Text, default="")
    patient_key: Mapped[str | None] = mapped_column(default=None, index=True)
    settled: Mapped[bool] = mapped_column(default=False)
    """Whether all that arrived was judged."""
    judged: Mapped[str] = mapped_column(default="")
    """Hash of the images for which inference was last queued."""
    request: Mapped[int] = mapped_column(default=0)
    """Number of a person's last request; 0 for none."""
    overrides: Mapped[dict[str, str]] = mapped_column(JSON, default_factory=dict)
    """Role to SeriesInstanceUID, as a person decided."""
    expected: Mapped[list[str]] = mapped_column(JSON, default_factory=list)
    """SOP Instance UIDs that the sender says the study has."""
    progress: Mapped[float] = mapped_column(default=0.0)


UNSETTLED = Index(
    "studies_unsettled",
    StudyRow.study_uid,
    sqlite_where=StudyRow.settled.is_(False),
    postgresql_where=StudyRow.settled.is_(False),
)
"""It finds the few studies to be judged among all; a table of an earlier version has none."""


class PatientRow(Row):
    """What tells whether one Patient ID means one person."""

    __tablename__ = "patients"
    patient_key: Mapped[str] = mapped_column(primary_key=True)
    birth_key: Mapped[str]


class NameRow(Row):
    """What tells whether a patient's name is still the one that was first seen."""

    __tablename__ = "patient_names"
    patient_key: Mapped[str] = mapped_column(primary_key=True)
    name_key: Mapped[str]


class ResultRow(Row):
    """A result."""

    __tablename__ = "results"
    result_id: Mapped[str] = mapped_column(primary_key=True)
    study_uid: Mapped[str] = mapped_column(index=True)
    patient_key: Mapped[str | None] = mapped_column(index=True)
    patient_id_key: Mapped[str | None]
    """The same without the issuer, which many viewers drop."""
    choice: Mapped[str]
    request: Mapped[int]
    model: Mapped[str]
    backbone: Mapped[str]
    head: Mapped[str]
    sop_instance_uid: Mapped[str]
    series_uid: Mapped[str]
    created_at: Mapped[float]


class CorrectionRow(Row):
    """A SEG that arrived."""

    __tablename__ = "corrections"
    sop_instance_uid: Mapped[str] = mapped_column(primary_key=True)
    study_uid: Mapped[str]
    state: Mapped[str]
    calling_ae: Mapped[str]
    called_ae: Mapped[str]
    received_at: Mapped[float]
    path: Mapped[str]
    reason: Mapped[str] = mapped_column(Text, default="")
    signal: Mapped[int | None] = mapped_column(default=None)
    """Number of the sign it was recognised by (docs: corrections)."""
    result_id: Mapped[str | None] = mapped_column(default=None, index=True)
    patient_key: Mapped[str | None] = mapped_column(default=None, index=True)
    head: Mapped[str | None] = mapped_column(default=None)
    looked_at: Mapped[bool] = mapped_column(default=False)
    """A person accepted it."""
    label_map: Mapped[dict[str, str]] = mapped_column(JSON, default_factory=dict)
    """Segment label to tissue, as a person decided."""
    report: Mapped[dict[str, object]] = mapped_column(JSON, default_factory=dict)


class DeliveryRow(Row):
    """A result on its way to one destination."""

    __tablename__ = "deliveries"
    result_id: Mapped[str] = mapped_column(primary_key=True)
    destination: Mapped[str] = mapped_column(primary_key=True)
    study_uid: Mapped[str] = mapped_column(index=True)
    state: Mapped[str]
    updated_at: Mapped[float]
    attempts: Mapped[int] = mapped_column(default=0)
    reason: Mapped[str] = mapped_column(Text, default="")


class CommitmentRow(Row):
    """Whether a destination keeps a result that it took, by its own word."""

    __tablename__ = "commitments"
    result_id: Mapped[str] = mapped_column(primary_key=True)
    destination: Mapped[str] = mapped_column(primary_key=True)
    study_uid: Mapped[str] = mapped_column(index=True)
    transaction_uid: Mapped[str] = mapped_column(index=True)
    """Of the last request."""
    state: Mapped[str]
    updated_at: Mapped[float]
    attempts: Mapped[int] = mapped_column(default=0)
    reason: Mapped[str] = mapped_column(Text, default="")


class RunRow(Row):
    """An inference that began. Rows are only ever added."""

    __tablename__ = "runs"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True, init=False)
    result_id: Mapped[str] = mapped_column(index=True)
    study_uid: Mapped[str]
    kind: Mapped[str]
    began_at: Mapped[float]
