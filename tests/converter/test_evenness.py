"""Stacks that are even, and the measured numbers of those that are not."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom import Dataset

from converter.parts import split
from converter.series import read_series
from converter.volume import to_volume
from study.errors import HeldError

ARRAY = np.arange(8 * 3 * 2, dtype=np.uint16).reshape(8, 3, 2)


def at(*positions):
    """A change that puts the k-th image at a position of its own."""

    def change(image: Dataset, k: int) -> None:
        image.ImagePositionPatient = list(positions[k])

    return change


def along_z(*places: float):
    return at(*((0, 0, z) for z in places))


def converted(paths):
    (series,) = read_series(paths)
    return to_volume(series)


@pytest.mark.parametrize("order", [range(8), range(7, -1, -1), [0, 2, 4, 6, 1, 3, 5, 7]])
def test_acquired_upwards_downwards_or_interleaved_the_order_is_that_of_space(dicom, order):
    change = along_z(*(6.5 * k for k in order))
    volume = converted(dicom.series(ARRAY[list(order)], change=change))
    assert volume.array.tolist() == ARRAY.tolist()
    assert volume.geometry.spacing[0] == 6.5


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (along_z(0, 1, 2, 3, 5, 6, 7, 8), r"lacks 1 slice.*steps of 1.000 mm, and of 2.000 mm"),
        (along_z(0, 1, 2, 5, 6, 7, 8, 9), r"lacks 2 slice.*and of 3.000 mm"),
        (along_z(0, 1, 2, 3, 3, 4, 5, 6), r"1 slice\(s\) at a position.*8 slices at 7 positions"),
        (along_z(0, 1, 2, 3, 0, 1, 2, 3), r"4 slice\(s\) at a position.*8 slices at 4 positions"),
        (along_z(0, 1, 2, 3, 4, 5, 6, 7.4), "unevenly: steps from 1.000 to 1.400 mm, off an even"),
        (along_z(*(2.0**k for k in range(8))), "spaced unevenly: steps from 1.000 to 64.000 mm"),
        (along_z(*(200.0 * k for k in range(8))), "is 1400 mm long; 1000 mm is the most"),
        # 1 mm sideways for 10 mm along the normal: atan(1/10) = 5.71 degrees
        (at(*((k, 0, 10 * k) for k in range(8))), r"\(gantry tilt\) by 5.71 degrees; 0.2 is"),
        (
            at(*((0.3 * (k == 4), 0, k) for k in range(8))),
            "slices up to 0.300 mm beside the line of the others; 0.1 mm is accepted",
        ),
    ],
)
def test_an_uneven_stack_is_held_with_its_numbers(dicom, change, reason):
    with pytest.raises(HeldError, match=reason):
        converted(dicom.series(ARRAY, change=change))


def test_a_slight_tilt_is_rounding(dicom):
    # 0.02 mm for 10 mm: 0.11 degrees
    volume = converted(dicom.series(ARRAY, change=at(*((0.02 * k, 0, 10 * k) for k in range(8)))))
    assert volume.geometry.affine[:3, 0] == pytest.approx([0.02, 0, 10])


def test_a_localizer_among_axial_slices_is_held_with_the_numbers(dicom):
    def change(image: Dataset, k: int) -> None:
        if k >= 6:
            image.ImageOrientationPatient = [[1, 0, 0, 0, 0, -1], [0, 1, 0, 0, 0, -1]][k - 6]

    (series,) = read_series(dicom.series(ARRAY, change=change))
    assert split(series) == (series,)
    with pytest.raises(HeldError, match=r"of 8 slices 2 are turned against the first.*localizer"):
        to_volume(series)


def test_three_orthogonal_slices_are_no_stack(dicom):
    def change(image: Dataset, k: int) -> None:
        planes = [[1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1], [0, 1, 0, 0, 0, -1]]
        image.ImageOrientationPatient = planes[k]

    with pytest.raises(HeldError, match="of 3 slices 2 are turned against the first"):
        converted(dicom.series(ARRAY[:3], change=change))


def test_three_orthogonal_stacks_are_split_and_each_is_converted(dicom):
    planes = [[1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1]]

    def change(image: Dataset, k: int) -> None:
        image.ImageOrientationPatient = planes[k // 4]
        image.ImagePositionPatient = [0, 0, 2 * k] if k < 4 else [0, 2 * k, 0]

    (series,) = read_series(dicom.series(ARRAY, change=change))
    axial, coronal = (to_volume(part) for part in split(series))
    assert axial.array.tolist() == ARRAY[:4].tolist()
    assert coronal.array.tolist() == ARRAY[4:].tolist()
    assert coronal.geometry.affine[:3, 0].tolist() == [0, 2, 0]


def test_signed_and_unsigned_slices_are_not_mixed(dicom):
    def change(image: Dataset, k: int) -> None:
        image.PixelRepresentation = int(k == 3)

    with pytest.raises(HeldError, match="mixes pixel formats int16, uint16"):
        converted(dicom.series(ARRAY, change=change))


def test_two_series_in_two_frames_of_reference_are_two_volumes_in_two_places(dicom):
    """A patient who was laid down anew: each volume says in which frame its positions are meant."""
    dicom.series(ARRAY, FrameOfReferenceUID="1.2.3")
    dicom.series(ARRAY, FrameOfReferenceUID="1.2.4")
    one, other = (to_volume(series) for series in read_series([dicom.folder]))
    assert one.geometry.frame_of_reference_uid == "1.2.3"
    assert other.geometry.frame_of_reference_uid == "1.2.4"
    assert one.geometry.same_grid(other.geometry)
    assert not one.geometry.same_place(other.geometry)
