"""The phantom patient: what a converter and a model may rely on."""

from __future__ import annotations

import datetime as dt
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from converter.identify import identify
from converter.series import read_series
from engine.phantom import PhantomHead
from glioloop.phantom import PhantomStudy, scan, truth_on, write_study
from glioloop.phantom_headers import PROTOCOLS, plan
from glioloop.private_orthanc import program
from study.tissue import Role, Tissue
from study.volume import Geometry, Volume

FRAME = "1.2.3"
MOMENT = dt.datetime(2026, 1, 14, 9, 5, tzinfo=dt.UTC)


def cube_head() -> PhantomHead:
    """A bright cube of 60 mm with an enhancing cube of 18 mm in its left (+x), upper, back part."""
    labels = np.zeros((60, 60, 60), np.uint8)
    labels[30:36, 36:42, 40:46] = Tissue.ENHANCING
    body = np.zeros(labels.shape, np.float32)
    body[20:40, 20:50, 20:50] = 1.0
    bright = (body + 2.0 * (labels > 0)).astype(np.float32)
    images = {role.value: bright for role in Role} | {"T1": body}
    return PhantomHead(images, labels, body > 0, 3.0, (-90.0, -90.0, -90.0))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> PhantomStudy:
    return write_study(tmp_path_factory.mktemp("phantom"), cube_head(), 1, 1, MOMENT)


def headers(study: PhantomStudy) -> list[Dataset]:
    return [pydicom.dcmread(path, stop_before_pixels=True) for path in study.files]


def series_named(study: PhantomStudy, description: str) -> list[Dataset]:
    found = [pydicom.dcmread(path) for path in study.files]
    return [d for d in found if d.SeriesDescription == description]


def array_of(slices: Sequence[Dataset]) -> np.ndarray:
    return np.stack([d.pixel_array for d in sorted(slices, key=lambda d: int(d.InstanceNumber))])


def test_a_study_has_the_three_sequences_and_what_must_not_be_taken_for_them(
    study: PhantomStudy,
) -> None:
    assert [d.SeriesDescription for d in headers(study) if d.InstanceNumber == 1] == [
        "localizer",
        "t1_tse_tra",
        "ep2d_diff_3scan_trace_TRACEW",
        "t2_tirm_tra_dark-fluid",
        "t2_tse_tra",
        "t1_tse_tra +Gd",
    ]


def test_identification_finds_the_three_sequences(study: PhantomStudy) -> None:
    chosen = identify(read_series(study.files)).chosen
    assert {role: series.header.SeriesDescription for role, series in chosen.items()} == {
        Role.FLAIR: "t2_tirm_tra_dark-fluid",
        Role.T1GD: "t1_tse_tra +Gd",
        Role.T2: "t2_tse_tra",
    }


def test_one_study_one_patient_one_frame_of_reference(study: PhantomStudy) -> None:
    names = ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID", "StudyDate")
    assert len({tuple(str(d[name].value) for name in names) for d in headers(study)}) == 1
    assert len({d.SOPInstanceUID for d in headers(study)}) == len(study.files)
    assert len({d.SeriesInstanceUID for d in headers(study)}) == 6


def test_the_same_seed_gives_the_same_files(study: PhantomStudy, tmp_path: Path) -> None:
    again = write_study(tmp_path, cube_head(), 1, 1, MOMENT)
    assert [p.read_bytes() for p in again.files] == [p.read_bytes() for p in study.files]


def test_another_date_is_another_study_of_the_same_patient(
    study: PhantomStudy, tmp_path: Path
) -> None:
    later = write_study(tmp_path, cube_head(), 1, 2, MOMENT)
    assert later.study_uid != study.study_uid
    assert headers(later)[0].PatientID == headers(study)[0].PatientID


def test_a_sequence_can_be_left_out(tmp_path: Path) -> None:
    partial = write_study(tmp_path, cube_head(), 1, 1, MOMENT, frozenset({Role.T2}))
    found = {d.SeriesDescription for d in headers(partial)}
    assert "t2_tse_tra" not in found
    assert len(found) == 5


def test_the_truth_lies_on_the_voxels_of_the_t1gd(study: PhantomStudy) -> None:
    slices = series_named(study, "t1_tse_tra +Gd")
    array = array_of(slices)
    assert study.truth.array.shape == array.shape
    lesion = study.truth.array == Tissue.ENHANCING
    assert array[lesion].mean() > 2.0 * array[~lesion & (array > 100)].mean()
    first = min(slices, key=lambda d: int(d.InstanceNumber))
    assert np.allclose(study.truth.geometry.world((0, 0, 0)), first.ImagePositionPatient, atol=1e-5)


def test_the_truth_keeps_volume_and_place(study: PhantomStudy) -> None:
    lesion = study.truth.array == Tissue.ENHANCING
    volume = np.count_nonzero(lesion) * study.truth.geometry.voxel_volume_ml
    assert volume == pytest.approx(5.832, rel=0.15)  # 18 mm cubed
    centre = study.truth.geometry.world(np.argwhere(lesion).mean(axis=0))
    # Voxels 40-45 of 3 mm from -90: -90 + 42.5 * 3 = 37.5 to the left; y 25.5; z 7.5.
    assert np.allclose(centre, (37.5, 25.5, 7.5), atol=1.0)


def test_the_patient_moved_between_the_series() -> None:
    flair = next(p for p in PROTOCOLS if p.contrast == "FLAIR")
    t1gd = next(p for p in PROTOCOLS if p.contrast == "T1GD")
    array = np.zeros((40, 80, 80), np.float32)
    array[18:22, 38:42, 38:42] = 1.0
    affine = np.diag([3.0, 3.0, 3.0, 1.0])[:, [2, 1, 0, 3]]
    affine[:3, 3] = (-118.5, -118.5, -58.5)
    head = Volume(array, Geometry(array.shape, affine, FRAME))
    seen = {}
    for protocol in (flair, t1gd):
        grid = plan(protocol, np.zeros(3), FRAME)
        pixels = scan(head, protocol, grid, np.random.default_rng(1)).astype(float)
        bright = np.where(pixels > 300, pixels, 0.0)
        where = np.argwhere(bright)
        weights = bright[tuple(where.T)]
        seen[protocol.contrast] = grid.world(np.average(where, axis=0, weights=weights))
    moved = seen["T1GD"] - seen["FLAIR"]
    assert np.allclose(moved, (1.2, -0.8, 1.5), atol=0.5)


def test_a_voxel_of_the_truth_is_what_fills_most_of_it() -> None:
    fine = Geometry((4, 4, 4), np.diag([1.0, 1.0, 1.0, 1.0])[:, [2, 1, 0, 3]], FRAME)
    array = np.zeros((4, 4, 4), np.uint8)
    array[:, :, 2:] = Tissue.EDEMA
    coarse = np.diag([1.0, 1.0, 2.0, 1.0])[:, [2, 1, 0, 3]]
    coarse[:3, 0], coarse[:3, 2] = (0.0, 0.0, 1.0), (2.0, 0.0, 0.0)
    coarse[0, 3] = 0.5
    grid = Geometry((4, 4, 2), coarse, FRAME)
    truth = truth_on(grid, Volume(array, fine)).array
    assert (truth[..., 0] == Tissue.BACKGROUND).all()
    assert (truth[..., 1] == Tissue.EDEMA).all()


def test_a_phantom_image_is_valid_dicom(study: PhantomStudy) -> None:
    for path in study.files[:: len(study.files) // 5]:
        said = subprocess.run(
            [program("dciodvfy"), str(path)], capture_output=True, text=True, check=False
        )
        assert "Error" not in said.stderr
        assert "MRImage" in said.stderr
