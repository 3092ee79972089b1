"""Masks of tissues from the frames of a Segmentation."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from dicomseg.facts import SegFacts
from dicomseg.frames import decode_frames
from dicomseg.lattice import onto_same_voxels, resample_mask
from dicomseg.mapping import Mapped, mapped_tissues
from dicomseg.planes import Stack
from study.errors import HeldError, RefusedError
from study.tissue import Tissue
from study.volume import Geometry

OwnMasks = dict[Tissue, npt.NDArray[np.bool_]]


OVERLAP_ORDER = (Tissue.ENHANCING, Tissue.NECROSIS, Tissue.EDEMA)
"""Where segments overlap, the first of these holds the voxel (nesting of BraTS regions)."""


def draw(
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
    shown_nameless: set[int] = set()
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
                shown_nameless.add(number)
    if shown_nameless:
        raise HeldError(_question({n: nameless[n] for n in sorted(shown_nameless)}))
    return drawn


def _question(nameless: Mapping[int, str]) -> str:
    """What a person is asked about segments that nothing names, by number and label."""
    if len(nameless) == 1:
        ((number, label),) = nameless.items()
        return (
            f"nothing says what its segment {number} is (label {label!r}); a person must name it "
            "or leave it out"
        )
    each = ", ".join(f"{number} (label {label!r})" for number, label in nameless.items())
    return f"nothing says what its segments {each} are; a person must name them or leave them out"


def onto_reference(
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


def without_overlap(
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
