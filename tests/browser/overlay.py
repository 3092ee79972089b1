"""Where a viewer shows an image and an outline over it, read off its pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from study.tissue import Tissue

Picture = npt.NDArray[np.float64]
"""(row, column, channel): red, green and blue of a screenshot, 0 to 255."""
Labels = npt.NDArray[np.uint8]
"""(row, column): `Tissue` values."""

TINT = 24.0
"""Least difference of any channel by which a pixel counts as tinted."""


@dataclass(frozen=True)
class Rectangle:
    """Where an image lies in a picture: its outer edges, in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def inside(self, picture: Picture) -> Picture:
        """The whole pixels that lie in it."""
        rows = slice(int(np.ceil(self.top)), int(self.bottom))
        columns = slice(int(np.ceil(self.left)), int(self.right))
        return picture[rows, columns]

    def voxels(self, shape: tuple[int, int]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Row and column of the voxel that each whole pixel shows the middle of."""
        y = np.arange(int(np.ceil(self.top)), int(self.bottom)) + 0.5
        x = np.arange(int(np.ceil(self.left)), int(self.right)) + 0.5
        rows = (y - self.top) / (self.bottom - self.top) * shape[0]
        columns = (x - self.left) / (self.right - self.left) * shape[1]
        return np.floor(rows).astype(np.intp), np.floor(columns).astype(np.intp)

    def enlarged(self, slice_: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """A slice (row, column) as it must be shown in the rectangle."""
        rows, columns = self.voxels((slice_.shape[0], slice_.shape[1]))
        return slice_[np.ix_(rows, columns)]

    def pixel(self, row: float, column: float, shape: tuple[int, int]) -> tuple[float, float]:
        """Across and down, where the middle of a voxel is shown."""
        across = self.left + (column + 0.5) / shape[1] * (self.right - self.left)
        down = self.top + (row + 0.5) / shape[0] * (self.bottom - self.top)
        return across, down


def likeness(picture: Picture, slice_: npt.NDArray[np.generic], where: Rectangle) -> float:
    """Correlation of what a picture shows in a rectangle with a slice (row, column)."""
    shown = where.inside(picture).mean(axis=2)
    known = where.enlarged(slice_).astype(np.float64)
    return float(np.corrcoef(shown.ravel(), known.ravel())[0, 1])


def shown_labels(
    tinted: Picture, plain: Picture, where: Rectangle, colours: Mapping[Tissue, tuple[int, ...]]
) -> Labels:
    """What an overlay outlines, pixel by pixel.

    Parameters
    ----------
    tinted, plain
        The same picture with the overlay and without it.
    where
        Where the image lies in both.
    colours
        Red, green and blue of each tissue.

    Returns
    -------
    ndarray
        Of the pixels in the rectangle. A tinted pixel is of the tissue towards whose colour it
        was moved: with opacity a, the difference is a (colour - plain).
    """
    before, after = where.inside(plain), where.inside(tinted)
    moved = after - before
    labels = np.zeros(moved.shape[:2], np.uint8)
    best = np.full(labels.shape, np.inf)
    for tissue, colour in colours.items():
        towards = np.asarray(colour, np.float64) - before
        share = (moved * towards).sum(axis=2) / np.maximum((towards * towards).sum(axis=2), 1.0)
        left = np.linalg.norm(moved - np.clip(share, 0, 1)[..., None] * towards, axis=2)
        nearer = left < best
        labels[nearer], best[nearer] = tissue, left[nearer]
    labels[np.abs(moved).max(axis=2) < TINT] = Tissue.BACKGROUND
    return labels
