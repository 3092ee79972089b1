"""Where each voxel of a deformed head takes its substance from.

A *sampling grid* is an array ``(D, H, W, 3)`` of head-map coordinates, 1 mm apart, one for each
voxel of the result.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.anatomy import BRAIN, HeadMap, Substance
from engine.tumour import smooth_noise


def sampling_grid(
    head: HeadMap, shape: tuple[int, int, int], spacing_mm: float, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Head-map coordinates ``(D, H, W, 3)`` of each voxel after a random affine and elastic map."""
    turn = _rotation(rng.uniform(-0.3, 0.3, 3)) @ np.diag(rng.uniform(0.88, 1.13, 3))
    shear = np.eye(3) + np.triu(rng.uniform(-0.06, 0.06, (3, 3)), 1)
    turn = turn @ shear
    if rng.random() < 0.5:
        turn = turn @ np.diag([1.0, 1.0, -1.0])
    axes = [(np.arange(n, dtype=np.float32) - (n - 1) / 2.0) * spacing_mm for n in shape]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1) @ turn.T.astype(np.float32)
    for axis in range(3):
        amount = float(rng.uniform(0.0, 4.0))
        grid[..., axis] += amount * smooth_noise(shape, rng.uniform(18.0, 50.0) / spacing_mm, rng)
    centre = np.argwhere(np.isin(head[::4, ::4, ::4], BRAIN)).mean(0) * 4.0
    grid += (centre + rng.uniform(-10.0, 10.0, 3)).astype(np.float32)
    return grid


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


def look_up(head: HeadMap, grid: npt.NDArray[np.float32]) -> HeadMap:
    """Nearest substances at coordinates ``(D, H, W, 3)``; air outside the map."""
    index = np.rint(grid).astype(np.int32)
    limit = np.array(head.shape, np.int32)
    inside = ((index >= 0) & (index < limit)).all(axis=-1)
    np.clip(index, 0, limit - 1, out=index)
    found = head[index[..., 0], index[..., 1], index[..., 2]]
    found[~inside] = Substance.AIR
    return found


def pushed(
    grid: npt.NDArray[np.float32],
    centre: tuple[int, int, int],
    push_mm: float,
    radius_mm: float,
    spacing_mm: float,
) -> npt.NDArray[np.float32]:
    """Move tissue away from a centre, most at the tumour's edge: mass effect."""
    steps = np.stack(list(np.gradient(grid, axis=(0, 1, 2))), axis=-1)
    axes = [np.arange(n, dtype=np.float32) - c for n, c in zip(grid.shape, centre, strict=False)]
    offset = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    far = np.linalg.norm(offset, axis=-1, keepdims=True) + 1e-3
    ratio = far * spacing_mm / max(radius_mm, 4.0)
    back = (push_mm / spacing_mm) * np.minimum(ratio, 1.0) * np.exp(-(ratio**2) / 4.0)
    moved = grid - np.einsum("...cv,...v->...c", steps, offset / far * back)
    return np.asarray(moved, np.float32)
