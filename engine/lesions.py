"""Which lesion a voxel is near to: what is learnt from one is tested on another."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Mask = npt.NDArray[np.bool_]
Spacing = tuple[float, float, float]

APART_MM = 12.0
"""Parts of a tumour that are nearer to one another than this are one lesion."""
LEAST_ML = 0.5
"""Smaller parts of a tumour belong to the nearest lesion."""
MOST = 8
"""Lesions that are told apart, the largest ones; all else belongs to the nearest."""


def near_to(tumour: Mask, reach_mm: float, spacing: Spacing) -> Mask:
    """Voxels within a distance of a tumour; distances are measured in the tumour's box alone.

    Parameters
    ----------
    tumour
        ``(D, H, W)`` bool, one voxel or more.
    reach_mm
        The distance.
    spacing
        Distance in mm of voxels along (slice, row, column) axes.
    """
    near: Mask = np.zeros(tumour.shape, bool)
    found = np.argwhere(tumour)
    margin = np.ceil(reach_mm / np.array(spacing)).astype(int)
    low = np.maximum(found.min(axis=0) - margin, 0)
    box = tuple(slice(a, b) for a, b in zip(low, found.max(axis=0) + margin + 1, strict=True))
    distance = ndimage.distance_transform_edt(~tumour[box], sampling=spacing)
    near[box] = distance <= reach_mm
    return near


def nearest_lesions(
    tumour: Mask, spacing: Spacing
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.float32]]:
    """Number of the nearest lesion, and how far it is to where another one is nearest.

    Parameters
    ----------
    tumour
        ``(D, H, W)`` bool, one voxel or more.
    spacing
        Distance in mm of voxels along (slice, row, column) axes.

    Returns
    -------
    lesion, apart_mm
        ``(D, H, W)`` int16, from 0, and float32; infinite where there is one lesion alone.
    """
    alone = np.zeros(tumour.shape, np.int16), np.full(tumour.shape, np.inf, np.float32)
    parts, count = ndimage.label(near_to(tumour, APART_MM / 2, spacing))
    if count < 2:
        return alone
    least = LEAST_ML * 1000.0 / float(np.prod(spacing))
    sizes = np.bincount(parts[tumour], minlength=count + 1)
    largest = np.argsort(-sizes, kind="stable")[:MOST]
    kept = np.sort(largest[sizes[largest] >= least])
    if len(kept) < 2:
        return alone
    number = np.zeros(count + 1, np.int16)
    number[kept] = np.arange(1, len(kept) + 1)
    seeds = np.where(tumour, number[parts], 0)
    at = ndimage.distance_transform_edt(
        seeds == 0, sampling=spacing, return_distances=False, return_indices=True
    )
    lesion = seeds[tuple(at)] - 1
    return lesion.astype(np.int16), _apart(lesion, spacing)


def _apart(lesion: npt.NDArray[np.int16], spacing: Spacing) -> npt.NDArray[np.float32]:
    """Distance of each voxel to the nearest one of another number."""
    apart = np.empty(lesion.shape, np.float32)
    for number in np.unique(lesion):
        mine = lesion == number
        distance = ndimage.distance_transform_edt(mine, sampling=spacing)
        apart[mine] = distance[mine]
    return apart
