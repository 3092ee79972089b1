"""Rigid alignment of one sequence to another of the same head."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK
from scipy.ndimage import center_of_mass

from converter.grid import resample, working_grid
from study.errors import HeldError
from study.volume import Geometry, Volume

sitk: Any = SimpleITK  # it ships no types

COARSE_MM, MIDDLE_MM, FINE_MM = 8.0, 4.0, 2.0
"""Voxel sizes of the isotropic grids on which both images are aligned, coarse to fine."""

BINS = 32
"""Bins, for each image, of the joint histogram behind mutual information."""

SAMPLES = 60_000
"""Points at which two images are compared, at most, while they are aligned."""

SEED = 20251
"""Seed of those points: an alignment is the same each time."""

NUDGE_MM, NUDGE_DEG = 4.0, 4.0
"""Displacements that worsen the agreement of two images that are aligned."""

MIN_SCORE = 0.01
"""Least score of an alignment that is believed; see `Alignment`."""

SETTING = threading.Lock()
"""Held while SimpleITK's number of threads, which is one for the whole process, is another."""

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Alignment:
    """Where the points of a fixed image lie in a moving one.

    Parameters
    ----------
    matrix
        ``(4, 4)`` float64, rigid: LPS point of the fixed image to LPS point of the moving one, mm.
    skipped
        Whether the images were aligned already; then the matrix is the identity.
    score
        How clear the optimum is: the share of the images' mutual information that is lost, at
        least, by shifting one of them 4 mm along an axis or turning it 4 degrees about one.
        Negative where such a nudge makes the images agree better, so that this is no optimum.
    """

    matrix: Matrix
    skipped: bool
    score: float


@dataclass(frozen=True, eq=False)
class _Level:
    """Both images on isotropic grids of one voxel size, and where each has voxels."""

    fixed: Volume
    moving: Volume
    fixed_inside: npt.NDArray[np.bool_]
    moving_inside: npt.NDArray[np.bool_]


def align(moving: Volume, fixed: Volume) -> Alignment:
    """Align two sequences of one head by a rigid motion.

    Maximises Mattes mutual information (Mattes et al. 2003, "PET-CT image registration in the chest
    using free-form deformations") on three levels. Where both images share a frame of reference it
    starts from the scanner's own coordinates, else from several places.

    Parameters
    ----------
    moving, fixed
        Volumes of any geometry.

    Returns
    -------
    Alignment
        The same for the same input.

    Raises
    ------
    HeldError
        If no place is found at which the two images clearly agree best.
    """
    middle = _level(moving, fixed, MIDDLE_MM)
    if moving.geometry.same_place(fixed.geometry):
        score = _score(middle, np.eye(4))
        if score >= MIN_SCORE:
            return Alignment(np.eye(4), skipped=True, score=score)
    coarse = _level(moving, fixed, COARSE_MM)
    tried = [_refine(coarse, start, 4.0) for start in _starts(coarse)]
    best = max(tried, key=lambda matrix: _agreement(middle, matrix))
    matrix = _refine(middle, best, 2.0)
    matrix = _refine(_level(moving, fixed, FINE_MM), matrix, 0.5)
    score = _score(middle, matrix)
    if score < MIN_SCORE:
        raise HeldError(
            f"two sequences could not be aligned: the best place found scores {score:.3f},"
            f" {MIN_SCORE} is needed; check that both show the same head"
        )
    return Alignment(matrix, skipped=False, score=score)


def _level(moving: Volume, fixed: Volume, size_mm: float) -> _Level:
    """Both images on isotropic grids."""
    (one, in_one), (two, in_two) = _isotropic(fixed, size_mm), _isotropic(moving, size_mm)
    return _Level(one, two, in_one, in_two)


def _isotropic(volume: Volume, size_mm: float) -> tuple[Volume, npt.NDArray[np.bool_]]:
    """An image on an isotropic grid, and where it has voxels."""
    grid = working_grid(volume.geometry, size_mm)
    full = volume.with_array(np.ones(volume.array.shape, np.float32))
    inside: npt.NDArray[np.bool_] = resample(full, grid, order="nearest").array > 0.5
    return resample(volume, grid), inside


def _starts(level: _Level) -> list[Matrix]:
    """Places to begin from: the scanner's coordinates, and the heads' centres put together."""
    centres = []
    for image in (level.fixed, level.moving):
        bright = image.array > np.quantile(image.array, 0.5)
        centres.append(image.geometry.world(center_of_mass(bright)))
    centred = np.eye(4)
    centred[:3, 3] = centres[1] - centres[0]
    return [np.eye(4), centred]


def _refine(level: _Level, start: Matrix, step_mm: float) -> Matrix:
    """Locally best rigid matrix on one level."""
    centre = level.fixed.geometry.corners().mean(axis=0)
    rigid = sitk.Euler3DTransform()
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(BINS)
    method.SetMetricFixedMask(_image(level.fixed_inside.astype(np.uint8), level.fixed.geometry))
    method.SetMetricMovingMask(_image(level.moving_inside.astype(np.uint8), level.moving.geometry))
    method.SetMetricSamplingStrategy(method.RANDOM)
    share = min(1.0, SAMPLES / level.fixed.array.size)
    method.SetMetricSamplingPercentage(share, SEED)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=step_mm, minStep=step_mm / 256, numberOfIterations=100, relaxationFactor=0.6
    )
    rigid.SetCenter(centre.tolist())
    rigid.SetMatrix(start[:3, :3].ravel().tolist())
    rigid.SetTranslation((start[:3, :3] @ centre + start[:3, 3] - centre).tolist())
    method.SetInitialTransform(rigid, inPlace=True)
    with _one_thread():
        method.Execute(
            _image(level.fixed.array, level.fixed.geometry),
            _image(level.moving.array, level.moving.geometry),
        )
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(rigid.GetMatrix()).reshape(3, 3)
    matrix[:3, 3] = np.array(rigid.TransformPoint((0.0, 0.0, 0.0)))
    return matrix


@contextmanager
def _one_thread() -> Iterator[None]:
    """Work in one thread: with several, sums differ in their last digits from run to run."""
    process = sitk.ProcessObject
    with SETTING:
        before = process.GetGlobalDefaultNumberOfThreads()
        process.SetGlobalDefaultNumberOfThreads(1)
        try:
            yield
        finally:
            process.SetGlobalDefaultNumberOfThreads(before)


def _image(array: npt.NDArray[Any], geometry: Geometry) -> Any:
    """A working grid's array as SimpleITK's image; its axes are the patient's."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing([float(value) for value in reversed(geometry.spacing)])
    image.SetOrigin(geometry.affine[:3, 3].tolist())
    return image


def _score(level: _Level, matrix: Matrix) -> float:
    """Least relative loss of mutual information under nudges about the fixed image's centre."""
    here = _agreement(level, matrix)
    centre = level.fixed.geometry.corners().mean(axis=0)
    around = [_agreement(level, matrix @ nudge) for nudge in _nudges(centre)]
    return float((here - max(around)) / here) if here > 0 else -1.0


def _nudges(centre: npt.NDArray[np.float64]) -> list[Matrix]:
    """Small shifts along, and turns about, the three axes, both ways."""
    nudges = []
    for axis, sign in itertools.product(range(3), (-1.0, 1.0)):
        shift = np.eye(4)
        shift[axis, 3] = sign * NUDGE_MM
        turn = np.eye(4)
        one, two = (axis + 1) % 3, (axis + 2) % 3
        angle = np.radians(sign * NUDGE_DEG)
        turn[[one, two], [one, two]] = np.cos(angle)
        turn[one, two], turn[two, one] = -np.sin(angle), np.sin(angle)
        turn[:3, 3] = centre - turn[:3, :3] @ centre
        nudges += [shift, turn]
    return nudges


def _agreement(level: _Level, matrix: Matrix) -> float:
    """Mutual information, in nats, of the two images where both have voxels."""
    grid = level.fixed.geometry
    moved = resample(level.moving, grid, matrix, fill=np.nan)
    inside = level.moving.with_array(level.moving_inside)
    there = resample(inside, grid, matrix, order="nearest").array
    both = level.fixed_inside & (there > 0.5) & np.isfinite(moved.array)
    if np.count_nonzero(both) < 1000:
        return 0.0
    one, two = _binned(level.fixed.array[both]), _binned(moved.array[both])
    joint = np.bincount(one * BINS + two, minlength=BINS * BINS).reshape(BINS, BINS) / one.size
    alone = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    filled = joint > 0
    return float((joint[filled] * np.log(joint[filled] / alone[filled])).sum())


def _binned(values: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Bin of each value, between the 0.5th and 99.5th percentile."""
    low, high = np.quantile(values, [0.005, 0.995])
    scaled = (values - low) / max(float(high - low), 1e-6) * BINS
    bins: npt.NDArray[np.int64] = np.clip(scaled, 0, BINS - 1).astype(np.int64)
    return bins
