"""How well two images agree where they lie, and whether that is a place to believe in.

Agreement is mutual information: how much one image's value says of the other's, in nats. It needs
no like contrast, and reaches its greatest value where both show the same anatomy.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, map_coordinates

from converter.levels import Level

BINS = 32
"""Bins, for each image, of the joint histogram behind mutual information."""

PART_BINS, PART_POINTS = 16, 800
"""Bins for an eighth of the head, and the fewest points at which it is looked at."""

SMOOTHING = 1.0
"""Standard deviation, in voxels, of what smooths both images before they are compared."""

LEAST_POINTS = 200
"""With fewer points in common two images do not agree."""

SEED = 20251
"""Seed of the points: the same are compared each time."""

Matrix = npt.NDArray[np.float64]
Points = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two images at points near the head of the fixed one.

    Parameters
    ----------
    points
        ``(N, 3)`` LPS in mm, in the fixed image's world.
    fixed
        ``(N,)`` bins of the fixed image.
    moving
        Values of the moving image, scaled to bins; NaN where it has no voxels.
    to_index
        ``(4, 4)``: point in the moving image's world to its voxel index.
    centre
        ``(3,)`` middle of the fixed head.
    """

    points: Points
    fixed: npt.NDArray[np.int64]
    moving: npt.NDArray[np.float32]
    to_index: Matrix
    centre: Points

    def at(
        self, matrix: Matrix, some: npt.NDArray[np.int64] | None = None
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Numbers of the points that fall into the moving image, and its values there."""
        numbers = np.arange(len(self.points)) if some is None else some
        index = self.to_index @ matrix
        there = self.points[numbers] @ index[:3, :3].T + index[:3, 3]
        values = map_coordinates(self.moving, there.T, order=1, cval=np.nan, prefilter=False)
        seen = np.isfinite(values)
        return numbers[seen], np.asarray(values[seen], np.float64)


def compare(fixed: Level, moving: Level, most: int) -> Comparison:
    """Two images, to be compared at that many points at most.

    Both are smoothed a little first. Else noise would count for less between voxels, where it is
    interpolated, than on them, and images that lie voxel on voxel would agree better when moved.
    """
    at = np.argwhere(fixed.near)
    if len(at) > most:
        chosen = np.random.default_rng(SEED).choice(len(at), most, replace=False)
        at = at[np.sort(chosen)]
    points = fixed.image.geometry.world(at.reshape(-1, 3))
    values = gaussian_filter(fixed.image.array, SMOOTHING)[tuple(at.T)]
    bins = _scaled(values, values).astype(np.int64) if len(at) else np.zeros(0, np.int64)
    smooth = gaussian_filter(moving.image.array, SMOOTHING)
    scaled = _scaled(smooth, smooth[moving.near if moving.near.any() else moving.inside])
    seen = np.where(moving.inside, scaled, np.float32(np.nan)).astype(np.float32)
    to_index = np.asarray(np.linalg.inv(moving.image.geometry.affine), np.float64)
    return Comparison(points, bins, seen, to_index, fixed.centre())


def _scaled(
    array: npt.NDArray[np.float32], values: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """An array from 0 to `BINS`, between the 0.5th and 99.5th percentile of some values."""
    low, high = np.quantile(values, [0.005, 0.995])
    scaled = (array - low) / max(float(high - low), 1e-6) * BINS
    return np.asarray(np.clip(scaled, 0.0, BINS - 1.0), np.float32)


def information(
    both: Comparison, matrix: Matrix, some: npt.NDArray[np.int64] | None = None, bins: int = BINS
) -> float:
    """Mutual information, in nats, where a matrix puts the moving image.

    Parameters
    ----------
    both
        The two images.
    matrix
        ``(4, 4)``: point of the fixed image to point of the moving one, LPS in mm.
    some
        Numbers of the points that are compared; None for all.
    bins
        For each image; divides `BINS`.

    Returns
    -------
    float
        0 where fewer than `LEAST_POINTS` points lie in both images.
    """
    numbers, values = both.at(matrix, some)
    if len(numbers) < LEAST_POINTS:
        return 0.0
    one = both.fixed[numbers] * bins // BINS
    two = (values * (bins / BINS)).astype(np.int64)
    joint = np.bincount(one * bins + two, minlength=bins * bins).reshape(bins, bins) / len(numbers)
    return _entropy(joint.sum(axis=1)) + _entropy(joint.sum(axis=0)) - _entropy(joint)


def _entropy(shares: npt.NDArray[np.float64]) -> float:
    """Entropy of a histogram, in nats."""
    filled = shares[shares > 0]
    return float(-(filled * np.log(filled)).sum())


def overlap(both: Comparison, matrix: Matrix) -> float:
    """Share of the points near the fixed head that the moving image has voxels for."""
    return len(both.at(matrix)[0]) / max(1, len(both.points))


def clarity(both: Comparison, matrix: Matrix, mm: float, degrees: float) -> float:
    """Least share of the mutual information that is lost by a small displacement.

    Parameters
    ----------
    both, matrix
        As for `information`.
    mm, degrees
        Shifts along the three axes, and turns about them, both ways.

    Returns
    -------
    float
        Negative where such a displacement makes the images agree better, so that this is no
        optimum; -1 where they do not agree at all.
    """
    here = information(both, matrix)
    around = [information(both, matrix @ n) for n in _nudges(both.centre, mm, degrees)]
    return (here - max(around)) / here if here > 0 else -1.0


def parts_that_agree(both: Comparison, matrix: Matrix, mm: float) -> tuple[int, int]:
    """Eighths of the common volume that agree best where they are, and how many there are.

    Images of one head agree everywhere at the same place. Those of two heads, or in a wrong place,
    agree best in each part somewhere else.

    Parameters
    ----------
    both, matrix
        As for `information`.
    mm
        Shift along an axis that must not make an eighth agree better.
    """
    numbers, _ = both.at(matrix)
    if not len(numbers):
        return 0, 0
    high = both.points[numbers] > np.median(both.points[numbers], axis=0)
    part = high @ np.array([1, 2, 4])
    chosen = [some for k in range(8) if len(some := numbers[part == k]) >= PART_POINTS]
    return sum(_best_here(both, matrix, some, mm) for some in chosen), len(chosen)


def _best_here(both: Comparison, matrix: Matrix, some: npt.NDArray[np.int64], mm: float) -> bool:
    """Whether no shift makes some points agree better."""
    shifts = [n for n in _nudges(both.centre, mm, 0.0) if np.any(n[:3, 3])]
    around = [information(both, matrix @ n, some, PART_BINS) for n in shifts]
    return information(both, matrix, some, PART_BINS) > max(around)


def _nudges(centre: Points, mm: float, degrees: float) -> list[Matrix]:
    """Small shifts along, and turns about, the three axes, both ways."""
    nudges = []
    for axis, sign in itertools.product(range(3), (-1.0, 1.0)):
        shift = np.eye(4)
        shift[axis, 3] = sign * mm
        turn = np.eye(4)
        one, two = (axis + 1) % 3, (axis + 2) % 3
        angle = np.radians(sign * degrees)
        turn[[one, two], [one, two]] = np.cos(angle)
        turn[one, two], turn[two, one] = -np.sin(angle), np.sin(angle)
        turn[:3, 3] = centre - turn[:3, :3] @ centre
        nudges += [shift, turn]
    return nudges
