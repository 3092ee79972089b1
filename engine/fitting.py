"""The convex problem of fitting a head to a correction.

Cross-entropy of a linear layer, pulled towards the base head: one minimum, found by L-BFGS
(Liu and Nocedal 1989) from its exact gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from engine.head import Head
from engine.sampling import FeatureSample
from study.tissue import Tissue

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Problem:
    """All that does not depend on the strength of the prior.

    Parameters
    ----------
    scaled
        ``(n, F)`` features, each divided by its root mean square over the brain.
    base_logits
        ``(n, K)`` of the base head.
    target
        ``(n, K)`` probabilities to be reached.
    weight
        ``(n,)`` of the loss; 1 is the loss of all tumour voxels together.
    precision
        ``(K, F + 1)`` of the prior, in units of the scaled parameters, biases last.
    scale
        ``(F,)`` the root mean squares.
    """

    scaled: Floats
    base_logits: Floats
    target: Floats
    weight: Floats
    precision: Floats
    scale: Floats

    def rows(self, kept: npt.NDArray[np.bool_]) -> Problem:
        """The problem of some of the voxels."""
        return Problem(
            self.scaled[kept],
            self.base_logits[kept],
            self.target[kept],
            self.weight[kept],
            self.precision,
            self.scale,
        )

    def logits(self, step: Floats) -> Floats:
        """``(n, K)`` logits of the base head moved by a ``(K, F + 1)`` step."""
        moved: Floats = self.base_logits + self.scaled @ step[:, :-1].T + step[:, -1]
        return moved

    def head(self, base: Head, step: Floats) -> Head:
        """The base head moved by a step."""
        weight = base.weight + step[:, :-1] / self.scale
        bias = base.bias + step[:, -1]
        return Head(weight.astype(np.float32), bias.astype(np.float32), base.backbone_sha256)


def build(
    base: Head,
    samples: Sequence[FeatureSample],
    changed_weight: float,
    fisher: npt.NDArray[np.floating] | None,
) -> Problem:
    """Put samples together.

    Parameters
    ----------
    base
        Head to start from and to be pulled to.
    samples
        Of one patient.
    changed_weight
        How much more a changed voxel counts than an untouched one.
    fisher
        ``(K, F + 1)`` precision of the prior in units of the head's own parameters, biases last;
        None: a change counts by what it does to the logits of an average voxel.
    """
    features = np.concatenate([s.features for s in samples]).astype(np.float64)
    mass = np.concatenate([s.weight for s in samples]).astype(np.float64)
    changed = np.concatenate([s.changed for s in samples])
    base_logits = features @ base.weight.T.astype(np.float64) + base.bias
    spans = np.cumsum([0, *(len(s.target) for s in samples)])
    parts = zip(samples, spans[:-1], spans[1:], strict=True)
    target = np.concatenate([soft_target(s, base_logits[a:b]) for s, a, b in parts])
    scale = np.sqrt((mass @ features**2) / mass.sum())
    scale[scale == 0] = 1.0
    precision = np.ones((len(base.bias), features.shape[1] + 1))
    if fisher is not None:
        precision = np.asarray(fisher, np.float64) / np.append(scale, 1.0) ** 2
    tumour = changed | (target.argmax(axis=1) != Tissue.BACKGROUND)
    weight = mass * np.where(changed, changed_weight, 1.0) / mass[tumour].sum()
    return Problem(features / scale, base_logits, target, weight, precision, scale)


def soft_target(sample: FeatureSample, base_logits: Floats) -> Floats:
    """``(n, K)`` probabilities that a correction asks for.

    A voxel that is claimed for a class shall be of that class. About any other voxel the correction
    says only what it is not: none of the outlined classes. Among the rest, background included, the
    base head's opinion stands.
    """
    classes = base_logits.shape[1]
    outlined = np.isin(np.arange(classes), [int(t) for t in sample.outlined])
    target: Floats = softmax(np.where(outlined, -np.inf, base_logits), axis=1)
    claimed = sample.target > 0
    target[claimed] = np.eye(classes)[sample.target[claimed]]
    return target


def solve(
    problem: Problem, strength: float, start: Floats | None = None, max_iterations: int = 500
) -> tuple[Floats, bool]:
    """Find the minimum of weighted cross-entropy plus ``strength / 2`` times the prior.

    Parameters
    ----------
    problem
        From `build`.
    strength
        Of the prior.
    start
        ``(K, F + 1)`` step to begin from; the minimum does not depend on it.
    max_iterations
        Of L-BFGS.

    Returns
    -------
    step, converged
        ``(K, F + 1)`` step from the base head in scaled units, and whether it is the minimum.
    """
    shape = problem.precision.shape
    first = np.zeros(shape) if start is None else start

    def objective(flat: Floats) -> tuple[float, Floats]:
        step = flat.reshape(shape)
        surprise = log_softmax(problem.logits(step), axis=1)
        loss = -float(problem.weight @ np.einsum("nk,nk->n", problem.target, surprise))
        slope = problem.weight[:, None] * (np.exp(surprise) - problem.target)
        gradient = np.empty(shape)
        gradient[:, :-1] = slope.T @ problem.scaled
        gradient[:, -1] = slope.sum(axis=0)
        gradient += strength * problem.precision * step
        loss += 0.5 * strength * float((problem.precision * step**2).sum())
        return loss, gradient.ravel()

    found = minimize(
        objective,
        first.ravel(),
        jac=True,
        method="L-BFGS-B",
        options={
            "maxiter": max_iterations,
            "maxfun": 2 * max_iterations,
            "ftol": 1e-9,
            "gtol": 1e-5,
        },
    )
    return found.x.reshape(shape), bool(found.success)
