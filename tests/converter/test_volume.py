"""Series to Volume: voxels, their place, and everything that is refused."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import EnhancedMRImageStorage, JPEG2000Lossless, JPEGLSLossless, RLELossless

from converter.series import Series, read_series
from converter.volume import to_volume
from study.errors import HeldError

COUNTED = np.arange(3 * 2 * 4, dtype=np.uint16).reshape(3, 2, 4)
"""Three slices of two rows and four columns; every voxel another value."""


def only(paths) -> Series:
    (series,) = read_series(paths)
    return series


def test_axial_slices_sent_from_foot_to_head_keep_their_order(dicom):
    volume = to_volume(
        only(dicom.series(COUNTED, (-10, -20, 30), (0, 0, 5), PixelSpacing=[0.5, 0.25]))
    )
    assert volume.array.dtype == np.float32
    assert volume.array.tolist() == COUNTED.tolist()
    # slice +5 mm towards the head, row +0.5 mm towards the back, column +0.25 mm to the left
    assert volume.geometry.affine.tolist() == [
        [0, 0, 0.25, -10],
        [0, 0.5, 0, -20],
        [5, 0, 0, 30],
        [0, 0, 0, 1],
    ]


def test_axial_slices_sent_from_head_to_foot_are_counted_along_the_normal(dicom):
    volume = to_volume(only(dicom.series(COUNTED, (0, 0, 30), (0, 0, -5))))
    assert volume.array.tolist() == COUNTED[::-1].tolist()
    assert volume.geometry.affine[:3, 3].tolist() == [0, 0, 20]
    assert volume.geometry.affine[:3, 0].tolist() == [0, 0, 5]


def test_sagittal_slices_are_counted_from_right_to_left(dicom):
    # rows run to the back (+y), columns run to the feet (-z): the normal is -x, towards the right
    sagittal = {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1], "PixelSpacing": [2.0, 3.0]}
    volume = to_volume(only(dicom.series(COUNTED, (7, 8, 9), (1.5, 0, 0), **sagittal)))
    assert volume.array.tolist() == COUNTED[::-1].tolist()
    assert volume.geometry.affine.tolist() == [
        [-1.5, 0, 0, 10],
        [0, 0, 3, 8],
        [0, -2, 0, 9],
        [0, 0, 0, 1],
    ]


def test_a_voxel_stays_at_its_own_place_whatever_the_orientation(dicom):
    """The last voxel of the slice sent second lies where its own header says."""
    row, column = np.array([0.8, 0.6, 0.0]), np.array([0.0, 0.0, -1.0])
    normal = np.cross(row, column)
    for sign in (1, -1):
        paths = dicom.series(
            COUNTED,
            (1, 2, 3),
            tuple(sign * 4 * normal),
            ImageOrientationPatient=[*row, *column],
            PixelSpacing=[0.5, 0.25],
        )
        volume = to_volume(only(paths))
        k, i, j = np.argwhere(volume.array == COUNTED[1, 1, 3])[0]
        expected = np.array([1, 2, 3]) + sign * 4 * normal + column * 0.5 + 3 * row * 0.25
        np.testing.assert_allclose(volume.geometry.world([k, i, j]), expected, atol=1e-9)
        assert volume.geometry.affine[:3, 0] @ normal > 0


def test_files_out_of_order_change_nothing(dicom):
    paths = dicom.series(COUNTED, step=(0, 0, 2))
    shuffled = to_volume(only([paths[2], paths[0], paths[1]]))
    assert shuffled.array.tolist() == COUNTED.tolist()


def test_instance_numbers_that_contradict_positions_are_overruled(dicom):
    def spoil(image: Dataset, k: int) -> None:
        image.InstanceNumber = [2, 3, 1][k]

    volume = to_volume(only(dicom.series(COUNTED, step=(0, 0, 2), change=spoil)))
    assert volume.array.tolist() == COUNTED.tolist()


def test_slope_and_intercept_of_each_slice_are_applied(dicom):
    def scale(image: Dataset, k: int) -> None:
        image.RescaleSlope, image.RescaleIntercept = [1, 2, 0.5][k], [0, 10, -1][k]

    volume = to_volume(only(dicom.series(COUNTED, change=scale)))
    assert volume.array[0, 0, 1] == 1
    assert volume.array[1, 0, 1] == 2 * 9 + 10
    assert volume.array[2, 0, 1] == 0.5 * 17 - 1


def test_negative_stored_values_stay_negative(dicom):
    signed = COUNTED.astype(np.int16) - 12
    volume = to_volume(only(dicom.series(signed)))
    assert volume.array.tolist() == signed.tolist()


def test_twelve_bits_signed_are_read_as_signed(dicom):
    def twelve(image: Dataset, k: int) -> None:
        image.BitsStored, image.HighBit = 12, 11

    signed = COUNTED.astype(np.int16) - 12
    volume = to_volume(only(dicom.series(signed, change=twelve)))
    assert volume.array.tolist() == signed.tolist()


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_compressed_pixels_are_the_same(dicom, syntax):
    rng = np.random.default_rng(1)
    array = rng.integers(0, 4000, (3, 32, 32)).astype(np.uint16)
    paths = dicom.series(array)
    for path in paths:
        image = dcmread(path)
        image.compress(syntax, generate_instance_uid=False)
        image.save_as(path)
    assert to_volume(only(paths)).array.tolist() == array.tolist()


def enhanced(dicom, order=(2, 0, 1), position=lambda k: [0, 0, 2.0 * k]):
    """One enhanced object whose frames come in another order; slope 2 for all frames."""
    image = dicom.header(SOPClassUID=EnhancedMRImageStorage)
    for keyword in ("PixelSpacing", "ImageOrientationPatient"):
        delattr(image, keyword)
    image.SeriesInstanceUID, image.SOPInstanceUID, image.InstanceNumber = "1.2.3", "1.2.3.1", 1
    image.NumberOfFrames = len(order)
    image.Rows, image.Columns = COUNTED.shape[1:]
    image.PixelData = COUNTED[list(order)].tobytes()
    shared = Dataset()
    shared.PixelMeasuresSequence = [Dataset()]
    shared.PixelMeasuresSequence[0].PixelSpacing = [1.0, 1.0]
    shared.PlaneOrientationSequence = [Dataset()]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelValueTransformationSequence = [Dataset()]
    shared.PixelValueTransformationSequence[0].RescaleSlope = 2
    shared.PixelValueTransformationSequence[0].RescaleIntercept = 1
    image.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for k in order:
        frame = Dataset()
        frame.PlanePositionSequence = [Dataset()]
        frame.PlanePositionSequence[0].ImagePositionPatient = position(k)
        frames.append(frame)
    image.PerFrameFunctionalGroupsSequence = frames
    return [dicom.write(image)]


def test_frames_of_an_enhanced_image_are_put_in_place(dicom):
    volume = to_volume(only(enhanced(dicom)))
    assert volume.array.tolist() == (2 * COUNTED + 1).tolist()
    assert volume.geometry.spacing == (2.0, 1.0, 1.0)


def test_an_enhanced_image_without_a_position_is_held(dicom):
    with pytest.raises(HeldError, match="ImagePositionPatient is missing; 3 finite numbers"):
        to_volume(only(enhanced(dicom, position=lambda k: None)))


def place(*z: float):
    """A change that puts the k-th image at a z of its own."""

    def change(image: Dataset, k: int) -> None:
        image.ImagePositionPatient = [0, 0, z[k]]

    return change


def spoil_one(keyword: str, value):
    """A change that gives the second image another value."""

    def change(image: Dataset, k: int) -> None:
        if k == 1:
            setattr(image, keyword, value)

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (place(0, 1, 1, 2), r"1 slice\(s\) at a position that another slice.*4 slices at 3 pos"),
        (place(0, 1, 2, 4), r"lacks 1 slice\(s\): steps of 1.000 mm, and of 2.000 mm"),
        (place(0, 1, 2, 3.5), r"spaced unevenly: steps from 1.000 to 1.500 mm"),
        (place(0, 1.3, 2, 3), r"spaced unevenly"),
        (spoil_one("ImageOrientationPatient", [1, 0, 0, 0, 0.99, 0.14]), "mixes orientations"),
        (spoil_one("PixelSpacing", [1.0, 1.1]), r"mixes \(0028,0030\) Pixel Spacing"),
        (spoil_one("FrameOfReferenceUID", "1.9"), "2 frames of reference"),
        (spoil_one("FrameOfReferenceUID", ""), "has no .0020,0052. Frame of Reference UID"),
        (spoil_one("ImagePositionPatient", None), "ImagePositionPatient is missing"),
        (spoil_one("ImageOrientationPatient", [1, 0, 0, 1, 0, 0]), "no right angle"),
        (spoil_one("PixelSpacing", [0.0, 1.0]), "no right angle or no size"),
        (spoil_one("PhotometricInterpretation", "MONOCHROME1"), "is MONOCHROME1, not MONOCHROME2"),
        (spoil_one("PhotometricInterpretation", "RGB"), "is RGB, not MONOCHROME2"),
        (
            spoil_one("PixelData", b"\0\0"),
            r"SOP Instance UID .*\.2 has 2 bytes of pixels; its size needs 8",
        ),
        (spoil_one("RescaleSlope", None), None),
    ],
)
def test_a_spoilt_stack_is_held_with_the_measured_numbers(dicom, change, reason):
    array = np.ones((4, 2, 2), np.uint16)
    series = only(dicom.series(array, change=change))
    if reason is None:
        assert to_volume(series).array.shape == (4, 2, 2)
        return
    with pytest.raises(HeldError, match=reason) as caught:
        to_volume(series)
    assert series.series_uid in str(caught.value)


def test_mixed_sizes_are_held(dicom):
    def spoil(image: Dataset, k: int) -> None:
        if k == 1:
            image.Rows, image.PixelData = 1, image.PixelData[:4]

    with pytest.raises(HeldError, match=r"mixes image sizes \[\(1, 2\), \(2, 2\)\]"):
        to_volume(only(dicom.series(np.ones((4, 2, 2), np.uint16), change=spoil)))


def test_two_slices_are_held(dicom):
    with pytest.raises(HeldError, match=r"has 2 slice\(s\); 3 are needed"):
        to_volume(only(dicom.series(COUNTED[:2])))


def test_a_tilted_gantry_is_held_with_its_angle(dicom):
    # 1 mm sideways for 5 mm along the normal: atan(1/5) = 11.31 degrees
    with pytest.raises(HeldError, match=r"sheared \(gantry tilt\) by 11.31 degrees"):
        to_volume(only(dicom.series(COUNTED, step=(0, 1, 5))))


def test_a_position_that_is_no_number_is_held(dicom):
    paths = dicom.series(COUNTED)
    whole = paths[1].read_bytes()
    paths[1].write_bytes(whole.replace(b"0.0\\0.0\\1.0 ", b"0.0\\0.0\\nan "))
    with pytest.raises(HeldError, match=r"\bnan\b|finite numbers"):
        to_volume(only(paths))


def test_nonsense_in_size_is_held_before_anything_is_decoded(dicom):
    def spoil(image: Dataset, k: int) -> None:
        image.Rows = image.Columns = 65535

    series = only(dicom.series(np.zeros((3, 2, 2), np.uint16), change=spoil))
    with pytest.raises(
        HeldError, match=r"claims 1 frame\(s\) of 65535 x 65535: more than the 268435456 voxels"
    ):
        to_volume(series)


def test_rounded_positions_are_not_held(dicom):
    volume = to_volume(
        only(dicom.series(np.ones((4, 2, 2), np.uint16), change=place(0, 1.04, 2, 3)))
    )
    assert volume.geometry.spacing[0] == 1.0
