"""Ways to normalise intensities over the brain, by the name that a manifest gives.

All of them measure first (`scales`) and then apply what was measured (`scaled`), so that several
grids of one study share one scale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.normalise import DROPPED, NORMALISATION, OUTSIDE, Images, Scale, scaled, scales
from study.errors import RefusedError

Z_NORMALISATION = "brain-z/1"
"""Name of the published way: plain z-scores over the brain."""
Z_OUTSIDE = -4.0
"""Value outside the brain of `z_scaled`: about where 0 of a stripped image comes to lie."""

Measured = tuple[Scale | None, ...]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Normalisation:
    """One way to normalise.

    Parameters
    ----------
    name
        As a manifest gives it.
    scales
        ``(images, brain, spacing_mm)`` to what was measured in each channel.
    scaled
        ``(images, brain, measured)`` to normalised images.
    outside
        Value outside the brain.
    unit
        What one standard deviation over the brain becomes.
    """

    name: str
    scales: Callable[[npt.NDArray[Any], Mask, float], Measured]
    scaled: Callable[[npt.NDArray[Any], Mask, Sequence[Scale | None]], Images]
    outside: float
    unit: float

    def __call__(self, images: npt.NDArray[Any], brain: Mask, spacing_mm: float) -> Images:
        """Measure and apply: ``(C, D, H, W)`` and ``(D, H, W)`` to ``(C, D, H, W)`` float32."""
        return self.scaled(images, brain, self.scales(images, brain, spacing_mm))


def normalisation(name: str) -> Normalisation:
    """The way that a manifest names.

    Raises
    ------
    RefusedError
        If none has this name.
    """
    for way in NORMALISATIONS:
        if way.name == name:
            return way
    known = ", ".join(way.name for way in NORMALISATIONS)
    raise RefusedError(f"normalisation {name!r} is unknown; over the brain there are {known}")


def z_scales(images: npt.NDArray[Any], brain: Mask, _spacing_mm: float = 1.0) -> Measured:
    """Mean and standard deviation of each channel over the brain.

    Parameters
    ----------
    images
        ``(C, D, H, W)`` in arbitrary units. A channel without any finite value is a missing one.
    brain
        ``(D, H, W)``, at least one voxel.

    Returns
    -------
    tuple of Scale or None
        One for each channel; None for a missing one.

    Raises
    ------
    RefusedError
        If the mask is empty, or a channel is constant inside it.
    """
    if not brain.any():
        raise RefusedError("no brain was found: intensities cannot be normalised")
    return tuple(_z_scale(image[brain]) if np.isfinite(image).any() else None for image in images)


def z_scaled(images: npt.NDArray[Any], brain: Mask, measured: Sequence[Scale | None]) -> Images:
    """Plain z-scores inside the brain, neither halved nor clipped.

    Parameters
    ----------
    images
        ``(C, D, H, W)`` in the units that were measured.
    brain
        ``(D, H, W)``, on the grid of these images.
    measured
        One for each channel, from `z_scales`.

    Returns
    -------
    numpy.ndarray
        ``(C, D, H, W)`` float32: `Z_OUTSIDE` outside the brain, `engine.normalise.DROPPED` in a
        missing channel.
    """
    result = np.full(images.shape, Z_OUTSIDE, np.float32)
    for channel, (image, scale) in enumerate(zip(images, measured, strict=True)):
        if scale is None:
            result[channel] = DROPPED
        else:
            result[channel][brain] = np.nan_to_num((image[brain] - scale.centre) / scale.width)
    return result


NORMALISATIONS = (
    Normalisation(NORMALISATION, scales, scaled, OUTSIDE, 0.5),
    Normalisation(Z_NORMALISATION, z_scales, z_scaled, Z_OUTSIDE, 1.0),
)
"""Every way that a tumour model may name."""


def _z_scale(values: npt.NDArray[Any]) -> Scale:
    """Mean and standard deviation of one channel."""
    inside = values.astype(np.float64)
    width = float(np.nanstd(inside))
    if not width > 0.0:
        raise RefusedError("a channel is constant inside the brain: there is no image in it")
    return Scale(float(np.nanmean(inside)), width)
