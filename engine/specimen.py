"""One generated head as arrays, for looking at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from engine.anatomy import HeadMap
from engine.generator import geometry, render


@dataclass(frozen=True, eq=False)
class Specimen:
    """Images of a generated head.

    Parameters
    ----------
    images
        ``(3, D, H, W)`` float32: FLAIR, T1gd, T2 in arbitrary units.
    labels
        ``(D, H, W)`` uint8 of `study.tissue.Tissue`, as a reader would draw them.
    brain
        ``(D, H, W)`` mask.
    spacing_mm
        Edge of a voxel.
    """

    images: npt.NDArray[np.float32]
    labels: npt.NDArray[np.uint8]
    brain: npt.NDArray[np.bool_]
    spacing_mm: float


def specimen(
    head: HeadMap, shape: tuple[int, int, int], spacing_mm: float, rng: np.random.Generator
) -> Specimen:
    """Generate one head with its images, as a network in training meets it.

    Parameters
    ----------
    head
        1 mm head map.
    shape, spacing_mm
        Voxels of the result, and their edge.
    rng
        Source of all randomness.
    """
    scene = geometry(torch.from_numpy(head), shape, spacing_mm, rng)
    images, labels, brain = render(scene, rng).arrays()
    return Specimen(images, labels, brain, spacing_mm)
