"""One patient's head: fitted to corrections, and accepted only where it was shown to be better.

Shown means: on blocks of the corrected studies that it was not fitted on, with a gap between them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.fitting import Problem, build, solve
from engine.gate import LEAST_BLOCKS, Folds, Trial, blocked_folds, judge, objection
from engine.head import Head
from engine.sampling import BLOCK_MM, FeatureSample, VoxelSample, sample_voxels
from study.errors import RefusedError
from study.tissue import Tissue

__all__ = ["FeatureSample", "Fit", "FitSettings", "VoxelSample", "fit_head", "sample_voxels"]

STAY = float("inf")
"""The strength of a prior that nothing moves: the base head."""
UNSEEN = "on slices not learnt from"
"""What an accepted head was tested on, in the words of a reason."""


@dataclass(frozen=True, eq=False)
class FitSettings:
    """How a head is fitted, and when it is accepted.

    Parameters
    ----------
    strengths
        Of the prior, to choose from; "stay at base" is always among the choices.
    folds
        Folds of the blocked cross-validation, fewer for small lesions.
    gap_mm
        Distance between what is learnt from and what is tested, smaller for small lesions.
    changed_weight
        How much more a voxel that was changed counts than one that was not.
    largest_loss
        Dice that no region of `study.tissue.REGIONS` that can be measured may lose on blocks that
        were not learnt from.
    largest_drift
        Dice by which classes that were not outlined may move there, away from the base head.
    indifference
        Of strengths whose Dice is this near to the best, the strongest is taken.
    fisher
        ``(K, F + 1)`` precision of the prior, see `engine.fitting.build`.

    Raises
    ------
    RefusedError
        For no strength, one that is not positive, or fewer than two folds.
    """

    strengths: tuple[float, ...] = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01)
    folds: int = 4
    gap_mm: float = 12.0
    changed_weight: float = 3.0
    largest_loss: float = 0.02
    largest_drift: float = 0.10
    indifference: float = 0.002
    fisher: npt.NDArray[np.floating] | None = None

    def __post_init__(self) -> None:
        strengths = tuple(sorted(self.strengths, reverse=True))
        if not strengths or strengths[-1] <= 0 or self.folds < 2:
            raise RefusedError("a fit needs one or more positive strengths and two or more folds")
        object.__setattr__(self, "strengths", strengths)


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted head, or the base head with the reason why it stays.

    Parameters
    ----------
    head
        To be used: the fitted one if accepted, else the base head.
    accepted
        Whether the fitted head was better on blocks that it had not learnt from.
    reason
        One sentence for a person.
    strength
        Of the prior; infinite for the base head.
    dice_base, dice_fitted
        On blocks not learnt from: Dice with the correction, by name, of each outlined class and of
        each region of `study.tissue.REGIONS` whose classes were all outlined. If nothing was
        accepted, ``dice_fitted`` is that of the best attempt, or empty if there was none.
    left_alone
        On the same blocks: Dice, by name, of the classes that were not outlined with what the
        base head says of them.
    converged
        Whether every fit behind this one reached its minimum.
    folds, gap_mm, voxels
        Of the cross-validation.
    """

    head: Head
    accepted: bool
    reason: str
    strength: float
    dice_base: Mapping[str, float]
    dice_fitted: Mapping[str, float]
    left_alone: Mapping[str, float]
    converged: bool
    folds: int
    gap_mm: float
    voxels: int


def fit_head(
    base: Head, samples: Sequence[FeatureSample], settings: FitSettings | None = None
) -> Fit:
    """Fit a head to all corrections of one patient.

    Each strength of the prior is tried by cross-validation over slabs of the studies; of those that
    pass the gate (`engine.gate.objection`) the best is fitted again on all voxels.

    Parameters
    ----------
    base
        The model's own head: where the fit starts, and what the prior pulls to.
    samples
        One for each correction, of features of the same backbone.
    settings
        Default: `FitSettings()`.

    Returns
    -------
    Fit
        The same for the same input on the same machine.

    Raises
    ------
    RefusedError
        If the model is no multi-class one, there is no sample, one is of another backbone or number
        of features, or none claims a voxel.
    """
    settings = settings or FitSettings()
    _check(base, samples)
    folds = blocked_folds(samples, settings.folds, settings.gap_mm)
    problem = build(base, samples, settings.changed_weight, settings.fisher)
    stay = judge(samples, problem.target, problem.base_logits, STAY, converged=True)
    if folds.count < 2:
        reason = (
            f"stays at base: the outline is too thin to be tested on slices not learnt from; it"
            f" must span {2 * LEAST_BLOCKS * BLOCK_MM:.0f} mm or more across the slices"
        )
        return _fit(base, reason, stay, None, folds)
    trials = _trials(samples, problem, folds, settings)
    limits = (settings.largest_loss, settings.largest_drift)
    passing = [t for t in trials if objection(t, stay, *limits) is None]
    if not passing:
        nearest = max(trials, key=lambda t: t.score)
        reason = f"stays at base: {UNSEEN}, {objection(nearest, stay, *limits)}"
        return _fit(base, reason, stay, nearest, folds)
    best = max(t.score for t in passing)
    chosen = next(t for t in passing if t.score >= best - settings.indifference)
    step, converged = solve(problem, chosen.strength)
    whole = judge(samples, problem.target, problem.logits(step), chosen.strength, converged=True)
    if (against := objection(whole, stay, *limits)) is not None:
        reason = f"stays at base: on the very slices that were learnt from, {against}"
        return _fit(base, reason, stay, chosen, folds)
    reason = (
        f"accepted: {UNSEEN}, mean Dice with the correction rises"
        f" from {stay.score:.3f} to {chosen.score:.3f}"
    )
    return _fit(base, reason, stay, chosen, folds, problem.head(base, step), converged=converged)


def _check(base: Head, samples: Sequence[FeatureSample]) -> None:
    """Refuse heads and samples that a head cannot be fitted to."""
    if len(base.bias) != len(Tissue):
        raise RefusedError(
            f"this model answers in {len(base.bias)} channels, not in the {len(Tissue)} tissues of"
            " a multi-class model: only those can be adapted to a patient, use such a one"
        )
    if not samples:
        raise RefusedError("a head is fitted to one correction or more, there is none")
    for sample in samples:
        base.check_backbone(sample.backbone_sha256)
        if sample.features.shape[1] != base.weight.shape[1]:
            raise RefusedError(
                f"the sample has {sample.features.shape[1]} features, the head takes"
                f" {base.weight.shape[1]}"
            )
    if not any((sample.target > 0).any() for sample in samples):
        raise RefusedError(
            "no voxel of the corrections is claimed for a tumour: there is nothing to learn from"
        )


def _trials(
    samples: Sequence[FeatureSample], problem: Problem, folds: Folds, settings: FitSettings
) -> list[Trial]:
    """Every strength, strongest first, tested on each fold in turn."""
    logits = {s: np.empty_like(problem.base_logits) for s in settings.strengths}
    converged = dict.fromkeys(settings.strengths, True)
    for fold in range(folds.count):
        tested = folds.index == fold
        learnt = problem.some(~tested & ~folds.barred[fold])
        held = problem.some(tested)
        step = None
        for strength in settings.strengths:
            step, reached = solve(learnt, strength, step)
            logits[strength][:, tested] = held.logits(step)
            converged[strength] &= reached
    return [
        judge(samples, problem.target, logits[s], s, converged=converged[s])
        for s in settings.strengths
    ]


def _fit(
    base: Head,
    reason: str,
    stay: Trial,
    trial: Trial | None,
    folds: Folds,
    head: Head | None = None,
    *,
    converged: bool = True,
) -> Fit:
    """Put a fit together; without a head it is the base head that stays."""
    return Fit(
        head=head or base,
        accepted=head is not None,
        reason=reason,
        strength=STAY if head is None or trial is None else trial.strength,
        dice_base=stay.dice,
        dice_fitted={} if trial is None else trial.dice,
        left_alone={} if trial is None else trial.left_alone,
        converged=converged and (trial is None or trial.converged),
        folds=folds.count,
        gap_mm=folds.gap_mm,
        voxels=len(folds.index),
    )
