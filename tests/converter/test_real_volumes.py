"""Conversion of real series agrees with dcm2niix, an independent converter."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import nibabel
import numpy as np
import pytest

from converter.series import Series, read_series
from converter.volume import to_volume

DATES = ["PGBM-001/19911119", "PGBM-001/19920402", "PGBM-003/19950329", "PGBM-003/19951017"]


def dcm2niix(series: Series, folder: Path) -> nibabel.Nifti1Image:
    """A series as dcm2niix converts it."""
    source, result = folder / "in", folder / "out"
    source.mkdir(parents=True)
    result.mkdir()
    for instance in series.instances:
        shutil.copy(instance.path, source / f"{instance.sop_instance_uid}.dcm")
    command = ["dcm2niix", "-z", "n", "-b", "n", "-f", "found", "-o", str(result), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    return nibabel.load(result / "found.nii")


@pytest.mark.parametrize("date", DATES)
def test_every_series_agrees_with_dcm2niix(real_data, tmp_path, date):
    for series in read_series([real_data / "longitudinal" / date]):
        volume = to_volume(series)
        theirs = dcm2niix(series, tmp_path / series.series_uid)
        affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ theirs.affine
        # Where each of our axes, and our first voxel, lies among their voxels.
        to_theirs = np.linalg.inv(affine) @ volume.geometry.affine
        whole = np.rint(to_theirs)
        np.testing.assert_allclose(affine @ whole, volume.geometry.affine, atol=1e-3)
        index = np.indices(volume.array.shape).reshape(3, -1)
        x, y, z = (whole[:3, :3] @ index + whole[:3, 3:]).astype(int)
        voxels = np.asanyarray(theirs.dataobj)[x, y, z].reshape(volume.array.shape)
        np.testing.assert_array_equal(voxels, volume.array)


@pytest.mark.parametrize("date", DATES)
def test_all_series_of_a_date_lie_on_one_grid(real_data, date):
    """The publisher resampled FLAIR and T2 onto T1post: so must we see it."""
    volumes = [to_volume(series) for series in read_series([real_data / "longitudinal" / date])]
    first = volumes[0].geometry
    assert len(volumes) >= 4
    assert all(volume.geometry.same_place(first) for volume in volumes)
