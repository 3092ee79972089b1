"""Patches over a volume, and the average of what is computed on them.

Nothing here knows a network: it takes a callable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Literal

import numpy as np
import numpy.typing as npt

from study.errors import RefusedError

Size = tuple[int, int, int]
Array = npt.NDArray[np.float32]
Starts = npt.NDArray[np.int64]
Blending = Literal["constant", "hann", "gaussian"]

GAUSSIAN_SIGMA = 1 / 8
"""Width of the Gaussian weight in parts of the patch (Isensee et al. 2021, nnU-Net)."""
LEAST_WEIGHT = 1e-3
"""Least weight of a voxel: where only a corner of one patch reaches, it still decides alone."""


def starts(mask: npt.NDArray[np.bool_], patch: Size, overlap: float) -> Starts:
    """Where patches begin so that every voxel of a mask lies in one.

    Patches are spread evenly over the box of the mask, and those without any of it are left out.
    On one axis, for a box of ten voxels, patches of five, and an overlap of 0.4 (two voxels)::

        box     0 1 2 3 4 5 6 7 8 9
        patch   0 1 2 3 4
                      3 4 5 6 7           (would begin at 3; spread evenly: 2 or 3)
                            5 6 7 8 9     (the last one ends with the box)

    Parameters
    ----------
    mask
        ``(D, H, W)`` bool, at least as large as a patch on every axis (`pad_to`).
    patch
        Size of a patch.
    overlap
        Least part of a patch, in [0, 1), that it shares with the next one on each axis.

    Returns
    -------
    numpy.ndarray
        ``(n, 3)`` int64 first voxels in lexical order; empty for an empty mask.

    Raises
    ------
    RefusedError
        If the mask is smaller than a patch, or the overlap is not in [0, 1).
    """
    if not 0.0 <= overlap < 1.0:
        raise RefusedError(f"patches overlap by a part of 0 to less than 1, not {overlap}")
    if any(n < p for n, p in zip(mask.shape, patch, strict=True)):
        raise RefusedError(f"a volume of {mask.shape} is smaller than a patch of {patch}: pad it")
    if not mask.any():
        return np.zeros((0, 3), np.int64)
    axes = [
        _spread(*ends, size, length, overlap)
        for ends, size, length in zip(_box(mask), mask.shape, patch, strict=True)
    ]
    holding = [at for at in product(*axes) if mask[window(at, patch)].any()]
    return np.array(holding, np.int64)


def grown(
    mask: npt.NDArray[np.bool_], least: int, overlap: int, most_voxels: int, margin: int
) -> Size:
    """Size of patches that cover the box of a mask with as few patches as memory allows.

    A brain in one piece is computed once: nothing is computed twice where patches overlap, and each
    voxel sees all there is around it.

    Parameters
    ----------
    mask
        ``(D, H, W)`` bool, not empty.
    least
        Sizes are multiples of this.
    overlap
        Voxels that neighbouring patches share on an axis, at least.
    most_voxels
        Of one patch.
    margin
        Voxels beyond the box on each side, as context.

    Returns
    -------
    tuple of int
        Size of a patch; more than `most_voxels` only where patches so small could not overlap.
    """
    lengths = [high - low + 2 * margin for low, high in _box(mask)]
    counts = [1, 1, 1]
    while True:
        sizes = [
            least * -(-(n + (count - 1) * overlap) // (count * least))
            for n, count in zip(lengths, counts, strict=True)
        ]
        longest = max(range(3), key=lambda axis: sizes[axis])
        if np.prod(sizes) <= most_voxels or sizes[longest] <= overlap + least:
            return sizes[0], sizes[1], sizes[2]
        counts[longest] += 1


def _box(mask: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First voxel and the one behind the last, on each axis, of a mask that is not empty."""
    found = []
    for axis in range(3):
        inside = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        found.append((int(inside[0]), int(inside[-1]) + 1))
    return found


def _spread(low: int, high: int, size: int, length: int, overlap: float) -> list[int]:
    """Spread patches evenly over [low, high) of an axis of ``size`` voxels."""
    spare = high - low - length
    if spare <= 0:
        centred = low - (length - (high - low)) // 2
        return [min(max(centred, 0), size - length)]
    step = max(1, int(length * (1.0 - overlap)))
    count = -(-spare // step) + 1
    return [low + round(i * spare / (count - 1)) for i in range(count)]


def window(start: npt.ArrayLike, patch: Size) -> tuple[slice, slice, slice]:
    """Voxels of the patch that begins at ``start``, for indexing (D, H, W)."""
    k, i, j = (slice(int(s), int(s) + p) for s, p in zip(np.asarray(start), patch, strict=True))
    return k, i, j


def blending(patch: Size, kind: Blending) -> Array:
    """Weight of each voxel of a patch in an average: at most 1, and positive everywhere.

    Parameters
    ----------
    patch
        Size of a patch.
    kind
        ``"constant"``; ``"hann"``, a raised cosine; ``"gaussian"``, narrower.

    Returns
    -------
    numpy.ndarray
        float32 of the patch's size.
    """
    weight = np.ones(patch, np.float64)
    for axis, length in enumerate(patch):
        middle = (np.arange(length) + 0.5) / length
        if kind == "hann":
            line = np.sin(np.pi * middle) ** 2
        elif kind == "gaussian":
            line = np.exp(-0.5 * ((middle - 0.5) / GAUSSIAN_SIGMA) ** 2)
        else:
            line = np.ones(length)
        weight *= line.reshape([-1 if a == axis else 1 for a in range(3)])
    positive: Array = np.maximum(weight / weight.max(), LEAST_WEIGHT).astype(np.float32)
    return positive


def pad_to(array: npt.NDArray[np.generic], patch: Size, value: float) -> npt.NDArray[np.generic]:
    """Append voxels at the ends of the last three axes until a patch fits; often a no-op."""
    lacking = [max(0, p - n) for n, p in zip(array.shape[-3:], patch, strict=True)]
    if not any(lacking):
        return array
    widths = [(0, 0)] * (array.ndim - 3) + [(0, n) for n in lacking]
    return np.pad(array, widths, constant_values=value)


def computed(
    call: Callable[[Array], Array],
    images: Array,
    at: Starts,
    patch: Size,
    batch: int = 1,
    progress: Callable[[float], None] | None = None,
) -> Iterator[tuple[npt.NDArray[np.int64], Array]]:
    """Each patch's start with what a callable answers for it.

    Parameters
    ----------
    call
        ``(n, C, d, h, w)`` float32 to ``(n, K, d, h, w)``.
    images
        ``(C, D, H, W)`` float32.
    at
        ``(n, 3)`` starts.
    patch
        Size of a patch.
    batch
        Patches in one call; the last call may hold fewer.
    progress
        Told after each call which part, of 1, is done.

    Yields
    ------
    start, answer
        ``(3,)`` and ``(K, d, h, w)``.
    """
    for first in range(0, len(at), batch):
        some = at[first : first + batch]
        stack = np.stack([images[(slice(None), *window(s, patch))] for s in some])
        yield from zip(some, call(stack), strict=True)
        if progress is not None:
            progress((first + len(some)) / len(at))


def average(
    answers: Iterator[tuple[npt.NDArray[np.int64], Array]], weight: Array, shape: Size
) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Weighted average of patches where they overlap.

    Parameters
    ----------
    answers
        Starts and ``(K, d, h, w)`` answers, from `computed`.
    weight
        ``(d, h, w)`` from `blending`.
    shape
        ``(D, H, W)`` of the volume.

    Returns
    -------
    mean, covered
        ``(K, D, H, W)`` float32, 0 where no patch lies, and ``(D, H, W)`` bool where one does.

    Raises
    ------
    RefusedError
        If there is no answer at all.
    """
    patch: Size = weight.shape
    total: Array | None = None
    mass = np.zeros(shape, np.float32)
    for start, answer in answers:
        if total is None:
            total = np.zeros((len(answer), *shape), np.float32)
        here = window(start, patch)
        total[(slice(None), *here)] += answer * weight
        mass[here] += weight
    if total is None:
        raise RefusedError("there is no patch to average: the mask is empty")
    covered = mass > 0
    np.maximum(mass, np.finfo(np.float32).tiny, out=mass)
    total /= mass
    return total, covered
