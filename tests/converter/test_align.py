"""Alignment of two sequences of one head."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

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
    with pytest.raises(
        HeldError, match=r"could not be aligned to .* check that both show the same"
    ):
        align(Volume(noise, fixed.geometry), fixed)


def test_a_head_that_moved_five_millimetres_in_its_frame_of_reference_is_found():
    """Same frame, same grid: only the images tell."""
    fixed, true = head("fixed"), rigid([0, 0, 0], [0, 3, 4])
    shown = resample(head("moving"), fixed.geometry, np.linalg.inv(true))
    found = align(Volume(shown.array, fixed.geometry), fixed)
    assert not found.skipped
    assert error_mm(found.matrix, true) < 0.5


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_mirrored_image_is_held(axis):
    """Even where its header says that it is aligned; a head is nearly its own mirror image."""
    fixed, moving = head("fixed"), head("moving")
    mirrored = moving.with_array(np.flip(moving.array, axis))
    with pytest.raises(HeldError, match="could not be aligned"):
        align(mirrored, fixed)


@pytest.mark.parametrize("degrees", [[180, 0, 0], [0, 180, 0], [0, 0, 180]])
def test_a_head_the_other_way_round_is_held(degrees):
    with pytest.raises(HeldError, match="could not be aligned"):
        align(moved(head("moving"), rigid(degrees, [0, 0, 0])), head("fixed"))


def test_who_reads_that_an_image_is_held_learns_which():
    fixed = head("fixed")
    constant = fixed.with_array(np.full(fixed.array.shape, 7.0, np.float32))
    with pytest.raises(HeldError, match=r"FLAIR has the value 7\.0 everywhere; choose another"):
        align(constant, fixed, ("FLAIR", "T1gd"))
    with pytest.raises(HeldError, match=r"T1gd has the value 7\.0 everywhere; choose another"):
        align(fixed, constant, ("FLAIR", "T1gd"))
    noise = np.random.default_rng(5).normal(size=fixed.array.shape).astype(np.float32)
    with pytest.raises(HeldError, match=r"FLAIR could not be aligned to T1gd: "):
        align(fixed.with_array(noise), fixed, ("FLAIR", "T1gd"))


def test_an_image_with_voxels_that_are_no_numbers_is_held():
    fixed = head("fixed")
    spoilt = head("moving").array.copy()
    spoilt[3, 4, 5] = np.nan
    with pytest.raises(HeldError, match="voxels that are no numbers"):
        align(Volume(spoilt, fixed.geometry), fixed)


@pytest.mark.parametrize("shape", [(1, 1, 2), (3, 4, 5), (12, 16, 16)])
def test_what_is_too_small_to_align_is_held(shape):
    """SimpleITK has errors of its own for such images."""
    rng = np.random.default_rng(1)
    geometry = Geometry(shape, np.eye(4), "1.2.3")
    one, two = (Volume(rng.normal(size=shape).astype(np.float32), geometry) for _ in range(2))
    with pytest.raises(HeldError, match="could not be aligned"):
        align(one, moved(two, rigid([0, 0, 0], [3, 0, 0])))


def test_images_that_lie_far_apart_are_brought_together():
    """Two tables, two origins: the heads' middles are put together first."""
    true = rigid([5, 0, 0], [300, -200, 500])
    found = align(moved(head("moving"), true), head("fixed"))
    assert error_mm(found.matrix, true) < 1.5


def test_a_thin_overlap_is_held():
    """A head of 14 slices against two of them."""
    fixed, moving = head("fixed"), head("moving")
    at = moving.geometry.affine.copy()
    at[:3, 3] = moving.geometry.world([14, 0, 0])
    two = Volume(moving.array[14:16], Geometry((2, 112, 96), at, "1.2.3"))
    with pytest.raises(HeldError, match="could not be aligned"):
        align(two, fixed)


def test_two_sequences_are_aligned_at_once_as_one_after_the_other():
    fixed = head("fixed")
    images = [
        moved(head("moving"), rigid([4, -3, 5], [3, 6, -4])),
        moved(head("moving"), np.eye(4)),
    ]
    with ThreadPoolExecutor(2) as pool:
        at_once = list(pool.map(lambda image: align(image, fixed).matrix, images))
    for found, image in zip(at_once, images, strict=True):
        assert np.array_equal(found, align(image, fixed).matrix)


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
