"""Alignment of two sequences of one head."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from converter.align import align
from converter.grid import resample
from converter.series import read_series
from converter.volume import to_volume
from study.errors import HeldError
from study.volume import Geometry, Volume


def rigid(degrees, shift, about=(0.0, 0.0, 0.0)) -> np.ndarray:
    """Turn about a point by angles about x, y and z, then shift by mm."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    matrix[:3, 3] = np.asarray(about) - matrix[:3, :3] @ np.asarray(about) + np.asarray(shift)
    return matrix


def moved(volume: Volume, matrix: np.ndarray) -> Volume:
    """The same voxels at another place, in another frame of reference."""
    at = Geometry(volume.geometry.shape, matrix @ volume.geometry.affine, "1.2.9")
    return Volume(volume.array, at)


def head(kind: str) -> Volume:
    """A head of ellipsoids on a thick grid, as one of two sequences shows it."""
    affine = np.eye(4)
    affine[:3, :3] = np.fliplr(np.diag([2.0, 2.0, 5.0]))
    affine[:3, 3] = [-96, -112, -75]
    geometry = Geometry((30, 112, 96), affine, "1.2.3")
    axes = [np.arange(n) for n in geometry.shape]
    points = geometry.world(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))
    tissue = np.zeros(geometry.shape, int)
    for value, centre, radii in [
        (1, (0, 0, 0), (75, 92, 68)),
        (2, (0, 0, 2), (66, 82, 60)),
        (3, (-22, 10, 8), (14, 34, 18)),
        (3, (24, 6, 10), (12, 30, 16)),
        (4, (30, -40, 20), (17, 14, 15)),
        (0, (8, 60, -30), (15, 12, 14)),
    ]:
        inside = (((points - np.array(centre)) / np.array(radii)) ** 2).sum(axis=-1) < 1
        tissue[inside] = value
    shown = {"fixed": [0, 900, 500, 100, 800], "moving": [0, 200, 400, 1000, 700]}[kind]
    noise = np.random.default_rng(len(kind)).normal(0, 20, geometry.shape)
    image = gaussian_filter(np.array(shown, float)[tissue], 0.7) + noise
    return Volume(image.astype(np.float32), geometry)


def error_mm(found: np.ndarray, true: np.ndarray) -> float:
    """Mean distance over points throughout the head."""
    points = np.array([[x, y, z] for x in (-50, 50) for y in (-60, 60) for z in (-45, 45)], float)
    apart = points @ (found - true)[:3, :3].T + (found - true)[:3, 3]
    return float(np.linalg.norm(apart, axis=1).mean())


def test_a_known_displacement_is_found_each_time_alike():
    fixed, true = head("fixed"), rigid([6, -5, 9], [8, -6, 10])
    moving = moved(head("moving"), true)
    found = align(moving, fixed)
    assert not found.skipped
    assert error_mm(found.matrix, true) < 1.5
    assert np.array_equal(align(moving, fixed).matrix, found.matrix)


def test_the_matrix_brings_the_moving_image_onto_the_fixed_grid():
    fixed, moving = head("fixed"), moved(head("moving"), rigid([0, 0, 8], [12, 0, 0]))
    found = align(moving, fixed)
    brought = resample(moving, fixed.geometry, found.matrix).array
    alike = np.corrcoef(brought.ravel(), head("moving").array.ravel())[0, 1]
    assert alike > 0.97


def test_images_that_are_aligned_already_are_left_alone():
    found = align(head("moving"), head("fixed"))
    assert found.skipped
    assert np.array_equal(found.matrix, np.eye(4))
    assert found.score > 0.01


def test_one_grid_and_frame_does_not_hide_that_the_patient_moved():
    """The header says that nothing moved; the images say 9 mm."""
    fixed = head("fixed")
    shifted = np.roll(head("moving").array, (2, 4), axis=(0, 2))
    moving = Volume(shifted, fixed.geometry)
    found = align(moving, fixed)
    assert not found.skipped
    assert error_mm(found.matrix, rigid([0, 0, 0], [8, 0, 10])) < 1.5


def test_images_that_have_nothing_in_common_are_held():
    fixed = head("fixed")
    noise = np.random.default_rng(3).normal(size=fixed.array.shape).astype(np.float32)
    with pytest.raises(HeldError, match=r"could not be aligned: .* check that both show the same"):
        align(Volume(noise, fixed.geometry), fixed)


def test_an_image_that_lies_elsewhere_is_held():
    fixed = head("fixed")
    upside_down = moved(head("moving"), rigid([0, 150, 0], [0, 0, 0]))
    try:
        found = align(upside_down, fixed)
    except HeldError:
        return
    assert error_mm(found.matrix, rigid([0, 150, 0], [0, 0, 0])) < 1.5


@pytest.mark.parametrize(
    ("date", "name", "sign"),
    [("PGBM-001/19911119", "FLAIR_reg", 1), ("PGBM-003/19951017", "T2_reg", -1)],
)
def test_a_known_displacement_of_real_images_is_found(real_data, date, name, sign):
    """FLAIR and T2 were brought onto T1post by their publisher; here one is moved away again."""
    series = read_series([real_data / "longitudinal" / date])
    named = {one.header.SeriesDescription: to_volume(one) for one in series}
    fixed = named["T1post"]
    assert align(named[name], fixed).skipped
    centre = fixed.geometry.corners().mean(axis=0)
    true = rigid([sign * 7, 8, sign * -6], [sign * 9, -8, 6], centre)
    found = align(moved(named[name], true), fixed)
    apart = [found.matrix @ [*p, 1] - true @ [*p, 1] for p in centre + 50 * np.eye(3)]
    assert np.linalg.norm(apart, axis=1).max() < 1.5
