"""Bringing voxels from one grid onto another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from study.volume import Geometry

SAME_VOXEL = 0.1
"""Voxels of two grids are the same when their centres lie closer than this part of a voxel. Some
viewers write seven digits, or recompute spacings from positions; a mask never moves by so little.
"""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class VoxelMap:
    """Where the voxels of a grid are on another that has them too."""

    axes: tuple[int, int, int]
    """For each axis of the target, the axis of the source."""
    signs: tuple[int, int, int]
    """1, or -1 where that axis runs the other way."""
    offsets: tuple[int, int, int]
    """For each axis of the source, the index of the target's first voxel."""


def voxel_map(source: Geometry, target: Geometry) -> VoxelMap | None:
    """How the voxels of two grids correspond; None where they do not coincide.

    Frames of reference are not compared.
    """
    matrix = np.linalg.inv(source.affine) @ target.affine
    rounded = np.rint(matrix).astype(int)
    axes = np.argmax(np.abs(rounded[:3, :3]), axis=0)
    if sorted(axes) != [0, 1, 2] or np.abs(rounded[:3, :3]).sum() != 3:
        return None
    ends = np.stack(np.meshgrid(*[[0, n - 1] for n in target.shape], indexing="ij"), -1)
    corners = np.concatenate([ends.reshape(8, 3), np.ones((8, 1))], axis=1)
    if np.abs(corners @ (matrix - rounded).T).max() > SAME_VOXEL:
        return None
    a, b, c = (int(axis) for axis in axes)
    x, y, z = (int(v) for v in rounded[:3, 3])
    return VoxelMap(
        (a, b, c), (int(rounded[a, 0]), int(rounded[b, 1]), int(rounded[c, 2])), (x, y, z)
    )


def lies_within(inner: Geometry, outer: Geometry) -> bool:
    """Whether every voxel of one grid is a voxel of another. Frames are not compared."""
    how = voxel_map(outer, inner)
    if how is None:
        return False
    for size, axis, sign in zip(inner.shape, how.axes, how.signs, strict=True):
        ends = (how.offsets[axis], how.offsets[axis] + sign * (size - 1))
        if min(ends) < 0 or max(ends) >= outer.shape[axis]:
            return False
    return True


def onto_same_voxels(
    array: npt.NDArray[Any], source: Geometry, target: Geometry
) -> npt.NDArray[Any] | None:
    """Voxels of one grid on another that has the same voxels, or a part or more of them.

    Axes may be exchanged and reversed, the stack cropped or longer; nothing is interpolated.

    Parameters
    ----------
    array
        ``source.shape``, any dtype.
    source, target
        Both are meant in one frame of reference; the caller compares the UIDs.

    Returns
    -------
    numpy.ndarray or None
        ``target.shape``, zero where the source has no voxel; None where the voxels do not
        coincide.
    """
    how = voxel_map(source, target)
    if how is None:
        return None
    found = np.zeros(target.shape, array.dtype)
    moved, put = np.transpose(array, how.axes), []
    for axis, (size, sign) in enumerate(zip(target.shape, how.signs, strict=True)):
        moved = np.flip(moved, axis) if sign < 0 else moved
        have = moved.shape[axis]
        first = how.offsets[how.axes[axis]]
        # Of the axis as it now runs: where the target's first voxel is.
        first = have - 1 - first if sign < 0 else first
        low, high = max(0, -first), max(0, min(size, have - first))
        put.append(slice(low, max(low, high)))
        taken = slice(low + first, max(low, high) + first)
        moved = moved[(slice(None),) * axis + (taken,)]
    found[tuple(put)] = moved
    return found


def resample_mask(
    mask: npt.NDArray[np.bool_], source: Geometry, target: Geometry
) -> npt.NDArray[np.bool_]:
    """A mask on another grid: interpolated linearly, true from one half up.

    Parameters
    ----------
    mask
        ``source.shape``, bool.
    source, target
        Both are meant in one frame of reference.

    Returns
    -------
    numpy.ndarray
        ``target.shape``, bool.
    """
    found = np.zeros(target.shape, np.bool_)
    where = np.argwhere(mask)
    if not len(where):
        return found
    low, high = where.min(axis=0), where.max(axis=0) + 1
    box = np.pad(mask[tuple(map(slice, low, high))], 1).astype(np.float32)
    # Only that part of the target is computed which the mask's box can reach.
    ends = np.stack(np.meshgrid(*zip(low - 1, high, strict=True), indexing="ij"), -1).reshape(8, 3)
    reach = target.index(source.world(ends))
    start = np.clip(np.floor(reach.min(axis=0)).astype(int), 0, target.shape)
    stop = np.clip(np.ceil(reach.max(axis=0)).astype(int) + 1, 0, target.shape)
    if (stop <= start).any():
        return found
    matrix = np.linalg.inv(source.affine) @ target.affine
    shift = matrix[:3, :3] @ start + matrix[:3, 3] - (low - 1)
    part = ndimage.affine_transform(
        box, matrix[:3, :3], shift, output_shape=tuple(stop - start), order=1, mode="constant"
    )
    # Rounding must not undo a boundary that lies at exactly one half.
    found[tuple(map(slice, start, stop))] = part >= 0.5 - 1e-5
    return found
