"""A corrected Segmentation, from whatever tool, as masks on our own grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from dicomseg.facts import ReferencedImages, SegFacts, SegmentFacts
from dicomseg.layers import Decisions, join, open_file, saves_everything
from dicomseg.mapping import Mapped
from dicomseg.suspicion import check_plausible
from study.errors import HeldError
from study.tissue import TUMOUR_TISSUES, Tissue
from study.volume import Geometry

ERASED_PART = 0.2
"""A tissue that is absent from a file counts as erased only if it was no more than this part of
the original outline; more than that is rather not drawn than erased."""

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
    """Of the newest file, where it was read from several."""
    mapped: tuple[Mapped, ...]
    resampled: bool
    """Whether the file lies on another grid."""
    overlap_voxels: int
    unchanged: bool
    """Whether it equals the original in all that it outlines."""
    layers: Mapping[Tissue, SegFacts] = field(default_factory=dict)
    """Tissues that only older files of its series outline, and the header of that file."""
    warnings: tuple[str, ...] = ()

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
    layers: Sequence[tuple[Path | bytes, Decisions]] = (),
    original: Original | None = None,
    overrides: Decisions | None = None,
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
    layers
        Older files of its series, the newest first, each with what a person decided about it. Some
        viewers save a file for each layer of an outline: what shares no tissue with a newer file
        is another layer, and read where no newer file outlines anything; what does was replaced.
        Others save the whole of it again (`saves_everything`): what is older was replaced.
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
    newest = open_file(data, overrides or {}, images)
    older = [] if saves_everything(newest.facts) else layers
    files = [newest, *(open_file(file, decided, images) for file, decided in older)]
    known = original.segments if original else ()
    joined = join(files, known, reference, same_frames)
    facts = newest.facts
    masks = _with_absent(joined.masks, facts, original, absent)
    if not masks:
        raise HeldError("none of its segments is one of ours; a person must say what they are")
    outlined = frozenset(masks)
    unchanged = False
    if original is not None:
        unchanged = all(np.array_equal(m, original.labels == t) for t, m in masks.items())
        if not suspicious:
            check_plausible(masks, original.labels)
    warnings = []
    if joined.overlap:
        warnings.append(f"{joined.overlap} voxels were in several segments")
    if joined.resampled:
        warnings.append("it lies on another grid than the result and was resampled")
    return CorrectedSeg(
        masks,
        outlined,
        facts,
        joined.mapped,
        joined.resampled,
        joined.overlap,
        unchanged,
        joined.layers,
        tuple(warnings),
    )


def drops_empty_segments(facts: SegFacts) -> bool:
    """Whether the writer of a file is known to leave out segments without voxels."""
    if facts.segmentation_type != "BINARY":
        return False
    return saves_everything(facts) or "QIICR" in facts.manufacturer.upper()


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
