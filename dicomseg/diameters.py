"""The two perpendicular diameters of a lesion in one slice (RANO: Wen et al. 2010, 2017, 2023).

Diameters run between the midpoints of the pixel edges on the lesion's outline, the contour that
marching squares (Lorensen and Cline 1987, in the plane) draws at one half: a row of *n* pixels is
*n* pixels long. PyRadiomics measures its *Maximum 2D Diameter* on the same points
(van Griethuysen et al. 2017). Between centres a lesion would be a pixel too short, between
corners up to a pixel's diagonal too long.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import ConvexHull

from study.volume import Geometry

SAME_MM = 1e-6
"""Lengths that differ by less are the same; which of them is taken must not hang on rounding."""

Point = tuple[float, float, float]
Mask = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]

# Midpoints of the edges of a cell of four neighbouring pixel centres, (row, column) from the first.
_TOP, _RIGHT, _BOTTOM, _LEFT = (0.0, 0.5), (0.5, 1.0), (1.0, 0.5), (0.5, 0.0)
# Which pixels of a cell are inside (1, 2, 4, 8 clockwise from the first) to the pieces of outline
# in it. Pixels that touch at a corner are one lesion, hence 5 and 10.
_PIECES = {
    1: [(_LEFT, _TOP)], 2: [(_TOP, _RIGHT)], 3: [(_LEFT, _RIGHT)], 4: [(_RIGHT, _BOTTOM)],
    5: [(_TOP, _RIGHT), (_BOTTOM, _LEFT)], 6: [(_TOP, _BOTTOM)], 7: [(_LEFT, _BOTTOM)],
    8: [(_BOTTOM, _LEFT)], 9: [(_TOP, _BOTTOM)], 10: [(_LEFT, _TOP), (_RIGHT, _BOTTOM)],
    11: [(_RIGHT, _BOTTOM)], 12: [(_LEFT, _RIGHT)], 13: [(_TOP, _RIGHT)], 14: [(_LEFT, _TOP)],
}  # fmt: skip


@dataclass(frozen=True)
class Diameters:
    """Two perpendicular diameters in one slice.

    Parameters
    ----------
    slice_index
        The slice, from 0.
    longest_mm
        The longest diameter of the lesion in any of its slices.
    perpendicular_mm
        The longest one in the same slice that is perpendicular to it.
    longest, perpendicular
        Their end points, LPS mm.
    """

    slice_index: int
    longest_mm: float
    perpendicular_mm: float
    longest: tuple[Point, Point]
    perpendicular: tuple[Point, Point]

    @property
    def product_mm2(self) -> float:
        """Product of the two, the size of a lesion in RANO."""
        return self.longest_mm * self.perpendicular_mm


@dataclass(frozen=True, eq=False)
class _Pair:
    """Longest and perpendicular diameter as positions in the plane of a slice, mm."""

    longest: FloatArray
    perpendicular: FloatArray

    @property
    def longest_mm(self) -> float:
        return float(np.linalg.norm(self.longest[1] - self.longest[0]))

    @property
    def perpendicular_mm(self) -> float:
        return float(np.linalg.norm(self.perpendicular[1] - self.perpendicular[0]))


def diameters_of(lesion: Mask, geometry: Geometry) -> Diameters:
    """The longest diameter in any slice, and the longest that is perpendicular to it there.

    Parameters
    ----------
    lesion
        ``geometry.shape``, bool, true somewhere. A slice is an index of its first axis, so that
        the plane is that of the acquisition: axial, sagittal, coronal or oblique.
    geometry
        Where its voxels lie; pixels need not be square.

    Notes
    -----
    Both ends of a diameter lie on the lesion. What lies between may be necrosis, a cavity or
    normal tissue: a ring is measured across. RANO asks a reader to leave out cysts and cavities,
    which is a reader's judgement and not made here. Of several diameters of one length, the one
    with the longer perpendicular is taken, then the one in the first slice.
    """
    basis, steps = _plane_axes(geometry)
    slices = {int(k): outline(lesion[k]) @ steps for k in np.flatnonzero(lesion.any(axis=(1, 2)))}
    ends = {k: _farthest(pieces) for k, pieces in slices.items()}
    longest = max(float(_lengths(pairs)[0]) for pairs in ends.values())
    found = [
        (k, _Pair(pair, _longest_across(slices[k], pair)))
        for k, pairs in ends.items()
        for pair in pairs[_lengths(pairs) > longest - SAME_MM]
    ]
    widest = max(pair.perpendicular_mm for _, pair in found)
    k, pair = next((k, p) for k, p in found if p.perpendicular_mm > widest - SAME_MM)
    origin = geometry.world((k, 0, 0))
    return Diameters(
        k,
        pair.longest_mm,
        pair.perpendicular_mm,
        _in_world(pair.longest, origin, basis),
        _in_world(pair.perpendicular, origin, basis),
    )


def _plane_axes(geometry: Geometry) -> tuple[FloatArray, FloatArray]:
    """Orthonormal axes in the plane of a slice, ``(3, 2)``, and the steps of (row, column) along
    them, ``(2, 2)`` mm. The first runs along growing rows, so that no choice hangs on how the
    slices lie.
    """
    basis, upper = np.linalg.qr(geometry.affine[:3, 1:3])
    signs = np.sign(np.diag(upper))
    return basis * signs, (upper * signs[:, None]).T


def outline(mask: Mask) -> FloatArray:
    """Pieces of the contour around the true pixels of a slice.

    Parameters
    ----------
    mask
        ``(rows, columns)``, bool.

    Returns
    -------
    numpy.ndarray
        ``(pieces, 2, 2)``: two ends of each, (row, column) in pixels from the centre of the first.
    """
    padded = np.pad(mask, 1).astype(np.uint8)
    inside = padded[:-1, :-1] + 2 * padded[:-1, 1:] + 4 * padded[1:, 1:] + 8 * padded[1:, :-1]
    found = [np.zeros((0, 2, 2))]
    for code, pieces in _PIECES.items():
        cells = np.argwhere(inside == code).astype(np.float64) - 1
        found += [cells[:, None, :] + np.array(piece) for piece in pieces]
    return np.concatenate(found)


def _farthest(pieces: FloatArray) -> FloatArray:
    """Pairs of outline points that are farthest apart, ``(pairs, 2, 2)``, at least one."""
    points = np.unique(pieces.reshape(-1, 2).round(9), axis=0)
    corners = points[np.sort(ConvexHull(points).vertices)]
    apart = np.linalg.norm(corners[:, None] - corners[None], axis=-1)
    first, second = np.nonzero(np.triu(apart > apart.max() - SAME_MM))
    return np.stack([corners[first], corners[second]], axis=1)


def _lengths(pairs: FloatArray) -> FloatArray:
    """Distance between the points of each pair."""
    return np.asarray(np.linalg.norm(pairs[:, 1] - pairs[:, 0], axis=-1), np.float64)


def _longest_across(pieces: FloatArray, pair: FloatArray) -> FloatArray:
    """The longest chord of an outline that is perpendicular to a line, ``(2, 2)``.

    Between neighbouring corners the extent across is linear along the line, so that the longest
    chord passes through a corner of the outline.
    """
    along = (pair[1] - pair[0]) / np.linalg.norm(pair[1] - pair[0])
    across = np.array([-along[1], along[0]])
    at, off = pieces @ along, pieces @ across
    low, high = at.min(axis=1), at.max(axis=1)
    best, chord = -1.0, np.array([0.0, 0.0, 0.0])
    for position in np.unique(at.round(9)):
        here = off[np.abs(at - position) < SAME_MM]
        crossed = (low < position - SAME_MM) & (high > position + SAME_MM)
        part = (position - at[crossed, 0]) / (at[crossed, 1] - at[crossed, 0])
        between = off[crossed, 0] + part * (off[crossed, 1] - off[crossed, 0])
        cuts = np.concatenate([here, between])
        extent = float(np.ptp(cuts))
        if extent > best + SAME_MM:
            best, chord = extent, np.array([position, cuts.min(), cuts.max()])
    ends = chord[0] * along + chord[1:, None] * across
    return np.asarray(ends, np.float64)


def _in_world(ends: FloatArray, origin: FloatArray, basis: FloatArray) -> tuple[Point, Point]:
    """LPS positions of two points in the plane of a slice."""
    first, second = (origin + basis @ end for end in ends)
    return (
        (float(first[0]), float(first[1]), float(first[2])),
        (float(second[0]), float(second[1]), float(second[2])),
    )
