"""From a source series to the network's grid, and exactly back.

All geometry is worked out here in numpy, as one matrix from voxel indices to voxel indices;
SimpleITK only interpolates, between images that know no world.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import SimpleITK
from scipy.ndimage import gaussian_filter1d

from study.errors import RefusedError
from study.volume import Geometry, Volume

sitk: Any = SimpleITK  # it ships no types

Order = Literal["linear", "nearest"]

MAX_GRID_VOXELS = 2**28
"""Most voxels of a working grid (1 GiB as float32)."""

FWHM = float(2.0 * np.sqrt(2.0 * np.log(2.0)))
"""Full width at half maximum of a Gaussian, in standard deviations."""

IDENTITY = np.eye(4)


def working_grid(reference: Geometry, spacing_mm: float) -> Geometry:
    """Isotropic grid, parallel to the patient's axes, that covers a grid's whole box.

    Parameters
    ----------
    reference
        Grid whose voxels, with their full extent, are covered.
    spacing_mm
        Distance between neighbouring voxels.

    Returns
    -------
    Geometry
        Slices grow towards the head (+z), rows towards the back (+y), columns towards the patient's
        left (+x); the box is centred in it.

    Raises
    ------
    RefusedError
        If the grid would have more than `MAX_GRID_VOXELS` voxels.
    """
    ends = [[-0.5, n - 0.5] for n in reference.shape]
    box = reference.world(np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(8, 3))
    low, high = box.min(axis=0), box.max(axis=0)
    # 1e-6 of a voxel of slack, so that rounding never adds a whole one.
    size = np.maximum(np.ceil((high - low) / spacing_mm - 1e-6), 1).astype(int)
    if size.prod(dtype=np.int64) > MAX_GRID_VOXELS:
        raise RefusedError(f"a grid of {spacing_mm} mm over this series has {size} voxels")
    origin = (low + high) / 2 - (size - 1) / 2 * spacing_mm
    affine = np.eye(4)
    affine[:3, :3] = np.fliplr(np.eye(3)) * spacing_mm
    affine[:3, 3] = origin
    shape = (int(size[2]), int(size[1]), int(size[0]))
    return Geometry(shape, affine, reference.frame_of_reference_uid)


def resample(
    volume: Volume,
    grid: Geometry,
    matrix: npt.NDArray[np.float64] = IDENTITY,
    fill: float = 0.0,
    order: Order = "linear",
) -> Volume:
    """Sample a volume on another grid.

    Parameters
    ----------
    volume
        What is sampled.
    grid
        Where it is sampled.
    matrix
        ``(4, 4)``; takes an LPS point of the grid to the LPS point of the volume, both in mm, as
        `converter.align.align` finds it.
    fill
        Value where the volume has no voxel: farther than half a voxel from every voxel centre.
    order
        ``"linear"`` smooths first along those axes of the volume that get coarser, with the
        Gaussian whose width makes up the difference of the two sampling distances (Cardoso et al.
        2015, "Scale factor point spread function matching"). ``"nearest"`` never smooths.

    Returns
    -------
    Volume
        float32, on the grid.
    """
    index = np.linalg.inv(volume.geometry.affine) @ matrix @ grid.affine
    array = np.asarray(volume.array, np.float32)
    if order == "linear":
        coarsening = np.linalg.norm(index[:3, :3], axis=1)
        for axis, factor in enumerate(coarsening):
            if factor > 1.0 + 1e-3 and array.shape[axis] > 1:
                sigma = float(np.sqrt(factor**2 - 1.0)) / FWHM
                array = gaussian_filter1d(array, sigma, axis=axis, mode="nearest")
    return Volume(_sample(array, index, grid.shape, fill, order), grid)


def to_source(
    scores: npt.NDArray[np.float32], grid: Geometry, target: Geometry
) -> npt.NDArray[np.float32]:
    """Bring scores of classes back to the grid of the source series.

    Parameters
    ----------
    scores
        ``(C, D, H, W)`` float32 on ``grid``: logits, one channel for each class.
    grid
        Grid of the scores.
    target
        Grid of the source series, in the same world.

    Returns
    -------
    ndarray
        ``(C, *target.shape)`` float32. Each value is the mean over the extent of its voxel along
        the slice axis, sampled at least as densely as the grid; 0 in every channel where the target
        reaches beyond the grid, so that the first class wins there.
    """
    index = np.linalg.inv(grid.affine) @ target.affine
    samples = max(1, int(np.ceil(float(np.abs(index[:3, 0]).max()) - 1e-6)))
    result = np.zeros((len(scores), *target.shape), np.float32)
    for part in (np.arange(samples) + 0.5) / samples - 0.5:
        shift = np.eye(4)
        shift[0, 3] = part
        for channel, score in enumerate(scores):
            result[channel] += _sample(score, index @ shift, target.shape, 0.0, "linear")
    result /= samples
    return result


def slabs(target: Geometry, most_voxels: int) -> Iterator[tuple[slice, Geometry]]:
    """A grid in slabs of whole slices, none of more than so many voxels unless one slice has more.

    Yields
    ------
    slices, slab
        Which slices of the grid, and the grid of these alone.
    """
    slices, rows, columns = target.shape
    step = max(1, most_voxels // (rows * columns))
    for first in range(0, slices, step):
        here = slice(first, min(first + step, slices))
        affine = target.affine.copy()
        affine[:3, 3] = target.world([first, 0, 0])
        shape = (here.stop - first, rows, columns)
        yield here, Geometry(shape, affine, target.frame_of_reference_uid)


def _sample(
    array: npt.NDArray[np.float32],
    index: npt.NDArray[np.float64],
    shape: tuple[int, int, int],
    fill: float,
    order: Order,
) -> npt.NDArray[np.float32]:
    """Values of an array at ``index @ (k, i, j, 1)`` for every voxel (k, i, j) of a shape."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(array, np.float32))
    # SimpleITK counts an image's axes in the opposite order to numpy: (column, row, slice).
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(index[2::-1, 2::-1].ravel().tolist())
    transform.SetTranslation(index[2::-1, 3].tolist())
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize([int(n) for n in reversed(shape)])
    resampler.SetOutputPixelType(sitk.sitkFloat32)
    resampler.SetTransform(transform)
    resampler.SetDefaultPixelValue(fill)
    linear = order == "linear"
    resampler.SetInterpolator(sitk.sitkLinear if linear else sitk.sitkNearestNeighbor)
    values: npt.NDArray[np.float32] = sitk.GetArrayFromImage(resampler.Execute(image))
    return values
