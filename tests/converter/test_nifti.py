"""Tests of `converter.nifti`."""

import nibabel as nib
import numpy as np
import pytest

from converter.nifti import read_nifti
from study.errors import RefusedError


def _write(path, array, affine):
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


def test_a_voxel_keeps_its_place_in_the_patient(tmp_path):
    array = np.zeros((4, 3, 2), np.int16)
    array[3, 1, 0] = 7
    # RAS: 2 mm to the right, 3 mm to the front, 5 mm to the head for each step.
    affine = np.array([[2.0, 0, 0, 10], [0, 3.0, 0, 20], [0, 0, 5.0, 30], [0, 0, 0, 1]])
    volume = read_nifti(_write(tmp_path / "a.nii.gz", array, affine), "1.2.3")
    assert volume.array.shape == (2, 3, 4)
    assert volume.array[0, 1, 3] == 7
    # RAS (16, 23, 30) is LPS (-16, -23, 30).
    np.testing.assert_allclose(volume.geometry.world((0, 1, 3)), (-16.0, -23.0, 30.0))
    assert volume.geometry.frame_of_reference_uid == "1.2.3"


def test_slope_and_intercept_are_applied(tmp_path):
    image = nib.Nifti1Image(np.array([[[1, 2]]], np.int16), np.eye(4))
    image.header.set_slope_inter(2.0, 10.0)
    nib.save(image, tmp_path / "a.nii")
    np.testing.assert_allclose(read_nifti(tmp_path / "a.nii", "1.2").array.ravel(), (12.0, 14.0))


def test_a_fourth_axis_of_one_is_no_matter_and_of_two_is_refused(tmp_path):
    one = _write(tmp_path / "one.nii", np.zeros((2, 2, 2, 1), np.int16), np.eye(4))
    assert read_nifti(one, "1.2").array.shape == (2, 2, 2)
    two = _write(tmp_path / "two.nii", np.zeros((2, 2, 2, 2), np.int16), np.eye(4))
    with pytest.raises(RefusedError, match="has 4 axes"):
        read_nifti(two, "1.2")


def test_a_file_that_is_no_nifti_is_refused(tmp_path):
    path = tmp_path / "x.nii.gz"
    path.write_bytes(b"no image")
    with pytest.raises(RefusedError, match="no readable NIfTI"):
        read_nifti(path, "1.2")


def test_an_image_without_a_position_is_refused(tmp_path):
    image = nib.Nifti1Image(np.zeros((2, 2, 2), np.int16), None)
    nib.save(image, tmp_path / "a.nii")
    with pytest.raises(RefusedError, match="says nothing of its position"):
        read_nifti(tmp_path / "a.nii", "1.2")
