"""What a Segmentation says of itself: its header, read and checked before any pixel is decoded."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.config import disable_value_validation
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dicomseg.headers import numbers
from dicomseg.lattice import Plane
from study.errors import RefusedError

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.7"
MAX_SEGMENTS = 256
MAX_FRAMES = 20_000
MAX_SIDE = 2048
"""Limits on a Segmentation that is read at all: segments, frames, and rows or columns."""

DAMAGE = (
    RecursionError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    OverflowError,
    NotImplementedError,
    struct.error,
    BytesLengthException,
)
"""What pydicom raises on damaged files."""

ReferencedImages = Mapping[str, Plane]
"""SOP Instance UID of an image to its plane."""


@dataclass(frozen=True)
class SegmentFacts:
    """One item of (0062,0002) *Segment Sequence*."""

    number: int
    label: str
    type_code: tuple[str, str] | None
    """(value, scheme)."""
    tracking_uid: str
    tracking_id: str
    colour: tuple[int, int, int] | None
    """(0062,000D) *Recommended Display CIELab Value*."""
    algorithm_type: str


@dataclass(frozen=True)
class FrameFacts:
    """One frame: the segment it shows (0 for a frame of a label map), and where."""

    segment: int
    plane: Plane | None
    image_uid: str
    """SOP Instance UID of the image that it was drawn on, or empty."""


@dataclass(frozen=True)
class SegFacts:
    """Header of a Segmentation, as far as it is of use here."""

    sop_class_uid: str
    sop_instance_uid: str
    series_uid: str
    study_uid: str
    frame_of_reference_uid: str
    patient_id: str = field(repr=False)
    issuer: str = field(repr=False)
    birth_date: str = field(repr=False)
    patient_name: str = field(repr=False)
    manufacturer: str
    software: str
    """Implementation Version Name of the writer."""
    descriptions: tuple[str, ...] = field(repr=False)
    """Series Description, Content Description and Content Label."""
    people: tuple[str, ...] = field(repr=False)
    """Content Creator's Name and Operators' Name, where filled."""
    made: datetime | None
    """Content Date and Time, on the writer's clock."""
    segmentation_type: str
    segments: tuple[SegmentFacts, ...]
    frames: tuple[FrameFacts, ...]
    rows: int
    columns: int
    slice_spacing: float | None
    slice_thickness: float | None
    predecessors: tuple[str, ...]
    """SOP Instance UIDs that (0040,A360) *Predecessor Documents Sequence* names."""
    referenced_series: tuple[str, ...]
    referenced_instances: frozenset[str]
    """SOP Instance UIDs that it names anywhere else."""


def open_seg(data: Path | bytes, *, pixels: bool = True) -> Dataset:
    """Parse a Part 10 file that shall be a Segmentation.

    Raises
    ------
    RefusedError
        If it is no Part 10 file, is nested too deeply, is deflated as a whole, or of another SOP
        class.
    """
    source = BytesIO(data) if isinstance(data, bytes) else data
    with _refusing_damage():
        dataset = dcmread(source, stop_before_pixels=not pixels, force=False)
        transfer_syntax = dataset.file_meta.get("TransferSyntaxUID", "")
        sop_class = str(dataset.get("SOPClassUID", ""))
    if transfer_syntax == DeflatedExplicitVRLittleEndian:
        raise RefusedError("it is deflated as a whole; send it in Explicit VR Little Endian")
    if sop_class not in {SEGMENTATION, LABEL_MAP_SEGMENTATION}:
        raise RefusedError(f"its SOP class is {sop_class or 'missing'}; a Segmentation is needed")
    return dataset


def read_facts(data: Path | bytes, images: ReferencedImages | None = None) -> SegFacts:
    """Header facts of a Segmentation file; see `facts_of`."""
    return facts_of(open_seg(data, pixels=False), images)


# Bad values of others are no concern here, and pydicom would quote them in warnings.
@disable_value_validation()
def facts_of(dataset: Dataset, images: ReferencedImages | None = None) -> SegFacts:
    """Read and check the header of a Segmentation.

    Parameters
    ----------
    dataset
        A parsed Segmentation, with or without its pixels.
    images
        Planes of known images, for frames that say on which image they were drawn but not where
        they lie.

    Raises
    ------
    RefusedError
        If the header contradicts itself, misses what reading needs, or exceeds the limits here.
    """
    with _refusing_damage():
        return _facts(dataset, images or {})


def _facts(dataset: Dataset, images: ReferencedImages) -> SegFacts:
    """Body of `facts_of`."""
    segments = _segments(dataset)
    rows, columns = _count(dataset, "Rows", MAX_SIDE), _count(dataset, "Columns", MAX_SIDE)
    shared = _first(dataset, "SharedFunctionalGroupsSequence") or Dataset()
    measures = _first(shared, "PixelMeasuresSequence") or Dataset()
    meta = getattr(dataset, "file_meta", None) or Dataset()
    return SegFacts(
        sop_class_uid=_text(dataset, "SOPClassUID"),
        sop_instance_uid=_text(dataset, "SOPInstanceUID"),
        series_uid=_text(dataset, "SeriesInstanceUID"),
        study_uid=_text(dataset, "StudyInstanceUID"),
        frame_of_reference_uid=_text(dataset, "FrameOfReferenceUID"),
        patient_id=_text(dataset, "PatientID"),
        issuer=_text(dataset, "IssuerOfPatientID"),
        birth_date=_text(dataset, "PatientBirthDate"),
        patient_name=_text(dataset, "PatientName"),
        manufacturer=_text(dataset, "Manufacturer"),
        software=_text(meta, "ImplementationVersionName"),
        descriptions=_filled(dataset, "SeriesDescription", "ContentDescription", "ContentLabel"),
        people=_filled(dataset, "ContentCreatorName", "OperatorsName"),
        made=_made(dataset),
        segmentation_type=_segmentation_type(dataset),
        segments=segments,
        frames=_frames(dataset, shared, {s.number for s in segments}, images),
        rows=rows,
        columns=columns,
        slice_spacing=_maybe_number(measures, "SpacingBetweenSlices"),
        slice_thickness=_maybe_number(measures, "SliceThickness"),
        predecessors=tuple(_uids(dataset, "PredecessorDocumentsSequence")),
        referenced_series=tuple(
            _text(item, "SeriesInstanceUID") for item in _items(dataset, "ReferencedSeriesSequence")
        ),
        referenced_instances=frozenset(
            _uids(dataset, "ReferencedSeriesSequence", "ReferencedInstanceSequence",
                  "SourceImageSequence", "ReferencedImageSequence",
                  "PerFrameFunctionalGroupsSequence")
        ),
    )  # fmt: skip


@contextmanager
def _refusing_damage() -> Iterator[None]:
    """Turn what a damaged file makes the parser raise into a refusal.

    Sequences are parsed when they are first looked at, so that damage shows late.
    """
    try:
        yield
    except RefusedError:
        raise
    except InvalidDicomError as error:
        raise RefusedError("it is no DICOM Part 10 file") from error
    except OSError as error:
        # The disk's errors have a number, pydicom's own have not.
        if error.errno is not None:
            raise
        raise RefusedError("it ends too early, or is damaged") from error
    except DAMAGE as error:
        raise RefusedError(f"it cannot be parsed as DICOM ({type(error).__name__})") from error


def _segmentation_type(dataset: Dataset) -> str:
    """BINARY, FRACTIONAL or LABELMAP."""
    found = _text(dataset, "SegmentationType")
    if found not in {"BINARY", "FRACTIONAL", "LABELMAP"}:
        raise RefusedError(f"its *Segmentation Type* is {found or 'missing'}")
    return found


def _segments(dataset: Dataset) -> tuple[SegmentFacts, ...]:
    """The segments; refused where numbers are missing, repeated or too many."""
    items = _items(dataset, "SegmentSequence")
    if not 1 <= len(items) <= MAX_SEGMENTS:
        raise RefusedError(f"it describes {len(items)} segments; 1 to {MAX_SEGMENTS} are read")
    segments = tuple(_segment(item) for item in items)
    if len({s.number for s in segments}) != len(segments):
        raise RefusedError("two of its segments have one *Segment Number*")
    return segments


def _segment(item: Dataset) -> SegmentFacts:
    """One segment; everything but its number may be missing."""
    number = item.get("SegmentNumber")
    if not isinstance(number, int) or number < 0:
        raise RefusedError("one of its segments has no *Segment Number*")
    code = _first(item, "SegmentedPropertyTypeCodeSequence")
    lab = item.get("RecommendedDisplayCIELabValue")
    colour = tuple(int(v) for v in lab) if lab is not None and len(lab) == 3 else None
    return SegmentFacts(
        number=number,
        label=_text(item, "SegmentLabel"),
        type_code=(_text(code, "CodeValue"), _text(code, "CodingSchemeDesignator"))
        if code
        else None,
        tracking_uid=_text(item, "TrackingUID"),
        tracking_id=_text(item, "TrackingID"),
        colour=(colour[0], colour[1], colour[2]) if colour else None,
        algorithm_type=_text(item, "SegmentAlgorithmType"),
    )


def _frames(
    dataset: Dataset, shared: Dataset, segments: set[int], images: ReferencedImages
) -> tuple[FrameFacts, ...]:
    """The frames; refused where their number is in doubt or one shows an unknown segment."""
    declared = _count(dataset, "NumberOfFrames", MAX_FRAMES, missing=1)
    items = _items(dataset, "PerFrameFunctionalGroupsSequence")
    if len(items) != declared:
        raise RefusedError(f"it declares {declared} frames and describes {len(items)}")
    label_map = _segmentation_type(dataset) == "LABELMAP"
    frames = tuple(_frame(item, shared, images, label_map=label_map) for item in items)
    unknown = {f.segment for f in frames} - segments - ({0} if label_map else set())
    if unknown:
        raise RefusedError(
            f"its frames show segments {sorted(unknown)}, which it does not describe"
        )
    return frames


def _frame(
    item: Dataset, shared: Dataset, images: ReferencedImages, *, label_map: bool
) -> FrameFacts:
    """One frame; its plane may come from the image that it was drawn on."""
    segment = 0
    if not label_map:
        found = _first(item, "SegmentIdentificationSequence") or _first(
            shared, "SegmentIdentificationSequence"
        )
        number = found.get("ReferencedSegmentNumber") if found else None
        if not isinstance(number, int):
            raise RefusedError("one of its frames does not say which segment it shows")
        segment = number
    image = next(iter(_uids(item, "DerivationImageSequence")), "")
    return FrameFacts(segment, _plane(item, shared) or images.get(image), image)


def _plane(item: Dataset, shared: Dataset) -> Plane | None:
    """Plane of a frame from its own and the shared functional groups; None where incomplete."""
    macros = ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")
    position, orientation, measures = (_first(item, m) or _first(shared, m) for m in macros)
    if position is None or orientation is None or measures is None:
        return None
    p = numbers(position, "ImagePositionPatient", 3)
    o = numbers(orientation, "ImageOrientationPatient", 6)
    s = numbers(measures, "PixelSpacing", 2)
    return Plane((p[0], p[1], p[2]), (o[0], o[1], o[2], o[3], o[4], o[5]), (s[0], s[1]))


def _made(dataset: Dataset) -> datetime | None:
    """Content Date and Time, or None where they are no date and time."""
    text = _text(dataset, "ContentDate") + (_text(dataset, "ContentTime") or "000000")[:6]
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S")  # noqa: DTZ007
    except ValueError:
        return None


def _uids(dataset: Dataset, *keywords: str) -> Iterable[str]:
    """Every Referenced SOP Instance UID at any depth of some sequences."""
    for keyword in keywords:
        for item in _items(dataset, keyword):
            if "ReferencedSOPInstanceUID" in item:
                yield str(item.ReferencedSOPInstanceUID)
            nested = [element.keyword for element in item if element.VR == "SQ"]
            yield from _uids(item, *nested)


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """Items of a sequence; none where it is missing."""
    found = dataset.get(keyword)
    return list(found) if found else []


def _first(dataset: Dataset, keyword: str) -> Dataset | None:
    """First item of a sequence."""
    items = _items(dataset, keyword)
    return items[0] if items else None


def _filled(dataset: Dataset, *keywords: str) -> tuple[str, ...]:
    """Values of those attributes that are not empty."""
    return tuple(text for text in (_text(dataset, k) for k in keywords) if text)


def _text(dataset: Dataset, keyword: str) -> str:
    """An attribute as trimmed text, empty where missing."""
    value: Any = dataset.get(keyword)
    return "" if value is None else str(value).strip(" \x00")


def _count(dataset: Dataset, keyword: str, most: int, missing: int | None = None) -> int:
    """An attribute as a number from 1 to `most`."""
    value = dataset.get(keyword, missing)
    if not isinstance(value, int) or not 1 <= value <= most:
        raise RefusedError(f"its *{keyword}* is {value}; 1 to {most} is read")
    return int(value)


def _maybe_number(dataset: Dataset, keyword: str) -> float | None:
    """A positive number, or None."""
    try:
        value = float(dataset.get(keyword))
    except (TypeError, ValueError):
        return None
    return value if 0 < value < 1000 else None
