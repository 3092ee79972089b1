"""Labels as a DICOM Segmentation (PS3.3 section A.51) on the grid of one source series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO

import highdicom as hd
import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.config import disable_value_validation
from pydicom.sr.coding import Code as PydicomCode
from pydicom.uid import ExplicitVRLittleEndian
from pydicom.valuerep import DT, DSfloat

from dicomseg.attributes import items_of
from dicomseg.codes import CATEGORY, FAMILY, REGION, STYLES, Code, lab_of_rgb
from dicomseg.frame_items import declare_encoded, show_frames
from dicomseg.headers import carry_verbatim, encoder_headers, frame_numbers, is_multiframe
from dicomseg.identity import (
    PRODUCT,
    Encoding,
    Predecessor,
    ResultIdentity,
    tracking_identifier,
    tracking_uid,
    uid_for,
)
from dicomseg.source_grid import SourceSlices, on_source
from dicomseg.wall_clock import on_wall_clock
from study.tissue import TUMOUR_TISSUES, Tissue, renumber
from study.volume import Volume

DISCLAIMER = "Not for diagnosis"


# Bad values are repaired or carried over on purpose; pydicom would quote them in warnings.
@disable_value_validation()
def write_seg(
    labels: Volume,
    sources: Sequence[Dataset],
    identity: ResultIdentity,
    tissues: Sequence[Tissue] = TUMOUR_TISSUES,
    encoding: Encoding = "BINARY",
) -> bytes:
    """Encode labels as one Segmentation instance.

    Parameters
    ----------
    labels
        `Tissue` values on the voxels of the source series, in its frame of reference. Its axes may
        be reversed or exchanged against the series; nothing is interpolated.
    sources
        All instances of the source series, in any order, headers suffice. They are not changed.
    identity
        Who made it, when, and of what result it is.
    tissues
        Those that are spoken of: each has a segment, numbered from 1 in this order. A person's
        outline of the enhancing lesion alone says nothing of the others.
    encoding
        ``"BINARY"``, a frame for each segment and slice; or ``"LABELMAP"``, one frame for each
        slice, in a SOP class of its own (Label Map Segmentation Storage, Supplement 243).

    Returns
    -------
    bytes
        A Part 10 file, Explicit VR Little Endian; the same for the same arguments.

    Raises
    ------
    RefusedError
        If the labels are no `Tissue` values of `tissues`, the sources are not one series, or lie
        on other voxels or in another frame of reference than the labels.

    Notes
    -----
    A tissue that does not occur keeps its segment, and has no frame; where no tissue occurs at
    all, every frame is written, empty: a result without tumour is a valid Segmentation.
    """
    source = on_source(labels, sources)
    array = source.labels
    if tuple(tissues) != TUMOUR_TISSUES:
        array = renumber(array, {0: 0, **{int(t): n for n, t in enumerate(tissues, start=1)}})
    alike = encoding == "BINARY" and not is_multiframe(source.instances[0])
    if alike:
        seg = _of_classic_images(source, array, identity, tissues)
    else:
        seg = _segmentation(source, array, identity, tissues, encoding)
    # The encoder would measure it anew, in single frames not at all.
    (measures,) = seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    measures.SpacingBetweenSlices = DSfloat(source.spacing, auto_format=True)
    _settle(seg, source.instances[0], identity, tissues)
    if alike:
        declare_encoded(seg)
    buffer = BytesIO()
    seg.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _of_classic_images(
    source: SourceSlices,
    array: npt.NDArray[np.uint8],
    identity: ResultIdentity,
    tissues: Sequence[Tissue],
) -> hd.seg.Segmentation:
    """A BINARY object: the encoder makes it with one frame, and the others follow that one.

    The encoder takes several times as long for all of them, and they come out the same.
    """
    model = np.zeros_like(array[:1])
    model[0, 0, 0] = 1
    first = replace(source, instances=source.instances[:1], planes=source.planes[:1])
    seg = _segmentation(first, model, identity, tissues, "BINARY")
    show_frames(
        seg,
        seg.PerFrameFunctionalGroupsSequence[0],
        array,
        source.instances,
        source.planes,
        len(tissues),
    )
    return seg


def _segmentation(
    source: SourceSlices,
    array: npt.NDArray[np.uint8],
    identity: ResultIdentity,
    tissues: Sequence[Tissue],
    encoding: Encoding,
) -> hd.seg.Segmentation:
    """The object as the encoder makes it: segment numbers on the slices of the source."""
    return hd.seg.Segmentation(
        source_images=encoder_headers(source.instances, source.planes, source.thickness),
        pixel_array=np.ascontiguousarray(array),
        segmentation_type=hd.seg.SegmentationTypeValues(encoding),
        segment_descriptions=_descriptions(identity, tissues),
        series_instance_uid=identity.series_uid,
        series_number=identity.series_number,
        sop_instance_uid=identity.sop_instance_uid,
        instance_number=1,
        manufacturer=PRODUCT,
        manufacturer_model_name=identity.model_name,
        software_versions=identity.model_version,
        device_serial_number="1",
        pixel_measures=hd.PixelMeasuresSequence(
            pixel_spacing=source.planes[0].spacing,
            slice_thickness=source.thickness,
            spacing_between_slices=source.spacing,
        ),
        omit_empty_frames=bool(array.any()),
        content_label="GLIOMA_SEG",
        content_description=f"{DISCLAIMER}. {identity.series_description}"[:64],
        content_creator_name=identity.creator,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        series_description=identity.series_description,
    )


def _descriptions(
    identity: ResultIdentity, tissues: Sequence[Tissue]
) -> list[hd.seg.SegmentDescription]:
    """The segments."""
    algorithm = hd.AlgorithmIdentificationSequence(
        name=identity.model_name, family=_code(FAMILY), version=identity.algorithm_version
    )
    manual = identity.algorithm_type == "MANUAL"
    return [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=STYLES[tissue].label,
            segmented_property_category=_code(CATEGORY),
            segmented_property_type=_code(STYLES[tissue].type_code),
            algorithm_type=identity.algorithm_type,
            algorithm_identification=None if manual else algorithm,
            tracking_uid=tracking_uid(identity.result_id, tissue),
            tracking_id=tracking_identifier(identity.result_id, tissue),
            anatomic_regions=[_code(REGION)],
        )
        for number, tissue in enumerate(tissues, start=1)
    ]


def _code(code: Code) -> PydicomCode:
    """The library's spelling of a code."""
    return PydicomCode(code.value, code.scheme, code.meaning)


def _settle(
    seg: hd.seg.Segmentation,
    source: Dataset,
    identity: ResultIdentity,
    tissues: Sequence[Tissue],
) -> None:
    """Set what the encoder leaves to chance or to the clock, and what it was not shown."""
    carry_verbatim(source, seg)
    if is_multiframe(source):
        _name_frames(seg, frame_numbers(source))
    made = on_wall_clock(identity.created, source)
    day, moment = made.strftime("%Y%m%d"), made.strftime("%H%M%S")
    for what in ("InstanceCreation", "Content", "Series"):
        setattr(seg, f"{what}Date", day)
        setattr(seg, f"{what}Time", moment)
    # The last contributor is the encoder itself, with the time of the encoding.
    seg.ContributingEquipmentSequence[-1].ContributionDateTime = DT(day + moment)
    organization = uid_for(identity.result_id, f"{identity.kind} dimensions")
    seg.DimensionOrganizationSequence[0].DimensionOrganizationUID = organization
    for index in seg.DimensionIndexSequence:
        index.DimensionOrganizationUID = organization
    # The encoder describes the background of a label map, as segment 0.
    segments = [segment for segment in seg.SegmentSequence if segment.SegmentNumber]
    for segment, tissue in zip(segments, tissues, strict=True):
        segment.RecommendedDisplayCIELabValue = list(lab_of_rgb(STYLES[tissue].rgb))
    if identity.predecessor is not None:
        seg.PredecessorDocumentsSequence = [predecessor_item(identity.predecessor)]


def _name_frames(seg: hd.seg.Segmentation, numbers: Sequence[int]) -> None:
    """Refer to frames by their numbers in the source; the encoder counted those it was shown."""
    images = [
        image
        for frame in seg.PerFrameFunctionalGroupsSequence
        for derivation in items_of(frame, "DerivationImageSequence")
        for image in items_of(derivation, "SourceImageSequence")
    ]
    # The encoder lets segments share an item: each is renamed once.
    for image in {id(image): image for image in images}.values():
        image.ReferencedFrameNumber = numbers[image.ReferencedFrameNumber - 1]


def predecessor_item(before: Predecessor) -> Dataset:
    """Item of (0040,A360) *Predecessor Documents Sequence*: study, series, instance."""
    instance, series, study = Dataset(), Dataset(), Dataset()
    instance.ReferencedSOPClassUID = before.sop_class_uid
    instance.ReferencedSOPInstanceUID = before.sop_instance_uid
    series.SeriesInstanceUID = before.series_uid
    study.StudyInstanceUID = before.study_uid
    series.ReferencedSOPSequence = [instance]
    study.ReferencedSeriesSequence = [series]
    return study
