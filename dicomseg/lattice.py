"""Planes, the stack they form, and bringing voxels from one grid onto another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from study.errors import RefusedError
from study.volume import Geometry

SAME_VOXEL = 0.1
"""Voxels of two grids are the same when their centres lie closer than this part of a voxel. Some
viewers write seven digits, or recompute spacings from positions; a mask never moves by so little.
"""
PARALLEL = 1e-3
"""Directions of planes of one stack differ by no more than this in any cosine."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Plane:
    """Where a frame lies: the plane attributes of PS3.3 section C.7.6.2.1.1."""

    position: tuple[float, float, float]
    """Centre of the first pixel, LPS mm."""
    orientation: tuple[float, float, float, float, float, float]
    """Directions along a row (columns grow) and along a column (rows grow)."""
    spacing: tuple[float, float]
    """mm between rows, between columns."""

    @property
    def normal(self) -> FloatArray:
        """Unit vector across the plane."""
        across = np.cross(self.orientation[:3], self.orientation[3:])
        return np.asarray(across / np.linalg.norm(across), np.float64)


@dataclass(frozen=True)
class Stack:
    """Planes as a regular grid."""

    geometry: Geometry
    slice_of: tuple[int, ...]
    """For each plane, in the order given, its slice in the geometry."""


def stack_planes(
    planes: Sequence[Plane],
    shape: tuple[int, int],
    frame_of_reference_uid: str,
    spacings: Sequence[float] = (),
    max_slices: int = 4096,
) -> Stack:
    """The regular grid on which planes lie; missing planes are gaps in it.

    Parameters
    ----------
    planes
        At least one; several may share a place.
    shape
        (rows, columns) of each.
    frame_of_reference_uid
        Their frame of reference.
    spacings
        Distances between slices to be tried in this order, mm, before the smallest distance that
        occurs. The first one that all planes fit is taken.
    max_slices
        More are refused before anything is allocated.

    Raises
    ------
    RefusedError
        If planes differ in orientation or spacing, lie at uneven distances, or are spread over
        more than `max_slices` slices.
    """
    first = planes[0]
    for plane in planes:
        off = max(abs(a - b) for a, b in zip(plane.orientation, first.orientation, strict=True))
        if off > PARALLEL or not np.allclose(plane.spacing, first.spacing, rtol=1e-3):
            raise RefusedError(
                "its frames differ in orientation or pixel spacing; one stack is needed"
            )
    positions = np.array([p.position for p in planes], np.float64)
    depth = positions @ first.normal
    levels = _levels(depth)
    step, numbers = _regular(levels, spacings)
    count = int(numbers[-1]) + 1
    if count > max_slices:
        raise RefusedError(
            f"its frames are spread over {count} slices; at most {max_slices} are read"
        )
    slice_of = tuple(round((d - levels[0]) / step) for d in depth)
    affine = _affine(first, positions, slice_of, step)
    geometry = Geometry((count, *shape), affine, frame_of_reference_uid)
    index = geometry.index(positions)
    index[:, 0] -= slice_of
    if np.abs(index).max() > SAME_VOXEL:
        raise RefusedError("its frames are shifted against each other; one regular stack is needed")
    return Stack(geometry, slice_of)


def _levels(depth: FloatArray) -> FloatArray:
    """Distinct depths in mm, ascending; those closer than 0.01 mm are one."""
    ascending = np.sort(depth)
    keep = np.concatenate(([True], np.diff(ascending) > 0.01))
    return np.asarray(ascending[keep], np.float64)


def _regular(levels: FloatArray, spacings: Sequence[float]) -> tuple[float, npt.NDArray[np.int64]]:
    """Distance between slices, and the number of each level; refused where none fits."""
    candidates = [abs(s) for s in spacings if math.isfinite(s) and abs(s) > 0.01]
    if len(levels) == 1:
        return (candidates or [1.0])[0], np.zeros(1, np.int64)
    for step in [*candidates, float(np.diff(levels).min())]:
        steps = (levels - levels[0]) / step
        numbers = np.rint(steps)
        if np.abs(steps - numbers).max() <= SAME_VOXEL and np.diff(numbers).min() >= 1:
            # The mean over the whole stack is finer than a spacing that was written rounded.
            return float((levels[-1] - levels[0]) / numbers[-1]), numbers.astype(np.int64)
    gaps = ", ".join(f"{g:.3f}" for g in np.diff(levels)[:5])
    raise RefusedError(f"its frames lie at uneven distances ({gaps} ... mm); even ones are needed")


def _affine(
    plane: Plane, positions: FloatArray, slice_of: Sequence[int], step: float
) -> FloatArray:
    """Affine of (slice, row, column); the slice axis follows the positions."""
    low, high = int(np.argmin(slice_of)), int(np.argmax(slice_of))
    along = plane.normal * step
    if slice_of[high] > slice_of[low]:
        along = (positions[high] - positions[low]) / (slice_of[high] - slice_of[low])
    affine = np.eye(4)
    affine[:3, 0] = along
    affine[:3, 1] = np.array(plane.orientation[3:]) * plane.spacing[0]
    affine[:3, 2] = np.array(plane.orientation[:3]) * plane.spacing[1]
    affine[:3, 3] = positions[low] - along * slice_of[low]
    return affine


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
    take, put = [], []
    for size, axis, sign in zip(target.shape, how.axes, how.signs, strict=True):
        at = sign * np.arange(size) + how.offsets[axis]
        inside = (at >= 0) & (at < source.shape[axis])
        put.append(np.flatnonzero(inside))
        take.append(at[inside])
    found[np.ix_(*put)] = np.transpose(array, how.axes)[np.ix_(*take)]
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
