"""The plugin in a real Orthanc, with DCMTK's storescp in the place of Glioloop."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from glioloop.private_orthanc import Orthanc, program, storescu, without_nagle

pytestmark = pytest.mark.acceptance


def image(
    folder: Path, number: int, study_uid: str, modality: str = "MR", **attributes: object
) -> Path:
    """File of a tiny image."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID = study_uid
    dataset.SeriesInstanceUID = f"{study_uid}.{len(modality)}"
    dataset.PatientID, dataset.PatientName, dataset.Modality = "1", "A^B", modality
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    path = folder / f"{modality}{number}.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path


@contextmanager
def receiver(port: int, folder: Path) -> Iterator[None]:
    """DCMTK's storescp, writing to a folder."""
    folder.mkdir(exist_ok=True)
    command = [program("storescp"), "-aet", "GLIOLOOP", "-od", str(folder), str(port)]
    process = subprocess.Popen(without_nagle(*command), stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def wait_for(what: Callable[[], bool], seconds: float = 40) -> bool:
    give_up = time.monotonic() + seconds
    while not what() and time.monotonic() < give_up:
        time.sleep(0.1)
    return what()


@pytest.fixture
def orthanc(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Orthanc]:
    with Orthanc(tmp_path / "orthanc", free_port(), stable_age_s=1) as running:
        yield running


def test_a_study_is_sent_once_glioloop_is_up_and_its_own_result_is_not_sent_back(
    orthanc: Orthanc, tmp_path: Path
) -> None:
    received = tmp_path / "received"
    files = [image(tmp_path, n, "1.2.3") for n in range(3)]
    own, correction = image(tmp_path, 3, "1.2.3", "SEG"), image(tmp_path, 4, "1.2.3", "SEG")
    assert storescu(orthanc, files).returncode == 0
    assert wait_for(lambda: "attempt 2 follows" in orthanc.log.read_text())
    with receiver(orthanc.glioloop_port, received):
        assert wait_for(lambda: len(list(received.iterdir())) == 3)
        assert wait_for(lambda: "Glioloop took 3 instances" in orthanc.log.read_text())
        assert storescu(orthanc, [own], "GLIOLOOP").returncode == 0
        time.sleep(3)
        assert len(list(received.iterdir())) == 3
        assert storescu(orthanc, [correction], "VIEWER").returncode == 0
        assert wait_for(lambda: "Glioloop took 1 instances" in orthanc.log.read_text())
    assert len(list(received.iterdir())) == 4


def test_a_study_that_became_stable_during_a_restart_is_sent(
    orthanc: Orthanc, tmp_path: Path
) -> None:
    received = tmp_path / "received"
    with receiver(orthanc.glioloop_port, received):
        assert storescu(orthanc, [image(tmp_path, 0, "1.2.4")]).returncode == 0
        orthanc.stop()
        assert list(received.iterdir()) == []
        orthanc.start()
        assert wait_for(lambda: len(list(received.iterdir())) == 1)


def test_a_calling_ae_that_orthanc_does_not_know_is_refused(
    orthanc: Orthanc, tmp_path: Path
) -> None:
    answer = storescu(orthanc, [image(tmp_path, 0, "1.2.5")], "STRANGER")
    assert "Calling AE Title Not Recognized" in answer.stderr
    assert orthanc.get("/studies") == []
