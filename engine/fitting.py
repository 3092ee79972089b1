"""The convex problem of fitting a head to a correction.

Cross-entropy of a linear layer, pulled towards the base head: one minimum, found by L-BFGS
(Liu and Nocedal 1989) from its exact gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import softmax
from threadpoolctl import threadpool_limits

from engine.head import Head
from engine.intensities import terms
from engine.sampling import FeatureSample
from study.errors import RefusedError
from study.tissue import Tissue

Floats = npt.NDArray[np.float64]
Rung = Literal["bias", "head", "images"]
"""What may move: the biases alone, all of the head, or also weights of the images' terms."""
LEAST_PRECISION = 0.05
"""Of the prior, in parts of its median: what generated cases are silent on is not free to move."""


@dataclass(frozen=True, eq=False)
class Problem:
    """All that does not depend on the strength of the prior; voxels lie along the last axis.

    Parameters
    ----------
    scaled
        ``(P, n)`` inputs, each divided by its root mean square over the brain: features, the
        images' terms where there are some, and ones.
    base_logits
        ``(K, n)`` of the base head.
    target
        ``(K, n)`` probabilities to be reached.
    weight
        ``(n,)`` of the loss; 1 is the loss of all tumour voxels together.
    share
        ``(n,)`` of the tumour that each voxel stands for; their sum is 1.
    precision
        ``(K, P)`` of the prior, in units of the scaled parameters, biases last.
    scale
        ``(P,)`` the root mean squares; 1 for the biases.
    features
        F, how many of the inputs are features.
    """

    scaled: Floats
    base_logits: Floats
    target: Floats
    weight: Floats
    share: Floats
    precision: Floats
    scale: Floats
    features: int

    @property
    def has_images(self) -> bool:
        """Whether all samples were kept with the images."""
        return len(self.scaled) > self.features + 1

    def rows(self, rung: Rung) -> npt.NDArray[np.intp]:
        """Inputs whose parameters move on a rung.

        Raises
        ------
        RefusedError
            For images, where a sample was kept without them.
        """
        count = len(self.scaled)
        if rung == "images" and not self.has_images:
            raise RefusedError("these samples were kept without the images: sample them again")
        first = {"bias": 0, "head": self.features, "images": count - 1}[rung]
        return np.append(np.arange(first), count - 1)

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
        """``(K, n)`` logits of the base head moved by a ``(K, P)`` step."""
        moved: Floats = step @ self.scaled
        moved += self.base_logits
        return moved

    def head(self, base: Head, step: Floats) -> Head:
        """The base head moved by a step."""
        moved, count = step / self.scale, self.features
        images = moved[:, count:-1].astype(np.float32)
        return Head(
            (base.weight + moved[:, :count]).astype(np.float32),
            (base.bias + moved[:, -1]).astype(np.float32),
            base.backbone_sha256,
            images if images.any() else None,
        )


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
        ``(K, P)`` precision of the prior in units of the head's own parameters, biases last
        (`engine.prior`); None: a change counts by what it does to the logits of an average voxel.

    Raises
    ------
    RefusedError
        If the precision is that of another head, or the base head sees images.
    """
    if base.image_weight is not None:
        raise RefusedError("a base head sees features alone, this one sees the images too")
    features = np.concatenate([s.features for s in samples]).T.astype(np.float64)
    mass = np.concatenate([s.weight for s in samples]).astype(np.float64)
    changed = np.concatenate([s.changed for s in samples])
    base_logits = base.weight.astype(np.float64) @ features + base.bias[:, None]
    spans = np.cumsum([0, *(len(s.target) for s in samples)])
    parts = zip(samples, spans[:-1], spans[1:], strict=True)
    target = np.concatenate([soft_target(s, base_logits[:, a:b]) for s, a, b in parts], axis=1)
    inputs = [features]
    if all(s.images is not None for s in samples):
        seen = np.concatenate([s.images for s in samples if s.images is not None])
        inputs.append(terms(seen).T.astype(np.float64))
    scaled = np.concatenate([*inputs, np.ones((1, len(mass)))])
    scale = np.sqrt(scaled**2 @ mass / mass.sum())
    scale[scale == 0] = 1.0
    precision = _precision(fisher, (len(base.bias), len(scale)), len(features), scale)
    tumour = changed | (target.argmax(axis=0) != Tissue.BACKGROUND)
    total = mass[tumour].sum()
    weight = mass * np.where(changed, changed_weight, 1.0) / total
    share = np.where(tumour, mass, 0.0) / total
    scaled /= scale[:, None]
    return Problem(
        scaled, base_logits, target, weight, share, precision, scale, features=len(features)
    )


def _precision(
    fisher: npt.NDArray[np.floating] | None, shape: tuple[int, int], features: int, scale: Floats
) -> Floats:
    """The prior in units of the scaled parameters."""
    if fisher is None:
        return np.ones(shape)
    found = np.asarray(fisher, np.float64)
    if shape[1] == features + 1 < found.shape[1]:  # these samples were kept without the images
        found = np.concatenate([found[:, :features], found[:, -1:]], axis=1)
    if found.shape != shape:
        raise RefusedError(
            f"a prior of shape {np.shape(fisher)} does not fit a head of shape {shape}: measure it"
            f" again"
        )
    found = found / scale**2
    return np.maximum(found, LEAST_PRECISION * np.median(found))


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
    problem: Problem,
    strength: float,
    start: Floats | None = None,
    max_iterations: int = 500,
    rung: Rung = "head",
) -> tuple[Floats, bool]:
    """Find the minimum of weighted cross-entropy plus ``strength / 2`` times the prior.

    Parameters
    ----------
    problem
        From `build`.
    strength
        Of the prior.
    start
        ``(K, P)`` step to begin from; the minimum does not depend on it.
    max_iterations
        Of L-BFGS.
    rung
        What may move; all else of the step is 0.

    Returns
    -------
    step, converged
        ``(K, P)`` step from the base head in scaled units, and whether it is the minimum.
    """
    rows = problem.rows(rung)
    scaled, precision = problem.scaled[rows], problem.precision[:, rows]
    shape = precision.shape
    first = np.zeros(shape) if start is None else start[:, rows]

    def objective(flat: Floats) -> tuple[float, Floats]:
        step = flat.reshape(shape)
        logits = step @ scaled
        logits += problem.base_logits
        logits -= logits.max(axis=0)
        reached = np.einsum("kn,kn->n", problem.target, logits)
        np.exp(logits, out=logits)
        total = logits.sum(axis=0)
        loss = float(problem.weight @ (np.log(total) - reached))
        logits /= total
        logits -= problem.target
        logits *= problem.weight
        gradient = logits @ scaled.T + strength * precision * step
        loss += 0.5 * strength * float((precision * step**2).sum())
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
    step = np.zeros(problem.precision.shape)
    step[:, rows] = found.x.reshape(shape)
    return step, bool(found.success)
