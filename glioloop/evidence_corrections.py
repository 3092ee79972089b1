"""Corrections as people make them: the truth, and what differs from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from glioloop.evidence_ranges import Reader
from study.tissue import TUMOUR_TISSUES, Tissue

Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Correction:
    """What a corrected outline says.

    Parameters
    ----------
    masks
        ``(D, H, W)`` bool of each outlined tissue.
    outlined
        Tissues that are spoken of.
    """

    masks: Mapping[Tissue, npt.NDArray[np.bool_]]
    outlined: frozenset[Tissue]


def of_labels(labels: Labels) -> Correction:
    """A correction that outlines every tissue."""
    return Correction({t: labels == t for t in TUMOUR_TISSUES}, frozenset(TUMOUR_TISSUES))


def truth(
    labels: Labels, _base: Labels, _spacing_mm: float, _reader: Reader, _rng: np.random.Generator
) -> Correction:
    """The truth of all tissues on all slices."""
    return of_labels(labels)


def some_slices(
    labels: Labels, base: Labels, spacing_mm: float, reader: Reader, rng: np.random.Generator
) -> Correction:
    """The truth on every second slab of slices; on the others the base head's labels were left."""
    thick = max(1, round(reader.slab_mm / spacing_mm))
    slab = (np.arange(len(labels)) + int(rng.integers(2 * thick))) // thick
    return of_labels(np.where((slab % 2 == 0)[:, None, None], labels, base))


def one_class(
    labels: Labels, _base: Labels, _spacing_mm: float, _reader: Reader, _rng: np.random.Generator
) -> Correction:
    """The truth of the enhancing tumour alone, or of the largest class where none enhances."""
    sizes = {t: int(np.count_nonzero(labels == t)) for t in TUMOUR_TISSUES}
    drawn = Tissue.ENHANCING if sizes[Tissue.ENHANCING] else max(sizes, key=lambda t: sizes[t])
    return Correction({drawn: labels == drawn}, frozenset({drawn}))


def a_voxel_off(
    labels: Labels, _base: Labels, _spacing_mm: float, reader: Reader, rng: np.random.Generator
) -> Correction:
    """Outlines that are rounded, and lie off by a voxel in the plane of the slices."""
    sigma = reader.smooth_voxels
    soft = [ndimage.gaussian_filter((labels == t).astype(np.float32), sigma) for t in Tissue]
    rounded = np.argmax(soft, axis=0).astype(np.uint8)
    axis, sign = int(rng.integers(1, 3)), int(rng.choice((-1, 1)))
    return of_labels(np.roll(rounded, sign * reader.off_voxels, axis))


KINDS: Mapping[str, Callable[[Labels, Labels, float, Reader, np.random.Generator], Correction]] = {
    "truth": truth,
    "some slices": some_slices,
    "one class": one_class,
    "a voxel off": a_voxel_off,
}
"""In the order of the table."""
