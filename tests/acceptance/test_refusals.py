"""What the service does not take, and what it waits for."""

from __future__ import annotations

import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import SecondaryCaptureImageStorage, generate_uid
from pynetdicom import AE
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.sop_class import MRImageStorage

from acceptance.scene import Scene, wait_for
from glioloop.ledger_schema import StudyState
from glioloop.phantom import PhantomStudy
from glioloop.private_orthanc import storescu, storescu_to

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]


def test_an_unknown_calling_ae_is_rejected_when_the_settings_name_the_peers(
    scene: Callable[..., Scene], patient: PhantomStudy
) -> None:
    here = scene(pacs_runs=False, listener={"peers": {"ORTHANC": ["127.0.0.1"]}})
    said = storescu_to(here.service.port, "GLIOLOOP", patient.files[:1], "STRANGER")
    assert said.returncode != 0
    assert "Calling AE Title Not Recognized" in said.stderr
    said = storescu_to(here.service.port, "ELSEWHERE", patient.files[:1], "ORTHANC")
    assert "Called AE Title Not Recognized" in said.stderr
    assert here.state(patient.study_uid) == ""
    said = storescu_to(here.service.port, "GLIOLOOP", patient.files[:1], "ORTHANC")
    assert said.returncode == 0
    assert here.state(patient.study_uid) == StudyState.RECEIVING


def test_a_truncated_object_is_not_understood_and_logged(
    scene: Callable[..., Scene], patient: PhantomStudy
) -> None:
    here = scene(pacs_runs=False, listener={"peers": None})
    whole = pydicom.dcmread(patient.files[0])
    encoded = patient.files[0].read_bytes()
    meta = 128 + 4 + 12 + int(whole.file_meta.FileMetaInformationGroupLength)
    for length in (41, 301, len(encoded) - meta - 1001):
        assert 0xC000 <= send_bytes(here.service.port, encoded[meta : meta + length]) <= 0xCFFF
    assert "truncated" in here.said().lower() or "0xc" in here.said().lower()
    assert here.state(patient.study_uid) == ""


def send_bytes(port: int, dataset: bytes) -> int:
    """Status that the C-STORE of an encoded MR data set is answered with."""
    ae = AE("ORTHANC")
    ae.add_requested_context(MRImageStorage, "1.2.840.10008.1.2.1")
    association = ae.associate("127.0.0.1", port, ae_title="GLIOLOOP")
    assert association.is_established
    request = C_STORE()
    request.MessageID = 1
    request.AffectedSOPClassUID = MRImageStorage
    request.AffectedSOPInstanceUID = generate_uid()
    request.Priority = 2
    request.DataSet = BytesIO(dataset)
    association.dimse.send_msg(request, association.accepted_contexts[0].context_id)
    _, answer = association.dimse.get_msg(block=True)
    association.release()
    return int(answer.Status)


def test_a_study_without_t2_is_held_with_its_reason(
    scene: Callable[..., Scene], patient_without_t2: PhantomStudy
) -> None:
    here = scene(completeness={"quiet_seconds": 1, "incomplete_after_minutes": 0.05})
    uid = patient_without_t2.study_uid
    assert storescu(here.orthanc, patient_without_t2.files).returncode == 0
    assert here.waits_until(uid, StudyState.HELD), here.said()
    listed = here.service.run("jobs", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    assert "held" in listed.stdout
    assert "T2" in listed.stdout
    assert uid in listed.stdout
    assert here.segs(uid) == []
    assert here.runs(uid) == []


def test_a_secondary_capture_that_says_mr_is_not_taken_for_a_series(
    scene: Callable[..., Scene], patient_without_t2: PhantomStudy, tmp_path: Path
) -> None:
    """A copy of the FLAIR that calls itself T2 and MR, but is a Secondary Capture."""
    here = scene(completeness={"quiet_seconds": 1, "incomplete_after_minutes": 0.05})
    files = list(patient_without_t2.files)
    series_uid = generate_uid()
    for path in patient_without_t2.files:
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
    assert storescu(here.orthanc, files).returncode == 0
    assert here.waits_until(patient_without_t2.study_uid, StudyState.HELD), here.said()
    found = here.service.study(patient_without_t2.study_uid)
    assert found is not None
    assert "T2" in found.reason


def test_a_result_waits_for_a_pacs_that_is_down(
    scene: Callable[..., Scene], patient: PhantomStudy
) -> None:
    here = scene(pacs_runs=False)
    uid = patient.study_uid
    said = storescu_to(here.service.port, "GLIOLOOP", patient.files, "ORTHANC")
    assert said.returncode == 0
    assert here.waits_until(uid, StudyState.SEGMENTED), here.said()
    time.sleep(2)
    here.orthanc.start()
    assert here.waits_until(uid, StudyState.DELIVERED), here.said()
    assert wait_for(lambda: len(here.segs(uid)) == 1)
    assert len(here.runs(uid)) == 1


def test_the_log_says_nothing_of_the_patient(
    scene: Callable[..., Scene], patient: PhantomStudy
) -> None:
    here = scene()
    assert storescu(here.orthanc, patient.files).returncode == 0
    assert here.waits_until(patient.study_uid, StudyState.DELIVERED), here.said()
    header = pydicom.dcmread(patient.files[0], stop_before_pixels=True)
    for secret in (header.PatientID, header.PatientName.family_name, header.PatientBirthDate):
        assert str(secret) not in here.said()
        assert not [p for p in here.service.data.rglob("*") if str(secret) in str(p)]
