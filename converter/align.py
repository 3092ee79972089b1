"""Rigid alignment of one sequence to another of the same head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK

from converter.agreement import (
    BINS,
    SEED,
    Comparison,
    clarity,
    compare,
    information,
    overlap,
    parts_that_agree,
)
from converter.levels import COARSE_MM, FINE_MM, MIDDLE_MM, Level, levels
from study.errors import HeldError
from study.volume import Geometry, Volume

sitk: Any = SimpleITK  # it ships no types

STEPS = {
    COARSE_MM: (4.0, 0.25, 6_000),
    MIDDLE_MM: (2.0, 0.06, 15_000),
    FINE_MM: (0.5, 0.01, 20_000),
}
"""For each voxel size the first and the least step, in mm, and the points that are compared."""

ITERATIONS = 40
"""Most steps on one level."""

LEVER_MM = 40.0
"""Unit of length while aligning: turning by a radian moves a point of a head about as far as
shifting by so much, so that the optimizer may treat both alike."""

CHECKED_POINTS, TRIED_POINTS = 30_000, 8_000
"""Points at which the result is checked, and at which places are compared with one another."""

NUDGE_MM, NUDGE_DEG = 4.0, 4.0
"""Displacements that worsen the agreement of two images that are aligned."""

SKIP_MM, SKIP_DEG, SKIP_SCORE = 2.0, 2.0, 0.01
"""The scanner's coordinates stand where such displacements lose so much of the agreement: what is
displaced by more than half of them loses nothing."""

MIN_SCORE = 0.02
"""Least score of an alignment that is believed; see `Alignment`."""

MIN_OVERLAP = 0.15
"""Least share of the head that both images must show."""

MIN_PARTS = 0.85
"""Least share of the eighths of the head that must agree best where they are."""

MAX_OTHER = 1.05
"""Most that a mirrored or upside-down image may agree, of what the image as it is agrees."""

Matrix = npt.NDArray[np.float64]
Levels = Mapping[float, Level]


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
    """

    matrix: Matrix
    skipped: bool
    score: float


def align(
    moving: Volume, fixed: Volume, called: tuple[str, str] = ("one sequence", "the other")
) -> Alignment:
    """Align two sequences of one head by a rigid motion.

    Maximises Mattes mutual information (Mattes et al. 2003, "PET-CT image registration in the chest
    using free-form deformations") on three levels, from several places. The result is checked by
    other means than it was found with: it must be a clear optimum, in nearly every part of the
    head, and no mirrored or turned image may fit better.

    Parameters
    ----------
    moving, fixed
        Volumes of any geometry.
    called
        What a person calls the two, for messages.

    Returns
    -------
    Alignment
        The same for the same input, whatever else the process does.

    Raises
    ------
    HeldError
        If no place is found at which the two images clearly agree best.
    """
    for volume, name in zip((moving, fixed), called, strict=True):
        _require_contrast(volume, name)
    fixed_levels, moving_levels = levels(fixed), levels(moving)
    both = compare(fixed_levels[FINE_MM], moving_levels[FINE_MM], CHECKED_POINTS)
    skipped = moving.geometry.same_place(fixed.geometry) and (
        clarity(both, np.eye(4), SKIP_MM, SKIP_DEG) >= SKIP_SCORE
    )
    found = np.eye(4) if skipped else _search(fixed_levels, moving_levels)
    if found is None:
        raise _held(called, "they have too few voxels in common")
    score = _check(both, found, called)
    _check_other_ways(fixed_levels, moving_levels, found, called)
    return Alignment(found, skipped, score)


def _held(called: tuple[str, str], reason: str) -> HeldError:
    """What a person reads."""
    return HeldError(
        f"{called[0]} could not be aligned to {called[1]}: {reason}; check that both show the same"
        " head, complete and the right way round, or choose another series"
    )


def _require_contrast(volume: Volume, name: str) -> None:
    """Hold an image that shows nothing."""
    if not np.isfinite(volume.array).all():
        raise HeldError(f"{name} has voxels that are no numbers; choose another series")
    if volume.array.min() == volume.array.max():
        raise HeldError(
            f"{name} has the value {volume.array.flat[0]} everywhere; choose another series"
        )


def _check(both: Comparison, matrix: Matrix, called: tuple[str, str]) -> float:
    """Score of an alignment.

    Raises
    ------
    HeldError
        If it is none to believe in.
    """
    share = overlap(both, matrix)
    if share < MIN_OVERLAP:
        raise _held(called, f"they share {share:.0%} of the head, and {MIN_OVERLAP:.0%} are needed")
    score = clarity(both, matrix, NUDGE_MM, NUDGE_DEG)
    if score < MIN_SCORE:
        raise _held(called, f"the best place found scores {score:.3f}, {MIN_SCORE} is needed")
    agree, parts = parts_that_agree(both, matrix, NUDGE_MM)
    if agree < MIN_PARTS * parts:
        raise _held(called, f"{agree} of {parts} parts of the head agree at the best place found")
    return score


def _check_other_ways(
    fixed: Levels, moving: Levels, matrix: Matrix, called: tuple[str, str]
) -> None:
    """Compare with the image mirrored, upside down, back to front.

    Raises
    ------
    HeldError
        If one of them fits better.
    """
    as_it_is = information(compare(fixed[MIDDLE_MM], moving[MIDDLE_MM], TRIED_POINTS), matrix)
    mirrored = {size: level.mirrored() for size, level in moving.items()}
    for image, seen in ((moving, "turned"), (mirrored, "mirrored")):
        both = compare(fixed[MIDDLE_MM], image[MIDDLE_MM], TRIED_POINTS)
        for axis in (None, 0, 1, 2):
            if image is moving and axis is None:
                continue
            start = _centred(fixed[COARSE_MM], image[COARSE_MM], _half_turn(axis))
            found = _refine(fixed[COARSE_MM], image[COARSE_MM], start)
            other = 0.0 if found is None else information(both, found) / as_it_is
            if other > MAX_OTHER:
                raise _held(called, f"{seen}, it agrees {other:.2f} times as well")


def _search(fixed: Levels, moving: Levels) -> Matrix | None:
    """The best place, from several to begin with; None where the images share too little."""
    both = compare(fixed[MIDDLE_MM], moving[MIDDLE_MM], TRIED_POINTS)
    coarse = fixed[COARSE_MM], moving[COARSE_MM]
    tried = [found for s in _starts(*coarse) if (found := _refine(*coarse, s)) is not None]
    if not tried:
        return None
    best: Matrix | None = max(tried, key=lambda matrix: information(both, matrix))
    for size in (MIDDLE_MM, FINE_MM):
        if best is not None:
            best = _refine(fixed[size], moving[size], best)
    return best


def _starts(fixed: Level, moving: Level) -> list[Matrix]:
    """The scanner's coordinates; the heads' middles put together; the same but for the height."""
    centred = _centred(fixed, moving, np.eye(4))
    level = centred.copy()
    level[2, 3] = 0.0
    return [np.eye(4), centred, level]


def _half_turn(axis: int | None) -> Matrix:
    """Half a turn about an axis of the patient; none for None."""
    signs = [1.0 if axis in {None, k} else -1.0 for k in range(3)]
    return np.diag([*signs, 1.0])


def _centred(fixed: Level, moving: Level, turn: Matrix) -> Matrix:
    """A turn that puts the middles of two heads together."""
    matrix = turn.copy()
    matrix[:3, 3] = moving.centre() - turn[:3, :3] @ fixed.centre()
    return matrix


def _refine(fixed: Level, moving: Level, start: Matrix) -> Matrix | None:
    """Locally best rigid matrix on one level; None where the two images do not meet."""
    grid = fixed.image.geometry
    step, least, points = STEPS[float(round(grid.spacing[0]))]
    near = np.count_nonzero(fixed.near)
    centre = fixed.centre() / LEVER_MM
    rigid = sitk.Euler3DTransform()
    method = sitk.ImageRegistrationMethod()
    # One unit of work: with several, sums differ in their last digits from run to run.
    method.SetNumberOfWorkUnits(1)
    method.SetMetricAsMattesMutualInformation(BINS)
    method.SetMetricFixedMask(_image(fixed.near.astype(np.uint8), grid))
    method.SetMetricMovingMask(_image(moving.inside.astype(np.uint8), moving.image.geometry))
    if near > points:
        method.SetMetricSamplingStrategy(method.RANDOM)
        method.SetMetricSamplingPercentage(points / near, SEED)
    # Differences of neighbours do, and save smoothing the whole image for its gradient.
    method.MetricUseFixedImageGradientFilterOff()
    method.MetricUseMovingImageGradientFilterOff()
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerScales([1.0] * 6)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=step / LEVER_MM,
        minStep=least / LEVER_MM,
        numberOfIterations=ITERATIONS,
        relaxationFactor=0.6,
        gradientMagnitudeTolerance=1e-8,
    )
    shift = start[:3, 3] / LEVER_MM
    rigid.SetCenter(centre.tolist())
    rigid.SetMatrix(start[:3, :3].ravel().tolist())
    rigid.SetTranslation((start[:3, :3] @ centre + shift - centre).tolist())
    method.SetInitialTransform(rigid, inPlace=True)
    try:
        method.Execute(
            _image(fixed.image.array, grid), _image(moving.image.array, moving.image.geometry)
        )
    except RuntimeError:  # SimpleITK's only error: here, that no point lies in both images
        return None
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(rigid.GetMatrix()).reshape(3, 3)
    matrix[:3, 3] = np.array(rigid.TransformPoint((0.0, 0.0, 0.0))) * LEVER_MM
    return matrix


def _image(array: npt.NDArray[Any], geometry: Geometry) -> Any:
    """A working grid's array as SimpleITK's image, in levers; its axes are the patient's."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing([float(value) / LEVER_MM for value in reversed(geometry.spacing)])
    image.SetOrigin((geometry.affine[:3, 3] / LEVER_MM).tolist())
    return image
