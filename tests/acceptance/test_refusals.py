"""What the service does not take, and what it waits for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from dicom_network import send
from pydicom.uid import SecondaryCaptureImageStorage, generate_uid

from acceptance.scene import Scene, open_scene, wait_for
from glioloop.ledger_schema import StudyState
from glioloop.phantom import PhantomStudy
from glioloop.private_orthanc import storescu, storescu_to

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, small_models: Path) -> Iterator[Scene]:
    """A service that knows the PACS alone, and answers incomplete studies soon."""
    soon = {"quiet_seconds": 1, "incomplete_after_minutes": 0.05}
    with open_scene(tmp_path_factory.mktemp("here"), small_models, completeness=soon) as scene:
        yield scene


def test_an_unknown_calling_ae_is_rejected_when_the_settings_name_the_peers(
    here: Scene, patient: PhantomStudy
) -> None:
    said = storescu_to(here.service.port, "GLIOLOOP", patient.files[:1], "STRANGER")
    assert said.returncode != 0
    assert "Calling AE Title Not Recognized" in said.stderr
    assert here.state(patient.study_uid) == ""


def test_a_called_ae_that_is_not_ours_is_rejected(here: Scene, patient: PhantomStudy) -> None:
    said = storescu_to(here.service.port, "ELSEWHERE", patient.files[:1], "ORTHANC")
    assert "Called AE Title Not Recognized" in said.stderr
    assert here.state(patient.study_uid) == ""


def test_a_truncated_object_is_not_understood_and_logged(
    here: Scene, patient: PhantomStudy, tmp_path: Path
) -> None:
    whole = patient.files[0].read_bytes()
    truncated = [tmp_path / "1.dcm", tmp_path / "2.dcm"]
    truncated[0].write_bytes(whole[:-1000])
    truncated[1].write_bytes(whole[:700])
    answers = send(here.service.port, truncated, calling="ORTHANC")
    assert [status is not None and 0xC000 <= status <= 0xCFFF for status in answers] == [True] * 2
    uid = pydicom.dcmread(patient.files[0], stop_before_pixels=True).SOPInstanceUID
    assert f"{uid} answered with 0xC000: the data set is truncated" in here.said()
    assert here.state(patient.study_uid) == ""


def test_a_study_without_t2_is_held_with_its_reason(
    here: Scene, without_t2: tuple[PhantomStudy, PhantomStudy]
) -> None:
    study = without_t2[0]
    assert storescu(here.orthanc, study.files).returncode == 0
    assert here.waits_until(study.study_uid, StudyState.HELD), here.said()
    listed = here.service.run("jobs", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    [job] = [job for job in json.loads(listed.stdout) if job["study_uid"] == study.study_uid]
    assert job["state"] == "held"
    assert "T2" in job["note"]
    assert here.segs(study.study_uid) == []
    assert here.runs(study.study_uid) == []
    # Who sent it finds the reason beside the images: a page, and a report in words.
    found = here.orthanc.find
    assert wait_for(lambda: len(found(study.study_uid, "OT")) == 1), here.said()
    assert wait_for(lambda: len(found(study.study_uid, "SR")) == 1), here.said()


def test_a_secondary_capture_that_says_mr_is_not_taken_for_a_series(
    here: Scene, without_t2: tuple[PhantomStudy, PhantomStudy], tmp_path: Path
) -> None:
    """A copy of the FLAIR that calls itself T2 and MR, but is a Secondary Capture."""
    study = without_t2[1]
    files, series_uid = list(study.files), generate_uid()
    for path in study.files:
        image = pydicom.dcmread(path)
        if image.SeriesDescription == "t2_tirm_tra_dark-fluid":
            image.SOPClassUID = SecondaryCaptureImageStorage
            image.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
            image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            image.SeriesInstanceUID, image.SeriesDescription = series_uid, "t2_tse_tra"
            image.ScanningSequence, image.EchoTime = "SE", 100
            del image.InversionTime
            files.append(tmp_path / f"{len(files)}.dcm")
            image.save_as(files[-1], enforce_file_format=True)
    assert len(files) > len(study.files)
    assert storescu(here.orthanc, files).returncode == 0
    assert here.waits_until(study.study_uid, StudyState.HELD), here.said()
    found = here.service.study(study.study_uid)
    assert found is not None
    assert "T2" in found.reason


def test_a_result_waits_for_a_pacs_that_is_down(here: Scene, patient: PhantomStudy) -> None:
    uid = patient.study_uid
    here.orthanc.stop()
    said = storescu_to(here.service.port, "GLIOLOOP", patient.files, "ORTHANC")
    assert said.returncode == 0
    assert here.waits_until(uid, StudyState.SEGMENTED), here.said()
    assert wait_for(lambda: attempts(here) >= 2), here.said()
    assert here.state(uid) == StudyState.SEGMENTED
    here.orthanc.start()
    assert here.waits_until(uid, StudyState.DELIVERED), here.said()
    assert wait_for(lambda: len(here.segs(uid)) == 1)
    assert len(here.runs(uid)) == 1


def attempts(here: Scene) -> int:
    """How often the only delivery was tried."""
    ledger = here.service.ledger()
    try:
        return sum(delivery.attempts for delivery in ledger.deliveries())
    finally:
        ledger.close()


def test_neither_the_log_nor_a_path_says_who_the_patients_are(
    here: Scene, patient: PhantomStudy
) -> None:
    header = pydicom.dcmread(patient.files[0], stop_before_pixels=True)
    names = (header.PatientID, header.PatientName.family_name, header.PatientBirthDate)
    assert "delivered" in here.said()
    for secret in map(str, names):
        assert secret not in here.said()
        assert not [path for path in here.service.data.rglob("*") if secret in str(path)]
