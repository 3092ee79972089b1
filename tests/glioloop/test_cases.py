"""Tests of `glioloop.cases`."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from glioloop.cases import read_cases
from study.errors import RefusedError
from study.tissue import Role

SHAPE = (5, 4, 3)


def _write(path: Path, array: np.ndarray) -> None:
    nib.save(nib.Nifti1Image(array, np.diag([1.0, 1.0, 2.0, 1.0])), path)


def _brats_2023(folder: Path) -> Path:
    """Whole tumour of three voxels: one of each class."""
    folder.mkdir()
    for ending in ("t2f", "t1c", "t2w"):
        _write(folder / f"X-{ending}.nii.gz", np.ones(SHAPE, np.float32))
    labels = np.zeros(SHAPE, np.uint8)
    labels[0, 0, 0], labels[1, 0, 0], labels[2, 0, 0] = 1, 2, 3
    _write(folder / "X-seg.nii.gz", labels)
    return folder


def test_a_brats_2023_folder_is_a_case_with_all_regions(tmp_path):
    [case] = read_cases(_brats_2023(tmp_path / "X"))
    assert case.name == "X"
    assert set(case.volumes) == set(Role)
    assert {name: int(mask.sum()) for name, mask in case.truth.items()} == {
        "enhancing": 1,
        "core": 2,
        "whole": 3,
    }


def test_brats_2017_numbers_enhancement_with_four(tmp_path):
    for ending in ("flair", "t1ce", "t2"):
        _write(tmp_path / f"Y_{ending}.nii.gz", np.ones(SHAPE, np.float32))
    labels = np.zeros(SHAPE, np.uint8)
    labels[0, 0, 0] = 4
    _write(tmp_path / "Y_seg.nii.gz", labels)
    [case] = read_cases(tmp_path)
    assert int(case.truth["enhancing"].sum()) == 1


def test_a_number_that_the_layout_does_not_know_is_refused(tmp_path):
    folder = _brats_2023(tmp_path / "X")
    _write(folder / "X-seg.nii.gz", np.full(SHAPE, 4, np.uint8))
    with pytest.raises(RefusedError, match=r"labels \[4\] occur"):
        read_cases(folder)


def test_brats_2013_scores_are_raised_above_zero_inside_the_brain(tmp_path):
    image = np.full(SHAPE, -2.0, np.float32)
    image[1, 1, 1] = 1.0
    brain = np.zeros(SHAPE, np.uint8)
    brain[1, 1, 1], brain[2, 1, 1] = 1, 1
    for name in ("Flair_subtrMeanDivStd", "T1c_subtrMeanDivStd"):
        _write(tmp_path / f"{name}.nii.gz", image)
    _write(tmp_path / "brainmask.nii.gz", brain)
    _write(tmp_path / "OTMultiClass.nii.gz", np.zeros(SHAPE, np.uint8))
    [case] = read_cases(tmp_path)
    assert set(case.volumes) == {Role.FLAIR, Role.T1GD}
    assert case.volumes[Role.FLAIR].array.max() == 3.0
    assert np.count_nonzero(case.volumes[Role.FLAIR].array) == 1


def test_a_folder_without_a_known_answer_is_refused(tmp_path):
    with pytest.raises(RefusedError, match="no case with a known answer"):
        read_cases(tmp_path)
    with pytest.raises(RefusedError, match="there is no folder"):
        read_cases(tmp_path / "missing")
