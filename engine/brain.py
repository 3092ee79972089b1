"""The first pass: where in the head the brain is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from engine.patches import Array
from study.errors import RefusedError

Mask = npt.NDArray[np.bool_]

BRAIN_CLASSES = (1, 2)
"""Classes of the brain model that are brain: brain, and tumour with its neighbourhood."""
STRIDE = 8
"""Sizes are padded to a multiple of this; it suits networks of up to four levels."""
THRESHOLD = 0.6
"""From which probability a voxel is brain: on generated heads within 0.001 Dice of the best, with a
quarter less of scalp in the mask."""
SHELL_MM = (8.0, 16.0)
"""Where around the brain skull and scalp would be."""
EMPTY = 0.2
"""Below this part of the brain's median a voxel shows nothing: air, or an edge that was blurred."""
HEAD = 0.3
"""Share of that shell which shows something if there is a head; where the skull is off, what shows
there is brain that was not found."""
NECK_MM = 8.0
"""What hangs on the brain by a bridge thinner than this (eye, scalp) is no brain."""


def find_brain(
    run: Callable[[Array], Array], images: Array, outside: float = 0.0
) -> npt.NDArray[np.float32]:
    """Probability that a voxel is brain, for a whole head in one pass.

    Parameters
    ----------
    run
        The brain network with its head (`engine.runtime.compile_network`): ``(1, C, d, h, w)`` to
        logits of outside, brain, tumour neighbourhood.
    images
        ``(C, D, H, W)`` float32 at the model's spacing, from `engine.normalise.normalise_head`.
    outside
        Value of the voxels that are appended to make the sizes divisible.

    Returns
    -------
    numpy.ndarray
        ``(D, H, W)`` float32 in [0, 1].

    Raises
    ------
    RefusedError
        If the images are not ``(C, D, H, W)``, or not finite.
    """
    if images.ndim != 4 or not np.isfinite(images).all():
        raise RefusedError(
            f"finite images (C, D, H, W) are needed to find the brain, not {images.shape}"
            f" with {np.count_nonzero(~np.isfinite(images))} values that are not finite"
        )
    shape = images.shape[1:]
    widths = [(0, 0), *((0, -n % STRIDE) for n in shape)]
    logits = run(np.pad(images, widths, constant_values=outside)[None])[0]
    logits = logits[:, : shape[0], : shape[1], : shape[2]]
    odds = np.exp(logits - logits.max(axis=0))
    probability: npt.NDArray[np.float32] = odds[list(BRAIN_CLASSES)].sum(axis=0) / odds.sum(axis=0)
    return probability.astype(np.float32)


def brain_mask(probability: npt.NDArray[np.floating], spacing_mm: float) -> npt.NDArray[np.bool_]:
    """The brain as it is used and as it is judged: `clean_mask` at `THRESHOLD`, cut at `NECK_MM`.

    Parameters
    ----------
    probability
        ``(D, H, W)`` from `find_brain`, on any grid of cubic voxels.
    spacing_mm
        Edge of a voxel in mm.

    Returns
    -------
    numpy.ndarray
        ``(D, H, W)`` bool.

    Raises
    ------
    RefusedError
        As `clean_mask`.
    """
    return clean_mask(probability, THRESHOLD, neck=round(NECK_MM / spacing_mm / 2.0))


def clean_mask(
    probability: npt.NDArray[np.floating], threshold: float = 0.5, *, neck: int = 0
) -> npt.NDArray[np.bool_]:
    """One brain without holes, and without what hangs on it by a thin bridge.

    Parameters
    ----------
    probability
        ``(D, H, W)`` from `find_brain`, on any grid.
    threshold
        From which probability a voxel is brain.
    neck
        Bridges up to twice this many voxels thick are cut: eye, mucosa and scalp hang on by such.

    Returns
    -------
    numpy.ndarray
        ``(D, H, W)`` bool: the largest component (neighbours share a face), its holes filled.

    Raises
    ------
    RefusedError
        If no voxel reaches the threshold.
    """
    likely = probability >= threshold
    parts, count = ndimage.label(_eroded(likely, neck))
    if not count:
        raise RefusedError(
            f"no brain was found: the highest probability is {float(probability.max()):.2f},"
            f" {threshold:.2f} is needed; is this an MR of a head?"
        )
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    core = parts == sizes.argmax()
    # Grown back into the likely voxels only, a little further than it was eroded.
    grown = ndimage.binary_dilation(core, iterations=neck + 1, mask=likely) if neck else core
    filled: npt.NDArray[np.bool_] = ndimage.binary_fill_holes(grown)
    return filled


def stripped(images: Array, brain: npt.NDArray[np.bool_], spacing_mm: float) -> Mask | None:
    """The brain of images whose skull was taken off already: all that they show.

    Research archives hold such images. A network that looks for the brain in a head can only lose
    some of theirs.

    Parameters
    ----------
    images
        ``(C, D, H, W)`` float32 in arbitrary units; a channel without any finite value is missing.
    brain
        ``(D, H, W)`` bool, as it was found.
    spacing_mm
        Edge of a voxel in mm.

    Returns
    -------
    numpy.ndarray or None
        ``(D, H, W)`` bool: where any channel shows something, its holes filled. None if there is a
        head around the brain: more than `HEAD` of the voxels `SHELL_MM` outside it show something.
    """
    given = [c for c in images if np.isfinite(c).any()]
    shown = np.any([c > EMPTY * np.median(c[brain]) for c in given], axis=0)
    near, far = (max(1, round(mm / spacing_mm)) for mm in SHELL_MM)
    inner = ndimage.binary_dilation(brain, iterations=near)
    shell = ndimage.binary_dilation(inner, iterations=far - near) & ~inner
    if not shell.any() or shown[shell].mean() > HEAD:
        return None
    parts, _count = ndimage.label(shown)
    kept = np.isin(parts, np.unique(parts[brain & (parts > 0)]))
    filled: Mask = ndimage.binary_fill_holes(kept)
    return filled


def _eroded(mask: npt.NDArray[np.bool_], steps: int) -> npt.NDArray[np.bool_]:
    """Erode; where nothing would be left, as it was."""
    if not steps:
        return mask
    inner: npt.NDArray[np.bool_] = ndimage.binary_erosion(mask, iterations=steps)
    return inner if inner.any() else mask
