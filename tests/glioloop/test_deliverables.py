"""What the archive gets: SEG, report and pictures, or an answer why there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import nibabel as nib
import numpy as np
import pytest
from pydicom import dcmread
from small_world import NAME, PATIENT_ID, World, said, write_study

from converter.series import read_series
from converter.volume import to_volume
from glioloop import decisions, overview
from glioloop.ledger_schema import DeliveryState
from study.errors import FailedError, HeldError

# pynetdicom leaves the socket of a refused connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

SEG, COMPREHENSIVE_SR, BASIC_TEXT_SR, CAPTURE = (
    "1.2.840.10008.5.1.4.1.1.66.4",
    "1.2.840.10008.5.1.4.1.1.88.33",
    "1.2.840.10008.5.1.4.1.1.88.11",
    "1.2.840.10008.5.1.4.1.1.7",
)


@pytest.fixture(autouse=True)
def _complete(world: World) -> None:
    world.network.complete = True


def delivered(world: World, *, number: int = 1, **attributes: Any) -> str:
    """Send a study and wait for its result; the result's id."""
    assert world.service is not None
    study = write_study(world.folder / "in", number, **attributes)
    world.send(study.every())
    world.until_state(study, "delivered")
    return world.service.site.ledger.results(study.uid)[0].result_id


def test_a_result_is_a_seg_a_report_and_a_picture(world: World) -> None:
    world.start()
    result = delivered(world)
    report, picture = world.stored(result, "report.dcm"), world.stored(result, "picture-01.dcm")
    assert world.archived == [world.stored(result, "seg.dcm").SOPInstanceUID]
    assert world.others == [
        (COMPREHENSIVE_SR, report.SOPInstanceUID),
        (CAPTURE, picture.SOPInstanceUID),
    ]
    # The box of the stand-in: 3 x 3 x 3 voxels of 1 mL, and 6 x 6 x 6 less those.
    assert "27" in said(report)
    assert "189" in said(report)
    assert report.PreliminaryFlag == "PRELIMINARY"
    assert report.VerificationFlag == "UNVERIFIED"
    assert picture.BurnedInAnnotation == "YES"
    assert len({d.SeriesInstanceUID for d in (world.seg(), report, picture)}) == 3


def test_a_destination_gets_only_what_it_wants(world: World) -> None:
    pacs = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": world.pacs.port}
    world.given = {"destinations": [{**pacs, "objects": ["seg"]}]}
    world.start()
    result = delivered(world)
    assert len(world.archived) == 1
    assert world.others == []
    assert world.stored(result, "report.dcm").Modality == "SR"


def test_the_second_date_is_compared_with_the_first(world: World) -> None:
    service = world.start()
    first = delivered(world, number=1, StudyDate="20260101")
    second = delivered(world, number=2, StudyDate="20260401")
    names = [path.name for path in service.site.results.objects(second, ("pictures",))]
    assert names == ["picture-01.dcm", "picture-02.dcm"]
    assert len(service.site.results.objects(first, ("pictures",))) == 1
    evidence = str(world.stored(second, "report.dcm").ContentSequence)
    assert world.stored(first, "seg.dcm").SOPInstanceUID in evidence


def test_another_birth_date_is_compared_with_nobody(world: World) -> None:
    service = world.start()
    delivered(world, number=1, StudyDate="20260101")
    other = delivered(world, number=2, StudyDate="20260401", PatientBirthDate="19700101")
    assert len(service.site.results.objects(other, ("pictures",))) == 1
    assert "The birth date differs" in said(world.stored(other, "report.dcm"))


def test_a_newer_report_takes_the_place_of_the_older(world: World) -> None:
    service = world.start()
    first = delivered(world)
    study_uid = service.site.ledger.result(first).study_uid
    overview.request_study(service.site, study_uid)
    world.until(lambda: len(world.archived) == 2)
    newer = service.site.ledger.results(study_uid)[0].result_id
    (before,) = world.stored(newer, "report.dcm").PredecessorDocumentsSequence
    named = before.ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert named.ReferencedSOPInstanceUID == world.stored(first, "report.dcm").SOPInstanceUID


def test_a_held_study_gets_a_page_and_a_report_that_say_why(world: World) -> None:
    service, study = world.start(), write_study(world.folder / "in")
    world.send(study.every("T1GD", "T2"))
    world.until_state(study, "held")
    world.until(lambda: len(world.others) == 2)
    assert sorted(sop_class for sop_class, _ in world.others) == sorted((CAPTURE, BASIC_TEXT_SR))
    world.until(lambda: [d.state for d in service.site.ledger.deliveries()] == ["delivered"])
    (row,) = service.site.ledger.deliveries()
    answer = world.stored(row.result_id, "report.dcm")
    assert "FLAIR is missing: none of 2 series is one." in said(answer)
    assert answer.StudyInstanceUID == study.uid
    assert world.state(study.uid)[0] == "held"
    assert service.site.ledger.results() == []
    # Asked again, it is held for the same reason: the same words are not sent twice.
    overview.request_study(service.site, study.uid)
    world.until(lambda: len([j for j in overview.jobs(service.site) if j["state"] == "held"]) == 2)
    assert len(world.others) == 2


def test_a_study_that_failed_is_answered_too(world: World) -> None:
    service, study = world.start(), write_study(world.folder / "in")
    world.network.failures = [FailedError("out of memory"), FailedError("out of memory")]
    world.send(study.every())
    world.until_state(study, "failed")
    world.until(lambda: len(world.others) == 2)
    (row,) = service.site.ledger.deliveries()
    assert "out of memory" in said(world.stored(row.result_id, "report.dcm"))


def test_a_study_whose_job_was_given_up_is_answered_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It crashed the process too often, so another job has to say so."""
    service, study = world.start(), write_study(world.folder / "in")
    world.network.failures = [FailedError("out of memory"), FailedError("out of memory")]
    world.send(study.every())
    world.until_state(study, "failed")
    world.until(lambda: len(world.others) == 2)
    ids = iter([[f"infer:{study.uid}:abc"]])
    monkeypatch.setattr("glioloop.jobs.given_up", lambda: next(ids, []))
    world.until(lambda: len(world.others) == 4)
    newest = service.site.ledger.deliveries()[0].result_id
    assert "was ended 50 times, together with the service" in said(
        world.stored(newest, "report.dcm")
    )


def test_answers_can_be_switched_off(world: World) -> None:
    world.given = {"answers": {"unsegmented": False}}
    service, study = world.start(), write_study(world.folder / "in")
    world.send(study.every("T1GD", "T2"))
    world.until_state(study, "held")
    world.until(lambda: [job["state"] for job in overview.jobs(service.site)] == ["held"])
    assert world.network.calls == []
    assert service.site.ledger.deliveries() == []


def test_a_study_out_of_scope_gets_no_answer(world: World) -> None:
    service = world.start()
    study = write_study(world.folder / "in", StudyDescription="MRT Knie links")
    world.send(study.every("FLAIR", "T2"))
    world.until_state(study, "ignored")
    assert overview.jobs(service.site) == []
    assert world.others == []


def test_a_correction_yields_a_report_that_names_who_corrected(world: World) -> None:
    service = world.start()
    result = delivered(world, StudyDate="20260101")
    (study_uid,) = {row.study_uid for row in service.site.ledger.results()}
    study = write_study(world.folder / "again")
    assert study.uid == study_uid
    world.send([world.correct(study, creator="Curie^Marie")])
    world.until(lambda: len(world.others) == 3)
    (row,) = service.site.ledger.corrections()
    # The corrected SEG: 4 x 4 x 3 mL enhance, the rest of the box of 6 x 6 x 6 mL is edema.
    assert row.report["volumes_ml"] == pytest.approx(
        {"necrosis": 0.0, "edema": 168.0, "enhancing": 48.0}
    )
    (delivery,) = [d for d in service.site.ledger.deliveries() if d.result_id != result]
    report = world.stored(delivery.result_id, "report.dcm")
    assert report.SOPClassUID == COMPREHENSIVE_SR
    assert "Curie" in str(report.ContentSequence)
    assert "learnt from this correction" in said(report)
    (before,) = report.PredecessorDocumentsSequence
    named = before.ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert named.ReferencedSOPInstanceUID == world.stored(result, "report.dcm").SOPInstanceUID
    # From now on the corrected volumes count.
    later = delivered(world, number=2, StudyDate="20260401")
    assert "48" in said(world.stored(later, "report.dcm"))


def test_a_correction_that_cannot_be_reported_is_learnt_from_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = world.start()
    delivered(world)
    study = write_study(world.folder / "again")
    run = world.network.run

    def without_report(task: str, *given: Any, **named: Any) -> dict[str, Any]:
        if task == "report_correction":
            raise HeldError("nothing says what segment 4 is")
        return run(task, *given, **named)

    monkeypatch.setattr("glioloop.inference.run", without_report)
    world.send([world.correct(study)])
    world.until(lambda: "no_report" in service.site.ledger.corrections()[0].report)
    (row,) = service.site.ledger.corrections()
    assert row.state == "accepted"
    assert row.report["no_report"] == "nothing says what segment 4 is"
    assert len(world.others) == 2


def test_a_withdrawn_correction_no_longer_counts(world: World) -> None:
    service = world.start()
    delivered(world, StudyDate="20260101")
    world.send([world.correct(write_study(world.folder / "again"))])
    world.until(lambda: len(world.others) == 3)
    (row,) = service.site.ledger.corrections()
    decisions.withdraw(service.site, row.sop_instance_uid)
    later = delivered(world, number=2, StudyDate="20260401")
    assert row.sop_instance_uid not in str(world.stored(later, "report.dcm").ContentSequence)


def test_no_table_or_path_names_the_patient_or_who_corrected(world: World) -> None:
    service = world.start()
    delivered(world, StudyDate="20260101")
    world.send([world.correct(write_study(world.folder / "again"), creator="Curie^Marie")])
    world.until(lambda: len(world.others) == 3)
    tables = b"".join(path.read_bytes() for path in service.site.settings.data.glob("*.db*"))
    for secret in (PATIENT_ID, NAME.split("^")[0], "Curie"):
        assert secret.encode() not in tables
        assert not [p for p in service.site.settings.data.rglob("*") if secret in str(p)]


def test_our_own_pictures_that_come_back_are_no_images(world: World) -> None:
    service = world.start()
    result = delivered(world)
    state = world.state(service.site.ledger.result(result).study_uid)
    world.send(service.site.results.objects(result, ("pictures", "report")))
    assert service.site.ledger.count_ignored() == 2
    assert world.state(service.site.ledger.result(result).study_uid) == state
    assert len(service.site.ledger.results()) == 1


def test_an_uploaded_mask_is_a_correction_and_goes_to_the_archive(
    world: World, tmp_path: Path
) -> None:
    service = world.start()
    result = delivered(world)
    study = write_study(world.folder / "again")
    (series,) = read_series(study.files["T1GD"])
    geometry = to_volume(series).geometry
    labels = np.zeros(geometry.shape, np.uint8)
    labels[4:8, 5:9, 6:9] = 3
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ geometry.affine[:, [2, 1, 0, 3]]
    nib.save(nib.Nifti1Image(labels.transpose(2, 1, 0), affine), tmp_path / "mask.nii.gz")
    address = f"http://127.0.0.1:{world.web}/api/v1/studies/{study.uid}/mask"
    content = (tmp_path / "mask.nii.gz").read_bytes()
    answer = httpx.post(address, content=content, params={"by": "Curie^Marie"}, timeout=60)
    assert answer.status_code == 202, answer.text
    uid = answer.json()["sop_instance_uid"]
    world.until(lambda: "volumes_ml" in service.site.ledger.correction(uid).report)
    row = service.site.ledger.correction(uid)
    assert (row.signal, row.result_id, row.calling_ae) == (1, result, "WEB")
    # Edema lies outside what was outlined, and stays as the network drew it.
    assert row.report["volumes_ml"] == pytest.approx(
        {"necrosis": 0.0, "edema": 168.0, "enhancing": 48.0}
    )
    world.until(lambda: uid in world.archived)
    world.until(lambda: not service.site.ledger.deliveries(DeliveryState.WAITING))
    answer = httpx.post(address, content=b"no mask", timeout=60)
    assert answer.status_code == 400
    assert "no readable NIfTI image" in answer.json()["error"]
    answer = httpx.post(address.replace(study.uid, "1.2.3"), content=content, timeout=60)
    assert "no result that a mask could correct" in answer.json()["error"]


def test_a_study_that_has_a_result_is_never_said_to_have_none(world: World) -> None:
    service = world.start()
    result = delivered(world)
    study_uid = service.site.ledger.result(result).study_uid
    world.network.failures = [FailedError("out of memory"), FailedError("out of memory")]
    asked = overview.request_study(service.site, study_uid)
    world.until(lambda: world.state(study_uid)[0] == "failed")
    world.until(lambda: {j["id"]: j["state"] for j in jobs_of(world)}[asked] == "ERROR")
    assert BASIC_TEXT_SR not in {sop_class for sop_class, _ in world.others}


def jobs_of(world: World) -> list[dict[str, Any]]:
    assert world.service is not None
    return overview.jobs(world.service.site)


def test_an_answer_that_waits_for_the_archive_is_not_sent_once_there_is_a_result(
    world: World,
) -> None:
    service, study = world.start(), write_study(world.folder / "in")
    world.pacs.stop(0.1)
    world.send(study.every("T1GD", "T2"))
    world.until_state(study, "held")
    ledger = service.site.ledger
    world.until(lambda: bool(ledger.deliveries(DeliveryState.WAITING)))
    world.send(study.every("FLAIR"))
    world.until(lambda: bool(ledger.results(study.uid)))
    (result,) = ledger.results(study.uid)
    world.until(lambda: bool(ledger.deliveries(DeliveryState.OBSOLETE)))
    (answer,) = [d for d in ledger.deliveries() if d.result_id != result.result_id]
    assert (answer.state, answer.reason) == (
        "no longer needed",
        "the study was segmented meanwhile",
    )


def test_images_of_two_patients_are_answered_to_nobody(world: World) -> None:
    service, study = world.start(), write_study(world.folder / "in")
    for path in study.files["T2"]:
        image = dcmread(path)
        image.PatientID = "somebody else"
        image.save_as(path)
    world.send(study.every())
    world.until_state(study, "held")
    assert "different patients" in world.state(study.uid)[1]
    world.until(lambda: [job["state"] for job in jobs_of(world)] == ["held"])
    assert service.site.ledger.deliveries() == []
    assert "answer" not in world.network.calls


def test_what_lies_undelivered_is_sent_though_the_ledger_was_lost(world: World) -> None:
    service = world.start()
    world.pacs.stop(0.1)
    study = write_study(world.folder / "in")
    world.send(study.every())
    world.until_state(study, "segmented")
    result = service.site.ledger.results(study.uid)[0].result_id
    world.until(lambda: bool(service.site.ledger.deliveries(DeliveryState.WAITING)))
    world.stop()
    for path in world.settings.data.glob("ledger.db*"):
        path.unlink()
    service = world.start()
    (row,) = service.site.ledger.deliveries()
    assert (row.result_id, row.study_uid, row.state) == (result, study.uid, "waiting")
    assert any(job["id"].startswith(f"deliver:{result}") for job in jobs_of(world))


def test_nothing_to_send_is_no_delivery(world: World) -> None:
    service = world.start()
    world.pacs.stop(0.1)
    study = write_study(world.folder / "in")
    world.send(study.every())
    world.until_state(study, "segmented")
    result = service.site.ledger.results(study.uid)[0].result_id
    for path in service.site.results.objects(result, ("seg", "report", "pictures")):
        path.unlink()
    said = "is it all there?"
    world.until(lambda: said in service.site.ledger.deliveries()[0].reason)
    assert service.site.ledger.deliveries()[0].state != "delivered"


def test_a_report_that_cannot_be_made_does_not_cost_the_study_its_seg(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_given: object, **_named: object) -> bytes:
        raise ValueError("Doe^Jane cannot be drawn")

    monkeypatch.setattr("glioloop.objects.write_report", broken)
    service = world.start()
    result = delivered(world)
    names = [path.name for path in service.site.results.objects(result, ("seg", "report"))]
    assert names == ["seg.dcm"]
    assert "write_report: _write_report failed: ValueError at" in caplog.text
    assert "Doe" not in caplog.text
