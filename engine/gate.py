"""What a fitted head is judged by: blocks of the corrected studies that it did not learn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.fitting import Floats
from engine.sampling import BLOCK_MM, FeatureSample
from study.tissue import REGIONS, TUMOUR_TISSUES

Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

GAP_PART = 0.2
"""Largest gap between folds, in parts of a lesion's extent; small lesions get smaller gaps."""
LEAST_ALONE = 100.0
"""Voxels of a class that was not outlined, below which nothing is said about its drift."""
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
    """Divide studies into slabs across the slice axis, with gaps between them.

    A lesion of 12 blocks in 4 folds, when the second is tested with a gap of 2 blocks::

        block   0 1 2 3 4 5 6 7 8 9 10 11
        fold    0 0 0 1 1 1 2 2 2 3  3  3
        learnt  x . .       . . x x  x  x

    What lies above or below the lesion belongs to the outermost slabs. A study whose lesion is too
    thin to be divided is tested as a whole, if there are others.
    """
    parts = [_slabs(sample, wanted, gap_mm) for sample in samples]
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


@dataclass(frozen=True, eq=False)
class Trial:
    """How one strength of the prior did on blocks that were not learnt from.

    Parameters
    ----------
    strength
        Of the prior; infinite: the base head.
    dice
        With the correction: each outlined class, and regions all of whose classes were outlined.
    left_alone
        Dice of the classes that were not outlined, with what the base head says of them, where
        that is `LEAST_ALONE` voxels or more.
    converged
        Whether all fits reached their minimum.
    """

    strength: float
    dice: Mapping[str, float]
    left_alone: Mapping[str, float]
    converged: bool

    @property
    def score(self) -> float:
        """Mean Dice of the single classes that were outlined."""
        single = [self.dice[t.name.lower()] for t in TUMOUR_TISSUES if t.name.lower() in self.dice]
        return float(np.mean(single))


def judge(
    samples: Sequence[FeatureSample],
    target: Floats,
    logits: Floats,
    strength: float,
    *,
    converged: bool,
) -> Trial:
    """Compare logits with what the corrections ask for.

    Parameters
    ----------
    samples
        The corrections.
    target
        ``(K, n)`` of `engine.fitting.Problem`.
    logits
        ``(K, n)`` of a head, at voxels that it has not learnt from.
    strength, converged
        As in `Trial`.
    """
    mass = np.concatenate([s.weight for s in samples]).astype(np.float64)
    claimed = np.concatenate([s.target for s in samples])
    wanted, found = target.argmax(axis=0), logits.argmax(axis=0)
    groups = {t.name.lower(): frozenset({t}) for t in TUMOUR_TISSUES} | dict(REGIONS)
    dice, left_alone = {}, {}
    for name, classes in groups.items():
        spoken = _rows(samples, [classes <= s.outlined for s in samples])
        numbers = [int(t) for t in classes]
        told = np.isin(claimed, numbers) & spoken
        if told.any():
            dice[name] = _dice(told, np.isin(found, numbers) & spoken, mass)
        silent = _rows(samples, [not classes & s.outlined for s in samples]) & (claimed == 0)
        kept = np.isin(wanted, numbers) & silent
        if len(classes) == 1 and mass[kept].sum() >= LEAST_ALONE:
            left_alone[name] = _dice(kept, np.isin(found, numbers) & silent, mass)
    return Trial(strength, dice, left_alone, converged)


def objection(trial: Trial, base: Trial, largest_loss: float, largest_drift: float) -> str | None:
    """Why a head is not accepted, in words; None if it is.

    Parameters
    ----------
    trial, base
        Both on the same voxels.
    largest_loss, largest_drift
        See `engine.adapt.FitSettings`.
    """
    for name in REGIONS:
        before, after = base.dice.get(name, 0.0), trial.dice.get(name, 0.0)
        if after < before - largest_loss:
            return _worse(f"Dice of {name} with the correction falls", before, after)
    for name, before in base.left_alone.items():
        after = trial.left_alone[name]
        if after < before - largest_drift:
            return _worse(f"{name}, which was not outlined, drifts: Dice with base", before, after)
    if trial.score <= base.score:
        return _worse("mean Dice with the correction does not rise:", base.score, trial.score)
    return None


def _worse(what: str, before: float, after: float) -> str:
    """One clause with its numbers."""
    return f"{what} from {before:.3f} to {after:.3f}"


def _rows(samples: Sequence[FeatureSample], chosen: Sequence[bool]) -> Mask:
    """Mask of all voxels of the chosen samples."""
    return np.repeat(np.array(chosen, bool), [len(s.target) for s in samples])


def _dice(told: Mask, found: Mask, mass: Floats) -> float:
    """Dice of the whole brain, estimated from a sample that stands for it."""
    both = float(mass[told & found].sum())
    return 2.0 * both / float(mass[told].sum() + mass[found].sum())
