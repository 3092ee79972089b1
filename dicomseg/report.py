"""Reports of a result: measurements (TID 1500, Comprehensive SR), or why there are none (text)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import highdicom as hd
from pydicom import Dataset
from pydicom.config import disable_value_validation

from dicomseg.attributes import text_of
from dicomseg.codes import STYLES
from dicomseg.delivered import Delivered, measure_delivered, read_delivered
from dicomseg.identity import ResultIdentity
from dicomseg.image_planes import ImagePlane, image_planes, in_order
from dicomseg.layers import Decisions
from dicomseg.lesions import Measurements
from dicomseg.measure import volumes_of
from dicomseg.report_content import remarks, report_content, text_content
from dicomseg.report_groups import (
    Subject,
    change_groups,
    lesion_groups,
    region_groups,
    tissue_groups,
)
from dicomseg.sr_document import (
    BASIC_TEXT_SR,
    COMPREHENSIVE_SR,
    Evidence,
    encodable,
    encode_document,
    evidence_of,
)
from dicomseg.trend_change import Change, Earlier, changes
from dicomseg.validity import valid_date
from study.errors import FailedError, RefusedError
from study.tissue import Role, Tissue

SAME_ML = 1e-3
"""Volumes that were measured before and are measured again differ by less, or by less than this
part of them: a file rounds positions."""
GRID_ORDER = (Role.T1GD, Role.FLAIR, Role.T2)
"""Which series a Segmentation lies on, where it does not say so itself: the first that there is."""

Sources = Mapping[Role, Sequence[Dataset]]


@dataclass(frozen=True)
class Report:
    """What a report tells beyond what the Segmentation holds.

    Parameters
    ----------
    measurements
        Of the Segmentation, from `measure_seg`.
    warnings
        Sentences.
    earlier
        The patient's results of other studies, in any order; later ones are left out, and those
        of the same study.
    corrected_by
        Who outlined it; empty for a network's own.
    decided
        What a person said its segments are, where they do not say so themselves.
    joined
        Where the measurements are of it and of older files of its series, all of them together.
    """

    measurements: Measurements
    warnings: tuple[str, ...] = ()
    earlier: tuple[Earlier, ...] = ()
    corrected_by: str = field(default="", repr=False)
    decided: Decisions = field(default_factory=dict)
    joined: Delivered | None = None


def measure_seg(
    seg: Dataset,
    sources: Sources,
    tissues: Sequence[Tissue] | None = None,
    decided: Decisions | None = None,
) -> Measurements:
    """Measurements of a Segmentation as it is delivered.

    Parameters
    ----------
    seg
        With its pixels: a network's own, or a person's correction of any type and tool.
    sources
        The series that were used; headers suffice.
    tissues
        Those that it speaks of; those that it has a segment of where None.
    decided
        What a person said its segments are, where they do not say so themselves.

    Raises
    ------
    RefusedError
        If the Segmentation is damaged or too large, or there is no series.
    HeldError
        If nothing says what a segment is.
    """
    _, slices = _grid_series(seg, sources)
    return measure_delivered(read_delivered(seg, slices, decided), tissues)


# Bad values are repaired or carried over on purpose; pydicom would quote them in warnings.
@disable_value_validation()
def write_report(seg: Dataset, sources: Sources, identity: ResultIdentity, told: Report) -> bytes:
    """Encode the measurements of a Segmentation as a preliminary, unverified report.

    Parameters
    ----------
    seg
        The Segmentation as it is delivered, with its pixels.
    sources
        The series that were used, by role; headers suffice. They are not changed.
    identity
        Who made it, when, and of what result it is; its `kind` is not that of the Segmentation,
        say ``"report"``.
    told
        What else there is to tell.

    Returns
    -------
    bytes
        A Part 10 file, Explicit VR Little Endian; the same for the same arguments.

    Raises
    ------
    RefusedError, HeldError
        As `measure_seg`; also if the Segmentation is of another study than the series, or the
        identity is that of the Segmentation itself.
    FailedError
        If the Segmentation does not hold the volumes that are told, or the report does not read
        back as what was meant.
    """
    grid, slices = _grid_series(seg, sources)
    source = in_order(sources[grid])[0]
    _check_identity(seg, source, identity)
    delivered = told.joined or read_delivered(seg, slices, told.decided)
    _compare_volumes(delivered, told.measurements)
    subject = Subject(delivered, slices, text_of(source, "SeriesInstanceUID"), identity)
    date = text_of(source, "StudyDate")
    others = [e for e in told.earlier if e.study_uid != text_of(source, "StudyInstanceUID")]
    changed = changes(told.measurements.volumes.regions, others, date if valid_date(date) else "")
    groups = [
        *tissue_groups(subject, told.measurements),
        *region_groups(subject, told.measurements),
        *lesion_groups(subject, told.measurements),
        *change_groups(subject, changed),
    ]
    person = encodable(told.corrected_by, source)
    said = remarks(told.measurements, identity, person, told.warnings, changed)
    content = report_content(
        groups, sources, identity, person, [encodable(sentence, source) for sentence in said]
    )
    encoded = encode_document(
        COMPREHENSIVE_SR, content, source, identity, _evidence(seg, delivered, sources, changed)
    )
    validate_report(encoded, told.measurements)
    return encoded


@disable_value_validation()
def write_text_report(source: Dataset, identity: ResultIdentity, sentences: Sequence[str]) -> bytes:
    """Encode sentences as a preliminary, unverified Basic Text SR.

    Parameters
    ----------
    source
        Any instance of the study, headers suffice. It is not changed.
    identity
        Who made it, when, and of what result it is.
    sentences
        Why a study could not be segmented, each a paragraph of its own.

    Raises
    ------
    RefusedError
        If there is no sentence, or the source names no study.
    """
    said = [encodable(sentence, source) for sentence in sentences]
    if not any(said):
        raise RefusedError("a report of text needs a sentence, and there is none")
    content = text_content([sentence for sentence in said if sentence], identity)
    return encode_document(BASIC_TEXT_SR, content, source, identity)


def validate_report(encoded: bytes, measured: Measurements) -> None:
    """Read a report back and compare its volumes of tissues with those meant.

    Raises
    ------
    FailedError
        If it cannot be read, or a volume differs.
    """
    try:
        content: Any = hd.sr.srread(BytesIO(encoded)).content
        groups = content.get_volumetric_roi_measurement_groups()
        groups += content.get_image_measurement_groups()
        read = {
            str(group.finding_type.value): group.get_measurements()[0].value
            for group in groups[::-1]
            if group.get_measurements()[0].name.value == "118565006"
        }
    except (RuntimeError, ValueError, AttributeError, TypeError, LookupError) as error:
        raise FailedError(f"the encoded report cannot be read back: {error}") from error
    for tissue, volume_ml in measured.volumes.tissues.items():
        found = read.get(STYLES[tissue].type_code.value)
        if found is None or abs(found - volume_ml) > SAME_ML:
            raise FailedError(
                f"the encoded report says {found} mL of {tissue.name.lower()}, not {volume_ml:.4f}"
            )


def _grid_series(seg: Dataset, sources: Sources) -> tuple[Role, list[ImagePlane]]:
    """Role and slices of the series on which a Segmentation lies."""
    present = [role for role in GRID_ORDER if sources.get(role)]
    if not present:
        raise RefusedError("a report needs the series that were used; none is given")
    named = {
        text_of(item, "SeriesInstanceUID") for item in seg.get("ReferencedSeriesSequence") or []
    }
    own = [r for r in present if text_of(sources[r][0], "SeriesInstanceUID") in named]
    frame = text_of(seg, "FrameOfReferenceUID")
    same = [r for r in present if text_of(sources[r][0], "FrameOfReferenceUID") == frame]
    role = (own or same or present)[0]
    return role, image_planes(sources[role])


def _check_identity(seg: Dataset, source: Dataset, identity: ResultIdentity) -> None:
    """Refuse what would give one UID to two objects, or tell of another study."""
    if identity.sop_instance_uid == text_of(seg, "SOPInstanceUID"):
        raise RefusedError(
            f"a report of kind {identity.kind!r} would bear the UID of its Segmentation; name "
            "another kind"
        )
    study_uid = text_of(source, "StudyInstanceUID")
    if text_of(seg, "StudyInstanceUID") != study_uid:
        raise RefusedError(
            f"Segmentation {text_of(seg, 'SOPInstanceUID')} is of study "
            f"{text_of(seg, 'StudyInstanceUID')}, the series of {study_uid}; give its own series"
        )


def _compare_volumes(delivered: Delivered, measured: Measurements) -> None:
    """Fail where a Segmentation does not hold the volumes that are told of it."""
    again = volumes_of(delivered.labels, list(measured.volumes.tissues)).tissues
    missing = sorted(set(delivered.tissues) - set(measured.volumes.tissues))
    for tissue, volume_ml in measured.volumes.tissues.items():
        if abs(again[tissue] - volume_ml) > SAME_ML * max(1.0, volume_ml):
            raise FailedError(
                f"Segmentation {delivered.facts.sop_instance_uid} holds {again[tissue]:.4f} mL of "
                f"{tissue.name.lower()}, the measurements say {volume_ml:.4f} mL; measure what is "
                "delivered"
            )
    if missing:
        raise FailedError(
            f"Segmentation {delivered.facts.sop_instance_uid} has segments of "
            f"{[t.name.lower() for t in missing]}, which the measurements leave out"
        )


def _evidence(
    seg: Dataset, delivered: Delivered, sources: Sources, changed: Sequence[Change]
) -> list[Evidence]:
    """All instances that a report refers to."""
    found = [evidence_of(i) for role in Role if role in sources for i in in_order(sources[role])]
    found.append(evidence_of(seg))
    found += [
        Evidence(f.study_uid, f.series_uid, f.sop_class_uid, f.sop_instance_uid)
        for f in delivered.layers.values()
    ]
    for change in changed:
        e = change.earlier
        if e.is_image:
            found.append(
                Evidence(e.study_uid, e.seg_series_uid, e.seg_sop_class_uid, e.seg_sop_instance_uid)
            )
    return found
