"""Where a study is, in one word, and how long a person still waits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from small_world import write_study
from web_site import IMAGE, WebSite, open_web, result

from glioloop import estimates, results
from glioloop.ledger_schema import (
    CorrectionState,
    DeliveryRow,
    DeliveryState,
    StudyState,
)

DELIVERED = DeliveryState.DELIVERED


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebSite]:
    with open_web(tmp_path / "data") as opened:
        yield opened


def delivery(number: int, state: DeliveryState, at: float) -> DeliveryRow:
    return DeliveryRow(
        result_id=f"{number:032x}", destination="pacs", study_uid="1.2", state=state, updated_at=at
    )


def correct(web: WebSite, state: CorrectionState) -> None:
    """A SEG of the study came."""
    web.site.ledger.enter(replace(IMAGE, sop_instance_uid="1.9", modality="SEG", sha256="bb"))
    web.site.ledger.set_correction("1.9", state=state)


def test_a_study_of_which_nothing_came_is_unknown(web: WebSite) -> None:
    assert web.get("studies/7.7") == {"study_uid": "7.7", "phase": "unknown", "reason": ""}
    assert web.client.get("/api/v1/studies/x").status_code == 400


@pytest.mark.parametrize(
    ("state", "phase"),
    [
        (StudyState.RECEIVING, "received"),
        (StudyState.WAITING, "waiting"),
        (StudyState.HELD, "held"),
        (StudyState.FAILED, "failed"),
        (StudyState.IGNORED, "ignored"),
        (StudyState.SEGMENTED, "segmented"),
        (StudyState.DELIVERED, "delivered"),
    ],
)
def test_the_phase_follows_the_study(web: WebSite, state: StudyState, phase: str) -> None:
    web.site.ledger.set_study("1.2", state=state, reason="because")
    found = web.get("studies/1.2")
    assert (found["phase"], found["reason"]) == (phase, "because")


@pytest.mark.parametrize(
    ("state", "phase"),
    [
        (CorrectionState.RECEIVED, "learning"),
        (CorrectionState.LEARNING, "learning"),
        (CorrectionState.ACCEPTED, "learnt"),
        (CorrectionState.NOT_BETTER, "not better"),
        (CorrectionState.HELD, "correction held"),
        (CorrectionState.ECHO, "delivered"),
        (CorrectionState.REJECTED, "delivered"),
    ],
)
def test_after_delivery_it_follows_the_newest_correction(
    web: WebSite, state: CorrectionState, phase: str
) -> None:
    web.site.ledger.set_study("1.2", state=StudyState.DELIVERED)
    correct(web, state)
    assert web.get("studies/1.2")["phase"] == phase
    # What is segmented anew is that, whatever was corrected before.
    web.site.ledger.set_study("1.2", state=StudyState.SEGMENTING)
    assert web.get("studies/1.2")["phase"] == "segmenting"


def test_a_result_that_the_archive_refuses_is_said_to_be_not_delivered(web: WebSite) -> None:
    web.site.ledger.set_study("1.2", state=StudyState.SEGMENTED)
    web.site.ledger.put(result(1))
    web.site.ledger.put(delivery(1, DeliveryState.REFUSED, 2100))
    assert web.get("studies/1.2")["phase"] == "not delivered"


def test_the_queue_says_how_long_each_study_still_waits(
    web: WebSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = web.site.ledger
    for number, study_uid in enumerate(("1.3", "1.4"), 1):
        later = replace(IMAGE, study_uid=study_uid, sop_instance_uid=f"9.{number}")
        ledger.enter(replace(later, received_at=1000.0 + number))
    ledger.set_study("1.2", state=StudyState.SEGMENTING, progress=0.5)
    ledger.set_study("1.3", state=StudyState.WAITING)
    ledger.set_study("1.4", state=StudyState.WAITING)
    monkeypatch.setattr("time.time", lambda: 5000.0)
    ledger.began(f"{1:032x}", "1.0", "infer")
    facts = web.site.results.write(f"{1:032x}", results.FACTS, b"{}")
    os.utime(facts, (5100, 5100))  # the last one took 100 s
    monkeypatch.setattr("time.time", lambda: 6000.0)
    ledger.began(f"{2:032x}", "1.2", "infer")
    monkeypatch.setattr("time.time", lambda: 6030.0)
    queue = web.get("work")["queue"]
    # Half of it took 30 s, so it takes 30 + 0.5 * 100 s, of which half is left.
    assert [(one["study_uid"], one["seconds_left"]) for one in queue] == [
        ("1.2", 40.0),
        ("1.3", 140.0),
        ("1.4", 240.0),
    ]
    assert web.get("studies/1.4")["seconds_left"] == 240.0


@pytest.mark.parametrize(
    ("elapsed", "part", "usual", "left"),
    [
        (10, 0.0, 100, 110),
        (50, 0.5, 100, 50),
        (90, 1.0, 100, 0),
        (30, 0.25, None, 90),
        (30, 0.0, None, None),
    ],
)
def test_what_is_left_of_an_inference(
    elapsed: float, part: float, usual: float | None, left: float | None
) -> None:
    assert estimates.seconds_left(elapsed, part, usual) == left


def test_without_an_inference_before_nothing_is_promised(web: WebSite) -> None:
    web.site.ledger.set_study("1.2", state=StudyState.WAITING)
    [line] = web.get("work")["queue"]
    assert line["seconds_left"] is None


def test_the_median_wait_is_from_the_last_image_to_the_archive(web: WebSite) -> None:
    assert web.get("status")["median_seconds_to_seg"] is None
    ledger = web.site.ledger
    ledger.enter(replace(IMAGE, sop_instance_uid="1.1.2", sha256="cc", received_at=1010.0))
    # What comes after the result, and a SEG, are not what was waited for.
    ledger.enter(replace(IMAGE, sop_instance_uid="1.1.3", sha256="dd", received_at=2500.0))
    ledger.enter(
        replace(IMAGE, sop_instance_uid="1.9", modality="SEG", sha256="ee", received_at=1500.0)
    )
    for number, came, state in ((1, 2010.0, DELIVERED), (2, 2110.0, DELIVERED)):
        ledger.put(result(number))
        ledger.put(delivery(number, state, came))
    ledger.put(result(3))
    ledger.put(delivery(3, DeliveryState.WAITING, 9999.0))
    found = web.get("status")
    assert (found["median_seconds_to_seg"], found["of_results"]) == (1050, 2)


def test_the_evidence_names_each_series_and_why(web: WebSite, tmp_path: Path) -> None:
    study = write_study(tmp_path / "in")
    for number, path in enumerate(study.every()):
        uid = f"{study.uid}.{number}"
        web.site.ledger.enter(
            replace(IMAGE, study_uid=study.uid, sop_instance_uid=uid, path=path, sha256=str(number))
        )
    found = web.get(f"studies/{study.uid}/evidence")
    assert found["chosen"] == {
        "FLAIR": f"{study.uid}.1",
        "T1GD": f"{study.uid}.2",
        "T2": f"{study.uid}.3",
    }
    first = found["series"][0]
    assert (first["role"], first["description"], first["images"]) == ("FLAIR", "t2_flair_tra", 12)
    assert "flair" in first["why"]
    assert found["explanation"] == ""


def test_where_no_image_can_be_read_the_evidence_says_so(web: WebSite) -> None:
    found = web.get("studies/1.2/evidence")
    assert found["series"] == []
    assert "no readable image was found" in found["explanation"]
    assert web.client.get("/api/v1/studies/7.7/evidence").status_code == 400
