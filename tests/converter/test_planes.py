"""Planes of classic and enhanced images: where they lie, and what has no place."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydicom import Dataset

from converter.series import read_series
from converter.volume import to_volume
from study.errors import HeldError

COUNTED = np.arange(4 * 3 * 2, dtype=np.uint16).reshape(4, 3, 2)


def converted(paths):
    (series,) = read_series(paths)
    return to_volume(series)


def test_frames_are_placed_by_position_whatever_their_indices_say(dicom):
    """Stored from head to foot, counted by time first, numbered backwards in their stack."""
    order = [2, 0, 3, 1]

    def place(k):
        return {
            "ImagePositionPatient": [5.0, 6.0, 2.5 * order[k]],
            "StackID": "1",
            "InStackPositionNumber": 4 - order[k],
            "DimensionIndexValues": [1, k + 1],
        }

    volume = converted(dicom.enhanced(COUNTED[order], place))
    assert volume.array.tolist() == COUNTED.tolist()
    assert volume.geometry.affine[:3, 3].tolist() == [5.0, 6.0, 0.0]
    assert volume.geometry.spacing == (2.5, 1.0, 1.0)


def test_each_frame_has_its_own_slope_and_intercept(dicom):
    slopes, intercepts = [1, 2, 0.5, 4], [0, -3, 1, 0]

    def place(k):
        return {"RescaleSlope": slopes[k], "RescaleIntercept": intercepts[k]}

    volume = converted(dicom.enhanced(COUNTED, place))
    for k in range(4):
        assert (
            volume.array[k].tolist()
            == (COUNTED[k].astype(float) * slopes[k] + intercepts[k]).tolist()
        )


def test_an_oblique_sagittal_stack_of_frames_keeps_its_place(dicom):
    angle = math.radians(10)
    row, column = [0.0, math.cos(angle), math.sin(angle)], [0.0, math.sin(angle), -math.cos(angle)]

    def place(k):
        return {
            "ImagePositionPatient": [10.0 - 3 * k, -50.0, 40.0],
            "ImageOrientationPatient": [*row, *column],
        }

    volume = converted(dicom.enhanced(COUNTED, place))
    assert volume.array.tolist() == COUNTED.tolist()
    assert volume.geometry.world([1, 2, 1]) == pytest.approx(
        [7.0, -50.0 + row[1] + 2 * column[1], 40.0 + row[2] + 2 * column[2]]
    )


def test_private_copies_of_attributes_do_not_scale_a_frame(dicom):
    """Philips keeps another slope in a private sequence of each frame."""

    def change(image: Dataset) -> None:
        for group in image.PerFrameFunctionalGroupsSequence:
            other = Dataset()
            other.RescaleSlope, other.ImagePositionPatient = 7, [0, 0, 99]
            group.private_block(0x2005, "Philips MR Imaging DD 005", create=True).add_new(
                0x0F, "SQ", [other]
            )

    assert converted(dicom.enhanced(COUNTED, change=change)).array.tolist() == COUNTED.tolist()


def two_of_each(k):
    """Two time points at each of two places."""
    return {"ImagePositionPatient": [0, 0, 2.0 * (k // 2)], "TemporalPositionIndex": k % 2 + 1}


def two_stacks(k):
    """Two frames of each of two orientations."""
    turned = {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1], "StackID": "2"}
    return {"StackID": "1"} if k < 2 else turned


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (two_of_each, r"2 slice\(s\) at a position that another.*4 slices at 2 positions"),
        (two_stacks, "of 4 slices 2 are turned against the first.*up to 1.0000"),
        (lambda k: {"ImagePositionPatient": None}, "ImagePositionPatient is missing"),
        (lambda k: {"ImageOrientationPatient": None}, "ImageOrientationPatient is missing"),
        (lambda k: {"RescaleSlope": 0}, r"\(0028,1053\) Rescale Slope 0"),
        (lambda k: {"ImagePositionPatient": [0, 0, 3 * k + (k == 3)]}, "spaced unevenly"),
    ],
)
def test_frames_that_are_no_single_stack_are_held(dicom, place, reason):
    with pytest.raises(HeldError, match=reason):
        converted(dicom.enhanced(COUNTED, place))


def test_fewer_descriptions_than_frames_are_held(dicom):
    def change(image: Dataset) -> None:
        del image.PerFrameFunctionalGroupsSequence[3]

    with pytest.raises(HeldError, match="describes 3 frames and holds 4"):
        converted(dicom.enhanced(COUNTED, change=change))


def test_frames_without_descriptions_are_held(dicom):
    def change(image: Dataset) -> None:
        del image.PerFrameFunctionalGroupsSequence

    with pytest.raises(HeldError, match="has 4 frames in one object without positions"):
        converted(dicom.enhanced(COUNTED, change=change))


def test_mosaics_are_held(dicom):
    kind = ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]
    with pytest.raises(HeldError, match=r"has 4 mosaic image\(s\), slices tiled into one"):
        converted(dicom.series(COUNTED, ImageType=kind))


def test_three_slices_are_a_volume_and_two_are_not(dicom):
    assert converted(dicom.series(COUNTED[:3])).array.shape == (3, 3, 2)
    with pytest.raises(HeldError, match=r"has 2 slice\(s\); 3 are needed"):
        converted(dicom.series(COUNTED[:2]))


def test_pixels_that_are_not_square_are_converted(dicom):
    volume = converted(dicom.series(COUNTED, PixelSpacing=[2.0, 0.5]))
    assert volume.geometry.spacing == (1.0, 2.0, 0.5)


def absent(keyword):
    def change(image: Dataset, k: int) -> None:
        if k == 2:
            delattr(image, keyword)

    return change


def instead(keyword, value):
    def change(image: Dataset, k: int) -> None:
        if k == 2:
            setattr(image, keyword, value)

    return change


NUMBERS = "finite numbers are needed, none beyond 10000"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (absent("ImagePositionPatient"), f"ImagePositionPatient is missing; 3 {NUMBERS}"),
        (absent("ImageOrientationPatient"), f"ImageOrientationPatient is missing; 6 {NUMBERS}"),
        (absent("PixelSpacing"), f"PixelSpacing is missing; 2 {NUMBERS}"),
        (absent("FrameOfReferenceUID"), "has no .0020,0052. Frame of Reference UID"),
        (instead("ImagePositionPatient", []), "ImagePositionPatient is missing"),
        (instead("ImagePositionPatient", [1, 2]), r"ImagePositionPatient is \[1.0, 2.0\]; 3"),
        (instead("ImagePositionPatient", [0, 0, 1e30]), r"is \[0.0, 0.0, 1e\+30\]; 3"),
        (instead("ImageOrientationPatient", [1, 0, 0, 0, 2, 0]), "no right angle or no size"),
        (instead("ImageOrientationPatient", [0, 0, 0, 0, 0, 0]), "no right angle or no size"),
        (instead("ImageOrientationPatient", [1, 0, 0, 0.1, 1, 0]), "no right angle or no size"),
        (instead("PixelSpacing", [0, 1]), r"Pixel Spacing \[0.0, 1.0\]: no right angle or no size"),
        (instead("PixelSpacing", [-1, 1]), r"\[-1.0, 1.0\]: no right angle or no size"),
        (instead("RescaleSlope", 0), r"has \(0028,1053\) Rescale Slope 0"),
        (instead("RescaleIntercept", 1e30), r"RescaleIntercept is \[1e\+30\]"),
    ],
)
def test_geometry_that_is_none_is_held(dicom, change, reason):
    with pytest.raises(HeldError, match=reason):
        converted(dicom.series(COUNTED, change=change))


@pytest.mark.parametrize("text", [b"nan", b"inf", b"1e9", b"   "])
@pytest.mark.parametrize("keyword", ["ImagePositionPatient", "ImageOrientationPatient"])
@pytest.mark.filterwarnings("ignore")
def test_a_number_that_is_none_is_held(dicom, keyword, text):
    def change(image: Dataset, k: int) -> None:
        if k == 1:
            getattr(image, keyword)[-1] = "777"

    paths = dicom.series(COUNTED, change=change)
    whole = paths[1].read_bytes()
    assert whole.count(b"\\777") == 1
    paths[1].write_bytes(whole.replace(b"\\777", b"\\" + text))
    with pytest.raises(HeldError, match=r"finite numbers|cannot be read"):
        converted(paths)
