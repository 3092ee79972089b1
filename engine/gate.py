"""What a head is judged by, on voxels that it did not learn from, and what it must not do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.fitting import Floats
from engine.sampling import FeatureSample
from study.tissue import REGIONS, TUMOUR_TISSUES

Mask = npt.NDArray[np.bool_]

LEAST_ALONE = 100.0
"""Voxels of a class that was not outlined, below which nothing is said about its drift."""


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
    rung
        What of the head moved (`engine.ladder.LADDER`); ``"base"``: nothing.
    """

    strength: float
    dice: Mapping[str, float]
    left_alone: Mapping[str, float]
    converged: bool
    rung: str = "base"

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
    rung: str = "base",
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
    strength, converged, rung
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
    return Trial(strength, dice, left_alone, converged, rung)


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


def replay_objection(
    found: Mapping[str, float], base: Mapping[str, float], largest_loss: float
) -> str | None:
    """Why a head is not accepted for what it makes of generated cases; None if it is.

    Parameters
    ----------
    found, base
        Dice of each class with the truth of the replay set (`engine.prior`).
    largest_loss
        That no class may lose more than.
    """
    for name, before in base.items():
        if found[name] < before - largest_loss:
            return _worse(f"Dice of {name} on generated cases falls", before, found[name])
    return None


def regression(current: Trial, base: Trial, largest_loss: float) -> str | None:
    """Why the head in use is put out of use, in words; None if it may stay.

    Parameters
    ----------
    current, base
        Both on a correction that came after the head was made.
    largest_loss
        Mean Dice that it may lose against the base head.
    """
    if current.score < base.score - largest_loss:
        return _worse(
            "on the new correction it is worse than the base head: mean Dice falls",
            base.score,
            current.score,
        )
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
