"""Measurement groups of a report: tissues, regions, lesions and changes (PS3.16 TID 1411, 1501).

A tissue is one segment, so that its group is a volumetric one (TID 1411), tied to the segment by
its number and tracking UID. TID 1411 takes exactly one segment: a region of several, and a lesion
that is a part of one, are groups without a region of their own (TID 1501), which name the segments
as their source.

Diameters are measured between points, and TID 1410 allows no points for a single measurement:
they are a TID 1501 group of two measurements, each inferred from the line that it measures, which
viewers draw as they draw bidirectional measurements of their own. Such a group holds nothing else,
and every other measurement has a method: OHIF expects coordinates or a child of every measurement
in a group without a region (its ``getSopClassHandlerModule.ts``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import highdicom as hd
import numpy as np

from dicomseg import report_codes as code
from dicomseg.codes import CATEGORY, FAMILY, REGION, STYLES, Code
from dicomseg.delivered import Delivered
from dicomseg.diameters import Point
from dicomseg.facts import SegmentFacts
from dicomseg.identity import PRODUCT, ResultIdentity, tracking_identifier, tracking_uid, uid_for
from dicomseg.image_planes import ImagePlane, image_of, pixel_of
from dicomseg.lesions import Lesion, Measurements
from dicomseg.report_codes import concept
from dicomseg.trend_change import Change
from dicomseg.validity import valid_date
from study.tissue import REGIONS, Tissue

Group = Any
"""One of highdicom's measurement groups, which are not typed."""


@dataclass(frozen=True, eq=False)
class Subject:
    """What is measured: the Segmentation, the slices that it was drawn on, and whose it is."""

    delivered: Delivered
    slices: Sequence[ImagePlane]
    source_series_uid: str
    identity: ResultIdentity


def tissue_groups(subject: Subject, measured: Measurements) -> list[Group]:
    """Volume of each tissue."""
    return [_tissue_group(subject, t, ml) for t, ml in measured.volumes.tissues.items()]


def _tissue_group(subject: Subject, tissue: Tissue, volume_ml: float) -> Group:
    """One tissue."""
    segments = subject.delivered.segments.get(tissue, ())
    finding = STYLES[tissue].type_code
    if len(segments) != 1:
        name = tracking_identifier(subject.identity.result_id, tissue)
        uid = tracking_uid(subject.identity.result_id, tissue)
        return _plain_group(subject, name, uid, finding, [_volume(volume_ml)], [tissue])
    facts = subject.delivered.file_of(tissue)
    return hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking_of(segments[0], subject.identity, tissue),
        referenced_segment=hd.sr.ReferencedSegment(
            sop_class_uid=facts.sop_class_uid,
            sop_instance_uid=facts.sop_instance_uid,
            segment_number=segments[0].number,
            source_series=hd.sr.SourceSeriesForSegmentation(subject.source_series_uid),
        ),
        finding_type=concept(finding),
        finding_category=concept(CATEGORY),
        finding_sites=[hd.sr.FindingSite(concept(REGION))],
        algorithm_id=_algorithm(subject.identity),
        measurements=[_volume(volume_ml)],
    )


def _tracking_of(
    segment: SegmentFacts, identity: ResultIdentity, tissue: Tissue
) -> hd.sr.TrackingIdentifier:
    """How a segment is tracked; a foreign one without tracking gets what a result's own has."""
    if segment.tracking_uid:
        name = segment.tracking_id or segment.label or STYLES[tissue].label
        return hd.sr.TrackingIdentifier(segment.tracking_uid, name)
    return hd.sr.TrackingIdentifier(
        tracking_uid(identity.result_id, tissue), tracking_identifier(identity.result_id, tissue)
    )


def region_groups(subject: Subject, measured: Measurements) -> list[Group]:
    """Volume of each region of several tissues."""
    return [
        _plain_group(
            subject,
            f"{PRODUCT} {subject.identity.result_id} {code.REGION_NAMES[name]}",
            uid_for(subject.identity.result_id, f"tracking {name}"),
            code.REGION_CODES[name],
            [_volume(volume_ml)],
            sorted(REGIONS[name]),
        )
        for name, volume_ml in measured.volumes.regions.items()
        if len(REGIONS[name]) > 1
    ]


def lesion_groups(subject: Subject, measured: Measurements) -> list[Group]:
    """Volume, and diameters, of each enhancing lesion."""
    return [
        group
        for lesion in measured.lesions
        for group in (_lesion_group(subject, lesion), _diameter_group(subject, lesion))
    ]


def _lesion_group(subject: Subject, lesion: Lesion) -> Group:
    """What is measured of a lesion without points."""
    name, uid = _lesion_tracking(subject.identity, lesion, "")
    product = hd.sr.Measurement(
        name=concept(code.PRODUCT_OF_AXES),
        value=round(lesion.diameters.product_mm2, 1),
        unit=concept(code.SQUARE_MILLIMETRE),
        method=concept(code.RANO),
    )
    group = _plain_group(
        subject,
        name,
        uid,
        STYLES[Tissue.ENHANCING].type_code,
        [_volume(lesion.volume_ml), product],
        [Tissue.ENHANCING],
    )
    answer = code.YES if lesion.measurable else code.NO
    group[0].ContentSequence.extend(
        hd.sr.QualitativeEvaluation(concept(code.MEASURABLE), concept(answer))
    )
    return group


def _diameter_group(subject: Subject, lesion: Lesion) -> Group:
    """The two diameters of a lesion, with the lines on the image."""
    name, uid = _lesion_tracking(subject.identity, lesion, " diameters")
    found = lesion.diameters
    frame = subject.delivered.labels.geometry.frame_of_reference_uid
    image = image_of([*found.longest, *found.perpendicular], subject.slices, frame)
    axes = [
        _axis(code.LONG_AXIS, found.longest_mm, found.longest, image),
        _axis(code.SHORT_AXIS, found.perpendicular_mm, found.perpendicular, image),
    ]
    return hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(uid, name),
        finding_type=concept(STYLES[Tissue.ENHANCING].type_code),
        finding_category=concept(CATEGORY),
        finding_sites=[hd.sr.FindingSite(concept(REGION))],
        method=concept(code.RANO),
        algorithm_id=_algorithm(subject.identity),
        measurements=axes,
    )


def _lesion_tracking(identity: ResultIdentity, lesion: Lesion, what: str) -> tuple[str, str]:
    """Tracking identifier and UID of a lesion, or of its diameters."""
    name = f"{STYLES[Tissue.ENHANCING].label} {lesion.number}{what}"
    uid = uid_for(identity.result_id, f"tracking {name}")
    return f"{PRODUCT} {identity.result_id} {name}", uid


def _axis(
    name: Code, length_mm: float, ends: tuple[Point, Point], image: ImagePlane | None
) -> hd.sr.Measurement:
    """One diameter; without its line where no image lies in its plane."""
    value, unit = round(length_mm, 2), concept(code.MILLIMETRE)
    if image is None:
        return hd.sr.Measurement(concept(name), value, unit, method=concept(code.RANO))
    line = hd.sr.CoordinatesForMeasurement(
        graphic_type="POLYLINE",
        graphic_data=np.array([pixel_of(end, image)[:2] for end in ends]).round(3),
        source_image=hd.sr.SourceImageForRegion(
            image.sop_class_uid,
            image.sop_instance_uid,
            None if image.frame is None else [image.frame],
        ),
    )
    return hd.sr.Measurement(concept(name), value, unit, referenced_coordinates=[line])


def change_groups(subject: Subject, changes: Sequence[Change]) -> list[Group]:
    """Change of each region against an earlier result."""
    return [_change_group(subject, change) for change in changes]


def _change_group(subject: Subject, change: Change) -> Group:
    """One region against one earlier result, which is named by date and UIDs."""
    earlier = change.earlier
    what = (
        f"{code.REGION_NAMES[change.region]}: change since "
        f"{spoken_date(earlier.date)} ({', '.join(change.compared_as)})"
    )
    kind = f"tracking change of {change.region} since {earlier.seg_sop_instance_uid}"
    values = [_inferred(code.CHANGE, round(change.change_ml, 4), code.MILLILITRE, change)]
    if change.change_percent is not None:
        percent = round(change.change_percent, 2)
        values.append(_inferred(code.RELATIVE_CHANGE, percent, code.PERCENT, change))
    group = _plain_group(
        subject,
        f"{PRODUCT} {subject.identity.result_id} {what}",
        uid_for(subject.identity.result_id, kind),
        code.REGION_CODES[change.region],
        values,
        sorted(REGIONS[change.region]),
    )
    group[0].ContentSequence.extend(_earlier_items(change))
    return group


def _earlier_items(change: Change) -> list[hd.sr.ContentItem]:
    """Date, study and Segmentation of an earlier result."""
    earlier = change.earlier
    context = hd.sr.RelationshipTypeValues.HAS_OBS_CONTEXT
    items: list[hd.sr.ContentItem] = []
    if valid_date(earlier.date):
        items.append(hd.sr.DateContentItem(concept(code.STUDY_DATE), earlier.date, context))
    items.append(hd.sr.UIDRefContentItem(concept(code.STUDY_UID), earlier.study_uid, context))
    uid = earlier.seg_sop_instance_uid
    if earlier.is_image:
        items.append(
            hd.sr.ImageContentItem(
                concept(code.SOURCE_OF_MEASUREMENT),
                earlier.seg_sop_class_uid,
                uid,
                relationship_type=hd.sr.RelationshipTypeValues.CONTAINS,
            )
        )
    else:
        items.append(hd.sr.UIDRefContentItem(concept(code.SEG_UID), uid, context))
    return items


def _inferred(name: Code, value: float, unit: Code, change: Change) -> hd.sr.Measurement:
    """A change, and the earlier volume that it is inferred from (TID 300)."""
    measurement = hd.sr.Measurement(concept(name), value, concept(unit))
    before = hd.sr.NumContentItem(
        concept(code.VOLUME),
        round(change.before_ml, 4),
        concept(code.MILLILITRE),
        relationship_type=hd.sr.RelationshipTypeValues.INFERRED_FROM,
    )
    measurement[0].ContentSequence = hd.sr.ContentSequence([before])
    return measurement


def spoken_date(date: str) -> str:
    """``20260103`` as ``2026-01-03``; anything else as it is."""
    return f"{date[:4]}-{date[4:6]}-{date[6:]}" if len(date) == 8 else date


def _plain_group(
    subject: Subject,
    name: str,
    uid: str,
    finding: Code,
    measurements: Sequence[hd.sr.Measurement],
    tissues: Sequence[Tissue],
) -> Group:
    """A group without a region of its own; the segments of some tissues are its source."""
    group = hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(uid, name),
        finding_type=concept(finding),
        finding_category=concept(CATEGORY),
        finding_sites=[hd.sr.FindingSite(concept(REGION))],
        algorithm_id=_algorithm(subject.identity),
        measurements=measurements,
    )
    # One reference for each segment: highdicom 0.28 cannot read one of several.
    group[0].ContentSequence.extend(
        hd.sr.ImageContentItem(
            concept(code.SOURCE_OF_MEASUREMENT),
            facts.sop_class_uid,
            facts.sop_instance_uid,
            referenced_segment_numbers=number,
            relationship_type=hd.sr.RelationshipTypeValues.CONTAINS,
        )
        for facts, number in subject.delivered.sources(tissues)
    )
    return group


def _volume(volume_ml: float) -> hd.sr.Measurement:
    """A volume, to a tenth of a cubic millimetre."""
    return hd.sr.Measurement(
        concept(code.VOLUME),
        round(volume_ml, 4),
        concept(code.MILLILITRE),
        method=concept(code.SUMMED),
    )


def _algorithm(identity: ResultIdentity) -> hd.sr.AlgorithmIdentification | None:
    """Model and head that outlined it (TID 4019); none where a person did."""
    if identity.algorithm_type == "MANUAL":
        return None
    return hd.sr.AlgorithmIdentification(
        identity.model_name, identity.algorithm_version, family=concept(FAMILY)
    )
