"""Shapes of masks on torch alone, on whatever device they lie: grow, shrink, measure, blur, move.

Neighbours share a face unless said otherwise; outside the array there is nothing.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def dilated(mask: Tensor, steps: int = 1) -> Tensor:
    """Grow a mask by `steps` voxels along faces.

    Parameters
    ----------
    mask
        ``(D, H, W)`` bool.
    steps
        Times that every voxel takes its neighbours in.
    """
    for _ in range(steps):
        mask = _with_neighbours(mask)
    return mask


def eroded(mask: Tensor, steps: int = 1) -> Tensor:
    """Shrink a ``(D, H, W)`` bool mask by `steps` voxels along faces, also where the array ends."""
    outside = F.pad(~mask, (1,) * 6, value=True)
    return ~dilated(outside, steps)[1:-1, 1:-1, 1:-1]


def opened(mask: Tensor, steps: int = 1) -> Tensor:
    """Shrink, then grow: what is thinner than twice `steps` goes."""
    return dilated(eroded(mask, steps), steps)


def closed(mask: Tensor, steps: int = 1) -> Tensor:
    """Grow, then shrink: gaps thinner than twice `steps` close."""
    padded = dilated(F.pad(mask, (steps,) * 6), steps)
    inner = (slice(steps, -steps),) * 3 if steps else (slice(None),) * 3
    return eroded(padded, steps)[inner]


def distance(mask: Tensor, limit: int) -> Tensor:
    """Distance of every voxel from a mask, in voxels and rounded up, no farther than a limit.

    Steps over faces and steps over faces, edges and corners take turns, which makes what lies
    within a distance nearly round.

    Parameters
    ----------
    mask
        ``(D, H, W)`` bool.
    limit
        Greatest distance that is told apart; voxels farther away get ``limit + 1``.

    Returns
    -------
    Tensor
        ``(D, H, W)`` float32; 0 inside the mask.
    """
    found = torch.full(mask.shape, float(limit + 1), device=mask.device)
    found[mask] = 0.0
    for step in range(1, limit + 1):
        grown = _with_neighbours(mask) if step % 2 else _with_corners(mask)
        found[grown & ~mask] = float(step)
        mask = grown
    return found


def blurred(image: Tensor, sigma: float) -> Tensor:
    """Convolve a ``(D, H, W)`` image with a Gaussian of `sigma` voxels, edges repeated."""
    if sigma <= 0.0:
        return image
    reach = max(1, int(4.0 * sigma + 0.5))
    offsets = torch.arange(-reach, reach + 1, dtype=image.dtype, device=image.device)
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    weights = weights / weights.sum()
    for axis in range(3):
        moved = [_taken(image, int(o), axis) for o in range(-reach, reach + 1)]
        image = sum((w * m for w, m in zip(weights, moved, strict=True)), torch.zeros_like(image))
    return image


def shifted(image: Tensor, by: tuple[float, float, float]) -> Tensor:
    """Move a ``(D, H, W)`` image by fractions of voxels, linearly, edges repeated."""
    for axis, amount in enumerate(by):
        whole = int(amount // 1)
        part = amount - whole
        image = (1.0 - part) * _taken(image, -whole, axis) + part * _taken(image, -whole - 1, axis)
    return image


def _taken(image: Tensor, offset: int, axis: int) -> Tensor:
    """Voxel ``i + offset`` in the place of voxel ``i``, the last one repeated."""
    length = image.shape[axis]
    index = torch.arange(length, device=image.device).add(offset).clamp(0, length - 1)
    return image.index_select(axis, index)


def _along(grown: Tensor, mask: Tensor, axis: int) -> None:
    """Take in both neighbours along one axis, in place."""
    length = mask.shape[axis]
    if length < 2:
        return
    grown.narrow(axis, 1, length - 1).logical_or_(mask.narrow(axis, 0, length - 1))
    grown.narrow(axis, 0, length - 1).logical_or_(mask.narrow(axis, 1, length - 1))


def _with_neighbours(mask: Tensor) -> Tensor:
    """One step over faces."""
    grown = mask.clone()
    for axis in range(3):
        _along(grown, mask, axis)
    return grown


def _with_corners(mask: Tensor) -> Tensor:
    """One step over faces, edges and corners."""
    for axis in range(3):
        grown = mask.clone()
        _along(grown, mask, axis)
        mask = grown
    return mask
