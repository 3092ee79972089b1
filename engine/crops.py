"""Examples, and the patches of them that one step of training sees.

Where a patch lies is the strategy's matter; each strategy is a pure function of an example and a
source of randomness. A volume smaller than a patch is appended to, never cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import torch

from study.errors import RefusedError

Labels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Window = tuple[slice, slice, slice]

FLIPS = (0.15, 0.15, 0.5)
"""How often a patch is mirrored along slices, rows and columns."""


@dataclass(frozen=True)
class Example:
    """One normalised head: images ``(3, D, H, W)`` float16, labels ``(D, H, W)``, brain mask."""

    images: npt.NDArray[np.float16]
    labels: Labels
    brain: Mask


def check_strategy(strategy: str) -> None:
    """Refuse a strategy that is none.

    Raises
    ------
    RefusedError
        If the name is unknown.
    """
    if strategy not in STRATEGIES:
        raise RefusedError(f"strategy {strategy!r} is none of {', '.join(STRATEGIES)}")


def windows(
    example: Example, strategy: str, count: int, edge: int, rng: np.random.Generator
) -> list[Window]:
    """Where the patches of one volume lie.

    Parameters
    ----------
    example
        At least `edge` voxels long on every axis (`appended` sees to that), except for ``"whole"``.
    strategy
        ``"random"``: anywhere in the volume. ``"balanced"``: each class that occurs is equally
        likely at the centre. ``"labelled"``: centred on any labelled voxel, anywhere in a volume
        without. ``"sequential"``: a grid over the volume, every patch once. ``"whole"``: all of it.
        ``"lesions"``: five of eight at the lesion, three of those at its core, the others anywhere
        in the brain, each moved at random by up to a quarter of its edge.
    count
        Number of patches; ``"sequential"`` and ``"whole"`` do not heed it.
    edge
        Edge of a patch in voxels.
    rng
        Source of all randomness.

    Returns
    -------
    list of tuple of slice
        A patch at whose centre a voxel is wanted is moved inwards where it would leave the volume.

    Raises
    ------
    RefusedError
        If the strategy is unknown.
    """
    check_strategy(strategy)
    return STRATEGIES[strategy](example, count, edge, rng)


def crops(
    ring: Sequence[Example],
    count: int,
    edge: int,
    rng: np.random.Generator,
    strategy: str = "lesions",
    *,
    stride: int = 1,
    outside: float = 0.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Patches from several heads.

    Parameters
    ----------
    ring
        Heads to choose from, at least one.
    count
        Number of patches; they come from ``min(count, len(ring))`` heads or nearly so.
    edge
        Edge of a patch in voxels.
    rng
        Source of all randomness.
    strategy
        As for `windows`; of ``"sequential"`` each patch is any of the grid.
    stride, outside
        As for `stacked`.

    Returns
    -------
    images, labels
        As `stacked`.
    """
    check_strategy(strategy)
    heads = rng.permutation(len(ring))
    taken = []
    for number in range(count):
        example = ring[int(heads[number % len(heads)])]
        example = appended(example, least_edge(strategy, edge), outside)
        if strategy == "lesions":
            window = _at_lesion(example, edge, number, rng)
        else:
            found = windows(example, strategy, 1, edge, rng)
            window = found[int(rng.integers(len(found)))]
        taken.append((example, window))
    return stacked(taken, rng, stride=stride, outside=outside)


def stacked(
    taken: Sequence[tuple[Example, Window]],
    rng: np.random.Generator,
    *,
    stride: int = 1,
    outside: float = 0.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Put patches together, each mirrored at random.

    Parameters
    ----------
    taken
        Examples, and where their patches lie.
    rng
        Source of all randomness.
    stride
        Patches of different sizes, whole images, are appended to until all are as large as the
        largest, and divisible by this.
    outside
        Normalised value of what is appended; its label is 0.

    Returns
    -------
    images, labels
        ``(count, 3, d, h, w)`` float32 and ``(count, d, h, w)`` int64.
    """
    sizes = np.array([[s.stop - s.start for s in window] for _example, window in taken])
    size = tuple(int(-(-n // stride) * stride) for n in sizes.max(axis=0))
    images = np.full((len(taken), taken[0][0].images.shape[0], *size), outside, np.float32)
    labels = np.zeros((len(taken), *size), np.int64)
    for number, ((example, window), (d, h, w)) in enumerate(zip(taken, sizes, strict=True)):
        axes = tuple(a for a in range(3) if rng.random() < FLIPS[a])
        image = example.images[(slice(None), *window)]
        images[number, :, :d, :h, :w] = np.flip(image, tuple(a + 1 for a in axes))
        labels[number, :d, :h, :w] = np.flip(example.labels[window], axes)
    return torch.from_numpy(images), torch.from_numpy(labels)


def least_edge(strategy: str, edge: int) -> int:
    """Least length in voxels of a volume that patches of an edge are taken from."""
    return 1 if strategy == "whole" else edge


def appended(example: Example, edge: int, outside: float) -> Example:
    """The example, made at least `edge` voxels long on every axis by appending what is outside."""
    missing = [(0, max(0, edge - n)) for n in example.labels.shape]
    if not any(after for _before, after in missing):
        return example
    return Example(
        np.pad(example.images, [(0, 0), *missing], constant_values=outside),
        np.pad(example.labels, missing),
        np.pad(example.brain, missing),
    )


def _anywhere(example: Example, count: int, edge: int, rng: np.random.Generator) -> list[Window]:
    """Patches anywhere in the volume."""
    shape = example.labels.shape
    return [_from([int(rng.integers(n - edge + 1)) for n in shape], edge) for _ in range(count)]


def _balanced(example: Example, count: int, edge: int, rng: np.random.Generator) -> list[Window]:
    """Patches with each class that occurs equally likely at the centre."""
    at = {int(c): np.flatnonzero(_reachable(example.labels == c, edge)) for c in _classes(example)}
    classes = sorted(at)
    found = []
    for _ in range(count):
        voxels = at[classes[int(rng.integers(len(classes)))]]
        found.append(_around(voxels, example, edge, rng))
    return found


def _labelled(example: Example, count: int, edge: int, rng: np.random.Generator) -> list[Window]:
    """Patches centred on labelled voxels."""
    voxels = np.flatnonzero(_reachable(example.labels > 0, edge))
    if not len(voxels):
        return _anywhere(example, count, edge, rng)
    return [_around(voxels, example, edge, rng) for _ in range(count)]


def _sequential(
    example: Example, _count: int, edge: int, _rng: np.random.Generator
) -> list[Window]:
    """Patches of a grid; the last of a row ends where the volume ends."""
    starts = [
        [*range(0, n - edge, edge), n - edge] if n > edge else [0] for n in example.labels.shape
    ]
    return [_from(corner, edge) for corner in product(*starts)]


def _whole(example: Example, _count: int, _edge: int, _rng: np.random.Generator) -> list[Window]:
    """All of a volume."""
    d, h, w = example.labels.shape
    return [(slice(0, d), slice(0, h), slice(0, w))]


def _lesions(example: Example, count: int, edge: int, rng: np.random.Generator) -> list[Window]:
    """Patches of which five in eight hold tumour where there is any."""
    return [_at_lesion(example, edge, number, rng) for number in range(count)]


STRATEGIES: Mapping[str, Callable[[Example, int, int, np.random.Generator], list[Window]]] = {
    "lesions": _lesions,
    "random": _anywhere,
    "balanced": _balanced,
    "labelled": _labelled,
    "sequential": _sequential,
    "whole": _whole,
}
"""Ways to lay patches; the published ones, and ``lesions``."""


def _at_lesion(example: Example, edge: int, number: int, rng: np.random.Generator) -> Window:
    """Where the number-th patch lies: five in eight hold tumour where there is any."""
    wanted = example.brain
    if number % 8 < 3 and (example.labels % 2 == 1).any():
        wanted = example.labels % 2 == 1
    elif number % 8 < 5 and (example.labels > 0).any():
        wanted = example.labels > 0
    found = np.flatnonzero(wanted)
    at = np.unravel_index(int(found[rng.integers(len(found))]), wanted.shape)
    moved = [int(c) + int(rng.integers(-edge // 4, edge // 4 + 1)) for c in at]
    return _centred(moved, wanted.shape, edge)


def _classes(example: Example) -> npt.NDArray[np.intp]:
    """Classes that occur."""
    return np.flatnonzero(np.bincount(example.labels.ravel()))


def _reachable(wanted: Mask, edge: int) -> Mask:
    """Voxels whose patch lies in the volume; all, where there is none of these."""
    inner = np.zeros_like(wanted)
    middle = tuple(slice(edge // 2, n - edge + edge // 2 + 1) for n in wanted.shape)
    inner[middle] = wanted[middle]
    return inner if inner.any() else wanted


def _around(
    voxels: npt.NDArray[np.intp], example: Example, edge: int, rng: np.random.Generator
) -> Window:
    """A patch with one of these voxels, by its number in the volume, at its centre."""
    shape = example.labels.shape
    at = np.unravel_index(int(voxels[rng.integers(len(voxels))]), shape)
    return _centred([int(c) for c in at], shape, edge)


def _centred(at: Sequence[int], shape: Sequence[int], edge: int) -> Window:
    """The patch around a voxel, moved inwards where it would leave the volume."""
    return _from(
        [min(max(c - edge // 2, 0), n - edge) for c, n in zip(at, shape, strict=True)], edge
    )


def _from(corner: Sequence[int], edge: int) -> Window:
    """The patch that begins at a corner."""
    k, i, j = corner
    return slice(k, k + edge), slice(i, i + edge), slice(j, j + edge)
