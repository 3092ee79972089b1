"""The images of one study in one world, and the brain in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from converter.align import align
from converter.grid import resample, working_grid
from engine.brain import brain_mask, find_brain, stripped
from engine.normalise import normalise_head
from glioloop.networks import Networks
from study.tissue import Role
from study.volume import Geometry, Volume

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Aligned:
    """Images and how they lie to T1gd.

    Parameters
    ----------
    volumes
        An image for each role that there is, T1gd among them, as acquired.
    matrices
        Role to ``(4, 4)``: takes a point of T1gd to the point of that image, LPS in mm.
    scores
        Role to the score of its alignment; T1gd has none.
    """

    volumes: Mapping[Role, Volume]
    matrices: Mapping[Role, Matrix]
    scores: Mapping[Role, float] = field(default_factory=dict)

    @property
    def reference(self) -> Geometry:
        """Grid of T1gd."""
        return self.volumes[Role.T1GD].geometry

    def on_grid(self, grid: Geometry) -> npt.NDArray[np.float32]:
        """Images on a grid of T1gd's world, linear and 0 beyond an image.

        Returns
        -------
        numpy.ndarray
            ``(3, D, H, W)`` float32 in the order of the roles; NaN where one is missing.
        """
        missing = np.full(grid.shape, np.nan, np.float32)
        given = self.volumes
        return np.stack(
            [
                resample(given[r], grid, self.matrices[r]).array if r in given else missing
                for r in Role
            ]
        )


def align_volumes(volumes: Mapping[Role, Volume]) -> Aligned:
    """Align every image to T1gd.

    Raises
    ------
    HeldError
        If two sequences cannot be aligned (`converter.align.align`).
    """
    reference = volumes[Role.T1GD]
    moving = {role: volume for role, volume in volumes.items() if role is not Role.T1GD}
    found = {
        role: align(volume, reference, (role.value, Role.T1GD.value))
        for role, volume in moving.items()
    }
    matrices = {r: found[r].matrix if r in found else np.eye(4) for r in Role}
    return Aligned(volumes, matrices, {role: one.score for role, one in found.items()})


def brain_of(
    aligned: Aligned,
    grid: Geometry,
    networks: Networks,
    given: npt.NDArray[np.float32] | None = None,
) -> npt.NDArray[np.bool_]:
    """Brain on a grid of cubic voxels, found on the coarse grid of the brain network.

    Where the images were stripped of the skull before they came, it is all that they show.

    Parameters
    ----------
    aligned
        The study's images.
    grid
        Of the result.
    networks
        Of which the brain network is used.
    given
        The images on the grid (`Aligned.on_grid`), where they are at hand already.

    Raises
    ------
    RefusedError
        If no brain is found, or a sequence is constant.
    """
    manifest = networks.brain_manifest
    coarse = working_grid(aligned.reference, manifest.spacing_mm)
    images = normalise_head(aligned.on_grid(coarse))
    probability = find_brain(networks.brain, images, manifest.outside_value)
    brain = brain_mask(resample(Volume(probability, coarse), grid).array, grid.spacing[0])
    shown = stripped(aligned.on_grid(grid) if given is None else given, brain, grid.spacing[0])
    return brain if shown is None else shown
