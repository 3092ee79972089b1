"""A corrected Segmentation, from whatever tool, as masks on our own grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from dicomseg.facts import ReferencedImages, SegFacts, SegmentFacts, facts_of, open_seg
from dicomseg.frames import decode_frames
from dicomseg.lattice import Stack, onto_same_voxels, resample_mask, stack_planes
from dicomseg.mapping import Mapped, map_segments, mapped_tissues
from dicomseg.suspicion import check_plausible
from study.errors import HeldError, RefusedError
from study.tissue import TUMOUR_TISSUES, Tissue
from study.volume import Geometry

MAX_VOXELS = 2**27
"""Largest grid, in voxels, that a file may ask for (that of 512 slices of 512x512)."""
FINEST_MM = 0.2
"""Finest spacing that a file may ask for."""
ERASED_PART = 0.2
"""A tissue that is absent from a file counts as erased only if it was no more than this part of
the original outline; more than that is rather not drawn than erased."""
OVERLAP_ORDER = (Tissue.ENHANCING, Tissue.NECROSIS, Tissue.EDEMA)
"""Where segments overlap, the first of these holds the voxel (nesting of BraTS regions)."""

Masks = Mapping[Tissue, npt.NDArray[np.bool_]]
Absent = Literal["erased if dropped", "not outlined", "erased"]


@dataclass(frozen=True, eq=False)
class Original:
    """The result that a file corrects."""

    labels: npt.NDArray[np.uint8]
    """`Tissue` values on the reference grid."""
    segments: tuple[SegmentFacts, ...] = ()


@dataclass(frozen=True, eq=False)
class CorrectedSeg:
    """What a person outlined.

    A tissue in `outlined` has a mask, empty where it was erased. A tissue that is not was not
    spoken of: nothing may be learnt of it.
    """

    masks: Masks
    outlined: frozenset[Tissue]
    facts: SegFacts
    mapped: tuple[Mapped, ...]
    resampled: bool
    """Whether the file lies on another grid."""
    overlap_voxels: int
    unchanged: bool
    """Whether it equals the original in all that it outlines."""
    warnings: tuple[str, ...] = field(default=())

    def labels(self, original: npt.NDArray[np.uint8] | None = None) -> npt.NDArray[np.uint8]:
        """`Tissue` values of the reference grid's shape, uint8.

        Voxels of tissues that were not outlined keep the original's value where nothing else was
        drawn.
        """
        shape = next(iter(self.masks.values())).shape
        labels = np.zeros(shape, np.uint8) if original is None else original.astype(np.uint8)
        labels[np.isin(labels, [int(t) for t in self.outlined])] = 0
        for tissue, mask in self.masks.items():
            labels[mask] = tissue
        return labels


def read_seg(
    data: Path | bytes,
    reference: Geometry,
    *,
    original: Original | None = None,
    overrides: Mapping[str, Tissue | None] | None = None,
    same_frames: frozenset[str] = frozenset(),
    images: ReferencedImages | None = None,
    absent: Absent = "erased if dropped",
    suspicious: bool = False,
) -> CorrectedSeg:
    """Read a Segmentation of any type onto our own grid.

    Parameters
    ----------
    data
        The file: BINARY, FRACTIONAL or LABELMAP, uncompressed or compressed.
    reference
        The grid of the result that it corrects.
    original
        That result, for tracking UIDs and colours as they were sent, for what the absence of a
        tissue means, and for the checks of `suspicion`.
    overrides
        A person's decision what a segment is: label to tissue, or None to leave it out.
    same_frames
        Frames of reference that are known to be in register with that of the reference.
    images
        Planes of known images, for frames without a position of their own.
    absent
        What a tissue means that the original has and the file has not.

        ``"erased if dropped"``: erased, if the file maps another tissue, its writer is known to
        drop empty segments (dcmqi with 3D Slicer and MITK; OHIF's and other cornerstone bitmaps),
        and the tissue was at most `ERASED_PART` of the original outline; else not outlined.
        ``"not outlined"``, ``"erased"``: always that.
    suspicious
        A person has looked: do not hold the file because it looks mirrored or too small.

    Returns
    -------
    CorrectedSeg
        Masks of ``reference.shape``, bool; no voxel is in two of them.

    Raises
    ------
    RefusedError
        If the file is damaged, contradicts itself, or is too large.
    HeldError
        If a person has to decide: another frame of reference, a segment that nothing names, no
        overlap with the grid, a suspicion.
    """
    dataset = open_seg(data)
    facts = facts_of(dataset, images)
    if facts.frame_of_reference_uid not in {reference.frame_of_reference_uid, *same_frames}:
        raise HeldError(
            f"it lies in frame of reference {facts.frame_of_reference_uid or 'without UID'}, the "
            f"result in {reference.frame_of_reference_uid}; a person must say whether they agree"
        )
    stack = stack_of(facts, reference)
    mapped = map_segments(facts.segments, original.segments if original else (), overrides)
    drawn = _draw(dataset, facts, stack, mapped)
    masks, resampled = _onto_reference(drawn, stack.geometry, reference)
    masks, overlap = _without_overlap(masks)
    masks = _with_absent(masks, facts, original, absent)
    if not masks:
        raise HeldError("none of its segments is one of ours; a person must say what they are")
    outlined = frozenset(masks)
    unchanged = False
    if original is not None:
        unchanged = all(np.array_equal(m, original.labels == t) for t, m in masks.items())
        if not suspicious:
            check_plausible(masks, original.labels)
    warnings = []
    if overlap:
        warnings.append(f"{overlap} voxels were in several segments")
    if resampled:
        warnings.append("it lies on another grid than the result and was resampled")
    return CorrectedSeg(
        masks, outlined, facts, mapped, resampled, overlap, unchanged, tuple(warnings)
    )


def stack_of(facts: SegFacts, reference: Geometry | None = None) -> Stack:
    """Grid of a Segmentation's frames.

    Raises
    ------
    RefusedError
        If a frame has no place, they form no regular stack, or one larger or finer than is read.
    """
    planes = [frame.plane for frame in facts.frames if frame.plane is not None]
    if len(planes) != len(facts.frames):
        raise RefusedError(
            f"{len(facts.frames) - len(planes)} of its {len(facts.frames)} frames do not say where "
            "they lie, nor on which known image they were drawn"
        )
    shape = (facts.rows, facts.columns)
    most = MAX_VOXELS // (facts.rows * facts.columns)
    hints = _spacing_hints(facts, reference)
    stack = stack_planes(planes, shape, facts.frame_of_reference_uid, hints, most)
    if min(stack.geometry.spacing) < FINEST_MM:
        raise RefusedError(
            f"its voxels are {min(stack.geometry.spacing):.4f} mm apart; {FINEST_MM} is the finest"
        )
    return stack


def _spacing_hints(facts: SegFacts, reference: Geometry | None) -> list[float]:
    """Distances between slices in the order in which they deserve trust.

    Frames without anything drawn are often left out, so that the smallest distance which occurs
    may be a multiple of the true one.
    """
    hints = [facts.slice_spacing] if facts.slice_spacing else []
    if reference is not None and facts.frames[0].plane is not None:
        normal = facts.frames[0].plane.normal
        along = np.abs(normal @ (reference.affine[:3, :3] / np.array(reference.spacing)))
        axis = int(np.argmax(along))
        if along[axis] > 0.999:
            hints.append(reference.spacing[axis])
    return hints + ([facts.slice_thickness] if facts.slice_thickness else [])


def _draw(
    dataset: Dataset, facts: SegFacts, stack: Stack, mapped: tuple[Mapped, ...]
) -> dict[Tissue, npt.NDArray[np.bool_]]:
    """Masks of each tissue on the file's own grid; several segments of one tissue are united."""
    tissue_of = {m.segment.number: m.tissue for m in mapped if m.tissue is not None}
    nameless = {m.segment.number: m.segment.label for m in mapped if m.by == "nothing"}
    drawn = {t: np.zeros(stack.geometry.shape, np.bool_) for t in sorted(mapped_tissues(mapped))}
    half = dataset.get("MaximumFractionalValue", 255) / 2 if facts.segmentation_type == (
        "FRACTIONAL"
    ) else 0  # fmt: skip
    padding = dataset.get("PixelPaddingValue")
    frames = zip(facts.frames, stack.slice_of, decode_frames(dataset, facts), strict=True)
    for frame, at, pixels in frames:
        if facts.segmentation_type == "LABELMAP":
            shown = [int(v) for v in np.unique(pixels) if v not in (0, padding)]
            if not set(shown) <= {s.number for s in facts.segments}:
                raise RefusedError(f"its pixels show segments {shown}, not all are described")
            parts = [(number, pixels == number) for number in shown]
        else:
            parts = [(frame.segment, pixels > half if half == 0 else pixels >= half)]
        for number, part in parts:
            if number in tissue_of:
                drawn[tissue_of[number]][at] |= part
            elif number in nameless and part.any():
                raise HeldError(
                    f"nothing says what its segment {number} is (label {nameless[number]!r}); a "
                    "person must name it or leave it out"
                )
    return drawn


def _onto_reference(
    drawn: dict[Tissue, npt.NDArray[np.bool_]], source: Geometry, reference: Geometry
) -> tuple[dict[Tissue, npt.NDArray[np.bool_]], bool]:
    """Masks on the reference, and whether they had to be resampled for that."""
    found, resampled = {}, False
    for tissue, mask in drawn.items():
        exact = onto_same_voxels(mask, source, reference)
        resampled |= exact is None
        found[tissue] = resample_mask(mask, source, reference) if exact is None else exact
    before = sum(int(np.count_nonzero(m)) for m in drawn.values())
    after = sum(int(np.count_nonzero(m)) for m in found.values())
    kept = after * reference.voxel_volume_ml / max(before * source.voxel_volume_ml, 1e-9)
    if before and kept < 0.5:
        raise HeldError(
            f"only {kept:.0%} of what it outlines lies on the grid of the result; a person must "
            "say whether it belongs to it"
        )
    return found, resampled


def _without_overlap(
    masks: dict[Tissue, npt.NDArray[np.bool_]],
) -> tuple[dict[Tissue, npt.NDArray[np.bool_]], int]:
    """Each voxel in one mask only, and the number of those that were in several."""
    overlap, taken = 0, None
    result = {}
    for tissue in (t for t in OVERLAP_ORDER if t in masks):
        mask = masks[tissue]
        if taken is not None:
            overlap += int(np.count_nonzero(mask & taken))
            mask = mask & ~taken
        taken = mask if taken is None else taken | mask
        result[tissue] = mask
    return dict(sorted(result.items())), overlap


def drops_empty_segments(facts: SegFacts) -> bool:
    """Whether the writer of a file is known to leave out segments without voxels."""
    if facts.segmentation_type != "BINARY":
        return False
    cornerstone = facts.software.startswith(("dcmjs", "OHIF"))
    return cornerstone or "QIICR" in facts.manufacturer.upper()


def _with_absent(
    masks: dict[Tissue, npt.NDArray[np.bool_]],
    facts: SegFacts,
    original: Original | None,
    absent: Absent,
) -> dict[Tissue, npt.NDArray[np.bool_]]:
    """Masks, with empty ones for tissues that were erased."""
    if original is None or not masks or absent == "not outlined":
        return masks
    total = int(np.count_nonzero(original.labels))
    erased = dict(masks)
    for tissue in TUMOUR_TISSUES:
        had = int(np.count_nonzero(original.labels == tissue))
        if tissue in masks or not had:
            continue
        dropped = drops_empty_segments(facts) and had <= ERASED_PART * total
        if absent == "erased" or dropped:
            erased[tissue] = np.zeros(original.labels.shape, np.bool_)
    return erased
