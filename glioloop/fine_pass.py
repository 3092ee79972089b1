"""A second look at the tumour on a finer grid, with the same weights.

A patient's head is fitted to features of the coarse grid (`glioloop.learning`), and applies to the
features of both passes: they come from one backbone, so that a feature means the same in both. A
correction moves the answer of both; the gate has judged it on the coarse grid alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from converter.grid import resample, working_grid
from engine.head import Head
from engine.inference import FAR_LOGIT, segment
from engine.normalisations import normalisation
from engine.outputs import far_logits, tumour_probability
from engine.patches import window
from engine.weights import Manifest
from glioloop.aligned import Aligned
from glioloop.networks import Networks, Options, Passes
from study.errors import RefusedError
from study.volume import Geometry, Volume

Array = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

FINE_MM = 1.0
"""Edge of the fine grid's voxels."""
SEEN = 0.3
"""From which probability of any tumour the coarse pass has seen some."""
REACH_MM = 15.0
"""How far around what was seen the second look reaches."""
RAMP_MM = 8.0
"""Width of the rim in which the fine answer fades into the coarse one."""
CONTEXT_MM = 16.0
"""What the network sees beyond the voxels that it answers for."""
LEAST = 64
"""Voxels of the box on each axis: a patch never ends in padding inside the head."""

PART: Mapping[Passes, float] = {"coarse": 0.0, "both": 0.5, "fine": 1.0}
"""Part of the fine logits in the answer, well inside the region."""


@dataclass(frozen=True, eq=False)
class Coarse:
    """What the first pass used and found.

    Parameters
    ----------
    logits
        ``(labels, D, H, W)`` float32.
    brain
        ``(D, H, W)`` bool.
    grid
        Grid of both.
    """

    logits: Array
    brain: Mask
    grid: Geometry


def check_passes(passes: Passes, manifest: Manifest) -> None:
    """Refuse a fine pass of a model that was not trained for it.

    Raises
    ------
    RefusedError
        If the model was trained on voxels coarser than `FINE_MM` only, or its own grid is as fine.
    """
    if passes == "coarse":
        return
    name = f"model {manifest.name} {manifest.version}"
    if manifest.finest_mm > FINE_MM:
        raise RefusedError(
            f"passes {passes!r} needs a model trained on {FINE_MM:g} mm too, and {name} was trained"
            f" on {manifest.finest_mm:g} mm and coarser: use passes 'coarse'"
        )
    if manifest.spacing_mm <= FINE_MM:
        raise RefusedError(
            f"{name} works at {manifest.spacing_mm:g} mm: {FINE_MM:g} mm is no finer pass,"
            " use passes 'coarse'"
        )


def fine_change(
    coarse: Coarse,
    aligned: Aligned,
    networks: Networks,
    head: Head,
    options: Options,
    progress: Callable[[float], None] | None = None,
) -> tuple[Array, Geometry] | None:
    """What a second look adds to the logits of the first.

    Bringing logits to the source grid is linear. What this adds is 0 at the rim of its region, so
    that the sum has no seam, and the coarse answer stands everywhere else.

    Parameters
    ----------
    coarse
        The first pass.
    aligned
        The study's images.
    networks, head, options
        As the first pass used them.
    progress
        Told which part, of 1, is done.

    Returns
    -------
    change, grid
        ``(labels, d, h, w)`` float32 on a box of `FINE_MM` voxels; None if the first pass saw
        nothing.
    """
    labels = networks.manifest.labels
    tumour = tumour_probability(coarse.logits, labels)
    weight = closeness(tumour, coarse.brain, coarse.grid.spacing[0])
    if not weight.any():
        return None
    fine = working_grid(aligned.reference, FINE_MM)
    box = box_around(weight, coarse.grid, fine)
    brain = resample(Volume(coarse.brain.astype(np.float32), coarse.grid), fine).array > 0.5
    normalise = normalisation(networks.manifest.normalisation)
    # Measured over the whole brain, as in training, and on this grid: a coarser one has less noise.
    images = _cut(normalise(aligned.on_grid(fine), brain, FINE_MM), fine, box)
    near = resample(Volume(weight, coarse.grid), box).array * _cut(brain, fine, box)
    if not near.any():
        return None
    patching = options.patching(networks.manifest)
    far = far_logits(labels, FAR_LOGIT)
    found = segment(networks.backbone, head, images, near > 0.0, patching, progress, far)
    before = np.stack([resample(Volume(c, coarse.grid), box).array for c in coarse.logits])
    change: Array = (PART[options.passes] * near * (found - before)).astype(np.float32)
    return change, box


def closeness(tumour: Array, brain: Mask, spacing_mm: float) -> Array:
    """How much the second look counts: 1 at and near tumour, 0 from `REACH_MM` on.

    Parameters
    ----------
    tumour
        ``(D, H, W)`` probability of any tumour.
    brain
        ``(D, H, W)`` bool.
    spacing_mm
        Edge of a voxel.

    Returns
    -------
    numpy.ndarray
        ``(D, H, W)`` float32 in [0, 1]; 0 everywhere if no voxel of the brain reaches `SEEN`.
    """
    seen = (tumour >= SEEN) & brain
    if not seen.any():
        return np.zeros(brain.shape, np.float32)
    distance = ndimage.distance_transform_edt(~seen, sampling=spacing_mm)
    weight: Array = np.clip((REACH_MM - distance) / RAMP_MM, 0.0, 1.0).astype(np.float32)
    return weight


def box_around(weight: Array, grid: Geometry, fine: Geometry) -> Geometry:
    """Part of a fine grid that holds all voxels of weight, with context, in `LEAST` voxels or more.

    Parameters
    ----------
    weight
        ``(D, H, W)`` on ``grid``, not all 0.
    grid, fine
        Grids with the same axes in one world.

    Returns
    -------
    Geometry
        Its voxels are voxels of ``fine``; where that has fewer than `LEAST`, all of them.
    """
    held = np.argwhere(weight > 0.0)
    ends = fine.index(grid.world([held.min(axis=0), held.max(axis=0)]))
    margin = CONTEXT_MM / np.array(fine.spacing)
    low, high = np.floor(ends[0] - margin), np.ceil(ends[1] + margin) + 1
    lacking = np.maximum(LEAST - (high - low), 0)
    low, high = low - lacking // 2, high + (lacking + 1) // 2
    size = np.minimum(high - low, fine.shape)
    low = np.clip(low, 0, np.array(fine.shape) - size)
    affine = fine.affine.copy()
    affine[:3, 3] = fine.world(low)
    k, i, j = (int(n) for n in size)
    return Geometry((k, i, j), affine, fine.frame_of_reference_uid)


def _cut(array: npt.NDArray[Any], fine: Geometry, box: Geometry) -> npt.NDArray[Any]:
    """Part of an array on the fine grid that lies in a box of its voxels."""
    start = np.round(fine.index(box.world([0, 0, 0]))).astype(int)
    return array[(..., *window(start, box.shape))]
