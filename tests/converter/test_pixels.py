"""What is no image that can become voxels is held by its description, before it is decoded."""

from __future__ import annotations

import shutil
import struct
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import (
    EncapsulatedPDFStorage,
    EnhancedSRStorage,
    ExplicitVRBigEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    JPEGBaseline8Bit,
    KeyObjectSelectionDocumentStorage,
    RawDataStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from converter import planes
from converter.series import read_series, scan
from converter.volume import to_volume
from study.errors import HeldError

ONES = np.ones((4, 6, 4), np.uint16)


def second(**attributes):
    """A change that gives the second image other attributes; None takes one away."""

    def change(image: Dataset, k: int) -> None:
        for keyword, value in attributes.items() if k == 1 else ():
            if value is None:
                delattr(image, keyword)
            else:
                setattr(image, keyword, value)

    return change


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"PhotometricInterpretation": "MONOCHROME1"}, "is MONOCHROME1, not MONOCHROME2"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "is PALETTE COLOR, not MONOCHROME2"),
        ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, "is RGB, not MONOCHROME2"),
        ({"PhotometricInterpretation": None}, "is of unknown photometry, not MONOCHROME2"),
        ({"SamplesPerPixel": 3}, "has SamplesPerPixel 3; 1 is needed"),
        ({"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}, "has 1 bits allocated; 8 or 16"),
        ({"BitsAllocated": 7}, "has 7 bits allocated; 8 or 16"),
        ({"BitsAllocated": 32}, "has 32 bits allocated; 8 or 16"),
        ({"BitsAllocated": 64}, "has 64 bits allocated; 8 or 16"),
        ({"BitsStored": 17}, "has BitsStored 17; 1 to 16 is needed"),
        ({"BitsStored": 0}, "has BitsStored 0; 1 to 16 is needed"),
        ({"BitsStored": 12, "HighBit": 15}, "has HighBit 15; 11 is needed"),
        ({"PixelRepresentation": 2}, "has PixelRepresentation 2; 0 to 1 is needed"),
        ({"Rows": 0}, "has Rows 0; 1 to 65535 is needed"),
        ({"Columns": 0}, "has Columns 0; 1 to 65535 is needed"),
        ({"Rows": 65535}, "has 48 bytes of pixels; its size needs 524280"),
        ({"Rows": 65535, "Columns": 65535}, "claims 1 frame.* more than the 268435456 voxels"),
        ({"Rows": 5}, "has 48 bytes of pixels; its size needs 40"),
        ({"Rows": None}, "has Rows missing"),
        ({"NumberOfFrames": 2}, "has 48 bytes of pixels; its size needs 96"),
        ({"PixelData": None}, r"holds no \(7FE0,0010\) Pixel Data"),
        ({"PixelData": None, "FloatPixelData": bytes(96)}, "holds floating-point pixels"),
        ({"PixelData": None, "DoubleFloatPixelData": bytes(192)}, "holds floating-point pixels"),
        ({"ModalityLUTSequence": [Dataset()]}, r"has a \(0028,3000\) Modality LUT Sequence"),
    ],
)
def test_a_description_that_does_not_fit_is_held(dicom, attributes, reason):
    (series,) = read_series(dicom.series(ONES, change=second(**attributes)))
    with pytest.raises(HeldError, match=reason) as caught:
        to_volume(series)
    assert f"SOP Instance UID {series.series_uid}.2 " in str(caught.value)


def test_eight_bits_of_an_odd_number_of_pixels_are_padded(dicom):
    array = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)

    def pad(image: Dataset, k: int) -> None:
        image.PixelData = array[k].tobytes() + b"\0"

    bits = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    (series,) = read_series(dicom.series(array, change=pad, **bits))
    assert to_volume(series).array.tolist() == array.tolist()


def test_a_photometry_that_is_no_code_is_not_quoted(dicom):
    paths = dicom.series(ONES)
    for path in paths:
        path.write_bytes(path.read_bytes().replace(b"MONOCHROME2 ", b"Secret^Name "))
    with pytest.raises(HeldError, match="is of unknown photometry") as caught:
        to_volume(*read_series(paths))
    assert "Secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (KeyObjectSelectionDocumentStorage, "Key Object Selection Document Storage"),
        (EnhancedSRStorage, "Enhanced SR Storage"),
        (GrayscaleSoftcopyPresentationStateStorage, "Grayscale Softcopy Presentation State"),
        (RawDataStorage, "Raw Data Storage"),
        (EncapsulatedPDFStorage, "Encapsulated PDF Storage"),
        (SegmentationStorage, "Segmentation Storage"),
    ],
)
def test_objects_that_are_no_mr_image_stay_series_and_are_no_volume(dicom, kind, name):
    """In a folder beside images they do not disturb them; asked for, they are held."""

    def bare(image: Dataset, k: int) -> None:
        for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated"):
            if kind != SegmentationStorage:
                delattr(image, keyword)

    dicom.series(ONES)
    dicom.series(ONES, change=bare, SOPClassUID=kind)
    found = scan([dicom.folder])
    assert found.refused == ()
    images, others = found.series
    assert to_volume(images).array.shape == (4, 6, 4)
    with pytest.raises(HeldError, match=f"is {name}.*, not an MR image; leave it out"):
        to_volume(others)


def test_a_secondary_capture_with_positions_is_converted(dicom):
    """Research tools write masks so; it is `converter.identify` that never chooses one."""
    (series,) = read_series(dicom.series(ONES, SOPClassUID=SecondaryCaptureImageStorage))
    assert to_volume(series).array.tolist() == ONES.tolist()


def test_big_endian_is_held(dicom):
    paths = dicom.series(ONES)
    if shutil.which("dcmconv") is None:
        pytest.skip("needs DCMTK's dcmconv: apt-get install dcmtk")
    subprocess.run(["dcmconv", "+tb", paths[0], paths[0]], check=True)
    assert dcmread(paths[0]).file_meta.TransferSyntaxUID == ExplicitVRBigEndian
    with pytest.raises(HeldError, match="is encoded in Explicit VR Big Endian, which is not"):
        to_volume(*read_series(paths))


@pytest.mark.parametrize("syntax", [RLELossless, JPEGBaseline8Bit])
def test_native_pixels_under_a_compressed_syntax_are_held(dicom, syntax):
    paths = dicom.series(ONES)
    plain = paths[0].read_bytes()
    image = dcmread(paths[0])
    old = struct.pack("<HH2sH", 2, 0x10, b"UI", 20) + b"1.2.840.10008.1.2.1\0"
    new = str(syntax).encode()
    new += b"\0" * (len(new) % 2)
    length = struct.unpack("<L", plain[140:144])[0] + len(new) - 20
    changed = plain.replace(old, struct.pack("<HH2sH", 2, 0x10, b"UI", len(new)) + new)
    paths[0].write_bytes(changed[:140] + struct.pack("<L", length) + changed[144:])
    assert dcmread(paths[0]).file_meta.TransferSyntaxUID == syntax
    assert image.PixelData == dcmread(paths[0]).PixelData
    reason = "which its transfer syntax contradicts" if syntax == RLELossless else "not accepted"
    with pytest.raises(HeldError, match=reason):
        to_volume(*read_series(paths))


def nothing_is_decoded(monkeypatch):
    """Let the test fail where pixels are read or decoded."""

    def forbidden(*arguments):
        raise AssertionError("decoded")

    monkeypatch.setattr(planes, "stored_values", forbidden)
    monkeypatch.setattr(planes, "dcmread", forbidden)


def test_ten_thousand_frames_are_refused_before_anything_is_read(dicom, monkeypatch):
    (series,) = read_series(dicom.series(ONES[:1], NumberOfFrames=10_000))
    nothing_is_decoded(monkeypatch)
    with pytest.raises(HeldError, match="has 10000 slices; at most 2048 are accepted"):
        to_volume(series)


def test_ten_thousand_files_are_refused_before_anything_is_read(dicom, monkeypatch):
    (series,) = read_series(dicom.series(ONES))
    many = replace(series, instances=series.instances * 2_500)
    nothing_is_decoded(monkeypatch)
    with pytest.raises(HeldError, match="has 10000 slices; at most 2048 are accepted"):
        to_volume(many)


def test_a_frame_count_beyond_memory_is_refused_before_anything_is_read(dicom, monkeypatch):
    (series,) = read_series(dicom.series(ONES[:1], NumberOfFrames=999_999_999_999))
    nothing_is_decoded(monkeypatch)
    with pytest.raises(HeldError, match="has 999999999999 slices; at most 2048"):
        to_volume(series)
