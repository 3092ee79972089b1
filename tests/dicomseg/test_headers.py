from __future__ import annotations

import warnings
from io import BytesIO

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from dicomseg.planes import plane_of
from dicomseg.validate import validate_seg
from dicomseg.validity import valid_date, valid_time
from dicomseg.write import write_seg
from study.errors import RefusedError

TAGS = {
    "PatientSex": (0x00100040, "CS"),
    "PatientBirthDate": (0x00100030, "DA"),
    "StudyDate": (0x00080020, "DA"),
    "StudyTime": (0x00080030, "TM"),
    "StudyID": (0x00200010, "SH"),
    "AccessionNumber": (0x00080050, "SH"),
    "PatientID": (0x00100020, "LO"),
    "PatientAge": (0x00101010, "AS"),
    "PatientWeight": (0x00101030, "DS"),
    "PatientName": (0x00100010, "PN"),
    "ReferringPhysicianName": (0x00080090, "PN"),
}


def make_dirty(ds: Dataset, keyword: str, value: str) -> None:
    """Put a value in a header as it would come from a file, unchecked."""
    tag, vr = TAGS[keyword]
    raw = value.encode()
    ds._dict[Tag(tag)] = RawDataElement(Tag(tag), vr, len(raw), raw, 0, False, True)


REPAIRED = [
    ("PatientSex", "0000", ""),
    ("PatientSex", "female", ""),
    ("PatientBirthDate", "00000000", ""),
    ("PatientBirthDate", "19991345", ""),
    ("PatientBirthDate", "1961", ""),
    ("StudyDate", "2026.1.2", ""),
    ("StudyTime", "25:00", ""),
    ("StudyTime", "256000", ""),
    ("StudyID", "12345678901234567890", "1234567890123456"),
]


@pytest.mark.parametrize(("keyword", "dirty", "clean"), REPAIRED)
def test_bad_descriptive_values_are_repaired(keyword, dirty, clean, series, identity):
    """The result is valid, the voxels are right, and the original stays as it was."""
    for instance in series.instances:
        make_dirty(instance, keyword, dirty)
    encoded = write_seg(series.labels, series.instances, identity)
    validate_seg(encoded, series.labels)
    assert str(dcmread(BytesIO(encoded)).get(keyword) or "") == clean
    assert series.instances[0][keyword].value == dirty


@pytest.mark.parametrize("keyword", ["PatientAge", "PatientWeight"])
def test_bad_optional_values_are_left_out(keyword, series, identity):
    """Nothing needs them."""
    for instance in series.instances:
        make_dirty(instance, keyword, "0")
    encoded = write_seg(series.labels, series.instances, identity)
    assert keyword not in dcmread(BytesIO(encoded))


TYPE_2 = [
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PositionReferenceIndicator",
]


@pytest.mark.parametrize("keyword", TYPE_2)
def test_missing_type_2_attributes_are_there_and_empty(keyword, series, identity):
    """Absent in the source, present without value in the result."""
    for instance in series.instances:
        del instance[keyword]
    encoded = write_seg(series.labels, series.instances, identity)
    validate_seg(encoded, series.labels)
    found = dcmread(BytesIO(encoded))
    assert keyword in found
    assert not found[keyword].value
    assert keyword not in series.instances[0]


@pytest.mark.parametrize("keyword", ["SliceThickness", "StudyDescription", "Manufacturer"])
def test_missing_optional_attributes_do_no_harm(keyword, series, identity):
    """Also those that the encoder would insist on."""
    for instance in series.instances:
        del instance[keyword]
    validate_seg(write_seg(series.labels, series.instances, identity), series.labels)


@pytest.mark.parametrize(
    ("declared", "written"),
    [(["", "ISO 2022 IR 87"], ["", "ISO 2022 IR 87"]), ("ISO_IR 192", "ISO_IR 192"), ("", None)],
)
def test_character_sets_are_carried_over(declared, written, series, identity):
    """Also that of Japanese studies, which the encoder does not know; an empty one is left out."""
    for instance in series.instances:
        instance.SpecificCharacterSet = declared
        instance.PatientName = "Yamada^Tarou"
    encoded = write_seg(series.labels, series.instances, identity)
    assert dcmread(BytesIO(encoded)).get("SpecificCharacterSet") == written
    validate_seg(encoded, series.labels)


VERBATIM = [
    ("PatientID", "X" * 70),
    ("AccessionNumber", "ACC-2026-0000-0000-0042"),
    ("PatientName", "ONLY ONE PART"),
    ("ReferringPhysicianName", "a^b^c^d^e"),
]


@pytest.mark.parametrize(("keyword", "value"), VERBATIM)
def test_what_identifies_is_carried_over_as_it_is(keyword, value, series, identity, caplog):
    """An archive matches by it; and no warning quotes it."""
    for instance in series.instances:
        make_dirty(instance, keyword, value)
    encoded = write_seg(series.labels, series.instances, identity)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert str(dcmread(BytesIO(encoded))[keyword].value) == value
    assert value not in caplog.text


@pytest.mark.parametrize(
    "keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"]
)
def test_a_source_without_geometry_is_refused(keyword, series, identity):
    """Which slice it is cannot be said then."""
    del series.instances[4][keyword]
    with pytest.raises(RefusedError, match=keyword):
        write_seg(series.labels, series.instances, identity)


def test_a_position_that_is_no_number_is_refused(series):
    """Neither infinite nor missing."""
    series.instances[0].ImagePositionPatient = [1e30, 0, 0]
    with pytest.raises(RefusedError, match=r"\*ImagePositionPatient\* is missing"):
        plane_of(series.instances[0])


@pytest.mark.parametrize(
    ("text", "valid"),
    [("20240229", True), ("20230229", False), ("00000000", False), ("2024-02-29", False)],
)
def test_dates(text, valid):
    """DA values."""
    assert valid_date(text) is valid


@pytest.mark.parametrize(
    ("text", "valid"),
    [("10", True), ("101500.25", True), ("235959", True), ("2400", False), ("10:15", False)],
)
def test_times(text, valid):
    """TM values."""
    assert valid_time(text) is valid
