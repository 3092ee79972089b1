"""What a Segmentation says of itself: its header, read and checked before any pixel is decoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pydicom import Dataset
from pydicom.config import disable_value_validation

from dicomseg.attributes import (
    count_of,
    filled_texts,
    first_item,
    items_of,
    maybe_number,
    text_of,
    uids_in,
)
from dicomseg.opening import open_seg, refusing_damage
from dicomseg.planes import Plane, plane_of_groups
from study.errors import RefusedError

MAX_SEGMENTS = 256
MAX_FRAMES = 20_000
MAX_SIDE = 2048
MAX_PIXELS = 2**30
"""Limits on a Segmentation that is read at all: segments, frames, rows or columns, and pixels of
all frames together (four segments on 1024 slices of 512x512): a few bytes of a compressed frame
may stand for millions of pixels."""


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
    with refusing_damage():
        return _facts(dataset, images or {})


def _facts(dataset: Dataset, images: ReferencedImages) -> SegFacts:
    """Body of `facts_of`."""
    segments = _segments(dataset)
    rows, columns = count_of(dataset, "Rows", MAX_SIDE), count_of(dataset, "Columns", MAX_SIDE)
    shared = first_item(dataset, "SharedFunctionalGroupsSequence") or Dataset()
    measures = first_item(shared, "PixelMeasuresSequence") or Dataset()
    meta = getattr(dataset, "file_meta", None) or Dataset()
    return SegFacts(
        sop_class_uid=text_of(dataset, "SOPClassUID"),
        sop_instance_uid=text_of(dataset, "SOPInstanceUID"),
        series_uid=text_of(dataset, "SeriesInstanceUID"),
        study_uid=text_of(dataset, "StudyInstanceUID"),
        frame_of_reference_uid=text_of(dataset, "FrameOfReferenceUID"),
        patient_id=text_of(dataset, "PatientID"),
        issuer=text_of(dataset, "IssuerOfPatientID"),
        birth_date=text_of(dataset, "PatientBirthDate"),
        patient_name=text_of(dataset, "PatientName"),
        manufacturer=text_of(dataset, "Manufacturer"),
        software=text_of(meta, "ImplementationVersionName"),
        descriptions=filled_texts(
            dataset, "SeriesDescription", "ContentDescription", "ContentLabel"
        ),
        people=filled_texts(dataset, "ContentCreatorName", "OperatorsName"),
        made=_made(dataset),
        segmentation_type=_segmentation_type(dataset),
        segments=segments,
        frames=_frames(dataset, shared, {s.number for s in segments}, images),
        rows=rows,
        columns=columns,
        slice_spacing=maybe_number(measures, "SpacingBetweenSlices"),
        slice_thickness=maybe_number(measures, "SliceThickness"),
        predecessors=tuple(uids_in(dataset, "PredecessorDocumentsSequence")),
        referenced_series=tuple(
            text_of(item, "SeriesInstanceUID")
            for item in items_of(dataset, "ReferencedSeriesSequence")
        ),
        referenced_instances=frozenset(
            uids_in(dataset, "ReferencedSeriesSequence", "ReferencedInstanceSequence",
                  "SourceImageSequence", "ReferencedImageSequence",
                  "PerFrameFunctionalGroupsSequence")
        ),
    )  # fmt: skip


def _segmentation_type(dataset: Dataset) -> str:
    """BINARY, FRACTIONAL or LABELMAP."""
    found = text_of(dataset, "SegmentationType")
    if found not in {"BINARY", "FRACTIONAL", "LABELMAP"}:
        raise RefusedError(f"its *Segmentation Type* is {found or 'missing'}")
    return found


def _segments(dataset: Dataset) -> tuple[SegmentFacts, ...]:
    """The segments; refused where numbers are missing, repeated or too many."""
    items = items_of(dataset, "SegmentSequence")
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
    code = first_item(item, "SegmentedPropertyTypeCodeSequence")
    lab = item.get("RecommendedDisplayCIELabValue")
    colour = tuple(int(v) for v in lab) if lab is not None and len(lab) == 3 else None
    return SegmentFacts(
        number=number,
        label=text_of(item, "SegmentLabel"),
        type_code=(text_of(code, "CodeValue"), text_of(code, "CodingSchemeDesignator"))
        if code
        else None,
        tracking_uid=text_of(item, "TrackingUID"),
        tracking_id=text_of(item, "TrackingID"),
        colour=(colour[0], colour[1], colour[2]) if colour else None,
        algorithm_type=text_of(item, "SegmentAlgorithmType"),
    )


def _frames(
    dataset: Dataset, shared: Dataset, segments: set[int], images: ReferencedImages
) -> tuple[FrameFacts, ...]:
    """The frames; refused where their number is in doubt or one shows an unknown segment."""
    declared = count_of(dataset, "NumberOfFrames", MAX_FRAMES, missing=1)
    items = items_of(dataset, "PerFrameFunctionalGroupsSequence")
    if len(items) != declared:
        raise RefusedError(f"it declares {declared} frames and describes {len(items)}")
    pixels = declared * int(dataset.Rows) * int(dataset.Columns)
    if pixels > MAX_PIXELS:
        raise RefusedError(f"its frames have {pixels} pixels; at most {MAX_PIXELS} are read")
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
        found = first_item(item, "SegmentIdentificationSequence") or first_item(
            shared, "SegmentIdentificationSequence"
        )
        number = found.get("ReferencedSegmentNumber") if found else None
        if not isinstance(number, int):
            raise RefusedError("one of its frames does not say which segment it shows")
        segment = number
    image = next(iter(uids_in(item, "DerivationImageSequence")), "")
    return FrameFacts(segment, plane_of_groups(item, shared) or images.get(image), image)


def _made(dataset: Dataset) -> datetime | None:
    """Content Date and Time, or None where they are no date and time."""
    text = text_of(dataset, "ContentDate") + (text_of(dataset, "ContentTime") or "000000")[:6]
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S")  # noqa: DTZ007
    except ValueError:
        return None
