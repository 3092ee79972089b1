"""Slices as a radiologist expects to see them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from study.volume import Geometry, Volume

Picture = npt.NDArray[np.uint8]
Box = tuple[slice, slice]
"""Rows and columns of a slice."""

LETTERS = (("R", "L"), ("A", "P"), ("F", "H"))
"""Where x, y and z come from and go to, as (0020,0020) *Patient Orientation* names it."""
OBLIQUE = 0.26
"""Sine of 15 degrees: a direction is named by every axis that it leans to by more."""
BODY = 25
"""Grey value, of 255, above which something is no air."""
BODY_PART = 0.02
"""Part of a row's or column's pixels that are no air, where the body is."""
BORDER = 0.04
"""Room around the body, as part of its size."""


def choose_slices(labels: Volume, outline: Volume | None, count: int) -> list[int]:
    """Indices of at most `count` slices: spread over the tumour, the fullest always among them."""
    shown = labels.array > 0 if outline is None else (labels.array > 0) | (outline.array > 0)
    area = shown.sum(axis=(1, 2))
    filled = np.flatnonzero(area)
    if not len(filled):
        depth = labels.geometry.shape[0]
        filled = np.arange(depth // 4, max(depth - depth // 4, depth // 4 + 1))
    picked = filled[np.unique(np.linspace(0, len(filled) - 1, count).round().astype(int))]
    fullest = int(np.argmax(area))
    if area.any() and fullest not in picked:
        picked[np.argmin(np.abs(picked - fullest))] = fullest
    return [int(k) for k in np.unique(picked)]


def display_order(geometry: Geometry) -> tuple[bool, bool, bool]:
    """How a slice is turned for display.

    The reversals apply after the exchange. Columns of the picture run to the patient's left, or to
    the back where the slice is sagittal; rows run to the back in axial slices, else to the feet.

    Returns
    -------
    tuple of bool
        Whether to exchange rows and columns, then to reverse rows, and columns.
    """
    steps = geometry.affine[:3, :3] / np.array(geometry.spacing)
    across = int(np.argmax(np.abs(np.cross(steps[:, 1], steps[:, 2]))))
    rightward, down = {0: (1, 2), 1: (0, 2), 2: (0, 1)}[across]
    exchange = bool(abs(steps[down, 2]) > abs(steps[down, 1]))
    rows, columns = (2, 1) if exchange else (1, 2)
    # z grows towards the head, and pictures grow downwards.
    wanted_down = -1.0 if down == 2 else 1.0
    upside_down = bool(steps[down, rows] * wanted_down < 0)
    return exchange, upside_down, bool(steps[rightward, columns] < 0)


def onto_grid(volume: Volume, geometry: Geometry) -> npt.NDArray[np.float32]:
    """A volume on another grid, linearly interpolated."""
    array = volume.array.astype(np.float32)
    if volume.geometry.same_grid(geometry):
        return array
    matrix = np.linalg.inv(volume.geometry.affine) @ geometry.affine
    moved = ndimage.affine_transform(
        array, matrix[:3, :3], matrix[:3, 3], output_shape=geometry.shape, order=1
    )
    return np.asarray(moved, np.float32)


def windowed(array: npt.NDArray[np.float32]) -> Picture:
    """Grey values 0 to 255 between the 1st and the 99.5th percentile of what is not air."""
    tissue = array[array > array.min() + 0.05 * float(np.ptp(array))]
    if not tissue.size:
        return np.zeros(array.shape, np.uint8)
    low, high = min(0.0, float(tissue.min())), float(np.percentile(tissue, 99.5))
    return np.asarray(np.clip((array - low) / max(high - low, 1e-6), 0, 1) * 255, np.uint8)


def turned_for_display(
    picture: npt.NDArray[np.generic], geometry: Geometry
) -> npt.NDArray[np.generic]:
    """A slice as `display_order` says."""
    exchange, up_down, left_right = display_order(geometry)
    turned = np.swapaxes(picture, 0, 1) if exchange else picture
    turned = turned[::-1] if up_down else turned
    return np.ascontiguousarray(turned[:, ::-1] if left_right else turned)


def sides(geometry: Geometry) -> tuple[str, str, str, str]:
    """What is at the left, right, top and bottom of a slice that is turned for display.

    Returns
    -------
    tuple of str
        One letter of R, L, A, P, F, H each, or several, the nearest first, in oblique slices.
    """
    exchange, up_down, left_right = display_order(geometry)
    steps = geometry.affine[:3, :3] / np.array(geometry.spacing)
    down, rightward = (steps[:, 2], steps[:, 1]) if exchange else (steps[:, 1], steps[:, 2])
    down = -down if up_down else down
    rightward = -rightward if left_right else rightward
    return _named(-rightward), _named(rightward), _named(-down), _named(down)


def _named(direction: npt.NDArray[np.float64]) -> str:
    """Letters of a direction."""
    order = [axis for axis in np.argsort(-np.abs(direction)) if abs(direction[axis]) > OBLIQUE]
    return "".join(LETTERS[axis][int(direction[axis] > 0)] for axis in order)


def place_of_slice(geometry: Geometry, k: int) -> str:
    """Where the middle of a slice lies along the axis that slices are nearest to.

    ``"H 34.5 mm"``: 34.5 mm towards the head from the origin of the patient's coordinates, as
    scanners print it. The number of a slice would mislead: viewers count from either end.
    """
    _, rows, columns = geometry.shape
    middle = geometry.world((k, (rows - 1) / 2, (columns - 1) / 2))
    across = int(np.argmax(np.abs(np.cross(geometry.affine[:3, 1], geometry.affine[:3, 2]))))
    return f"{LETTERS[across][int(middle[across] >= 0)]} {abs(middle[across]):.1f} mm"


def body_box(grey: Picture, shown: npt.NDArray[np.bool_]) -> Box:
    """What of some slices is worth showing: the body, and all that is outlined.

    Parameters
    ----------
    grey
        ``(n, rows, columns)``, as of `windowed`.
    shown
        ``(n, rows, columns)``: what must not be cut off.

    Returns
    -------
    tuple of slice
        Rows and columns; all of them where nothing is brighter than air.
    """
    return _stretch(grey, shown, 1), _stretch(grey, shown, 2)


def _stretch(grey: Picture, shown: npt.NDArray[np.bool_], axis: int) -> slice:
    """The part of one axis that the body fills, with its border."""
    others = tuple({0, 1, 2} - {axis})
    filled = np.flatnonzero((grey > BODY).mean(axis=others) > BODY_PART)
    if not len(filled):
        return slice(0, grey.shape[axis])
    kept = np.union1d(filled, np.flatnonzero(shown.any(axis=others)))
    border = round(BORDER * (kept[-1] - kept[0] + 1))
    return slice(max(int(kept[0]) - border, 0), int(kept[-1]) + border + 1)
