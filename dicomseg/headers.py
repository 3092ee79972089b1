"""Source headers as an encoder needs them: repaired on a copy, the originals untouched.

Real archives hold what the Standard forbids: a sex of ``0000``, a birth date of ``00000000``,
Type 2 attributes that are missing. Only descriptive values are repaired; what identifies the
patient, the study and the images is carried over as it is, since archives match by it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import DSfloat

from dicomseg.attributes import items_of, numbers, text_of
from dicomseg.planes import Plane
from dicomseg.validity import RULES, single

REFERENCES = (
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SOPClassUID",
    "SOPInstanceUID",
    "FrameOfReferenceUID",
)
"""What the encoder refers to; carried over as it is."""
VERBATIM = (
    "SpecificCharacterSet",
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
warnings that quote them, and warnings end in logs. Nor does it know every character set, least of
all the empty first value that Japanese studies have (PS3.5 section H.3)."""
PATIENT_AND_STUDY = (
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "StudyDescription",
)
DESCRIPTIVE = (
    *PATIENT_AND_STUDY,
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


def carry_verbatim(source: Dataset, target: Dataset) -> None:
    """Copy what identifies patient and order from a source to a new object, unread."""
    for keyword in VERBATIM:
        # A character set may be missing, but not empty (PS3.3 section C.12.1: Type 1C).
        if keyword in source and (keyword != "SpecificCharacterSet" or source[keyword].value):
            target[keyword] = copy.deepcopy(source[keyword])


def _text(source: Dataset, keyword: str) -> str:
    """An attribute as text; empty where it is missing or cannot be parsed."""
    try:
        value = source.get(keyword)
    except (ValueError, TypeError, OverflowError):
        return ""
    if isinstance(value, MultiValue):
        return "\\".join(map(str, value))
    return "" if value is None else str(value).strip(" \x00")


def encoder_headers(
    instances: Sequence[Dataset], planes: Sequence[Plane], thickness: float
) -> list[Dataset]:
    """Minimal valid headers of source images, for an encoder to copy from.

    Parameters
    ----------
    instances
        Classic images, one for each plane, or one multi-frame image; not changed.
    planes
        Where the slices lie. Their common orientation is that of the first, to the last digit:
        the encoder compares it exactly.
    thickness
        Of a slice, in mm.

    Returns
    -------
    list of pydicom.Dataset
        One for each instance, in their order, with only what the new object takes over.
    """
    # Patient and study are taken from the first alone.
    headers = [_reference_header(instance) for instance in instances]
    _describe(headers[0], instances[0])
    shared = Dataset()
    shared.ImageOrientationPatient = decimals(planes[0].orientation)
    shared.PixelSpacing = decimals(planes[0].spacing)
    shared.SliceThickness = thickness
    if is_multiframe(instances[0]):
        _add_groups(headers[0], planes, shared)
        return headers
    for header, plane in zip(headers, planes, strict=True):
        header.update(shared)
        header.ImagePositionPatient = decimals(plane.position)
    return headers


def decimals(values: Sequence[float]) -> list[DSfloat]:
    """Numbers in the 16 characters that a DS value may have."""
    return [DSfloat(value, auto_format=True) for value in values]


def is_multiframe(image: Dataset) -> bool:
    """Whether an image describes its frames in functional groups."""
    return "PerFrameFunctionalGroupsSequence" in image


def frame_numbers(image: Dataset) -> list[int]:
    """Numbers, from 1, of the frames that a multi-frame image describes.

    A header from which the frames of other stacks were taken names those that are left in
    (0008,1164) *Frame Extraction Sequence* (PS3.3 section C.12.3), under its own UID. An extract
    with a UID of its own counts its frames anew.
    """
    count = len(items_of(image, "PerFrameFunctionalGroupsSequence"))
    for item in items_of(image, "FrameExtractionSequence"):
        if text_of(item, "MultiFrameSourceSOPInstanceUID") == image.SOPInstanceUID:
            return [int(number) for number in numbers(item, "SimpleFrameList", count)]
    return list(range(1, count + 1))


def _add_groups(header: Dataset, planes: Sequence[Plane], shared: Dataset) -> None:
    """Functional groups of a multi-frame image: places of its frames, and no more."""
    orientation, measures, common = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = shared.ImageOrientationPatient
    measures.PixelSpacing, measures.SliceThickness = shared.PixelSpacing, shared.SliceThickness
    common.PlaneOrientationSequence = [orientation]
    common.PixelMeasuresSequence = [measures]
    header.NumberOfFrames = len(planes)
    header.SharedFunctionalGroupsSequence = [common]
    header.PerFrameFunctionalGroupsSequence = [_place(plane) for plane in planes]


def _place(plane: Plane) -> Dataset:
    """Functional groups of one frame."""
    position, groups = Dataset(), Dataset()
    position.ImagePositionPatient = decimals(plane.position)
    groups.PlanePositionSequence = [position]
    return groups


def _reference_header(source: Dataset) -> Dataset:
    """What the encoder needs to refer to an image."""
    header = Dataset()
    for keyword in (*REFERENCES, *IMAGE):
        if keyword in source:
            header[keyword] = source[keyword]
    return header


def _describe(header: Dataset, source: Dataset) -> None:
    """Add patient, study and equipment, where these are valid."""
    for keyword in DESCRIPTIVE:
        text = _text(source, keyword)
        longest = LONGEST.get(keyword, 64)
        if text and RULES.get(keyword, single)(text):
            header[keyword] = copy.deepcopy(source[keyword])
            if len(text) > longest:
                setattr(header, keyword, str(header[keyword].value)[:longest])
    for keyword in TYPE_2:
        if keyword not in header or header[keyword].value is None:
            setattr(header, keyword, "")
