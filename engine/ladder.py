"""The ladder: what of a head may move, and how far; the smallest rung that wins is taken.

Each rung is tried with each strength of the prior, on voxels that were not learnt from. A larger
rung has to be better than a smaller one by a margin: what a few numbers can say is not said with
more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.fitting import Floats, Problem, Rung, solve
from engine.folds import Folds
from engine.gate import Trial, judge
from engine.published_fit import descend
from engine.sampling import FeatureSample

LADDER: tuple[Rung, ...] = ("bias", "head", "images")
"""From the smallest to the largest; of 8 features 4, 36 and 72 numbers, of 24 features 4, 100 and
136."""


@dataclass(frozen=True)
class Way:
    """A way to fit a head to a problem.

    Parameters
    ----------
    rung
        What may move.
    strength
        Of the prior; 0 for the published way, which has none.
    """

    rung: Rung
    strength: float

    @classmethod
    def of(cls, trial: Trial) -> Way:
        """The way that was tried."""
        rung = next(r for r in LADDER if r == trial.rung)
        return cls(rung, trial.strength)

    def step(self, problem: Problem, start: Floats | None = None) -> tuple[Floats, bool]:
        """``(K, P)`` step from the base head in scaled units, and whether it is the minimum."""
        if not self.strength:
            return descend(problem), True
        return solve(problem, self.strength, start, rung=self.rung)


def ways(rungs: Sequence[Rung], strengths: Sequence[float], method: str) -> list[Way]:
    """What is tried: smaller rungs first, and on each the strongest prior first."""
    if method == "published":
        return [Way("head", 0.0)]
    chosen = [rung for rung in LADDER if rung in rungs]
    return [Way(rung, strength) for rung in chosen for strength in sorted(strengths, reverse=True)]


def tried(
    samples: Sequence[FeatureSample], problem: Problem, folds: Folds, wanted: Sequence[Way]
) -> list[Trial]:
    """Every way, tested on each fold in turn, in the order that was given."""
    logits = [np.empty_like(problem.base_logits) for _ in wanted]
    converged = [True] * len(wanted)
    for fold in range(folds.count):
        tested = folds.index == fold
        learnt = problem.some(~tested & ~folds.barred[fold])
        held = problem.some(tested)
        step, rung = None, None
        for number, way in enumerate(wanted):
            # The last minimum of a rung is near to the next one.
            step, reached = way.step(learnt, step if way.rung == rung else None)
            rung = way.rung
            logits[number][:, tested] = held.logits(step)
            converged[number] &= reached
    return [
        judge(samples, problem.target, found, way.strength, converged=done, rung=way.rung)
        for way, found, done in zip(wanted, logits, converged, strict=True)
    ]


def preferred(passing: Sequence[Trial], indifference: float, rung_gain: float) -> list[Trial]:
    """Trials that passed the gate, the one to take first, then what moves the head less.

    Parameters
    ----------
    passing
        In the order of `ways`.
    indifference
        Of strengths of a rung whose score is this near to the best, the strongest is taken.
    rung_gain
        By which a larger rung must be better than the best of the smaller ones.
    """
    best: Trial | None = None
    for rung in LADDER:
        mine = [t for t in passing if t.rung == rung]
        if not mine:
            continue
        top = max(t.score for t in mine)
        if best is None or top > best.score + rung_gain:
            best = next(t for t in mine if t.score >= top - indifference)
    if best is None:
        return []
    before = passing[: passing.index(best)]
    return [best, *reversed(before)]
