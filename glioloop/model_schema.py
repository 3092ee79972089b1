"""Tables of the patients' models. A patient is a key made with the site's secret, and nothing else.

One million patients with a head each fit in two gigabytes: keys are 32 bytes, heads are packed
(`glioloop.model_file`), and so is what the gate said of them.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

from sqlalchemy import JSON, Connection, LargeBinary, event
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column
from sqlalchemy.types import TypeDecorator


class Key(TypeDecorator[str]):
    """64 hex digits, kept as 32 bytes."""

    impl = LargeBinary(32)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:  # noqa: ARG002
        """To the database."""
        return None if value is None else bytes.fromhex(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """From the database."""
        return None if value is None else bytes(value).hex()


class PackedJson(TypeDecorator[dict[str, Any]]):
    """JSON, compressed: names are long and repeat themselves."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Any | None, dialect: Dialect) -> bytes | None:  # noqa: ARG002
        """To the database."""
        return None if value is None else zlib.compress(json.dumps(value).encode(), 9)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Any:  # noqa: ARG002
        """From the database."""
        return None if value is None else json.loads(zlib.decompress(value))


class ModelRow(MappedAsDataclass, DeclarativeBase, kw_only=True):
    """A row of any of these tables; times are seconds since 1970."""


class OwnerRow(ModelRow):
    """Who has models: a patient, or a group."""

    __tablename__ = "model_owners"
    __table_args__ = ({"sqlite_with_rowid": False},)
    key: Mapped[str] = mapped_column(Key, primary_key=True)
    group_name: Mapped[str | None] = mapped_column(default=None)
    """Null for a patient."""
    changes: Mapped[int] = mapped_column(default=0)
    """Counted up by whoever changes anything of this owner, so that changes come one by one."""
    forgotten_at: Mapped[float | None] = mapped_column(default=None)
    """Nothing that began before may be stored for this patient any more."""


class VersionRow(ModelRow):
    """A head that passed the gate. Rows are added, and removed only with their owner."""

    __tablename__ = "model_versions"
    owner: Mapped[str] = mapped_column(Key, primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    parent: Mapped[int]
    backbone: Mapped[str]
    head: Mapped[bytes]
    """As `glioloop.model_file.pack` makes it."""
    corrections: Mapped[list[str]] = mapped_column(JSON)
    metrics: Mapped[dict[str, Any]] = mapped_column(PackedJson)
    software: Mapped[str]
    created_at: Mapped[float] = mapped_column(index=True)


class ChoiceRow(ModelRow):
    """What an owner uses with one backbone; without a row: a group's head, else the base head."""

    __tablename__ = "model_choices"
    __table_args__ = ({"sqlite_with_rowid": False},)
    owner: Mapped[str] = mapped_column(Key, primary_key=True)
    backbone: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int]
    """Of a version; 0 for the base head, or for what `group_name` names."""
    group_name: Mapped[str | None] = mapped_column(default=None)


class AliasRow(ModelRow):
    """Two Patient IDs that a person said are one patient's."""

    __tablename__ = "model_aliases"
    __table_args__ = ({"sqlite_with_rowid": False},)
    key: Mapped[str] = mapped_column(Key, primary_key=True)
    into: Mapped[str] = mapped_column(Key)
    """The key that it was merged into."""
    owner: Mapped[str] = mapped_column(Key, index=True)
    """The key at the end of all merges: the one that has the models."""
    id_key: Mapped[str] = mapped_column(Key)
    """Of the Patient ID without its issuer, which many viewers drop."""
    into_id_key: Mapped[str] = mapped_column(Key)


class AuditRow(ModelRow):
    """What a person did to models. Rows are only ever added: the database refuses all else."""

    __tablename__ = "model_audit"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True, init=False)
    at: Mapped[float]
    action: Mapped[str]
    key: Mapped[str] = mapped_column(Key, index=True)
    other: Mapped[str | None] = mapped_column(Key, default=None)
    by: Mapped[str] = mapped_column(default="")
    """Name of the account on this machine."""
    details: Mapped[dict[str, Any]] = mapped_column(JSON, default_factory=dict)


_REFUSING = (
    "create or replace function model_audit_refuse() returns trigger language plpgsql as"
    " $$ begin raise exception 'the audit is append-only'; end $$"
)
_GUARDING = (
    "create trigger model_audit_guard before update or delete or truncate on model_audit"
    " for each statement execute function model_audit_refuse()"
)
_APPEND_ONLY = {
    "sqlite": [
        f"create trigger if not exists model_audit_no_{change} before {change} on model_audit"
        " begin select raise(abort, 'the audit is append-only'); end"
        for change in ("update", "delete")
    ],
    "postgresql": [_REFUSING, _GUARDING],
}
"""Triggers that refuse any change of the audit, by the kind of database."""


@event.listens_for(AuditRow.__table__, "after_create")
def _guard_audit(_table: Any, connection: Connection, **_given: Any) -> None:
    """Guard the audit as soon as it is there."""
    for statement in _APPEND_ONLY[connection.dialect.name]:
        connection.exec_driver_sql(statement)
