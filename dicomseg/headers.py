"""Source headers as an encoder needs them: repaired on a copy, the originals untouched.

Real archives hold what the Standard forbids: a sex of ``0000``, a birth date of ``00000000``,
Type 2 attributes that are missing. Only descriptive values are repaired; what identifies the
patient, the study and the images is carried over as it is, since archives match by it.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, time

from pydicom import Dataset
from pydicom.multival import MultiValue

from dicomseg.attributes import numbers
from dicomseg.planes import Plane

REFERENCES = (
    "SpecificCharacterSet",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SOPClassUID",
    "SOPInstanceUID",
    "FrameOfReferenceUID",
)
"""What the encoder refers to; carried over as it is."""
VERBATIM = (
    "PatientID",
    "IssuerOfPatientID",
    "PatientName",
    "AccessionNumber",
    "IssuerOfAccessionNumberSequence",
    "ReferringPhysicianName",
    "TimezoneOffsetFromUTC",
    "PositionReferenceIndicator",
)
"""Carried over as it is, and not shown to the encoder: it would complain about unusual values in
warnings that quote them, and warnings end in logs."""
DESCRIPTIVE = (
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "StudyDescription",
    "Manufacturer",
    "ManufacturerModelName",
    "DeviceSerialNumber",
    "SoftwareVersions",
    "InstitutionName",
    "StationName",
)
"""Carried over where they are valid."""
TYPE_2 = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PositionReferenceIndicator",
)
"""Present, and empty where the source has none (PS3.3 sections C.7.1.1, C.7.2.1, C.7.4.1)."""
IMAGE = ("Modality", "Rows", "Columns", "InstanceNumber", "ImageType", "LossyImageCompression")
LONGEST = {"StudyID": 16, "StationName": 16}
"""Most characters of those that may not have 64."""


def plane_of(image: Dataset) -> Plane:
    """Plane of a single-frame image.

    Raises
    ------
    RefusedError
        If position, orientation or pixel spacing is missing or no number.
    """
    position = numbers(image, "ImagePositionPatient", 3)
    orientation = numbers(image, "ImageOrientationPatient", 6)
    spacing = numbers(image, "PixelSpacing", 2)
    return Plane(
        (position[0], position[1], position[2]),
        (*orientation[:3], *orientation[3:]),  # type: ignore[arg-type]
        (spacing[0], spacing[1]),
    )


def encoder_headers(sources: Sequence[Dataset]) -> list[Dataset]:
    """Minimal valid headers of source images, for an encoder to copy from.

    Parameters
    ----------
    sources
        Instances of one series; not changed.

    Returns
    -------
    list of pydicom.Dataset
        One for each source, in their order, with only what the new object takes over.
    """
    return [_encoder_header(source) for source in sources]


def carry_verbatim(source: Dataset, target: Dataset) -> None:
    """Copy what identifies patient and order from a source to a new object, unread."""
    for keyword in VERBATIM:
        if keyword in source:
            target[keyword] = copy.deepcopy(source[keyword])


def _encoder_header(source: Dataset) -> Dataset:
    """One minimal header."""
    header = Dataset()
    for keyword in (*REFERENCES, *IMAGE):
        if keyword in source:
            header[keyword] = copy.deepcopy(source[keyword])
    for keyword in DESCRIPTIVE:
        text = _text(source, keyword)
        longest = LONGEST.get(keyword, 64)
        if text and RULES.get(keyword, _single)(text):
            header[keyword] = copy.deepcopy(source[keyword])
            if len(text) > longest:
                setattr(header, keyword, str(header[keyword].value)[:longest])
    for keyword in TYPE_2:
        if keyword not in header or header[keyword].value is None:
            setattr(header, keyword, "")
    header.ImagePositionPatient = list(source.ImagePositionPatient)
    header.ImageOrientationPatient = list(source.ImageOrientationPatient)
    header.PixelSpacing = list(source.PixelSpacing)
    # The encoder insists on one; what is written is set by its caller.
    header.SliceThickness = source.get("SliceThickness") or 1.0
    return header


def _text(source: Dataset, keyword: str) -> str:
    """An attribute as text; empty where it is missing or cannot be parsed."""
    try:
        value = source.get(keyword)
    except (ValueError, TypeError, OverflowError):
        return ""
    if isinstance(value, MultiValue):
        return "\\".join(map(str, value))
    return "" if value is None else str(value).strip(" \x00")


def _single(text: str) -> bool:
    """Whether a text is one value."""
    return "\\" not in text


def valid_date(text: str) -> bool:
    """Whether a DA value is a day of the calendar."""
    if not re.fullmatch(r"\d{8}", text):
        return False
    try:
        date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return False
    return True


def valid_time(text: str) -> bool:
    """Whether a TM value is a time of the day."""
    found = re.fullmatch(r"(\d\d)(?:(\d\d)(?:(\d\d)(?:\.\d{1,6})?)?)?", text)
    if not found:
        return False
    try:
        hour, minute, second = (int(part or 0) for part in found.groups())
        time(hour, minute, second)
    except ValueError:
        return False
    return True


def _positive(text: str) -> bool:
    """Whether a DS value is a number above zero."""
    try:
        return 0 < float(text) < 1000
    except ValueError:
        return False


RULES: Mapping[str, Callable[[str], bool]] = {
    "PatientSex": lambda text: text in {"M", "F", "O"},
    "PatientBirthDate": valid_date,
    "StudyDate": valid_date,
    "StudyTime": valid_time,
    "PatientAge": lambda text: bool(re.fullmatch(r"\d{3}[DWMY]", text)),
    "PatientSize": _positive,
    "PatientWeight": _positive,
}
"""What a filled value must satisfy; other attributes may hold any single text."""
