"""Are these planes one even stack? If not, why not, in measured numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from converter.parts import ORIENTATION_TOLERANCE
from converter.planes import Plane
from study.errors import HeldError

POSITION_TOLERANCE_MM = 0.1
"""How far a slice may lie from its place on an even grid: positions are written rounded."""

DUPLICATE_MM = 0.01
"""Slices nearer to one another than this share one position."""

TILT_TOLERANCE_DEG = 0.2
"""Largest angle between stacking direction and normal that rounding of positions explains."""

SPACING_TOLERANCE = 1e-4
"""Relative difference of (0028,0030) *Pixel Spacing* within a series that rounding explains."""

MAX_EXTENT_MM = 1000.0
"""Longest side of a volume: no scanner sees more of a head."""


def in_order(planes: Sequence[Plane], where: str) -> list[Plane]:
    """The planes in ascending order along their normal, if they are one even stack.

    Raises
    ------
    HeldError
        With the measured numbers: mixed sizes, pixel formats, spacings, orientations or frames of
        reference, duplicate positions, missing slices, uneven spacing, gantry tilt, a volume longer
        than `MAX_EXTENT_MM`.
    """
    _check_alike(planes, where)
    normal = planes[0].normal
    ordered = sorted(planes, key=lambda plane: float(plane.position @ normal))
    _check_steps(ordered, where)
    _check_upright(ordered, where)
    _check_extent(ordered, where)
    return ordered


def _check_alike(planes: Sequence[Plane], where: str) -> None:
    """Refuse a mixture of sizes, formats, spacings, orientations or frames of reference."""
    first = planes[0]
    sizes = sorted({plane.stored.shape for plane in planes})
    if len(sizes) > 1:
        raise HeldError(f"{where} mixes image sizes {sizes}")
    kinds = sorted({str(plane.stored.dtype) for plane in planes})
    if len(kinds) > 1:
        raise HeldError(f"{where} mixes pixel formats {', '.join(kinds)}")
    if any(not np.allclose(p.spacing, first.spacing, rtol=SPACING_TOLERANCE) for p in planes):
        spacings = sorted({plane.spacing for plane in planes})
        raise HeldError(f"{where} mixes (0028,0030) Pixel Spacing {spacings} mm")
    turned = [float(np.abs(p.orientation - first.orientation).max()) for p in planes]
    if max(turned) > ORIENTATION_TOLERANCE:
        others = sum(angle > ORIENTATION_TOLERANCE for angle in turned)
        raise HeldError(
            f"{where} mixes orientations: of {len(planes)} slices {others} are turned against the"
            f" first, direction cosines differ by up to {max(turned):.4f},"
            f" {ORIENTATION_TOLERANCE} is accepted; take out a localizer, send one stack"
        )
    frames = {plane.frame_of_reference_uid for plane in planes}
    if len(frames) > 1:
        raise HeldError(f"{where} has {len(frames)} frames of reference: {sorted(frames)}")


def _check_steps(planes: Sequence[Plane], where: str) -> None:
    """Refuse duplicate positions, gaps and uneven spacing."""
    along = np.array([plane.position @ planes[0].normal for plane in planes])
    steps = np.diff(along)
    same = int((steps < DUPLICATE_MM).sum())
    if same:
        raise HeldError(
            f"{where} has {same} slice(s) at a position that another slice of it has, too"
            f" ({len(planes)} slices at {len(planes) - same} positions): time points, echoes or"
            " copies; send one stack in a series"
        )
    usual = float(np.median(steps))
    even = np.linspace(along[0], along[-1], len(along))
    uneven = float(np.abs(along - even).max())
    if uneven <= POSITION_TOLERANCE_MM:
        return
    gaps = np.rint(steps / usual)
    if np.abs(steps - gaps * usual).max() <= 2 * POSITION_TOLERANCE_MM and gaps.max() > 1:
        lost = int(gaps.sum()) - len(steps)
        raise HeldError(
            f"{where} lacks {lost} slice(s): steps of {usual:.3f} mm, and"
            f" of {float(steps.max()):.3f} mm; send the series completely"
        )
    raise HeldError(
        f"{where} is spaced unevenly: steps from {float(steps.min()):.3f} to"
        f" {float(steps.max()):.3f} mm, off an even grid by up to {uneven:.3f} mm"
        f" ({POSITION_TOLERANCE_MM} is accepted)"
    )


def _check_upright(planes: Sequence[Plane], where: str) -> None:
    """Refuse slices that are stacked askew or off a straight line."""
    positions = np.stack([plane.position for plane in planes])
    stacking = positions[-1] - positions[0]
    upright = float(stacking @ planes[0].normal)
    sideways = float(np.linalg.norm(stacking - upright * planes[0].normal))
    tilt = float(np.degrees(np.arctan2(sideways, upright)))
    if tilt > TILT_TOLERANCE_DEG:
        raise HeldError(
            f"{where} is sheared (gantry tilt) by {tilt:.2f} degrees; {TILT_TOLERANCE_DEG} is"
            " accepted"
        )
    line = positions[0] + np.linspace(0.0, 1.0, len(planes))[:, np.newaxis] * stacking
    off = float(np.linalg.norm(positions - line, axis=1).max())
    if off > POSITION_TOLERANCE_MM:
        raise HeldError(
            f"{where} has slices up to {off:.3f} mm beside the line of the others;"
            f" {POSITION_TOLERANCE_MM} mm is accepted"
        )


def _check_extent(planes: Sequence[Plane], where: str) -> None:
    """Refuse what is larger than anything that is scanned."""
    rows, columns = planes[0].stored.shape
    height, width = planes[0].spacing
    depth = float(np.linalg.norm(planes[-1].position - planes[0].position))
    longest = max(rows * height, columns * width, depth)
    if longest > MAX_EXTENT_MM:
        raise HeldError(
            f"{where} is {longest:.0f} mm long; {MAX_EXTENT_MM:.0f} mm is the most that is believed"
        )
