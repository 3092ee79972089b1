"""The ledger: everything that arrived, once; rebuilt from the files when it is lost."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian
from small_dicom import ARRIVED_MR as MR
from small_dicom import encode, make_instance

from glioloop.ledger import Ledger
from glioloop.ledger_schema import (
    CorrectionState,
    DeliveryRow,
    DeliveryState,
    ResultRow,
    StudyState,
)
from listener.header import read_header
from listener.inbox import Arrival, Inbox
from study.errors import RefusedError

SEG = replace(MR, sop_instance_uid="1.9.1", modality="SEG", sha256="bb", path=Path("s.dcm"))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.db")


def test_an_image_opens_its_study_and_a_resend_changes_nothing(ledger: Ledger) -> None:
    assert ledger.enter(MR)
    assert not ledger.enter(replace(MR, received_at=500.0))
    study = ledger.study("1")
    assert (study.state, study.last_arrival, study.settled) == ("receiving", 100.0, False)
    assert len(ledger.instances("1")) == 1


def test_a_held_seg_sent_to_the_other_ae_title_is_looked_at_again(ledger: Ledger) -> None:
    ledger.enter(SEG)
    ledger.set_correction("1.9.1", state=CorrectionState.HELD, reason="names nothing")
    assert not ledger.enter(SEG)
    assert ledger.correction("1.9.1").state == CorrectionState.HELD
    assert ledger.enter(replace(SEG, called_ae="GLIOLOOP_LEARN", received_at=200.0))
    row = ledger.correction("1.9.1")
    assert (row.state, row.called_ae, row.received_at) == ("received", "GLIOLOOP_LEARN", 200.0)


def test_an_accepted_seg_sent_to_the_other_ae_title_stays_accepted(ledger: Ledger) -> None:
    ledger.enter(SEG)
    ledger.set_correction("1.9.1", state=CorrectionState.ACCEPTED, reason="better")
    assert not ledger.enter(replace(SEG, called_ae="GLIOLOOP_LEARN"))
    assert ledger.correction("1.9.1").state == CorrectionState.ACCEPTED


def test_what_is_not_kept_is_counted_and_opens_nothing(ledger: Ledger) -> None:
    ledger.enter(replace(MR, modality="SR", path=None))
    assert ledger.count_ignored() == 1
    assert ledger.studies() == []
    assert ledger.arrived("1") == {"1.1.1"}
    assert ledger.instances("1") == []


def test_a_seg_waits_for_recognition_and_does_not_open_the_study(ledger: Ledger) -> None:
    ledger.enter(SEG)
    assert ledger.studies() == []
    (found,) = ledger.corrections(CorrectionState.RECEIVED)
    assert (found.sop_instance_uid, found.path) == ("1.9.1", "s.dcm")


def test_a_late_image_opens_a_settled_study_again(ledger: Ledger) -> None:
    ledger.enter(MR)
    assert ledger.settle(ledger.study("1"))
    assert ledger.unsettled() == []
    ledger.enter(replace(MR, sop_instance_uid="1.1.2", received_at=200.0))
    assert [s.study_uid for s in ledger.unsettled()] == ["1"]


def test_a_study_is_not_settled_when_an_image_came_meanwhile(ledger: Ledger) -> None:
    ledger.enter(MR)
    read = ledger.study("1")
    ledger.enter(replace(MR, sop_instance_uid="1.1.2", received_at=200.0))
    assert not ledger.settle(read)
    assert not ledger.study("1").settled


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (StudyState.HELD, "receiving"),
        (StudyState.FAILED, "receiving"),
        (StudyState.DELIVERED, "delivered"),
        (StudyState.SEGMENTING, "segmenting"),
    ],
)
def test_a_late_image_gives_another_chance_only_to_what_waits_for_a_person(
    ledger: Ledger, before: StudyState, after: str
) -> None:
    ledger.enter(MR)
    ledger.set_study("1", state=before, reason="why")
    ledger.enter(replace(MR, sop_instance_uid="1.1.2", received_at=200.0))
    assert ledger.study("1").state == after


def test_other_bytes_under_a_known_uid_are_written_down_and_change_no_study(
    ledger: Ledger,
) -> None:
    ledger.enter(MR)
    ledger.settle(ledger.study("1"))
    assert ledger.enter(replace(MR, sha256="cc", path=Path("b.dcm"), conflict=True))
    assert ledger.study("1").settled
    assert [row.conflict for row in ledger.instances("1")] == [False, True]


def test_a_seg_with_other_bytes_is_looked_at_again_unless_it_was_learnt_from(
    ledger: Ledger,
) -> None:
    again = replace(SEG, sha256="cc", path=Path("t.dcm"), conflict=True)
    ledger.enter(SEG)
    ledger.set_correction("1.9.1", state=CorrectionState.ACCEPTED)
    ledger.enter(again)
    assert ledger.correction("1.9.1").state == "accepted"
    ledger.set_correction("1.9.1", state=CorrectionState.HELD)
    ledger.enter(replace(again, sha256="dd"))
    assert (ledger.correction("1.9.1").state, ledger.correction("1.9.1").path) == (
        "received",
        "t.dcm",
    )


def test_what_a_sender_lists_may_come_before_the_first_image(ledger: Ledger) -> None:
    ledger.expect("1", ["1.1.2", "1.1.1", "1.1.1"], now=50.0)
    ledger.enter(MR)
    study = ledger.study("1")
    assert (study.expected, study.last_arrival) == (["1.1.1", "1.1.2"], 100.0)


def test_each_request_of_a_person_has_a_number_of_its_own(ledger: Ledger) -> None:
    ledger.enter(MR)
    assert ledger.request("1", {"T2": "1.5"}) == 1
    assert ledger.request("1", {"FLAIR": "1.6"}) == 2
    assert ledger.study("1").overrides == {"T2": "1.5", "FLAIR": "1.6"}
    with pytest.raises(RefusedError, match="no image of study 2"):
        ledger.request("2")


def test_one_key_with_two_birth_dates_is_not_one_person(ledger: Ledger) -> None:
    assert ledger.same_person("key", "")
    assert ledger.same_person("key", "birth-1")
    assert ledger.same_person("key", "birth-1")
    assert not ledger.same_person("key", "birth-2")
    assert ledger.same_person("other", "birth-2")


def test_merged_keys_have_one_birth_date(ledger: Ledger) -> None:
    assert ledger.same_person("key", "birth-1")
    assert not ledger.same_person("new", "birth-2", "new", "key")
    assert ledger.same_person("new", "birth-1", "new", "key")
    assert ledger.birth_keys("key", "new", "nobody") == {"birth-1"}


def test_another_name_than_the_first_is_noticed(ledger: Ledger) -> None:
    assert ledger.same_name("key", "")
    assert ledger.same_name("key", "name-1")
    assert ledger.same_name("key", "name-1")
    assert not ledger.same_name("key", "name-2")
    assert ledger.same_name("other", "name-2")


def test_a_patient_is_learning_while_a_seg_is_unrecognised_or_queued(ledger: Ledger) -> None:
    assert not ledger.learning("key")
    ledger.enter(SEG)
    assert ledger.learning("key")
    ledger.set_correction("1.9.1", state=CorrectionState.LEARNING, patient_key="other")
    assert not ledger.learning("key")
    ledger.set_correction("1.9.1", patient_key="key")
    assert ledger.learning("key")
    ledger.set_correction("1.9.1", state=CorrectionState.ACCEPTED)
    assert not ledger.learning("key")


def test_the_record_of_inferences_only_grows(ledger: Ledger) -> None:
    ledger.began("r", "1", "infer")
    ledger.began("r", "1", "infer")
    assert [(run.number, run.result_id) for run in ledger.runs()] == [(1, "r"), (2, "r")]


def test_results_and_deliveries_are_written_over_by_key(ledger: Ledger) -> None:
    for at in (1.0, 2.0):
        ledger.put(
            ResultRow(
                result_id="r",
                study_uid="1",
                patient_key=None,
                patient_id_key=None,
                choice="c",
                request=0,
                model="m",
                backbone="b",
                head="base",
                sop_instance_uid="2.25.1",
                series_uid="2.25.2",
                created_at=at,
            )
        )
        ledger.put(
            DeliveryRow(
                result_id="r",
                destination="pacs",
                study_uid="1",
                state=DeliveryState.WAITING,
                updated_at=at,
            )
        )
    assert [r.created_at for r in ledger.results("1")] == [2.0]
    assert [d.updated_at for d in ledger.deliveries(DeliveryState.WAITING)] == [2.0]
    assert ledger.deliveries(DeliveryState.PARKED) == []
    with pytest.raises(RefusedError, match="there is no result x"):
        ledger.result("x")


def test_commits_are_durable_and_readers_do_not_wait(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.enter(MR)
    with ledger._engine.connect() as connection:
        full = connection.exec_driver_sql("pragma synchronous").scalar()
    assert full == 2
    with sqlite3.connect(tmp_path / "ledger.db") as database:
        assert database.execute("pragma journal_mode").fetchone() == ("wal",)


def test_who_only_looks_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="did it ever run"):
        Ledger(tmp_path / "none" / "ledger.db", create=False)
    assert not (tmp_path / "none").exists()


def test_a_lost_ledger_is_rebuilt_from_the_inbox(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox", min_free_bytes=0)
    for number in (1, 2):
        data = encode(make_instance(number))
        arrival = Arrival(ExplicitVRLittleEndian, "SCANNER", "GLIOLOOP", 5_000_000_000)
        inbox.store(data, read_header(data, ExplicitVRLittleEndian), arrival)
    rebuilt = Ledger(tmp_path / "ledger.db")
    assert sum(rebuilt.enter(received) for received in inbox.scan()) == 2
    rows = rebuilt.instances("1.2.3.4")
    assert {row.sop_instance_uid for row in rows} == {"1.2.3.4.1.1", "1.2.3.4.1.2"}
    assert {(row.calling_ae, row.received_at) for row in rows} == {("SCANNER", 5.0)}
    assert all(Path(row.path or "").is_file() for row in rows)
    # The second image came at the same time, and still is one more.
    assert rebuilt.study("1.2.3.4").last_arrival == 5.001


def test_several_are_entered_together_and_answered_in_their_order(ledger: Ledger) -> None:
    other = replace(MR, study_uid="0", sop_instance_uid="0.1")
    ledger.enter(MR)
    assert ledger.enter_all([MR, other, other]) == [False, True, False]
    assert {study.study_uid for study in ledger.studies()} == {"0", "1"}
