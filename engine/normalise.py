"""Intensities as the networks expect them. Training and inference share these functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from engine.morphology import eroded
from study.errors import RefusedError

OUTSIDE = -2.5
"""Value of every voxel outside the brain mask, in every channel."""
DROPPED = 0.0
"""Value of every voxel of a channel that is missing."""
NORMALISATION = "robust-brain-z/1"
"""Name of what `normalise` does; a manifest names it."""
HEAD_NORMALISATION = "head-median/1"
"""Name of what `normalise_head` does."""
CLIP = (-2.5, 4.0)
"""Normalised values are clipped to this range."""
EROSION_MM = 6.0
"""Statistics come from the brain mask eroded by this much: masks leak at their rim."""
_FEWEST = 1000
"""Below this many voxels an eroded mask is not used."""

Images = npt.NDArray[np.float32]


def normalise(images: npt.NDArray[Any], brain: npt.NDArray[np.bool_], spacing_mm: float) -> Images:
    """Robust z-scores over the brain, halved and clipped; outside the brain `OUTSIDE`.

    The centre is the median and the scale the interquartile range / 1.349, the standard deviation
    of a normal distribution with that range; tumour, vessels and scalp hardly move either.

    Parameters
    ----------
    images
        ``(C, D, H, W)`` in arbitrary units. A channel without any finite value is a missing one.
    brain
        ``(D, H, W)``, at least one voxel.
    spacing_mm
        Edge of a voxel in mm.

    Returns
    -------
    numpy.ndarray
        ``(C, D, H, W)`` float32.

    Raises
    ------
    RefusedError
        If the mask is empty, or a channel is constant inside it.
    """
    return scaled(images, brain, scales(images, brain, spacing_mm))


@dataclass(frozen=True)
class Scale:
    """Median and robust standard deviation of a channel over the brain."""

    centre: float
    width: float


def scales(
    images: npt.NDArray[Any], brain: npt.NDArray[np.bool_], spacing_mm: float
) -> tuple[Scale | None, ...]:
    """What `normalise` measures, to be used on another grid of the same study by `scaled`.

    Parameters
    ----------
    images, brain, spacing_mm
        As for `normalise`.

    Returns
    -------
    tuple of Scale or None
        One for each channel; None for a missing one.

    Raises
    ------
    RefusedError
        As `normalise`.
    """
    if not brain.any():
        raise RefusedError("no brain was found: intensities cannot be normalised")
    steps = max(1, round(EROSION_MM / spacing_mm))
    inner = eroded(torch.from_numpy(brain), steps).numpy()
    inside = inner if np.count_nonzero(inner) >= _FEWEST else brain
    return tuple(_scale(i, inside) if np.isfinite(i).any() else None for i in images)


def scaled(
    images: npt.NDArray[Any],
    brain: npt.NDArray[np.bool_],
    measured: Sequence[Scale | None],
) -> Images:
    """Normalise with what `scales` measured.

    Parameters
    ----------
    images
        ``(C, D, H, W)`` in the units that were measured.
    brain
        ``(D, H, W)`` bool on the grid of these images.
    measured
        One for each channel.

    Returns
    -------
    numpy.ndarray
        ``(C, D, H, W)`` float32: `OUTSIDE` outside the brain, `DROPPED` in a missing channel.
    """
    result = np.full(images.shape, OUTSIDE, np.float32)
    for channel, (image, scale) in enumerate(zip(images, measured, strict=True)):
        if scale is None:
            result[channel] = DROPPED
            continue
        scores = np.nan_to_num((image[brain] - scale.centre) / scale.width / 2.0)
        result[channel][brain] = np.clip(scores, *CLIP)
    return result


def normalise_head(images: npt.NDArray[Any]) -> Images:
    """Intensities of a whole head for the coarse pass, when no brain mask is known yet.

    Each channel is divided by the median of its upper half of voxels (air excluded by taking
    what exceeds 8 % of the 99th percentile), and clipped to 0..4.

    Parameters
    ----------
    images
        ``(C, D, H, W)`` in arbitrary units; a channel without finite values becomes `DROPPED`.

    Returns
    -------
    numpy.ndarray
        ``(C, D, H, W)`` float32.

    Raises
    ------
    RefusedError
        If a channel is constant.
    """
    result = np.full(images.shape, DROPPED, np.float32)
    for channel, image in enumerate(images):
        if not np.isfinite(image).any():
            continue
        values = np.nan_to_num(np.asarray(image, np.float32))
        values = values - min(0.0, float(np.percentile(values, 1.0)))
        head = values[values > 0.08 * np.percentile(values, 99.0)]
        scale = float(np.median(head)) if head.size else 0.0
        if scale <= 0.0:
            raise RefusedError(f"channel {channel} is constant: there is no image in it")
        result[channel] = np.clip(values / scale, 0.0, 4.0)
    return result


def _scale(image: npt.NDArray[Any], inside: npt.NDArray[np.bool_]) -> Scale:
    """Centre and width of one channel; the interquartile range of a normal one is 1.349 sigma."""
    low, middle, high = (float(v) for v in np.percentile(image[inside], (25.0, 50.0, 75.0)))
    if not high > low:
        raise RefusedError("a channel is constant inside the brain: there is no image in it")
    return Scale(middle, (high - low) / 1.349)
