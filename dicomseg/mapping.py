"""Which tissue a foreign segment is: by what it says, never by its number.

Viewers renumber segments, drop codes and tracking UIDs, and some even labels; each keeps
something. What names a tissue most deliberately is asked first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dicomseg.codes import BACKGROUND_CODE, STYLES, TYPE_CODES, lab_of_rgb
from dicomseg.facts import SegmentFacts
from dicomseg.synonyms import canonical_label, tissue_of_synonym
from study.tissue import TUMOUR_TISSUES, Tissue

SAME_COLOUR = 5000
"""Greatest distance of two colours, in units of the CIELab attribute, that are meant as one."""


@dataclass(frozen=True)
class Mapped:
    """What a segment was taken for, and by which of its marks."""

    segment: SegmentFacts
    tissue: Tissue | None
    by: str
    """``"person"``, ``"label"``, ``"synonym"``, ``"code"``, ``"tracking UID"``, ``"colour"``,
    ``"background"`` or ``"nothing"``."""


def map_segments(
    segments: Sequence[SegmentFacts],
    original: Sequence[SegmentFacts] = (),
    overrides: Mapping[str, Tissue | None] | None = None,
) -> tuple[Mapped, ...]:
    """Tissue of each segment.

    Parameters
    ----------
    segments
        Those of the file that is read.
    original
        Those of the result that it corrects, for tracking UIDs and colours as they were sent.
    overrides
        A person's decision: label (as it is spelled in the file) to tissue, or None for a segment
        that shall be left out. Labels that do not occur are ignored.

    Returns
    -------
    tuple of Mapped
        In the order given. Tissue None with ``by="nothing"`` is a segment that nothing names.
    """
    return tuple(_map(segment, original, overrides or {}) for segment in segments)


def _map(
    segment: SegmentFacts,
    original: Sequence[SegmentFacts],
    overrides: Mapping[str, Tissue | None],
) -> Mapped:
    """Tissue of one segment, by the first of its marks that names one."""
    if segment.label in overrides:
        return Mapped(segment, overrides[segment.label], "person")
    if segment.type_code == BACKGROUND_CODE or segment.number == 0:
        return Mapped(segment, None, "background")
    marks = (
        ("label", _by_label(segment)),
        ("synonym", tissue_of_synonym(segment.label)),
        ("code", TYPE_CODES.get(segment.type_code) if segment.type_code else None),
        ("tracking UID", _by_tracking_uid(segment, original)),
        ("colour", _by_colour(segment, original)),
    )
    by, tissue = next(((b, t) for b, t in marks if t is not None), ("nothing", None))
    return Mapped(segment, tissue, by)


def _by_label(segment: SegmentFacts) -> Tissue | None:
    """Tissue whose label it bears, but for case and punctuation."""
    name = canonical_label(segment.label)
    return next((t for t, style in STYLES.items() if canonical_label(style.label) == name), None)


def _by_tracking_uid(segment: SegmentFacts, original: Sequence[SegmentFacts]) -> Tissue | None:
    """Tissue of the original's segment with that tracking UID."""
    same = (s for s in original if segment.tracking_uid and s.tracking_uid == segment.tracking_uid)
    return next((tissue_of_original(ours) for ours in same), None)


def tissue_of_original(segment: SegmentFacts) -> Tissue | None:
    """Tissue of one of our own segments, by its label."""
    names = {style.label: tissue for tissue, style in STYLES.items()}
    return names.get(segment.label)


def _by_colour(segment: SegmentFacts, original: Sequence[SegmentFacts]) -> Tissue | None:
    """The only tissue whose colour is near; None where none or several are."""
    if segment.colour is None:
        return None
    colours = {tissue: lab_of_rgb(style.rgb) for tissue, style in STYLES.items()}
    for ours in original:
        tissue = tissue_of_original(ours)
        if tissue is not None and ours.colour is not None:
            colours[tissue] = ours.colour
    near = [t for t, c in colours.items() if math.dist(c, segment.colour) < SAME_COLOUR]
    return near[0] if len(near) == 1 else None


def unmapped(mapped: Iterable[Mapped]) -> tuple[SegmentFacts, ...]:
    """Segments that nothing names."""
    return tuple(m.segment for m in mapped if m.by == "nothing")


def mapped_tissues(mapped: Iterable[Mapped]) -> frozenset[Tissue]:
    """Tissues that at least one segment stands for."""
    return frozenset(m.tissue for m in mapped if m.tissue in TUMOUR_TISSUES)
