"""What a delivered Segmentation holds: its labels, decoded again, and which segment is what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from pydicom import Dataset
from pydicom.config import disable_value_validation

from dicomseg.facts import SegFacts, SegmentFacts, facts_of
from dicomseg.file_grid import stack_of
from dicomseg.image_planes import ImagePlane, by_uid
from dicomseg.layers import Decisions
from dicomseg.lesions import Measurements, measure
from dicomseg.mapping import Mapped, map_segments
from dicomseg.masks import draw, without_overlap
from dicomseg.planes import stack_planes
from dicomseg.read import CorrectedSeg
from study.errors import RefusedError
from study.tissue import TUMOUR_TISSUES, Tissue
from study.volume import Geometry, Volume


@dataclass(frozen=True, eq=False)
class Delivered:
    """A Segmentation as a receiver reads it."""

    facts: SegFacts
    labels: Volume
    """`Tissue` values on the file's own grid, of which slices are those of its frames; on the
    result's, where it has layers."""
    segments: Mapping[Tissue, tuple[SegmentFacts, ...]]
    """Those that stand for a tissue; mostly one."""
    layers: Mapping[Tissue, SegFacts] = field(default_factory=dict)
    """Tissues whose segments are in an older file of its series, and the header of that."""

    @property
    def tissues(self) -> tuple[Tissue, ...]:
        """Those that it has a segment of."""
        return tuple(t for t in TUMOUR_TISSUES if self.segments.get(t))

    def file_of(self, tissue: Tissue) -> SegFacts:
        """Header of the file that has the segments of a tissue."""
        return self.layers.get(tissue, self.facts)

    def sources(self, tissues: Sequence[Tissue]) -> Iterator[tuple[SegFacts, int | None]]:
        """Files and numbers of all segments of some tissues; without any, the file alone."""
        files = {facts.sop_instance_uid: facts for facts in map(self.file_of, tissues)}
        found = sorted(
            (self.file_of(t).sop_instance_uid, s.number)
            for t in tissues
            for s in self.segments.get(t, ())
        )
        yield from ((files[uid], number) for uid, number in found)
        if not found:
            yield self.facts, None


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
    return Delivered(facts, Volume(labels, stack.geometry), _segments_of(mapped))


def delivered_in_layers(corrected: CorrectedSeg, grid: Geometry) -> Delivered | None:
    """What files of one series outline together; None where one file holds all.

    Parameters
    ----------
    corrected
        As `dicomseg.read.read_seg` joined them.
    grid
        The reference that they were read onto.
    """
    if not corrected.layers:
        return None
    labels = Volume(corrected.labels(), grid)
    return Delivered(
        corrected.facts, labels, _segments_of(corrected.mapped), dict(corrected.layers)
    )


def _segments_of(mapped: Sequence[Mapped]) -> dict[Tissue, tuple[SegmentFacts, ...]]:
    """Segments that stand for a tissue."""
    return {t: tuple(m.segment for m in mapped if m.tissue is t) for t in TUMOUR_TISSUES}


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
