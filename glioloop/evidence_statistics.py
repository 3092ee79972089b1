"""What the experiments say: means over dates, and how sure they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from glioloop.evidence_dates import Overlap

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """How a head did beside the base head, over many dates.

    Parameters
    ----------
    dates
        How many.
    dice_base, dice
        Mean over the dates of the mean Dice of the regions that the truth has.
    error_falls
        By which part of itself the mean of 1 - Dice falls; negative if it rises.
    low, high
        95 % interval of that: the percentile bootstrap (Efron 1979) over whole patients.
    harmed
        Share of dates that lose more than the limit.
    worst
        Least change of a date's Dice.
    """

    dates: int
    dice_base: float
    dice: float
    error_falls: float
    low: float
    high: float
    harmed: float
    worst: float


def dice_of(overlap: Overlap) -> float:
    """Dice of counted voxels; 1.0 when both outlines are empty."""
    both, found, truth = overlap
    return 2.0 * both / (found + truth) if found + truth else 1.0


def mean_dice(
    overlaps: Mapping[str, Overlap], least_voxels: float, region: str | None = None
) -> float:
    """Mean Dice of the regions of which the truth has so much.

    Parameters
    ----------
    overlaps
        By region.
    least_voxels
        Of the truth, for a region to count.
    region
        The only one that is looked at; None for all.

    Returns
    -------
    float
        NaN where none counts.
    """
    given = [
        dice_of(overlap)
        for name, overlap in overlaps.items()
        if region in (None, name) and overlap[2] >= least_voxels
    ]
    return float(np.mean(given)) if given else float("nan")


def judged(
    base: Floats, other: Floats, patients: Sequence[int], harmed: float, resamples: int, seed: int
) -> Judged:
    """Compare Dice of the same dates, pair by pair.

    Parameters
    ----------
    base, other
        ``(n,)`` Dice of each date; dates of which one is NaN are left out.
    patients
        Whose date it is: dates of one patient are drawn together.
    harmed
        Loss of Dice that counts as harm.
    resamples, seed
        Of the bootstrap.
    """
    counted = ~(np.isnan(base) | np.isnan(other))
    whose = np.unique(np.asarray(patients)[counted], return_inverse=True)[1]
    base, other = base[counted], other[counted]
    if not len(base):
        nothing = float("nan")
        return Judged(0, *[nothing] * 7)
    people = int(whose.max()) + 1
    lost = np.array([np.bincount(whose, 1.0 - dice, people) for dice in (base, other)])
    drawn = np.random.default_rng(seed).integers(people, size=(resamples, people))
    before, after = lost[:, drawn].sum(axis=2)
    # A resample without any error can fall by nothing.
    falls = 1.0 - after[before > 0] / before[before > 0]
    low, high = np.percentile(falls, (2.5, 97.5)) if len(falls) else (0.0, 0.0)
    total = lost.sum(axis=1)
    change = other - base
    return Judged(
        dates=len(base),
        dice_base=float(base.mean()),
        dice=float(other.mean()),
        error_falls=float(1.0 - total[1] / total[0]) if total[0] else 0.0,
        low=float(low),
        high=float(high),
        harmed=float((change < -harmed).mean()),
        worst=float(change.min()),
    )
