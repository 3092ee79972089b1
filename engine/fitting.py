"""The convex problem of fitting a head to a correction.

Cross-entropy of a linear layer, pulled towards the base head: one minimum, found by L-BFGS
(Liu and Nocedal 1989) from its exact gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import softmax
from threadpoolctl import threadpool_limits

from engine.head import Head
from engine.sampling import FeatureSample
from study.tissue import Tissue

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Problem:
    """All that does not depend on the strength of the prior; voxels lie along the last axis.

    Parameters
    ----------
    scaled
        ``(F + 1, n)`` features, each divided by its root mean square over the brain, then ones.
    base_logits
        ``(K, n)`` of the base head.
    target
        ``(K, n)`` probabilities to be reached.
    weight
        ``(n,)`` of the loss; 1 is the loss of all tumour voxels together.
    share
        ``(n,)`` of the tumour that each voxel stands for; their sum is 1.
    precision
        ``(K, F + 1)`` of the prior, in units of the scaled parameters, biases last.
    scale
        ``(F,)`` the root mean squares.
    """

    scaled: Floats
    base_logits: Floats
    target: Floats
    weight: Floats
    share: Floats
    precision: Floats
    scale: Floats

    def some(self, kept: npt.NDArray[np.bool_]) -> Problem:
        """The problem of some of the voxels; a strength means the same in it.

        Weights grow as the tumour shrinks, so that a strength that did well with a part of the
        slices moves the head as far when all are learnt from.
        """
        left = float(self.share[kept].sum()) or 1.0
        return replace(
            self,
            scaled=self.scaled[:, kept],
            base_logits=self.base_logits[:, kept],
            target=self.target[:, kept],
            weight=self.weight[kept] / left,
            share=self.share[kept] / left,
        )

    def logits(self, step: Floats) -> Floats:
        """``(K, n)`` logits of the base head moved by a ``(K, F + 1)`` step."""
        moved: Floats = step @ self.scaled
        moved += self.base_logits
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
    features = np.concatenate([s.features for s in samples]).T.astype(np.float64)
    mass = np.concatenate([s.weight for s in samples]).astype(np.float64)
    changed = np.concatenate([s.changed for s in samples])
    base_logits = base.weight.astype(np.float64) @ features + base.bias[:, None]
    spans = np.cumsum([0, *(len(s.target) for s in samples)])
    parts = zip(samples, spans[:-1], spans[1:], strict=True)
    target = np.concatenate([soft_target(s, base_logits[:, a:b]) for s, a, b in parts], axis=1)
    scale = np.sqrt(features**2 @ mass / mass.sum())
    scale[scale == 0] = 1.0
    precision = np.ones((len(base.bias), len(features) + 1))
    if fisher is not None:
        precision = np.asarray(fisher, np.float64) / np.append(scale, 1.0) ** 2
    tumour = changed | (target.argmax(axis=0) != Tissue.BACKGROUND)
    total = mass[tumour].sum()
    weight = mass * np.where(changed, changed_weight, 1.0) / total
    share = np.where(tumour, mass, 0.0) / total
    scaled = np.concatenate([features / scale[:, None], np.ones((1, features.shape[1]))])
    return Problem(scaled, base_logits, target, weight, share, precision, scale)


def soft_target(sample: FeatureSample, base_logits: Floats) -> Floats:
    """``(K, n)`` probabilities that a correction asks for.

    A voxel that is claimed for a class shall be of that class. About any other voxel the correction
    says only what it is not: none of the outlined classes. Among the rest, background included, the
    base head's opinion stands.
    """
    classes = len(base_logits)
    outlined = np.isin(np.arange(classes), [int(t) for t in sample.outlined])
    target: Floats = softmax(np.where(outlined[:, None], -np.inf, base_logits), axis=0)
    claimed = sample.target > 0
    target[:, claimed] = np.eye(classes)[:, sample.target[claimed]]
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
        logits = problem.logits(step)
        logits -= logits.max(axis=0)
        reached = np.einsum("kn,kn->n", problem.target, logits)
        np.exp(logits, out=logits)
        total = logits.sum(axis=0)
        loss = float(problem.weight @ (np.log(total) - reached))
        logits /= total
        logits -= problem.target
        logits *= problem.weight
        gradient = logits @ problem.scaled.T + strength * problem.precision * step
        loss += 0.5 * strength * float((problem.precision * step**2).sum())
        return loss, gradient.ravel()

    # Matrices of four rows: several threads wait for one another for longer than they work.
    with threadpool_limits(1, "blas"):
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
