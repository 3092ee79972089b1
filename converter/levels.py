"""An image on isotropic grids, coarse to fine, and where the head is on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation, gaussian_filter

from converter.grid import resample, working_grid
from study.volume import Geometry, Volume

COARSE_MM, MIDDLE_MM, FINE_MM = 8.0, 4.0, 2.0
"""Voxel sizes of the grids."""

HEAD = 0.15
"""Part of the way from the darkest to the brightest values at which the head begins."""

MARGIN_MM = 10.0
"""How far around the head two images are compared: its edge says much, the air beyond nothing."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Level:
    """An image on one isotropic grid.

    Parameters
    ----------
    image
        float32, axes parallel to the patient's.
    inside
        Where the image has voxels.
    near
        Where it has voxels in the head or within `MARGIN_MM` of it.
    """

    image: Volume
    inside: Mask
    near: Mask

    def centre(self) -> npt.NDArray[np.float64]:
        """LPS position, in mm, of the middle of the head; of the grid's where there is none."""
        grid = self.image.geometry
        if not self.near.any():
            return np.asarray(grid.corners().mean(axis=0), np.float64)
        middle: npt.NDArray[np.float64] = np.argwhere(self.near).mean(axis=0)
        return grid.world(middle)

    def mirrored(self) -> Level:
        """The same with left and right exchanged, about the middle of the grid."""
        image = np.ascontiguousarray(self.image.array[:, :, ::-1])
        inside, near = self.inside[:, :, ::-1], self.near[:, :, ::-1]
        return Level(self.image.with_array(image), inside, near)


def levels(volume: Volume) -> Mapping[float, Level]:
    """An image on the grids of `COARSE_MM`, `MIDDLE_MM` and `FINE_MM`.

    Parameters
    ----------
    volume
        Of any geometry; values are finite.

    Returns
    -------
    Mapping
        Voxel size in mm to `Level`. Each grid covers the volume's whole box.
    """
    binned = _binned(volume, FINE_MM)
    full = binned.with_array(np.ones(binned.array.shape, np.float32))
    grid = working_grid(volume.geometry, FINE_MM)
    fine = resample(binned, grid)
    inside = resample(full, grid, order="nearest").array > 0.5
    images, insides = {FINE_MM: fine}, {FINE_MM: inside}
    for size in (MIDDLE_MM, COARSE_MM):
        grid = working_grid(volume.geometry, size)
        images[size] = resample(fine, grid)
        insides[size] = _on(grid, fine.geometry, inside)
    near = _near(images[MIDDLE_MM], insides[MIDDLE_MM])
    from_grid = images[MIDDLE_MM].geometry
    return {
        size: Level(image, insides[size], _on(image.geometry, from_grid, near) & insides[size])
        for size, image in images.items()
    }


def _on(grid: Geometry, source: Geometry, mask: Mask) -> Mask:
    """A mask on another grid."""
    there: Mask = resample(Volume(mask.astype(np.float32), source), grid, order="nearest").array > 0
    return there


def _near(image: Volume, inside: Mask) -> Mask:
    """In the head or close to it."""
    low, high = np.quantile(image.array[inside], [0.005, 0.99])
    head = gaussian_filter(image.array, 1.0) > low + HEAD * (high - low)
    around: Mask = binary_dilation(head, iterations=round(MARGIN_MM / image.geometry.spacing[0]))
    return around & inside


def _binned(volume: Volume, size_mm: float) -> Volume:
    """Means of whole blocks of voxels, not coarser than a size: much cheaper than a Gaussian."""
    shape = volume.array.shape
    factors = [
        factor if (factor := int(size_mm / spacing + 1e-6)) > 1 and n >= 2 * factor else 1
        for n, spacing in zip(shape, volume.geometry.spacing, strict=True)
    ]
    n = [size // factor for size, factor in zip(shape, factors, strict=True)]
    # The few voxels beyond the last whole block are left out.
    whole = tuple(slice(count * factor) for count, factor in zip(n, factors, strict=True))
    array = np.asarray(volume.array, np.float32)[whole]
    for axis, factor in enumerate(factors):
        if factor > 1:
            blocks = (*array.shape[:axis], n[axis], factor, *array.shape[axis + 1 :])
            array = array.reshape(blocks).mean(axis=axis + 1)
    affine = volume.geometry.affine @ np.diag([*factors, 1.0])
    affine[:3, 3] = volume.geometry.world([(factor - 1) / 2 for factor in factors])
    geometry = Geometry(array.shape, affine, volume.geometry.frame_of_reference_uid)
    return Volume(np.ascontiguousarray(array), geometry)
