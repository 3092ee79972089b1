"""What a delivered Segmentation holds: its labels, decoded again, and which segment is what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydicom import Dataset
from pydicom.config import disable_value_validation

from dicomseg.facts import SegFacts, SegmentFacts, facts_of
from dicomseg.file_grid import stack_of
from dicomseg.image_planes import ImagePlane, by_uid
from dicomseg.lesions import Measurements, measure
from dicomseg.mapping import map_segments
from dicomseg.masks import draw, without_overlap
from dicomseg.planes import stack_planes
from study.errors import RefusedError
from study.tissue import TUMOUR_TISSUES, Tissue
from study.volume import Geometry, Volume

Decisions = Mapping[str, Tissue | None]
"""What a person said a segment is: its label to a tissue, or to None for none of ours."""


@dataclass(frozen=True, eq=False)
class Delivered:
    """A Segmentation as a receiver reads it."""

    facts: SegFacts
    labels: Volume
    """`Tissue` values on the file's own grid; slices are those of its frames."""
    segments: Mapping[Tissue, tuple[SegmentFacts, ...]]
    """Those that stand for a tissue; mostly one."""

    @property
    def tissues(self) -> tuple[Tissue, ...]:
        """Those that it has a segment of."""
        return tuple(t for t in TUMOUR_TISSUES if self.segments.get(t))

    def numbers(self, tissues: Sequence[Tissue]) -> list[int]:
        """Numbers of all segments of some tissues."""
        return sorted(s.number for t in tissues for s in self.segments.get(t, ()))


@disable_value_validation()
def read_delivered(
    seg: Dataset, slices: Sequence[ImagePlane] = (), decided: Decisions | None = None
) -> Delivered:
    """Decode a Segmentation on its own grid.

    Parameters
    ----------
    seg
        With its pixels; a network's own, or a correction of whatever tool.
    slices
        Of its source series, for what a foreign writer left out: where a frame lies, and how far
        apart slices are.
    decided
        A person's decisions about segments that nothing names; labels that do not occur count
        for nothing.

    Raises
    ------
    RefusedError
        If it is damaged, contradicts itself, or is too large.
    HeldError
        If nothing says what a segment is.
    """
    facts = facts_of(seg, by_uid(slices))
    mapped = map_segments(facts.segments, (), decided)
    stack = stack_of(facts, _grid(slices))
    masks, _ = without_overlap(draw(seg, facts, stack, mapped))
    labels = np.zeros(stack.geometry.shape, np.uint8)
    for tissue, mask in masks.items():
        labels[mask] = tissue
    segments = {t: tuple(m.segment for m in mapped if m.tissue is t) for t in TUMOUR_TISSUES}
    return Delivered(facts, Volume(labels, stack.geometry), segments)


def measure_delivered(
    delivered: Delivered, tissues: Sequence[Tissue] | None = None
) -> Measurements:
    """Measurements of what a Segmentation holds.

    Parameters
    ----------
    delivered
        The Segmentation.
    tissues
        Those that it speaks of; those that it has a segment of where None. A correction whose
        writer drops empty segments speaks of more than it has.
    """
    return measure(delivered.labels, delivered.tissues if tissues is None else tissues)


def _grid(slices: Sequence[ImagePlane]) -> Geometry | None:
    """Grid of a series; None where its slices form none."""
    if not slices:
        return None
    try:
        planes = [s.plane for s in slices]
        return stack_planes(planes, slices[0].shape, slices[0].frame_of_reference_uid).geometry
    except RefusedError:
        return None
