"""Tests of `glioloop.layouts`: what lies in a folder, by the names of its files."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from glioloop.layouts import case_in, find_cases, read_brain, read_images, read_labels
from study.errors import RefusedError
from study.tissue import Role

SHAPE = (5, 4, 3)


def _write(path: Path, array: np.ndarray | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.ones(SHAPE, np.uint8) if array is None else array
    nib.save(nib.Nifti1Image(array, np.diag([1.0, 1.0, 2.0, 1.0])), path)


YEARS = {
    "2017": ("HGG/Brats17_CBICA_AAB_1", "Brats17_CBICA_AAB_1_{}.nii.gz", ("flair", "t1ce", "t2")),
    "2019": ("LGG/BraTS19_TMC_09043_1", "BraTS19_TMC_09043_1_{}.nii", ("flair", "t1ce", "t2")),
    "2021": ("BraTS2021_00000", "BraTS2021_00000_{}.nii.gz", ("flair", "t1ce", "t2")),
    "2023": ("BraTS-GLI-00000-000", "BraTS-GLI-00000-000-{}.nii.gz", ("t2f", "t1c", "t2w")),
    "site": ("one/2024-05-03", "{}.nii.gz", ("FLAIR", "t1gd", "t2")),
}


def _year(root: Path, year: str, numbers: tuple[int, ...]) -> None:
    """A case of three images and a segmentation with these numbers."""
    folder, name, sequences = YEARS[year]
    for sequence in sequences:
        _write(root / folder / name.format(sequence))
    labels = np.zeros(SHAPE, np.uint8)
    labels[0, 0, : len(numbers)] = numbers
    _write(root / folder / name.format("seg"), labels)


@pytest.mark.parametrize(
    ("year", "numbers"),
    [("2017", (1, 2, 4)), ("2019", (1, 2, 4)), ("2021", (1, 2, 4)), ("2023", (1, 2, 3))],
)
def test_each_year_of_brats_is_recognised_with_its_numbers(tmp_path, year, numbers):
    _year(tmp_path, year, numbers)
    [case] = find_cases(tmp_path)
    assert case.name == YEARS[year][0]
    assert set(case.images) == set(Role)
    assert case.layout.stripped
    assert read_labels(case).array[:, 0, 0].tolist() == [1, 2, 3]


def test_a_site_declares_what_its_numbers_mean(tmp_path):
    _year(tmp_path, "site", (7, 8, 9))
    [case] = find_cases(tmp_path)
    assert case.layout.name == "a site's own"
    with pytest.raises(RefusedError, match="whose label numbers only you know"):
        read_labels(case)
    labels = read_labels(case, {0: 0, 7: 3, 8: 0, 9: 2})
    assert labels.array[:, 0, 0].tolist() == [3, 0, 2]


def test_dates_of_one_patient_belong_together(tmp_path):
    for name in ("BraTS-GLI-00001-000", "BraTS-GLI-00001-001", "BraTS-GLI-00002-000"):
        for sequence in ("t2f", "t1c"):
            _write(tmp_path / name / f"{name}-{sequence}.nii.gz")
    for date in ("2024-01-01", "2024-06-01"):
        for sequence in ("flair", "t1gd"):
            _write(tmp_path / "own" / date / f"{sequence}.nii.gz")
    patients = {case.patient for case in find_cases(tmp_path)}
    assert patients == {"BraTS-GLI-00001", "BraTS-GLI-00002", "own"}


def test_t2_and_truth_may_be_missing_but_not_t1gd(tmp_path):
    _write(tmp_path / "a" / "flair.nii.gz")
    assert find_cases(tmp_path) == []
    _write(tmp_path / "a" / "t1gd.nii.gz")
    [case] = find_cases(tmp_path)
    assert set(case.images) == {Role.FLAIR, Role.T1GD}
    assert case.truth is None
    with pytest.raises(RefusedError, match="a has no segmentation"):
        read_labels(case)
    with pytest.raises(RefusedError, match="a has no brain mask"):
        read_brain(case)


def test_images_and_mask_of_a_site_are_read_as_they_are(tmp_path):
    image = np.arange(60, dtype=np.float32).reshape(SHAPE)
    for name in ("flair", "t1gd"):
        _write(tmp_path / f"{name}.nii.gz", image)
    _write(tmp_path / "brain.nii.gz", (image > 30).astype(np.uint8) * 5)
    case = case_in(tmp_path)
    assert case is not None
    np.testing.assert_array_equal(read_images(case)[Role.FLAIR].array, image.transpose(2, 1, 0))
    assert read_brain(case).array.sum() == 29


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(RefusedError, match="there is no folder"):
        find_cases(tmp_path / "nowhere")
