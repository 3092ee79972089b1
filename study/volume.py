"""Voxels and where they lie in the patient.

Two conventions hold everywhere in Glioloop, and are said only here:

* An array's axes are *(slice, row, column)*: ``array[k, i, j]`` is row ``i`` and column ``j`` of
  the ``k``-th slice.
* World coordinates are DICOM's patient coordinates: *LPS* (x grows towards the patient's left,
  y towards the back, z towards the head), in millimetres (PS3.3 section C.7.6.2.1.1).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from study.errors import RefusedError

AFFINE_TOLERANCE_MM = 1e-3
"""Two grids are the same when no corner voxel lies farther apart than this (mm)."""

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Geometry:
    """A grid of voxels in the patient.

    Parameters
    ----------
    shape
        Number of (slices, rows, columns).
    affine
        ``(4, 4)`` float64. ``affine @ (k, i, j, 1)`` is the LPS position in mm of the centre of
        voxel ``[k, i, j]``.
    frame_of_reference_uid
        (0020,0052) *Frame of Reference UID* in which the positions are meant.

    Raises
    ------
    RefusedError
        If the shape is not three positive numbers, or the affine is not finite and invertible.
    """

    shape: tuple[int, int, int]
    affine: npt.NDArray[np.float64]
    frame_of_reference_uid: str

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        shape = tuple(int(n) for n in self.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise RefusedError(f"a grid needs three positive sizes, not {self.shape}")
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise RefusedError("a grid needs a finite 4x4 affine")
        if not np.array_equal(affine[3], (0.0, 0.0, 0.0, 1.0)):
            raise RefusedError(f"the last row of an affine is 0 0 0 1, not {affine[3]}")
        if abs(float(np.linalg.det(affine[:3, :3]))) < 1e-9:
            raise RefusedError("the grid's affine is singular: its axes do not span space")
        affine.flags.writeable = False
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", shape)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance in mm between neighbouring voxels along (slice, row, column) axes."""
        k, i, j = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(k), float(i), float(j)

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in mL."""
        return abs(float(np.linalg.det(self.affine[:3, :3]))) / 1000.0

    def world(self, index: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """LPS positions, ``(..., 3)`` in mm, of voxel indices ``(..., 3)`` (slice, row, column)."""
        at: npt.NDArray[np.float64] = np.asarray(index) @ self.affine[:3, :3].T + self.affine[:3, 3]
        return at

    def index(self, world: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Fractional voxel indices, ``(..., 3)``, of LPS positions ``(..., 3)`` in mm."""
        inverse = np.linalg.inv(self.affine)
        found: npt.NDArray[np.float64] = np.asarray(world) @ inverse[:3, :3].T + inverse[:3, 3]
        return found

    def corners(self) -> npt.NDArray[np.float64]:
        """LPS positions, ``(8, 3)`` in mm, of the centres of the eight corner voxels."""
        ends = np.meshgrid(*[[0, n - 1] for n in self.shape], indexing="ij")
        return self.world(np.stack(ends, axis=-1).reshape(8, 3))

    def same_grid(self, other: Geometry, tolerance_mm: float = AFFINE_TOLERANCE_MM) -> bool:
        """Whether both grids have the same voxels; frames of reference are *not* compared."""
        if self.shape != other.shape:
            return False
        apart = np.linalg.norm(self.corners() - other.corners(), axis=1)
        return float(apart.max()) <= tolerance_mm

    def same_place(self, other: Geometry, tolerance_mm: float = AFFINE_TOLERANCE_MM) -> bool:
        """Whether both grids have the same voxels in the same frame of reference."""
        same_frame = self.frame_of_reference_uid == other.frame_of_reference_uid
        return same_frame and self.same_grid(other, tolerance_mm)


@dataclass(frozen=True, eq=False)
class Volume:
    """An array of voxels with its geometry.

    Parameters
    ----------
    array
        ``(slices, rows, columns)``, any dtype. It is not copied; whoever holds a Volume treats its
        array as read-only.
    geometry
        Where the voxels lie.

    Raises
    ------
    RefusedError
        If the array's shape is not that of the geometry.
    """

    array: Array
    geometry: Geometry

    def __post_init__(self) -> None:
        if tuple(self.array.shape) != self.geometry.shape:
            raise RefusedError(
                f"an array of shape {self.array.shape} does not fit a grid of {self.geometry.shape}"
            )

    def with_array(self, array: Array) -> Volume:
        """A volume with other voxels on the same grid."""
        return replace(self, array=array)
