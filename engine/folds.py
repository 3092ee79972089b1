"""How voxels are divided into what is learnt from and what is tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.sampling import BLOCK_MM, FeatureSample

Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

GAP_PART = 0.2
"""Largest gap between folds, in parts of a lesion's extent; small lesions get smaller gaps."""
LARGEST_LESION = 2 / 3
"""Part of the tumour that the largest lesion may have where lesions are folds: of less, too little
would be left to learn from."""
LEAST_BLOCKS = 2
"""A fold has at least this many blocks of `BLOCK_MM` of a lesion."""


@dataclass(frozen=True, eq=False)
class Folds:
    """How voxels are divided.

    Parameters
    ----------
    index
        ``(n,)``: the fold in which a voxel is tested.
    barred
        ``(count, n)`` bool: voxels too near to a fold to be learnt from when it is tested.
    gap_mm
        Distance of whatever is learnt from to what is tested.
    """

    index: Ints
    barred: Mask
    gap_mm: float

    @property
    def count(self) -> int:
        """Number of folds; one is too few to test anything."""
        return len(self.barred)


def blocked_folds(samples: Sequence[FeatureSample], wanted: int, gap_mm: float) -> Folds:
    """Divide studies by their lesions, or into slabs across the slice axis, with gaps between them.

    By lesions where there are several and none is more than `LARGEST_LESION` of the tumour. Else,
    a lesion of 12 blocks in 4 folds, when the second is tested with a gap of 2 blocks::

        block   0 1 2 3 4 5 6 7 8 9 10 11
        fold    0 0 0 1 1 1 2 2 2 3  3  3
        learnt  x . .       . . x x  x  x

    What lies above or below the lesion belongs to the outermost slabs. A study whose lesion is too
    thin to be divided is tested as a whole, if there are others.
    """
    parts = [_lesions(s, wanted, gap_mm) or _slabs(s, wanted, gap_mm) for s in samples]
    thin = [i for i, part in enumerate(parts) if part is None]
    found = [part for part in parts if part is not None]
    count = max((part.count for part in found), default=min(wanted, len(samples)))
    indices, barred = [], []
    for i, (sample, part) in enumerate(zip(samples, parts, strict=True)):
        rows = len(sample.target)
        if part is None:
            indices.append(np.full(rows, thin.index(i) % count, np.int64))
            barred.append(np.zeros((count, rows), bool))
        else:
            indices.append(part.index)
            barred.append(np.pad(part.barred, ((0, count - part.count), (0, 0))))
    gap = min((part.gap_mm for part in found), default=gap_mm)
    return Folds(np.concatenate(indices), np.concatenate(barred, axis=1), gap)


def _lesions(sample: FeatureSample, wanted: int, gap_mm: float) -> Folds | None:
    """Lesions of one study, each with what is nearest to it; None where they cannot be folds."""
    if sample.lesion is None or sample.apart_mm is None:
        return None
    tumour = sample.target > 0
    mass = np.bincount(sample.lesion[tumour], weights=sample.weight[tumour])
    if np.count_nonzero(mass) < 2 or mass.max() > LARGEST_LESION * mass.sum():
        return None
    count = min(wanted, int(np.count_nonzero(mass)))
    fold_of, filled = np.zeros(int(sample.lesion.max()) + 1, np.int64), np.zeros(count)
    for lesion in np.argsort(-mass, kind="stable"):
        fold_of[lesion] = filled.argmin()
        filled[fold_of[lesion]] += mass[lesion]
    index = fold_of[sample.lesion]
    barred = (index != np.arange(count)[:, None]) & (sample.apart_mm < gap_mm)
    return Folds(index, barred, gap_mm)


def _slabs(sample: FeatureSample, wanted: int, gap_mm: float) -> Folds | None:
    """Slabs of one study, or None if its lesion is too thin."""
    lesion = np.unique(sample.block[(sample.target > 0) | sample.changed]).astype(np.int64)
    count = min(wanted, len(lesion) // LEAST_BLOCKS)
    if count < 2:
        return None
    first = np.array([part[0] for part in np.array_split(lesion, count)])
    extent_mm = float(lesion[-1] - lesion[0] + 1) * BLOCK_MM
    gap = min(gap_mm, GAP_PART * extent_mm)
    block = sample.block.astype(np.int64)
    index = np.searchsorted(first[1:], block, side="right").astype(np.int64)
    barred = np.zeros((count, len(block)), bool)
    for fold in range(count):
        if fold > 0:
            apart = (first[fold] - block - 1) * BLOCK_MM
            barred[fold] |= (apart >= 0) & (apart < gap)
        if fold < count - 1:
            apart = (block - first[fold + 1]) * BLOCK_MM
            barred[fold] |= (apart >= 0) & (apart < gap)
    return Folds(index, barred, gap)
