"""Conversion agrees with dcm2niix, an independent converter: on real series and generated ones."""

from __future__ import annotations

import logging
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import SecondaryCaptureImageStorage
from scipy.spatial.transform import Rotation

from converter.series import Series, read_series
from converter.volume import to_volume
from study.volume import Geometry

logger = logging.getLogger(__name__)

DATES = {
    "PGBM-001/19911119": 5,
    "PGBM-001/19920402": 5,
    "PGBM-003/19950329": 4,
    "PGBM-003/19951017": 4,
}
"""Dates and how many series each has: FLAIR, T1post, T2 and MaskTumor; 001 has T1pre, too."""

AFFINE_MM = 1e-3
"""No element of the affine differs by more (mm)."""

CORNER_MM = 5e-3
"""No corner voxel differs by more (mm): what differs in a step adds up over the slices. Ours is
where the header of the last slice says, which is tested beside."""


@dataclass(frozen=True)
class Difference:
    """How far two conversions of one series are apart."""

    affine_mm: float
    corner_mm: float
    value: float


def dcm2niix(series: Series, folder: Path) -> nibabel.Nifti1Image:
    """A series as dcm2niix converts it."""
    if shutil.which("dcm2niix") is None:
        pytest.skip("needs dcm2niix: apt-get install dcm2niix")
    source, result = folder / "in", folder / "out"
    source.mkdir(parents=True)
    result.mkdir()
    for instance in series.instances:
        shutil.copy(instance.path, source / f"{instance.sop_instance_uid}.dcm")
    command = ["dcm2niix", "-z", "n", "-b", "n", "-f", "found", "-o", str(result), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    return nibabel.load(result / "found.nii")


def difference(series: Series, folder: Path) -> Difference:
    """Compare our conversion with that of dcm2niix, which may count its axes otherwise."""
    ours, theirs = to_volume(series), dcm2niix(series, folder)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ theirs.affine
    # Where each of our axes, and our first voxel, lies among their voxels.
    axes = np.rint(np.linalg.inv(affine) @ ours.geometry.affine)
    assert np.array_equal(np.sort(np.abs(axes[:3, :3]), axis=0)[-1], (1, 1, 1))
    index = np.indices(ours.array.shape).reshape(3, -1)
    x, y, z = (axes[:3, :3] @ index + axes[:3, 3:]).astype(int)
    for place, size in zip((x, y, z), theirs.shape, strict=True):
        assert (place.min(), place.max()) == (0, size - 1)
    values = np.asanyarray(theirs.dataobj)[x, y, z].reshape(ours.array.shape)
    there = Geometry(ours.geometry.shape, affine @ axes, ours.geometry.frame_of_reference_uid)
    apart = np.linalg.norm(there.corners() - ours.geometry.corners(), axis=1)
    return Difference(
        affine_mm=float(np.abs(there.affine - ours.geometry.affine).max()),
        corner_mm=float(apart.max()),
        value=float(np.abs(values - ours.array).max()),
    )


@pytest.mark.parametrize("date", DATES)
def test_every_series_agrees_with_dcm2niix(real_data, tmp_path, date):
    """FLAIR, T1post, T1pre, T2, and the masks, which are Secondary Captures with positions."""
    found = read_series([real_data / "longitudinal" / date])
    assert len(found) == DATES[date]
    masks = [s for s in found if s.header.SOPClassUID == SecondaryCaptureImageStorage]
    assert [str(mask.header.SeriesDescription) for mask in masks] == ["Mask_Tumor"]
    for series in found:
        apart = difference(series, tmp_path / series.series_uid)
        logger.info("%s %s: %s", date, series.header.SeriesDescription, apart)
        assert apart.affine_mm <= AFFINE_MM
        assert apart.corner_mm <= CORNER_MM
        assert apart.value == 0.0


@pytest.mark.parametrize("date", DATES)
def test_every_slice_lies_where_its_own_header_says(real_data, date):
    for series in read_series([real_data / "longitudinal" / date]):
        geometry = to_volume(series).geometry
        positions = np.array([instance.position for instance in series.instances])
        k, i, j = geometry.index(positions).T
        assert sorted(np.rint(k)) == list(range(series.slices))
        places = np.stack([np.rint(k), np.zeros_like(i), np.zeros_like(j)], axis=1)
        apart = np.linalg.norm(geometry.world(places) - positions, axis=1)
        assert apart[np.argmin(k)] <= 1e-9
        assert apart[np.argmax(k)] <= 1e-9
        assert apart.max() <= 1e-3


@pytest.mark.parametrize("date", DATES)
def test_all_series_of_a_date_lie_on_one_grid(real_data, date):
    """The publisher resampled FLAIR and T2 onto T1post: so must we see it."""
    volumes = [to_volume(series) for series in read_series([real_data / "longitudinal" / date])]
    first = volumes[0].geometry
    assert len(volumes) == DATES[date]
    assert all(volume.geometry.same_place(first) for volume in volumes)


def cosines(*turns: tuple[str, float]) -> list[float]:
    """Direction cosines of an axial image that was turned about axes (degrees), one by one."""
    turned = Rotation.from_euler("".join(axis for axis, _ in turns), [a for _, a in turns], True)
    return [float(f"{cosine:.12g}") for cosine in turned.as_matrix()[:, :2].T.ravel()]


ORIENTATIONS = {
    "axial": [1, 0, 0, 0, 1, 0],
    "coronal": [1, 0, 0, 0, 0, -1],
    "sagittal": [0, 1, 0, 0, 0, -1],
    "oblique": cosines(("x", 12.0), ("y", -7.0), ("z", 4.0)),
    "oblique sagittal": cosines(("y", 90.0), ("x", 93.0), ("z", 8.0)),
}
RNG = np.random.default_rng(3)
ARRAY = RNG.integers(-500, 3000, (7, 20, 16)).astype(np.int16)


def position(orientation: list[float], k: int) -> list[float]:
    """Where the k-th slice lies: 4.5 mm apart, along the normal."""
    normal = np.cross(orientation[:3], orientation[3:])
    return [round(float(x), 6) for x in np.array([-31.5, 22.25, 8.0]) + 4.5 * k * normal]


@pytest.mark.parametrize("upwards", [True, False])
@pytest.mark.parametrize("name", ORIENTATIONS)
def test_generated_slices_agree_with_dcm2niix(dicom, tmp_path, name, upwards):
    at = ORIENTATIONS[name]

    def change(image: Dataset, k: int) -> None:
        image.ImagePositionPatient = position(at, k if upwards else -k)
        image.RescaleSlope, image.RescaleIntercept = 2, -10
        image.SliceThickness = 4

    spacing = [0.9, 1.1]
    paths = dicom.series(
        ARRAY, change=change, ImageOrientationPatient=at, PixelSpacing=spacing, Manufacturer="GE"
    )
    (series,) = read_series(paths)
    apart = difference(series, tmp_path / "theirs")
    assert apart.affine_mm <= AFFINE_MM
    assert apart.corner_mm <= CORNER_MM
    assert apart.value == 0.0


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_generated_frames_agree_with_dcm2niix(dicom, tmp_path, name):
    at = ORIENTATIONS[name]

    def place(k: int) -> dict[str, Any]:
        return {
            "ImagePositionPatient": position(at, k),
            "ImageOrientationPatient": at,
            "RescaleSlope": 2,
            "RescaleIntercept": -10,
            "StackID": "1",
            "InStackPositionNumber": k + 1,
            "DimensionIndexValues": [1, k + 1],
        }

    def change(image: Dataset) -> None:
        image.Manufacturer, image.SeriesDescription = "Siemens", "generated"
        (shared,) = image.SharedFunctionalGroupsSequence
        shared.PixelMeasuresSequence[0].SliceThickness = 4.5

    (series,) = read_series(dicom.enhanced(ARRAY, place, change))
    apart = difference(series, tmp_path / "theirs")
    assert apart.affine_mm <= AFFINE_MM
    assert apart.corner_mm <= CORNER_MM
    assert apart.value == 0.0
