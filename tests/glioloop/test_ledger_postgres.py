"""The ledger in a real PostgreSQL, which several listeners write at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import postgres
import pytest
from small_dicom import ARRIVED_MR as MR
from sqlalchemy import text

from glioloop.database import AwayError
from glioloop.ledger import Ledger
from glioloop.ledger_schema import (
    CorrectionState,
    DeliveryRow,
    DeliveryState,
    StudyState,
)

SEG = replace(MR, sop_instance_uid="1.9.1", modality="SEG", sha256="bb", path=Path("s.dcm"))


@pytest.fixture(scope="module")
def server(free_port: Callable[[], int]) -> Iterator[postgres.Server]:
    with postgres.cluster(free_port()) as found:
        yield found


@pytest.fixture
def ledgers(server: postgres.Server) -> Iterator[tuple[Ledger, Ledger]]:
    """Those of two listeners."""
    made = Ledger(server.url), Ledger(server.url)
    yield made
    with made[0].transaction() as session:
        for table in ("instances", "studies", "patients", "patient_names", "corrections",
                      "deliveries", "runs"):  # fmt: skip
            session.execute(text(f"delete from {table}"))  # noqa: S608
    for ledger in made:
        ledger.close()


def test_images_of_one_study_come_to_two_listeners_at_once(ledgers: tuple[Ledger, Ledger]) -> None:
    images = [replace(MR, sop_instance_uid=f"1.1.{n}", received_at=100.0 + n) for n in range(40)]
    with ThreadPoolExecutor(8) as senders:
        fresh = list(senders.map(lambda n: ledgers[n % 2].enter(images[n]), range(40)))
        again = list(senders.map(lambda n: ledgers[(n + 1) % 2].enter(images[n]), range(40)))
    assert fresh == [True] * 40
    assert again == [False] * 40
    study = ledgers[0].study("1")
    assert len(ledgers[1].instances("1")) == 40
    assert study.state == StudyState.RECEIVING
    assert study.last_arrival >= 139.0
    assert [row.study_uid for row in ledgers[1].unsettled()] == ["1"]


def test_an_image_from_a_listener_whose_clock_is_behind_is_not_settled_over(
    ledgers: tuple[Ledger, Ledger],
) -> None:
    here, there = ledgers
    here.enter(MR)
    seen = here.study("1")
    there.enter(replace(MR, sop_instance_uid="1.1.2", received_at=40.0))
    assert not here.settle(seen)
    assert here.settle(here.study("1"))
    assert here.unsettled() == []


def test_a_study_that_was_held_is_received_again(ledgers: tuple[Ledger, Ledger]) -> None:
    here, there = ledgers
    here.enter(MR)
    here.set_study("1", state=StudyState.HELD, reason="T2 is missing", settled=True)
    there.enter(replace(MR, sop_instance_uid="1.1.2", received_at=200.0))
    study = here.study("1")
    assert (study.state, study.reason, study.settled) == ("receiving", "", False)


def test_requests_segs_deliveries_and_runs(ledgers: tuple[Ledger, Ledger]) -> None:
    here, there = ledgers
    here.enter(MR)
    assert [here.request("1", {"T2": "1.5"}), there.request("1")] == [1, 2]
    assert here.study("1").overrides == {"T2": "1.5"}
    here.expect("1", ["1.1.2", "1.1.1"], 5.0)
    here.expect("2", ["2.1.1"], 5.0)
    assert [there.study(uid).expected for uid in ("1", "2")] == [["1.1.1", "1.1.2"], ["2.1.1"]]
    assert there.study("1").last_arrival == 100.0
    here.enter(SEG)
    here.set_correction("1.9.1", state=CorrectionState.HELD)
    assert there.enter(replace(SEG, called_ae="GLIOLOOP_LEARN"))
    assert here.correction("1.9.1").called_ae == "GLIOLOOP_LEARN"
    for state in (DeliveryState.WAITING, DeliveryState.DELIVERED):
        there.put(
            DeliveryRow(
                result_id="r", destination="pacs", study_uid="1", state=state, updated_at=1.0
            )
        )
    assert here.deliveries_of("r") == {"delivered"}
    here.began("r", "1", "infer")
    there.began("r", "1", "infer")
    assert [run.result_id for run in here.runs()] == ["r", "r"]


def test_two_nodes_that_see_a_patient_first_agree(ledgers: tuple[Ledger, Ledger]) -> None:
    here, there = ledgers
    assert here.same_person("p", "born-1")
    assert there.same_person("p", "born-1")
    assert not there.same_person("p", "born-2")
    assert here.same_name("p", "name-1")
    assert not there.same_name("p", "name-2")


def test_a_database_that_is_away_says_so_and_is_used_again_when_it_is_back(
    ledgers: tuple[Ledger, Ledger], server: postgres.Server
) -> None:
    here, _ = ledgers
    here.enter(MR)
    server.crash()
    with pytest.raises(AwayError, match="cannot be used for now"):
        here.enter(replace(MR, sop_instance_uid="1.1.2"))
    server.start()
    assert here.enter(replace(MR, sop_instance_uid="1.1.2"))
    assert len(here.instances("1")) == 2
