"""Crops of examples: what one step of training sees."""

from __future__ import annotations

import numpy as np
import torch

from engine.examples import Example


def crops(
    ring: list[Example], count: int, edge: int, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Crops from several heads: at tumour, at its core, and anywhere in the brain.

    Parameters
    ----------
    ring
        Heads to choose from, at least one.
    count
        Number of crops; they come from ``min(count, len(ring))`` heads or nearly so.
    edge
        Edge of a crop in voxels.
    rng
        Source of all randomness.

    Returns
    -------
    images, labels
        ``(count, 3, edge, edge, edge)`` float32 and ``(count, edge, edge, edge)`` int64, flipped at
        random.
    """
    images, labels = [], []
    heads = rng.permutation(len(ring))
    for number in range(count):
        example = ring[int(heads[number % len(heads)])]
        window = _window(example, edge, number, rng)
        axes = tuple(a for a in range(3) if rng.random() < (0.15, 0.15, 0.5)[a])
        image = np.flip(example.images[(slice(None), *window)], tuple(a + 1 for a in axes))
        label = np.flip(example.labels[window], axes)
        images.append(image.astype(np.float32))
        labels.append(label.astype(np.int64))
    return torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(labels))


def _window(
    example: Example, edge: int, number: int, rng: np.random.Generator
) -> tuple[slice, ...]:
    """Where a crop lies: five in eight hold tumour where there is any."""
    wanted = example.brain
    if number % 8 < 3 and (example.labels % 2 == 1).any():
        wanted = example.labels % 2 == 1
    elif number % 8 < 5 and (example.labels > 0).any():
        wanted = example.labels > 0
    found = np.flatnonzero(wanted)
    at = np.unravel_index(int(found[rng.integers(len(found))]), wanted.shape)
    starts = [
        int(np.clip(int(c) - edge // 2 + rng.integers(-edge // 4, edge // 4 + 1), 0, n - edge))
        for c, n in zip(at, wanted.shape, strict=True)
    ]
    return tuple(slice(s, s + edge) for s in starts)
