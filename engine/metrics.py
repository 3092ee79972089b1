"""How good an outline is: overlap, distance, and lesions found or invented.

Dice is in `study.agreement`; here is what needs distances and connected components.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Mask = npt.NDArray[np.bool_]
_CUBE = np.ones((3, 3, 3), bool)


@dataclass(frozen=True)
class LesionCount:
    """Lesions of a mask, found by another.

    Parameters
    ----------
    lesions
        Lesions of the truth of at least the smallest volume.
    found
        Those of them that the outline touches.
    false
        Lesions of the outline of at least the smallest volume that touch no truth.
    """

    lesions: int
    found: int
    false: int


def hausdorff95(a: Mask, b: Mask, spacing: tuple[float, float, float]) -> float:
    """95th percentile of the distances in mm between the surfaces of two masks.

    Parameters
    ----------
    a, b
        Masks of one shape.
    spacing
        Edges of a voxel in mm.

    Returns
    -------
    float
        NaN when one of them is empty; 0.0 when both are (Huttenlocher et al. 1993, 95 % as in
        BraTS).
    """
    if not a.any() and not b.any():
        return 0.0
    if not a.any() or not b.any():
        return float("nan")
    edge_a, edge_b = _edge(a), _edge(b)
    to_b = ndimage.distance_transform_edt(~edge_b, sampling=spacing)[edge_a]
    to_a = ndimage.distance_transform_edt(~edge_a, sampling=spacing)[edge_b]
    return float(max(np.percentile(to_b, 95.0), np.percentile(to_a, 95.0)))


def lesions(outline: Mask, truth: Mask, voxel_ml: float, smallest_ml: float = 0.5) -> LesionCount:
    """Count lesions found and invented; neighbours share at least a corner.

    Parameters
    ----------
    outline, truth
        Masks of one shape.
    voxel_ml
        Volume of a voxel in mL.
    smallest_ml
        Smaller lesions do not count, on either side.
    """
    true_parts, true_count = _parts(truth, voxel_ml, smallest_ml)
    parts, count = _parts(outline, voxel_ml, smallest_ml)
    found = len(set(np.unique(true_parts[outline])) - {0})
    touching = len(set(np.unique(parts[truth])) - {0})
    return LesionCount(true_count, found, count - touching)


def _edge(mask: Mask) -> Mask:
    """Voxels of a mask with a face at the outside."""
    inner = ndimage.binary_erosion(np.pad(mask, 1))[1:-1, 1:-1, 1:-1]
    edge: Mask = mask & ~inner
    return edge


def _parts(mask: Mask, voxel_ml: float, smallest_ml: float) -> tuple[npt.NDArray[np.int32], int]:
    """Numbered components of at least a volume, and how many they are."""
    parts, _count = ndimage.label(mask, _CUBE)
    sizes = np.bincount(parts.ravel()) * voxel_ml
    large = [n for n in range(1, len(sizes)) if sizes[n] >= smallest_ml]
    table = np.zeros(len(sizes), np.int32)
    table[large] = np.arange(1, len(large) + 1)
    return table[parts], len(large)
