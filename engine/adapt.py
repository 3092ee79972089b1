"""One patient's head: fitted to corrections, and accepted only where it was shown to be better.

Shown means: on blocks of the corrected studies that it was not fitted on, with a gap between them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np

from engine.fitting import Problem, Rung, build, soft_target
from engine.folds import LEAST_BLOCKS, Folds, blocked_folds
from engine.gate import Trial, judge, objection, replay_objection
from engine.head import Head
from engine.ladder import LADDER, Way, preferred, tried, ways
from engine.prior import Prior
from engine.sampling import BLOCK_MM, FeatureSample, VoxelSample, sample_voxels
from study.errors import RefusedError
from study.tissue import Tissue

__all__ = ["FeatureSample", "Fit", "FitSettings", "VoxelSample", "fit_head", "sample_voxels"]

Method = Literal["convex", "published"]

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
    method
        ``"convex"``: the ladder, each rung fitted to its minimum. ``"published"``: the last layer
        by fixed steps of Adam (`engine.published_fit`).
    rungs
        Of `engine.ladder.LADDER`, those that are tried. ``"images"`` needs samples that hold them.
    rung_gain
        Mean Dice by which a larger rung must be better than a smaller one.
    prior
        What generated cases say (`engine.prior`): how far each number may move, and a replay set.
        None: all may move alike, and nothing is replayed.
    largest_replay_loss
        Dice that no class may lose on the replay set.

    Raises
    ------
    RefusedError
        For no strength, one that is not positive, fewer than two folds, no rung or an unknown one,
        or an unknown method.
    """

    strengths: tuple[float, ...] = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01)
    folds: int = 4
    gap_mm: float = 12.0
    changed_weight: float = 3.0
    largest_loss: float = 0.02
    largest_drift: float = 0.10
    indifference: float = 0.002
    method: Method = "convex"
    rungs: tuple[Rung, ...] = LADDER
    rung_gain: float = 0.005
    prior: Prior | None = None
    largest_replay_loss: float = 0.05

    def __post_init__(self) -> None:
        strengths = tuple(sorted(self.strengths, reverse=True))
        if not strengths or strengths[-1] <= 0 or self.folds < 2:
            raise RefusedError("a fit needs one or more positive strengths and two or more folds")
        if not self.rungs or set(self.rungs) - set(LADDER):
            raise RefusedError(f"a fit needs one or more rungs of {LADDER}, not {self.rungs}")
        if self.method not in get_args(Method):
            raise RefusedError(f"{self.method!r} is no way to fit; {get_args(Method)} are")
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
    rung
        What of the head moved (`engine.ladder.LADDER`); ``"base"``: nothing.
    replay_base, replay_fitted
        On the replay set of generated cases: Dice, by name, of each class. Empty without a replay
        set; the fitted one's also where nothing was accepted and nothing was replayed.
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
    rung: str = "base"
    replay_base: Mapping[str, float] = field(default_factory=dict)
    replay_fitted: Mapping[str, float] = field(default_factory=dict)


def fit_head(
    base: Head, samples: Sequence[FeatureSample], settings: FitSettings | None = None
) -> Fit:
    """Fit a head to all corrections of one patient.

    Each rung of the ladder and each strength of the prior is tried by cross-validation, over the
    lesions of the studies or slabs of them. Of those that pass the gate (`engine.gate.objection`)
    the smallest rung that wins is fitted again on all voxels; where that is worse on these, or on
    the replay set, what moves the head less is taken.

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
        of features, none claims a voxel, or the prior is another backbone's.
    """
    settings = settings or FitSettings()
    _check(base, samples)
    if settings.prior is not None:
        base.check_backbone(settings.prior.backbone_sha256)
    folds = blocked_folds(samples, settings.folds, settings.gap_mm)
    fisher = None if settings.prior is None else settings.prior.fisher
    problem = build(base, samples, settings.changed_weight, fisher)
    stay = judge(samples, problem.target, problem.base_logits, STAY, converged=True)
    if folds.count < 2:
        reason = (
            f"stays at base: the outline is too thin to be tested on slices not learnt from; it"
            f" must span {2 * LEAST_BLOCKS * BLOCK_MM:.0f} mm or more across the slices"
        )
        return _fit(base, reason, stay, None, folds)
    rungs = [r for r in settings.rungs if r != "images" or problem.has_images]
    trials = tried(samples, problem, folds, ways(rungs, settings.strengths, settings.method))
    limits = (settings.largest_loss, settings.largest_drift)
    passing = [t for t in trials if objection(t, stay, *limits) is None]
    if not passing:
        nearest = max(trials, key=lambda t: t.score)
        reason = f"stays at base: {UNSEEN}, {objection(nearest, stay, *limits)}"
        return _fit(base, reason, stay, nearest, folds)
    return _accepted(base, samples, settings, problem, stay, passing, folds)


def scored(base: Head, head: Head, sample: FeatureSample) -> Trial:
    """How a head does on a correction that it did not learn from, by `engine.gate.judge`."""
    opinion = base.apply(sample.features).T.astype(np.float64)
    target = soft_target(sample, opinion)
    logits = head.apply(sample.features, sample.images).T.astype(np.float64)
    return judge([sample], target, logits, 0.0, converged=True)


def _accepted(
    base: Head,
    samples: Sequence[FeatureSample],
    settings: FitSettings,
    problem: Problem,
    stay: Trial,
    passing: Sequence[Trial],
    folds: Folds,
) -> Fit:
    """Fit what passed on all voxels, and take the first that holds on these and on the replay."""
    prior, first = settings.prior, None
    before = {} if prior is None else prior.dice_of(base)
    for chosen in preferred(passing, settings.indifference, settings.rung_gain):
        step, converged = Way.of(chosen).step(problem)
        head = problem.head(base, step)
        limits = (settings.largest_loss, settings.largest_drift)
        whole = judge(
            samples, problem.target, problem.logits(step), chosen.strength, converged=True
        )
        against = objection(whole, stay, *limits)
        reason = f"on the very slices that were learnt from, {against}"
        replayed = {} if prior is None else prior.dice_of(head)
        if against is None:
            against = replay_objection(replayed, before, settings.largest_replay_loss)
            reason = str(against)
        if against is None:
            reason = (
                f"accepted: {UNSEEN}, mean Dice with the correction rises"
                f" from {stay.score:.3f} to {chosen.score:.3f}"
            )
            fit = _fit(base, reason, stay, chosen, folds, head, converged=converged)
            return replace(fit, replay_base=before, replay_fitted=replayed)
        if first is None:
            refused = _fit(base, f"stays at base: {reason}", stay, chosen, folds)
            first = replace(refused, replay_base=before, replay_fitted=replayed)
    assert first is not None  # noqa: S101 - something passed
    return first


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
        rung="base" if head is None or trial is None else trial.rung,
    )
