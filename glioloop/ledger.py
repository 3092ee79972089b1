"""What arrived and what became of it: the table that everything visible is read from.

The files of the inbox and of the results are the truth; `Ledger.enter` over `Inbox.scan` rebuilds
what a lost database held of them. Every method is one transaction, and several nodes may share the
database: what two of them write at once is put together by the database, never by who read first.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session, sessionmaker

from glioloop import database, ledger_arrivals
from glioloop.ledger_schema import (
    NOT_LEARNT_YET,
    UNSETTLED,
    CommitmentRow,
    CommitmentState,
    CorrectionRow,
    CorrectionState,
    DeliveryRow,
    DeliveryState,
    InstanceRow,
    NameRow,
    PatientRow,
    ResultRow,
    Row,
    RunRow,
    StudyRow,
    StudyState,
    columns_of,
)
from listener.inbox import Received
from study.errors import RefusedError

SETTING = "ledger_url"


class Ledger:
    """The database. Several threads, processes and nodes may hold one.

    Parameters
    ----------
    place
        SQLite file, created when missing; or the URL of a PostgreSQL.
    create
        False refuses a file that does not exist, for who only wants to look.

    Raises
    ------
    RefusedError
        If there is none, or the URL is for another kind of database.
    AwayError
        By every method, while the database cannot be reached or is locked.
    """

    def __init__(self, place: Path | str, *, create: bool = True) -> None:
        if isinstance(place, Path):
            if not create and not place.is_file():
                raise RefusedError(
                    f"there is nothing to see: {place} does not exist; did it ever run?"
                )
            place.parent.mkdir(parents=True, exist_ok=True)
            place = f"sqlite:///{place}"
        self._engine = database.open_engine(place, SETTING)
        database.say_when_away(self._engine, "the ledger", SETTING)
        self._kind = self._engine.dialect.name
        database.make_tables(self._engine, Row.metadata)
        UNSETTLED.create(self._engine, checkfirst=True)
        self._sessions = sessionmaker(self._engine, expire_on_commit=False)

    def close(self) -> None:
        """Give the database back."""
        self._engine.dispose()

    # -- instances and studies -----------------------------------------------------------------

    def enter(self, arrival: Received) -> bool:
        """Write down an instance; entering it again changes nothing.

        Returns
        -------
        bool
            Whether it is new, or is to be looked at again.
        """
        return self.enter_all((arrival,))[0]

    def enter_all(self, arrivals: Sequence[Received]) -> list[bool]:
        """Write several instances down in one transaction; the answers of `enter`."""
        # Study by study: two listeners that hold each other's rows would wait for ever.
        order = sorted(range(len(arrivals)), key=lambda at: arrivals[at].study_uid)
        with self._sessions.begin() as session:
            fresh = {at: ledger_arrivals.enter(session, self._kind, arrivals[at]) for at in order}
        return [fresh[at] for at in range(len(arrivals))]

    def instances(self, study_uid: str) -> list[InstanceRow]:
        """Kept instances of a study, SEGs too."""
        wanted = InstanceRow.study_uid == study_uid, InstanceRow.path.is_not(None)
        return self._all(select(InstanceRow).where(*wanted).order_by(InstanceRow.received_at))

    def arrived(self, study_uid: str) -> set[str]:
        """SOP Instance UIDs of a study that ever came, also of what was not kept."""
        query = select(InstanceRow.sop_instance_uid).where(InstanceRow.study_uid == study_uid)
        return set(self._all(query))

    def files(self) -> set[str]:
        """Paths of all that is kept."""
        return set(self._all(select(InstanceRow.path).where(InstanceRow.path.is_not(None))))

    def count_ignored(self) -> int:
        """How many instances were dropped."""
        query = select(func.count()).where(InstanceRow.path.is_(None))
        with self._sessions() as session:
            return session.scalar(query) or 0

    def study(self, study_uid: str) -> StudyRow:
        """One study; `RefusedError` when it was never seen."""
        with self._sessions() as session:
            found = session.get(StudyRow, study_uid)
        if found is None:
            raise RefusedError(f"no image of study {study_uid} was ever received")
        return found

    def studies(self) -> list[StudyRow]:
        """All studies, the latest first."""
        return self._all(select(StudyRow).order_by(StudyRow.last_arrival.desc()))

    def unsettled(self) -> list[StudyRow]:
        """Studies with something that was not judged yet."""
        return self._all(select(StudyRow).where(StudyRow.settled.is_(False)))

    def settle(self, study: StudyRow) -> bool:
        """Say that all that had arrived when ``study`` was read is judged; False if more came."""
        statement = (
            update(StudyRow)
            .where(StudyRow.study_uid == study.study_uid)
            .where(StudyRow.last_arrival == study.last_arrival)
            .values(settled=True)
        )
        with self._sessions.begin() as session:
            return bool(session.execute(statement).rowcount)  # type: ignore[attr-defined]

    def set_study(self, study_uid: str, **values: Any) -> None:
        """Change columns of a study."""
        with self._sessions.begin() as session:
            wanted = StudyRow.study_uid == study_uid
            session.execute(update(StudyRow).where(wanted).values(**values))

    def expect(self, study_uid: str, sop_instance_uids: Sequence[str], now: float) -> None:
        """Note what a sender says a study has, also before the first image came."""
        expected = sorted(set(sop_instance_uids))
        row = StudyRow(
            study_uid=study_uid, state=StudyState.RECEIVING, last_arrival=now, expected=expected
        )
        self._upsert(row, expected=expected)

    def request(self, study_uid: str, overrides: dict[str, str] | None = None) -> int:
        """A person asks for a study: its new request number, and roles that the person gave."""
        self.study(study_uid)
        with self._sessions.begin() as session:
            found = session.get_one(StudyRow, study_uid, with_for_update=True)
            found.request += 1
            found.settled = True
            if overrides:
                found.overrides = {**found.overrides, **overrides}
            return found.request

    def same_person(self, patient_key: str, birth_key: str, *merged: str) -> bool:
        """Whether a birth date is the one first seen under a patient's keys (unknown: yes)."""
        if not birth_key:
            return True
        row = PatientRow(patient_key=patient_key, birth_key=birth_key)
        with self._sessions.begin() as session:
            seen = PatientRow.patient_key.in_((patient_key, *merged))
            known = set(session.scalars(select(PatientRow.birth_key).where(seen)))
            if known <= {birth_key}:
                self._add_once(session, row)
                known |= set(session.scalars(select(PatientRow.birth_key).where(seen)))
        return known <= {birth_key}

    def same_name(self, patient_key: str, name_key: str) -> bool:
        """Whether a name is the one first seen under a patient's key (unknown: yes)."""
        if not name_key:
            return True
        with self._sessions.begin() as session:
            self._add_once(session, NameRow(patient_key=patient_key, name_key=name_key))
            return session.get_one(NameRow, patient_key).name_key == name_key

    def birth_keys(self, *patient_keys: str) -> set[str]:
        """What stands for the birth dates that were first seen under some keys."""
        seen = PatientRow.patient_key.in_(patient_keys)
        return set(self._all(select(PatientRow.birth_key).where(seen)))

    def transaction(self) -> AbstractContextManager[Session]:
        """A session for several changes: all of them, or none."""
        return self._sessions.begin()

    # -- inference and results -----------------------------------------------------------------

    def began(self, result_id: str, study_uid: str, kind: str) -> None:
        """Append to the record of computations, before one begins."""
        row = RunRow(result_id=result_id, study_uid=study_uid, kind=kind, began_at=time.time())
        with self._sessions.begin() as session:
            session.add(row)

    def runs(self) -> list[RunRow]:
        """Every computation that ever began, the first one first."""
        return self._all(select(RunRow).order_by(RunRow.number))

    def put(self, row: ResultRow | DeliveryRow | CommitmentRow) -> None:
        """Write a row, over the one with its key."""
        self._upsert(row, **columns_of(row))

    def results(self, study_uid: str | None = None) -> list[ResultRow]:
        """Results (of one study), the latest first."""
        query = select(ResultRow).order_by(ResultRow.created_at.desc(), ResultRow.request.desc())
        if study_uid is not None:
            query = query.where(ResultRow.study_uid == study_uid)
        return self._all(query)

    def results_of_patient(self, *patient_keys: str) -> list[ResultRow]:
        """Results of one patient, by every key that is theirs, the latest first."""
        query = select(ResultRow).where(ResultRow.patient_key.in_(patient_keys))
        return self._all(query.order_by(ResultRow.created_at.desc(), ResultRow.request.desc()))

    def result(self, result_id: str) -> ResultRow:
        """One result; `RefusedError` when there is none."""
        with self._sessions() as session:
            found = session.get(ResultRow, result_id)
        if found is None:
            raise RefusedError(f"there is no result {result_id}")
        return found

    # -- corrections ---------------------------------------------------------------------------

    def corrections(self, *states: CorrectionState) -> list[CorrectionRow]:
        """Corrections (in some states), the earliest first."""
        query = select(CorrectionRow).order_by(CorrectionRow.received_at)
        if states:
            query = query.where(CorrectionRow.state.in_(states))
        return self._all(query)

    def correction(self, sop_instance_uid: str) -> CorrectionRow:
        """One correction; `RefusedError` when there is none."""
        with self._sessions() as session:
            found = session.get(CorrectionRow, sop_instance_uid)
        if found is None:
            raise RefusedError(f"no SEG {sop_instance_uid} was ever received")
        return found

    def set_correction(self, sop_instance_uid: str, **values: Any) -> None:
        """Change columns of a correction."""
        with self._sessions.begin() as session:
            wanted = CorrectionRow.sop_instance_uid == sop_instance_uid
            session.execute(update(CorrectionRow).where(wanted).values(**values))

    def settle_correction(
        self,
        sop_instance_uid: str,
        was: str = CorrectionState.LEARNING,
        **values: Any,
    ) -> bool:
        """Change columns of a correction that `was` in a state; False where it no longer is."""
        with self._sessions.begin() as session:
            mine = CorrectionRow.sop_instance_uid == sop_instance_uid
            still = CorrectionRow.state == was
            done = session.execute(update(CorrectionRow).where(mine, still).values(**values))
            return bool(done.rowcount)  # type: ignore[attr-defined]

    def learning(self, *patient_keys: str) -> bool:
        """Whether corrections of a patient, or not yet recognised ones, are on their way."""
        theirs = or_(
            CorrectionRow.patient_key.in_(patient_keys), CorrectionRow.patient_key.is_(None)
        )
        query = select(CorrectionRow.sop_instance_uid).where(
            theirs, CorrectionRow.state.in_(NOT_LEARNT_YET)
        )
        with self._sessions() as session:
            return session.scalar(query.limit(1)) is not None

    # -- deliveries ----------------------------------------------------------------------------

    def delivery(self, result_id: str, destination: str) -> DeliveryRow | None:
        """One delivery; None before it was written down."""
        with self._sessions() as session:
            return session.get(DeliveryRow, (result_id, destination))

    def deliveries_of(self, result_id: str) -> set[str]:
        """States of all deliveries of one result."""
        query = select(DeliveryRow.state).where(DeliveryRow.result_id == result_id)
        return set(self._all(query))

    def deliveries(self, *states: DeliveryState) -> list[DeliveryRow]:
        """Deliveries (in some states), the latest first."""
        query = select(DeliveryRow).order_by(DeliveryRow.updated_at.desc())
        if states:
            query = query.where(DeliveryRow.state.in_(states))
        return self._all(query)

    def _upsert(self, row: Row, **changed: Any) -> None:
        """Add a row; where one with its key is there, change some of its columns."""
        table = type(row)
        key = [column.name for column in table.__table__.primary_key]
        statement = database.INSERT[self._kind](table).values(**columns_of(row))
        changes = {name: value for name, value in changed.items() if name not in key}
        with self._sessions.begin() as session:
            session.execute(statement.on_conflict_do_update(index_elements=key, set_=changes))

    def _add_once(self, session: Session, row: Row) -> None:
        """Add a row, unless one with its key is there."""
        statement = database.INSERT[self._kind](type(row)).values(**columns_of(row))
        session.execute(statement.on_conflict_do_nothing())

    def commitments(self) -> list[CommitmentRow]:
        """What destinations say of what they took, the latest first."""
        return self._all(select(CommitmentRow).order_by(CommitmentRow.updated_at.desc()))

    def commitment(self, result_id: str, destination: str) -> CommitmentRow | None:
        """One commitment; None before it was asked for."""
        with self._sessions() as session:
            return session.get(CommitmentRow, (result_id, destination))

    def asked(self, transaction_uid: str) -> CommitmentRow | None:
        """The commitment that was asked for by a request, while its answer is waited for."""
        mine = CommitmentRow.transaction_uid == transaction_uid
        waits = CommitmentRow.state == CommitmentState.ASKED
        return next(iter(self._all(select(CommitmentRow).where(mine, waits))), None)

    def _all(self, query: Any) -> list[Any]:
        """Rows of a query, free of the session."""
        with self._sessions() as session:
            return list(session.scalars(query))
