"""Images to logits, patch by patch.

Where patches overlap, logits are averaged, never probabilities. The average is linear, and so is
the head: averaging features first and applying the head then gives the same (`features_at`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.head import Head
from engine.patches import (
    Array,
    Blending,
    Size,
    Starts,
    average,
    blending,
    computed,
    grown,
    pad_to,
    starts,
)
from study.errors import RefusedError

Mask = npt.NDArray[np.bool_]
Flips = Sequence[tuple[int, ...]]

FAR_LOGIT = 10.0
"""How sure background is where there is no brain: a probability of more than 0.9999, and yet of a
size with which neighbours can be interpolated."""

PLAIN: Flips = ((),)
"""No mirroring."""
LEFT_RIGHT: Flips = ((), (2,))
"""As it is, and with left and right exchanged, where columns grow towards the patient's left."""


MARGIN = 4
"""Voxels around the brain that a patch of any size holds too, as context."""


@dataclass(frozen=True)
class Patching:
    """How a volume is taken apart and put together again.

    Parameters
    ----------
    size
        Of a patch, divisible by the network's stride. Not looked at where `most_voxels` is given.
    overlap
        Least part of a patch that it shares with the next; of `size` where patches are larger.
    batch
        Patches in one call.
    blending
        How patches are weighted where they overlap.
    flips
        Mirrorings to average over, each as the axes (0, 1, 2) that are mirrored; ``()`` is none.
    outside
        Value of voxels that are appended where the volume is smaller than a patch.
    most_voxels
        Of a patch: the brain is computed in as few patches as this allows, most often in one. None
        for patches of `size`.
    multiple
        Sizes of such patches are multiples of this: the network's stride.
    """

    size: Size = (64, 64, 64)
    overlap: float = 0.25
    batch: int = 1
    blending: Blending = "gaussian"
    flips: Flips = PLAIN
    outside: float = 0.0
    most_voxels: int | None = None
    multiple: int = 8

    def laid_out(self, brain: Mask) -> tuple[Size, float]:
        """Size of the patches of a brain, and the part of them that neighbours share."""
        if self.most_voxels is None:
            return self.size, self.overlap
        shared = round(self.overlap * max(self.size))
        size = grown(brain, self.multiple, shared, self.most_voxels, MARGIN)
        return size, min(shared / max(size), 1.0 - 1.0 / max(size))


DEFAULT = Patching()


def segment(
    run: Callable[[Array], Array],
    head: Head,
    images: Array,
    brain: Mask,
    patching: Patching = DEFAULT,
    progress: Callable[[float], None] | None = None,
    far: npt.ArrayLike | None = None,
) -> Array:
    """Segment a volume where there is brain.

    Parameters
    ----------
    run
        Backbone: ``(N, C, d, h, w)`` float32 to ``(N, F, d, h, w)`` features.
    head
        Features to logits.
    images
        ``(C, D, H, W)`` float32, normalised.
    brain
        ``(D, H, W)`` bool; only patches that hold some of it are computed.
    patching
        How the volume is taken apart.
    progress
        Told which part, of 1, is done.
    far
        Logits where there is no brain (`engine.outputs.far_logits`); None for those of classes of
        which the first is background.

    Returns
    -------
    numpy.ndarray
        ``(K, D, H, W)`` float32 logits; outside the brain `FAR_LOGIT` speaks for background.

    Raises
    ------
    RefusedError
        If shapes do not fit, an image is not finite, or there is no brain.
    """
    shape = _check(images, brain)
    padded, at, size = _prepare(images, brain, patching)

    def logits(stack: Array) -> Array:
        mirrored = _mirrored(run, stack, patching.flips)
        return _mean_over([head.of_features(features) for features in mirrored])

    answers = computed(logits, padded, at, size, patching.batch, progress)
    weight = blending(size, patching.blending)
    mean, covered = average(answers, weight, padded.shape[1:])
    if far is None:
        far = [FAR_LOGIT, *[-FAR_LOGIT] * (len(mean) - 1)]
    k, i, j = shape
    found = np.ascontiguousarray(mean[:, :k, :i, :j])
    if head.image_weight is not None:
        for number in range(k):  # the terms of all slices at once would take three volumes more
            found[:, number] += head.of_images(images[None, :, number])[0]
    # Outside the brain the images hold a constant: whatever was computed there means nothing.
    found[:, ~(covered[:k, :i, :j] & brain)] = np.array(far, np.float32)[:, None]
    return found


def features_at(
    run: Callable[[Array], Array],
    images: Array,
    brain: Mask,
    voxels: npt.NDArray[np.integer],
    patching: Patching = DEFAULT,
    progress: Callable[[float], None] | None = None,
) -> Array:
    """Features at given voxels, averaged over patches exactly as `segment` does.

    ``head.apply(features_at(...), images there)`` is what `segment` finds at these voxels, for any
    head.

    Parameters
    ----------
    voxels
        ``(n, 3)`` indices (slice, row, column).
    run, images, brain, patching, progress
        As for `segment`. Only patches that hold one of the voxels are computed.

    Returns
    -------
    numpy.ndarray
        ``(n, F)`` float32.

    Raises
    ------
    RefusedError
        As `segment`; also if a voxel lies in no patch, or there is no voxel.
    """
    _check(images, brain)
    padded, at, size = _prepare(images, brain, patching)
    at = _holding(at, voxels, size, brain.shape)

    def mean_features(stack: Array) -> Array:
        return _mean_over(_mirrored(run, stack, patching.flips))

    weight = blending(size, patching.blending)
    mass = np.zeros((len(voxels), 1), np.float32)
    total: Array | None = None
    for start, answer in computed(mean_features, padded, at, size, patching.batch, progress):
        here = _inside(voxels, start, size)
        k, i, j = (voxels[here] - start).T
        if total is None:
            total = np.zeros((len(voxels), len(answer)), np.float32)
        total[here] += (answer[:, k, i, j] * weight[k, i, j]).T
        mass[here, 0] += weight[k, i, j]
    if total is None or not mass.all():
        raise RefusedError(
            f"{np.count_nonzero(mass == 0)} of {len(voxels)} voxels lie in no patch that holds"
            f" brain: ask only for voxels of the brain"
        )
    return total / mass


def _check(images: Array, brain: Mask) -> tuple[int, int, int]:
    """Refuse volumes that do not fit one another."""
    if images.ndim != 4 or images.shape[1:] != brain.shape or brain.dtype != np.bool_:
        raise RefusedError(
            f"images (C, D, H, W) and a bool brain (D, H, W) are needed, not {images.shape} and"
            f" {brain.dtype} {brain.shape}"
        )
    if not np.isfinite(images).all():
        raise RefusedError("an image holds NaN or infinity: nothing can be segmented in it")
    if not brain.any():
        raise RefusedError("the brain is empty: nothing can be segmented")
    return brain.shape


def _prepare(images: Array, brain: Mask, patching: Patching) -> tuple[Array, Starts, Size]:
    """Pad to a patch where needed, and lay out the patches."""
    size, overlap = patching.laid_out(brain)
    padded: Array = pad_to(images, size, patching.outside)  # type: ignore[assignment]
    room: Mask = pad_to(brain, size, value=False)  # type: ignore[assignment]
    return padded, starts(room, size, overlap), size


def _mirrored(run: Callable[[Array], Array], stack: Array, flips: Flips) -> list[Array]:
    """Features of (N, C, d, h, w) under each mirroring, mirrored back."""
    found = []
    for axes in flips:
        there = tuple(axis + 2 for axis in axes)
        found.append(np.flip(run(np.flip(stack, there)), there))
    return found


def _mean_over(arrays: Iterable[Array]) -> Array:
    """Mean of arrays of one shape."""
    several = list(arrays)
    return several[0] if len(several) == 1 else np.mean(several, axis=0, dtype=np.float32)


def _inside(voxels: npt.NDArray[np.integer], start: npt.NDArray[np.int64], patch: Size) -> Mask:
    """Which of (n, 3) voxels lie in the patch at ``start``."""
    inside: Mask = ((voxels >= start) & (voxels < start + np.array(patch))).all(axis=1)
    return inside


def _holding(
    at: Starts, voxels: npt.NDArray[np.integer], patch: Size, shape: tuple[int, ...]
) -> Starts:
    """Keep the patches that hold one of the voxels."""
    if not len(voxels) or (voxels < 0).any() or (voxels >= shape).any():
        raise RefusedError(f"one or more voxels inside a volume of {shape} are needed")
    return at[[bool(_inside(voxels, start, patch).any()) for start in at]]
