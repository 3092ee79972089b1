"""What the listener reads of a data set, and how it notices that one is not whole."""

from __future__ import annotations

import hashlib
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless
from small_dicom import (
    PATIENT_ID,
    PATIENT_NAME,
    SECONDARY_CAPTURE,
    encode,
    make_instance,
    make_label_map,
)

from listener.header import DamagedError, Header, is_uid, read_header


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_the_header_of_a_whole_image_is_read(syntax: str) -> None:
    header = read_header(encode(make_instance(7), syntax), syntax)

    assert header == Header(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
        sop_instance_uid="1.2.3.4.1.7",
        study_uid="1.2.3.4",
        series_uid="1.2.3.4.1",
        modality="MR",
        pixel_sha256=hashlib.sha256(b"\x07\x00" * 8).hexdigest(),
    )


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_an_image_cut_anywhere_is_damaged(syntax: str) -> None:
    """At each single byte, also where an element ends: then its pixels are missing."""
    data_set = encode(make_instance(), syntax)

    for length in range(1, len(data_set)):
        with pytest.raises(DamagedError):
            read_header(data_set[:length], syntax)


def test_a_cut_inside_a_sequence_of_undefined_length_is_damage() -> None:
    instance = make_label_map()
    item = Dataset()
    item.SegmentNumber = 1
    item.is_undefined_length_sequence_item = True  # type: ignore[attr-defined]
    instance.SegmentSequence = Sequence([item])
    instance["SegmentSequence"].is_undefined_length = True
    data_set = encode(instance)

    read_header(data_set, ExplicitVRLittleEndian)
    for length in range(1, len(data_set)):
        with pytest.raises(DamagedError):
            read_header(data_set[:length], ExplicitVRLittleEndian)


def test_what_is_said_of_damage_holds_no_value_of_the_data_set() -> None:
    data_set = encode(make_instance())

    for length in range(1, len(data_set)):
        with pytest.raises(DamagedError) as caught:
            read_header(data_set[:length], ExplicitVRLittleEndian)
        assert PATIENT_NAME not in str(caught.value)
        assert PATIENT_ID not in str(caught.value)


def test_a_missing_study_uid_is_named() -> None:
    instance = make_instance()
    del instance.StudyInstanceUID

    with pytest.raises(DamagedError, match=r"\(0020,000D\) \*Study Instance UID\* is missing"):
        read_header(encode(instance), ExplicitVRLittleEndian)


def test_a_study_uid_that_is_a_path_is_no_uid() -> None:
    data_set = encode(make_instance()).replace(b"1.2.3.4\x00", b"../../et")

    with pytest.raises(DamagedError, match=r"Study Instance UID\* is missing or is not a UID"):
        read_header(data_set, ExplicitVRLittleEndian)


def test_pixels_shorter_than_rows_and_columns_need_are_damage() -> None:
    instance = make_instance()
    instance.Rows = 3

    with pytest.raises(DamagedError, match="holds 16 of 24 bytes"):
        read_header(encode(instance), ExplicitVRLittleEndian)


def test_frames_of_one_bit_are_counted_in_bits() -> None:
    """Two frames of 2 x 4 pixels of one bit are two bytes."""
    instance = make_label_map()
    instance.BitsAllocated = 1
    instance.PixelData = b"\xff\x01"
    assert read_header(encode(instance), ExplicitVRLittleEndian).modality == "SEG"

    instance.NumberOfFrames = 3
    with pytest.raises(DamagedError, match="holds 2 of 3 bytes"):
        read_header(encode(instance), ExplicitVRLittleEndian)


def test_a_number_of_frames_that_is_no_number_is_damage() -> None:
    data_set = encode(make_label_map()).replace(b"IS\x02\x002 ", b"IS\x02\x00-1")

    with pytest.raises(DamagedError, match=r"\*Number of Frames\* is not a number"):
        read_header(data_set, ExplicitVRLittleEndian)


def test_an_image_without_rows_is_damage() -> None:
    instance = make_instance()
    del instance.Rows

    with pytest.raises(DamagedError, match=r"\*Rows\*, \*Columns\* or \*Bits Allocated\*"):
        read_header(encode(instance), ExplicitVRLittleEndian)


def test_encapsulated_pixels_need_a_fragment() -> None:
    instance = make_instance()
    instance.PixelData = encapsulate([b"\x01\x02\x03\x04"])
    instance["PixelData"].is_undefined_length = True
    whole = encode(instance, RLELossless)
    assert read_header(whole, RLELossless).sop_instance_uid == "1.2.3.4.1.1"

    with pytest.raises(DamagedError, match="is encapsulated, the transfer syntax is not"):
        read_header(whole, ExplicitVRLittleEndian)
    with pytest.raises(DamagedError, match="is native, the transfer syntax is not"):
        read_header(encode(make_instance()), RLELossless)

    instance.PixelData = encapsulate([])
    instance["PixelData"].is_undefined_length = True
    with pytest.raises(DamagedError, match="holds no fragment"):
        read_header(encode(instance, RLELossless), RLELossless)


def test_sequences_nested_beyond_reason_are_damage() -> None:
    depth = 3000
    opening = bytes.fromhex("08004011 5351 0000 ffffffff feff00e0 ffffffff")
    data_set = opening * depth

    with pytest.raises(DamagedError, match="cannot be read past byte 0"):
        read_header(data_set, ExplicitVRLittleEndian)


def test_more_items_than_any_frames_have_are_damage() -> None:
    """Four megabytes would take a thread of the listener long to walk through."""
    items = b"\xfe\xff\x00\xe0\x00\x00\x00\x00" * 500_001
    bomb = b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff" + items
    with pytest.raises(DamagedError, match="holds 500001 sequence items; at most 500000 are read"):
        read_header(bomb + b"\xfe\xff\xdd\xe0\x00\x00\x00\x00", ExplicitVRLittleEndian)


def test_zeros_after_the_last_element_are_forgiven_and_other_bytes_are_not() -> None:
    data_set = encode(make_instance())

    assert read_header(data_set + b"\x00", ExplicitVRLittleEndian).modality == "MR"
    with pytest.raises(DamagedError, match="no element follows"):
        read_header(data_set + b"\x01", ExplicitVRLittleEndian)


def test_of_what_is_not_kept_neither_uids_nor_pixels_are_asked_for() -> None:
    instance = make_instance(sop_class=SECONDARY_CAPTURE, modality="OT")
    del instance.StudyInstanceUID
    del instance.PixelData

    header = read_header(encode(instance), ExplicitVRLittleEndian)

    assert (header.study_uid, header.modality, header.pixel_sha256) == ("", "OT", "")


def test_a_modality_that_is_no_code_is_left_out() -> None:
    data_set = encode(make_instance()).replace(b"CS\x02\x00MR", b"CS\x02\x00\n<")

    assert read_header(data_set, ExplicitVRLittleEndian).modality == ""


@pytest.mark.parametrize("text", ["1", "1.2.840.10008.1.1", "1.2.03", "9" * 64])
def test_digits_and_dots_are_a_uid(text: str) -> None:
    assert is_uid(text)


@pytest.mark.parametrize(
    "text", ["", ".", "1.", ".1", "1..2", "1.a", "1.2\n", "../1", "1 2", "9" * 65, "١.٢"]
)
def test_anything_else_is_not(text: str) -> None:
    assert not is_uid(text)


def test_pydicom_itself_does_not_notice_a_cut() -> None:
    """Why this module exists: if pydicom learns it, it may go."""
    data_set = encode(make_instance())[:-6]
    buffer = DicomBytesIO()
    buffer.write(bytes(128) + b"DICM" + bytes.fromhex("02001000 5549 1400"))
    buffer.write(b"1.2.840.10008.1.2.1\x00" + data_set)

    assert len(dcmread(BytesIO(buffer.getvalue())).PixelData) == 10
