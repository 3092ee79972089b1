"""A generated head as images, for what is measured on whole studies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from converter.grid import resample
from engine.phantom import phantom_head
from glioloop.phantom import geometry_of, truth_on
from study.tissue import Role
from study.volume import Geometry, Volume

BOX_MM = (240.0, 240.0, 160.0)
"""What a grid of any size covers: columns, rows, slices."""
NOISE = 0.01
"""Standard deviation, as a share of the brightest tissue."""
SEED = 1


@dataclass(frozen=True, eq=False)
class PhantomImages:
    """Images on one grid, and what is where.

    Parameters
    ----------
    volumes
        An image for each role, float32.
    truth
        `Tissue` values, on the grid of T1gd.
    """

    volumes: Mapping[Role, Volume]
    truth: Volume


def phantom_images(grid: tuple[int, int, int]) -> PhantomImages:
    """A phantom head on (columns, rows, slices) voxels that cover `BOX_MM`."""
    head = phantom_head(SEED)
    lies = geometry_of(head, "2.25.1")
    shape = grid[::-1]
    spacing = np.array(BOX_MM[::-1]) / shape
    affine = np.eye(4)
    affine[:3, :3] = np.fliplr(np.diag(spacing[::-1]))
    affine[:3, 3] = lies.world((np.array(lies.shape) - 1) / 2)
    affine[:3, 3] -= affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    target = Geometry((shape[0], shape[1], shape[2]), affine, "2.25.1")
    random = np.random.default_rng(SEED)
    volumes = {}
    for role in Role:
        image = resample(Volume(head.images[role], lies), target).array
        noise = random.standard_normal(image.shape, np.float32)
        image += np.float32(NOISE * image.max()) * noise
        volumes[role] = Volume(image, target)
    return PhantomImages(volumes, truth_on(target, Volume(head.labels, lies)))
