from __future__ import annotations

import warnings
from io import BytesIO

import pytest
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian

from dicomseg.study_modules import carry_study

TAGS = {
    "SpecificCharacterSet": (0x00080005, "CS"),
    "AccessionNumber": (0x00080050, "SH"),
    "ReferringPhysicianName": (0x00080090, "PN"),
    "StudyDescription": (0x00081030, "LO"),
    "PatientName": (0x00100010, "PN"),
    "PatientID": (0x00100020, "LO"),
    "PatientBirthDate": (0x00100030, "DA"),
    "PatientSex": (0x00100040, "CS"),
    "StudyID": (0x00200010, "SH"),
}


def put(ds: Dataset, keyword: str, raw: bytes) -> None:
    """An element as it stands in a file, undecoded."""
    tag, vr = TAGS[keyword]
    ds._dict[Tag(tag)] = RawDataElement(Tag(tag), vr, len(raw), raw, 0, False, True)


def carried(source: Dataset) -> Dataset:
    """A new object in the source's study, written and read."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    carry_study(source, made)
    buffer = BytesIO()
    dcmwrite(buffer, made, enforce_file_format=True)
    return dcmread(BytesIO(buffer.getvalue()))


def bytes_of(ds: Dataset, keyword: str) -> bytes:
    """A value as it stands in a file."""
    return ds.get_item(Tag(TAGS[keyword][0])).value.rstrip(b" ")


NAMES = [
    (b"ISO_IR 100", "Müller^Jürgen".encode("latin-1")),
    (b"ISO_IR 192", "山田^太郎".encode()),
    (b"\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎".encode("iso2022_jp")),
    # Half-width katakana, which pydicom decodes and cannot encode again.
    (b"ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ".encode("shift_jis")),
    (b"GB18030", "王^小东".encode("gb18030")),
]


@pytest.mark.parametrize(("charset", "name"), NAMES)
def test_text_is_carried_byte_for_byte(charset, name, series):
    """With the character set that it is written in; also what is only descriptive."""
    source = series.instances[0]
    put(source, "SpecificCharacterSet", charset)
    put(source, "PatientName", name)
    put(source, "ReferringPhysicianName", name)
    put(source, "StudyDescription", name)
    found = carried(source)
    named = found["SpecificCharacterSet"].value
    assert (named if isinstance(named, str) else "\\".join(named)).encode() == charset
    for keyword in ("PatientName", "ReferringPhysicianName", "StudyDescription"):
        assert bytes_of(found, keyword) == name


def test_text_that_was_decoded_before_is_encoded_again(series):
    """Whoever has read the name before makes no difference where it can be encoded."""
    source = series.instances[0]
    put(source, "SpecificCharacterSet", b"\\ISO 2022 IR 87")
    put(source, "PatientName", "Yamada^Tarou=山田^太郎".encode("iso2022_jp"))
    assert str(source.PatientName) == "Yamada^Tarou=山田^太郎"
    assert bytes_of(carried(source), "PatientName") == "Yamada^Tarou=山田^太郎".encode("iso2022_jp")


def test_without_a_character_set_the_bytes_stay(series):
    """A wrong character set is the source's; it is not made worse."""
    source = series.instances[0]
    del source.SpecificCharacterSet
    put(source, "PatientName", b"M\xfcller")
    found = carried(source)
    assert "SpecificCharacterSet" not in found
    assert bytes_of(found, "PatientName") == b"M\xfcller"


def test_bytes_that_are_no_text_of_the_character_set_stay(series):
    """UTF-8 is declared and Latin-1 written; pydicom would put question marks."""
    source = series.instances[0]
    put(source, "SpecificCharacterSet", b"ISO_IR 192")
    put(source, "PatientName", b"M\xfcller")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert bytes_of(carried(source), "PatientName") == b"M\xfcller"


def test_patient_study_and_order_are_carried(series):
    """Nothing else is: neither series nor place."""
    source = series.instances[0]
    source.IssuerOfPatientID, source.TimezoneOffsetFromUTC = "HOSPITAL", "+0900"
    found = carried(source)
    assert (found.PatientName, found.PatientID, found.IssuerOfPatientID) == (
        "Tester^Müller",
        "PAT-0001",
        "HOSPITAL",
    )
    assert (found.PatientBirthDate, found.PatientSex) == ("19610504", "F")
    assert (found.StudyDate, found.StudyTime, found.StudyID) == ("20260102", "101500", "7")
    assert (found.AccessionNumber, found.ReferringPhysicianName) == ("ACC42", "Referrer^A")
    assert (found.StudyDescription, found.TimezoneOffsetFromUTC) == ("MRI brain", "+0900")
    for keyword in ("FrameOfReferenceUID", "PositionReferenceIndicator", "Modality", "Manufacturer",
                    "SeriesInstanceUID", "ImagePositionPatient", "SeriesDescription"):  # fmt: skip
        assert keyword not in found


@pytest.mark.parametrize(
    ("keyword", "dirty", "clean"),
    [
        ("PatientSex", b"0000", ""),
        ("PatientBirthDate", b"00000000", ""),
        ("StudyID", b"12345678901234567890", "1234567890123456"),
    ],
)
def test_bad_descriptive_values_are_repaired(keyword, dirty, clean, series):
    """On the copy; the source keeps its own."""
    source = series.instances[0]
    put(source, keyword, dirty)
    assert str(carried(source).get(keyword) or "") == clean
    assert str(source[keyword].value) == dirty.decode()


def test_what_identifies_is_carried_as_it_is(series):
    """Longer than allowed: an archive matches by it."""
    source = series.instances[0]
    put(source, "AccessionNumber", b"ACC-2026-0000-0000-0042")
    assert bytes_of(carried(source), "AccessionNumber") == b"ACC-2026-0000-0000-0042"


def test_what_is_missing_is_empty(series):
    """Type 2 attributes are there in any case."""
    source = series.instances[0]
    for keyword in ("PatientName", "PatientID", "StudyID", "AccessionNumber", "PatientSex"):
        del source[keyword]
    found = carried(source)
    for keyword in ("PatientName", "PatientID", "StudyID", "AccessionNumber", "PatientSex"):
        assert keyword in found
        assert not found[keyword].value


def test_a_time_zone_that_is_none_is_left_out(series):
    """Half a zone would shift every time of the object."""
    series.instances[0].TimezoneOffsetFromUTC = "+2"
    assert "TimezoneOffsetFromUTC" not in carried(series.instances[0])
