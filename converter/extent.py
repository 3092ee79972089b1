"""How far a series reaches: how many slices, how far apart, over how much, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SAME_PLACE_MM = 0.01
"""Images nearer to one another along the normal than this lie at one place."""

GAP = 1.5
"""A step of so many usual ones leaves out a slice."""


@dataclass(frozen=True)
class Extent:
    """Slices along one direction; what is not known is None.

    Parameters
    ----------
    normal
        Unit vector along which they lie (LPS).
    slices
        Number of places with at least one image.
    spacing_mm
        Median distance between neighbours.
    coverage_mm
        From the outer side of the first slice to that of the last.
    gaps
        Number of slices that are missing in between.
    """

    normal: tuple[float, ...] | None = None
    slices: int | None = None
    spacing_mm: float | None = None
    coverage_mm: float | None = None
    gaps: int = 0


def measure(
    positions: Sequence[Sequence[float]], orientations: Sequence[Sequence[float]]
) -> Extent:
    """The extent of images with these positions and orientations.

    Parameters
    ----------
    positions, orientations
        (0020,0032) *Image Position (Patient)*, in mm, and (0020,0037) *Image Orientation
        (Patient)*, of each image.
    """
    if len(positions) < 2:
        return Extent()
    first = np.array(orientations[0])
    normal = np.cross(first[:3], first[3:])
    along = np.sort(np.array(positions) @ normal)
    along = along[np.append(True, np.diff(along) > SAME_PLACE_MM)]
    direction = tuple(float(cosine) for cosine in normal)
    if len(along) < 2:
        return Extent(direction, slices=1, coverage_mm=0.0)
    steps = np.diff(along)
    spacing = float(np.median(steps))
    gaps = sum(round(float(step) / spacing) - 1 for step in steps if step > GAP * spacing)
    return Extent(direction, len(along), spacing, float(along[-1] - along[0]) + spacing, gaps)
