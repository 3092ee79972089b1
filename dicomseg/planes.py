"""Planes of frames, and the regular stack that they form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from dicomseg.attributes import first_item, numbers
from dicomseg.lattice import SAME_VOXEL, FloatArray
from study.errors import RefusedError
from study.volume import Geometry

PARALLEL = 1e-3
"""Directions of planes of one stack differ by no more than this in any cosine."""


SQUARE = 0.01
"""Squared length of a direction is 1, and that of two directions' product 0, to this."""


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


def plane_of(image: Dataset) -> Plane:
    """Plane of a single-frame image.

    Raises
    ------
    RefusedError
        If position, orientation or pixel spacing is missing or no number.
    """
    position = numbers(image, "ImagePositionPatient", 3)
    orientation = numbers(image, "ImageOrientationPatient", 6)
    spacing = numbers(image, "PixelSpacing", 2)
    return _plane(position, orientation, spacing)


def plane_of_groups(item: Dataset, shared: Dataset) -> Plane | None:
    """Plane of a frame from its own and the shared functional groups; None where incomplete."""
    macros = ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")
    position, orientation, measures = (first_item(item, m) or first_item(shared, m) for m in macros)
    if position is None or orientation is None or measures is None:
        return None
    return _plane(
        numbers(position, "ImagePositionPatient", 3),
        numbers(orientation, "ImageOrientationPatient", 6),
        numbers(measures, "PixelSpacing", 2),
    )


def _plane(p: Sequence[float], o: Sequence[float], s: Sequence[float]) -> Plane:
    """Plane from a position, an orientation and a spacing; refused where they span none."""
    along_row, along_column = np.array(o[:3]), np.array(o[3:])
    directions = along_row @ along_row, along_column @ along_column, along_row @ along_column
    if not np.allclose(directions, (1.0, 1.0, 0.0), atol=SQUARE):
        raise RefusedError(
            "an *Image Orientation (Patient)* is no pair of unit vectors at right angles"
        )
    if min(s) <= 0:
        raise RefusedError("a *Pixel Spacing* is not above zero")
    return Plane((p[0], p[1], p[2]), (o[0], o[1], o[2], o[3], o[4], o[5]), (s[0], s[1]))


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
