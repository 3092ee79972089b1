"""The heads that are compared: ours, and other ways to make one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from engine.adapt import Fit, FitSettings, fit_head
from engine.fitting import build, solve
from engine.head import Head
from engine.prior import Prior, load_prior
from engine.sampling import FeatureSample
from engine.weights import load


@dataclass(frozen=True, eq=False)
class Arm:
    """One way to come to a patient's head.

    Parameters
    ----------
    correction
        What is learnt from: one of `glioloop.evidence_corrections.KINDS`.
    settings
        How it is fitted; the model's prior is added.
    """

    correction: str = "truth"
    settings: FitSettings = field(default_factory=FitSettings)


OURS, BIAS, PUBLISHED = "the truth", "biases alone", "the published way"
ARMS: Mapping[str, Arm] = {
    OURS: Arm(),
    "every second slab of slices": Arm("some slices"),
    "one class": Arm("one class"),
    "rounded, a voxel off": Arm("a voxel off"),
    BIAS: Arm(settings=FitSettings(rungs=("bias",))),
    PUBLISHED: Arm(settings=FitSettings(method="published")),
}
"""By what the table calls them, in its order. The first is as the service fits, by the defaults."""

FREE = 0.01
"""Strength of a prior that hardly holds anything."""


@dataclass(frozen=True, eq=False)
class Fitter:
    """A model's own head, and how others are fitted beside it.

    Parameters
    ----------
    base
        The head.
    prior
        The model's, if it has one.
    """

    base: Head
    prior: Prior | None

    @classmethod
    def of(cls, folder: Path) -> Fitter:
        """That of a model's folder.

        Raises
        ------
        RefusedError
            If the model or its prior is damaged.
        """
        base = load(folder).head
        return cls(base, load_prior(folder, base.backbone_sha256))

    def fit(self, samples: Sequence[FeatureSample], arm: Arm) -> Fit:
        """Fit a head as an arm does.

        Raises
        ------
        RefusedError
            As `engine.adapt.fit_head`.
        """
        return fit_head(self.base, samples, replace(arm.settings, prior=self.prior))

    def ceiling(self, sample: FeatureSample) -> Head:
        """Fit all that may move to a date's own truth, without folds or gate: its best in sight."""
        problem = build(self.base, [sample], changed_weight=1.0, fisher=None)
        step, _converged = solve(problem, FREE, rung="images")
        return problem.head(self.base, step)


def plain(fit: Fit) -> dict[str, Any]:
    """What is written down of a fit; an infinite strength becomes null."""
    return {
        "accepted": fit.accepted,
        "reason": fit.reason,
        "rung": fit.rung,
        "strength": fit.strength if math.isfinite(fit.strength) else None,
        "dice_base": dict(fit.dice_base),
        "dice_fitted": dict(fit.dice_fitted),
        "head": fit.head.to_json(),
    }
