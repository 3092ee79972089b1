"""Aligning FLAIR to T1gd after a known motion: ours, and SimpleITK as its examples use it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from converter.align import align
from converter.stock_registration import stock_rigid
from glioloop.bench import Figures, Measurement, Options, in_turn
from glioloop.bench_phantom import phantom_images
from study.tissue import Role
from study.volume import Geometry, Volume

GRID = (240, 240, 155)
DEGREES = 6.0
SHIFT_MM = (5.0, -4.0, 3.0)
"""How FLAIR is displaced: turned about the axis towards the head, and shifted."""

Matrix = npt.NDArray[np.float64]


def measurements(options: Options) -> Iterator[Measurement]:
    """One pair of images."""
    grid = options.grid or GRID
    yield Measurement(
        "registration",
        f"FLAIR to T1gd on {'x'.join(map(str, grid))}, {DEGREES:g} degrees and"
        f" {np.linalg.norm(SHIFT_MM):.1f} mm apart; ours includes its checks",
        lambda: measure(grid, options.repeats),
    )


def measure(grid: tuple[int, int, int], repeats: int) -> Figures:
    """Seconds of both, and how far the head's voxels are from where they belong."""
    images = phantom_images(grid).volumes
    fixed, flair = images[Role.T1GD], images[Role.FLAIR]
    true = motion(fixed.geometry)
    old = flair.geometry
    moved = Geometry(old.shape, true @ old.affine, old.frame_of_reference_uid)
    moving = Volume(flair.array, moved)
    found: dict[str, Matrix] = {}

    def ours() -> None:
        found["ours"] = align(moving, fixed).matrix

    def stock() -> None:
        found["simpleitk"] = stock_rigid(moving, fixed)

    taken = in_turn(repeats, ours=ours, simpleitk=stock)
    head = fixed.geometry.world(np.argwhere(fixed.array > 0.2 * fixed.array.max())[::997])
    points = np.c_[head, np.ones(len(head))]
    return {
        **{f"{name}_s": round(took.wall, 2) for name, took in taken.items()},
        "ratio": round(taken["ours"].wall / taken["simpleitk"].wall, 3),
        **{f"{name}_cpu_s": round(took.cpu, 2) for name, took in taken.items()},
        **{
            f"{name}_mean_error_mm": round(
                float(np.linalg.norm(points @ (matrix - true).T, axis=1).mean()), 2
            )
            for name, matrix in found.items()
        },
    }


def motion(grid: Geometry) -> Matrix:
    """Where a point of T1gd lies in the displaced FLAIR: turned about the middle, and shifted."""
    angle = np.deg2rad(DEGREES)
    middle = grid.world((np.array(grid.shape) - 1) / 2)
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix[:3, 3] = middle - matrix[:3, :3] @ middle + SHIFT_MM
    return matrix
