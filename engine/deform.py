"""Where each voxel of a deformed head takes its substance from.

A *sampling grid* is an array ``(D, H, W, 3)`` of head-map coordinates, 1 mm apart, one for each
voxel of the result.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engine.anatomy import BRAIN, Substance
from engine.tumour import made_of, offsets, smooth_noise


def sampling_grid(
    head: Tensor, shape: tuple[int, int, int], spacing_mm: float, rng: np.random.Generator
) -> Tensor:
    """Head-map coordinates of each voxel after a random affine and elastic map.

    Parameters
    ----------
    head
        ``(d, h, w)`` uint8 of `Substance`, 1 mm; its device is that of the result.
    shape, spacing_mm
        Of the result.
    rng
        Source of all randomness.

    Returns
    -------
    Tensor
        ``(D, H, W, 3)`` float32.
    """
    turn = _rotation(rng.uniform(-0.3, 0.3, 3)) @ np.diag(rng.uniform(0.88, 1.13, 3))
    shear = np.eye(3) + np.triu(rng.uniform(-0.06, 0.06, (3, 3)), 1)
    turn = turn @ shear
    if rng.random() < 0.5:
        turn = turn @ np.diag([1.0, 1.0, -1.0])
    grid = offsets(shape, [(n - 1) / 2.0 for n in shape], head.device) * spacing_mm
    grid = grid @ torch.tensor(turn.T, dtype=torch.float32, device=head.device)
    for axis in range(3):
        amount = float(rng.uniform(0.0, 4.0))
        scale = rng.uniform(18.0, 50.0) / spacing_mm
        grid[..., axis] += amount * smooth_noise(shape, scale, rng, head.device)
    brain = made_of(head[::4, ::4, ::4], BRAIN).nonzero().float()
    centre = 4.0 * brain.mean(0).cpu() + torch.from_numpy(rng.uniform(-10.0, 10.0, 3)).float()
    return grid + centre.to(head.device)


def _rotation(angles: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Rotation about the three axes in turn, angles in radians."""
    turn = np.eye(3)
    for axis, angle in enumerate(angles):
        j, k = [a for a in range(3) if a != axis]
        one = np.eye(3)
        one[j, j] = one[k, k] = np.cos(angle)
        one[j, k], one[k, j] = -np.sin(angle), np.sin(angle)
        turn = turn @ one
    return turn


def look_up(head: Tensor, grid: Tensor) -> Tensor:
    """Nearest substances, ``(D, H, W)`` uint8, at coordinates ``(D, H, W, 3)``; else air."""
    index = grid.round().to(torch.int64)
    limit = torch.tensor(head.shape, device=head.device)
    inside = ((index >= 0) & (index < limit)).all(dim=-1)
    k, i, j = (index[..., a].clamp(0, n - 1) for a, n in enumerate(head.shape))
    return head[k, i, j].masked_fill(~inside, int(Substance.AIR))


def pushed(
    grid: Tensor, centre: tuple[int, int, int], push_mm: float, radius_mm: float, spacing_mm: float
) -> Tensor:
    """Move tissue away from a centre, most at the tumour's edge: mass effect.

    Parameters
    ----------
    grid
        ``(D, H, W, 3)`` from `sampling_grid`.
    centre
        Voxel (slice, row, column).
    push_mm, radius_mm
        How far the tumour's edge moves, and how far from the centre it is.
    spacing_mm
        Edge of a voxel.
    """
    steps = torch.stack(torch.gradient(grid, dim=(0, 1, 2)), dim=-1)
    shape = (grid.shape[0], grid.shape[1], grid.shape[2])
    offset = offsets(shape, [float(c) for c in centre], grid.device)
    far = torch.linalg.vector_norm(offset, dim=-1, keepdim=True) + 1e-3
    ratio = far * spacing_mm / max(radius_mm, 4.0)
    back = (push_mm / spacing_mm) * ratio.clamp(max=1.0) * torch.exp(-(ratio**2) / 4.0)
    moved: Tensor = grid - torch.einsum("...cv,...v->...c", steps, offset / far * back)
    return moved
