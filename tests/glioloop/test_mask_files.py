"""Masks of research tools: they become a SEG on the very voxels, or are refused with the reason."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydicom import Dataset, dcmread
from small_world import ROWS, SLICES, Study, write_study

from converter.series import read_series
from converter.volume import to_volume
from dicomseg.read import read_seg
from glioloop.mask_files import is_mask_file, seg_of_mask
from study.errors import RefusedError
from study.tissue import Tissue
from study.volume import Geometry

MADE = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return write_study(tmp_path / "in")


def sources(study: Study) -> list[Dataset]:
    return [dcmread(path, stop_before_pixels=True) for path in study.files["T1GD"]]


def grid(study: Study) -> Geometry:
    (series,) = read_series(study.files["T1GD"])
    return to_volume(series).geometry


def box(value: int = 3) -> np.ndarray:
    """Labels (slice, row, column): no two axes and no two ends look alike."""
    labels = np.zeros((SLICES, ROWS, ROWS), np.uint8)
    labels[2:5, 4:8, 9:15] = value
    return labels


def write_mask(path: Path, labels: np.ndarray, geometry: Geometry, *, turned: bool = False) -> Path:
    """As ITK-SNAP does: NIfTI axes are (column, row, slice), its world is RAS."""
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ geometry.affine[:, [2, 1, 0, 3]]
    array = labels.transpose(2, 1, 0)
    if turned:  # another tool stores the rows the other way round, at the same places
        affine = affine.copy()
        affine[:3, 3] += affine[:3, 1] * (array.shape[1] - 1)
        affine[:3, 1] *= -1
        array = array[:, ::-1]
    nib.save(nib.Nifti1Image(np.ascontiguousarray(array), affine), path)
    return path


@pytest.mark.parametrize("name", ["mask.nii", "mask.nii.gz"])
@pytest.mark.parametrize("turned", [False, True])
def test_a_mask_becomes_the_same_voxels_of_a_seg(
    study: Study, tmp_path: Path, name: str, turned: bool
) -> None:
    mask = write_mask(tmp_path / name, box(), grid(study), turned=turned)
    made = seg_of_mask(mask, sources(study), numbers=None, created=MADE, creator="Curie^Marie")
    seg = read_seg(made, grid(study))
    np.testing.assert_array_equal(seg.masks[Tissue.ENHANCING], box() == 3)
    assert seg.outlined == {Tissue.ENHANCING}
    header = dcmread(BytesIO(made), stop_before_pixels=True)
    assert header.ContentCreatorName == "Curie^Marie"
    assert [s.SegmentAlgorithmType for s in header.SegmentSequence] == ["MANUAL"]


def test_numbers_mean_what_is_said_and_name_what_was_erased(study: Study, tmp_path: Path) -> None:
    mask = write_mask(tmp_path / "mask.nii", box(4), grid(study))
    numbers = {1: 1, 2: 2, 4: 3}
    seg = read_seg(seg_of_mask(mask, sources(study), numbers=numbers, created=MADE), grid(study))
    np.testing.assert_array_equal(seg.masks[Tissue.ENHANCING], box(4) == 4)
    assert seg.outlined == {Tissue.NECROSIS, Tissue.EDEMA, Tissue.ENHANCING}
    assert not seg.masks[Tissue.EDEMA].any()


def test_an_unknown_number_is_refused(study: Study, tmp_path: Path) -> None:
    mask = write_mask(tmp_path / "mask.nii", box(4), grid(study))
    with pytest.raises(RefusedError, match="the mask holds 4, and it is not said what that is"):
        seg_of_mask(mask, sources(study), numbers=None, created=MADE)


def test_a_mask_of_fractions_is_refused(study: Study, tmp_path: Path) -> None:
    mask = write_mask(tmp_path / "mask.nii", box().astype(np.float32) / 2, grid(study))
    with pytest.raises(RefusedError, match=r"the mask holds 1\.5"):
        seg_of_mask(mask, sources(study), numbers=None, created=MADE)


def test_an_empty_mask_must_say_what_it_erases(study: Study, tmp_path: Path) -> None:
    mask = write_mask(tmp_path / "mask.nii", box(0), grid(study))
    with pytest.raises(RefusedError, match="the mask is empty"):
        seg_of_mask(mask, sources(study), numbers=None, created=MADE)
    made = seg_of_mask(mask, sources(study), numbers={3: 3}, created=MADE)
    assert read_seg(made, grid(study)).outlined == {Tissue.ENHANCING}


def test_a_mask_on_other_voxels_is_refused(study: Study, tmp_path: Path) -> None:
    there = grid(study)
    affine = there.affine.copy()
    affine[:3, 3] += 3.0
    moved = Geometry(there.shape, affine, there.frame_of_reference_uid)
    mask = write_mask(tmp_path / "mask.nii", box(), moved)
    with pytest.raises(RefusedError, match="must be brought to its grid first"):
        seg_of_mask(mask, sources(study), numbers=None, created=MADE)


def test_a_file_that_claims_too_much_is_refused_before_it_is_read(
    study: Study, tmp_path: Path
) -> None:
    mask = write_mask(tmp_path / "mask.nii", box(), grid(study))
    content = bytearray(mask.read_bytes())
    content[42:48] = np.array([30000, 30000, 30000], "<i2").tobytes()
    mask.write_bytes(content)
    with pytest.raises(RefusedError, match="30000 x 30000 x 30000 voxels; 536870912 are accepted"):
        seg_of_mask(mask, sources(study), numbers=None, created=MADE)


def test_two_masks_or_two_times_are_two_segs(study: Study, tmp_path: Path) -> None:
    mask = write_mask(tmp_path / "mask.nii", box(), grid(study))
    other = datetime(2026, 3, 2, tzinfo=UTC)
    made = [seg_of_mask(mask, sources(study), numbers=None, created=t) for t in (MADE, MADE, other)]
    uids = [dcmread(BytesIO(seg), stop_before_pixels=True).SOPInstanceUID for seg in made]
    assert made[0] == made[1]
    assert uids[0] != uids[2]


def test_masks_are_known_by_their_names() -> None:
    assert is_mask_file(Path("a/Mask.NII.GZ"))
    assert is_mask_file(Path("mask.nii"))
    assert not is_mask_file(Path("seg.dcm"))
