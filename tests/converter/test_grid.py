"""To the network's grid and exactly back: a mirrored mask is the worst that can happen."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import center_of_mass

from converter.grid import resample, slabs, to_source, working_grid
from study.errors import RefusedError
from study.volume import Geometry, Volume


def geometry(shape, slice_step, row_step, column_step, origin=(0.0, 0.0, 0.0)) -> Geometry:
    """A grid from the three steps between neighbouring voxels, in LPS mm."""
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([slice_step, row_step, column_step])
    affine[:3, 3] = origin
    return Geometry(shape, affine, "1.2.3")


OBLIQUE_ROW = np.array([0.9848, 0.1227, -0.1227])
OBLIQUE_ROW = OBLIQUE_ROW / np.linalg.norm(OBLIQUE_ROW)
OBLIQUE_COLUMN = np.cross([-0.1, 0.6, 0.79], OBLIQUE_ROW)
OBLIQUE_COLUMN = OBLIQUE_COLUMN / np.linalg.norm(OBLIQUE_COLUMN)
OBLIQUE_NORMAL = np.cross(OBLIQUE_ROW, OBLIQUE_COLUMN)

SOURCES = {
    "axial, thick": geometry((14, 70, 60), (0, 0, 6.5), (0, 0.9, 0), (0.9, 0, 0), (-41, -52, 13)),
    "axial, head first": geometry((14, 70, 60), (0, 0, -6.5), (0, 0.9, 0), (-0.9, 0, 0)),
    "axial, thin": geometry((50, 60, 60), (0, 0, 0.8), (0, 0.8, 0), (0.8, 0, 0), (3, 2, 1)),
    "sagittal": geometry((14, 70, 60), (-5, 0, 0), (0, 0, -1), (0, 1, 0), (60, -40, 50)),
    "sagittal, thin": geometry((60, 50, 50), (-1, 0, 0), (0, 0, -1), (0, 1, 0), (44, -40, 50)),
    "coronal": geometry((14, 70, 60), (0, 5, 0), (0, 0, -1), (1, 0, 0), (-50, -60, 50)),
    "oblique": geometry(
        (14, 70, 80), 5 * OBLIQUE_NORMAL, 0.9 * OBLIQUE_COLUMN, 0.8 * OBLIQUE_ROW, (-40, -30, -50)
    ),
    "oblique, descending": geometry(
        (14, 70, 80), -5 * OBLIQUE_NORMAL, 0.9 * OBLIQUE_COLUMN, -0.8 * OBLIQUE_ROW, (40, -9, 50)
    ),
}

sources = pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())


def blob(grid: Geometry, centre, sigma) -> np.ndarray:
    """A Gaussian around an LPS point, on a grid; sigma in mm, one for all axes."""
    axes = [np.arange(n) for n in grid.shape]
    points = grid.world(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))
    distance = np.linalg.norm(points - centre, axis=-1)
    return np.exp(-0.5 * (distance / sigma) ** 2).astype(np.float32)


def landmarks(source: Geometry) -> list[np.ndarray]:
    """Two LPS points off the voxel centres and off the grid's symmetries."""
    n = np.array(source.shape) - 1.0
    return [
        source.world(n * share) for share in ([0.5, 0.5, 0.5], [0.4, 0.3, 0.6], [0.6, 0.7, 0.3])
    ]


def test_the_working_grid_has_the_patients_axes_and_covers_the_box():
    source = geometry((3, 4, 5), (0, 0, -6), (0, 2, 0), (2, 0, 0), (10, 20, 30))
    grid = working_grid(source, 1.0)
    # z from 30 + 3 down to 18 - 3; y from 20 - 1 to 26 + 1; x from 10 - 1 to 18 + 1
    assert grid.shape == (18, 8, 10)
    assert grid.affine.tolist() == [[0, 0, 1, 9.5], [0, 1, 0, 19.5], [1, 0, 0, 15.5], [0, 0, 0, 1]]
    assert grid.frame_of_reference_uid == "1.2.3"


@sources
def test_every_corner_of_every_source_lies_inside_the_working_grid(source):
    grid = working_grid(source, 1.0)
    ends = np.stack(np.meshgrid(*[[-0.5, n - 0.5] for n in source.shape], indexing="ij"), axis=-1)
    inside = grid.index(source.world(ends.reshape(8, 3)))
    assert inside.min() >= -0.5 - 1e-6
    assert (inside <= np.array(grid.shape) - 0.5 + 1e-6).all()


def test_a_grid_that_is_too_fine_is_refused():
    with pytest.raises(RefusedError, match=r"a grid of .* mm over"):
        working_grid(SOURCES["axial, thick"], 0.01)


@sources
def test_a_landmark_goes_to_the_grid_without_a_shift(source):
    grid = working_grid(source, 1.0)
    for point in landmarks(source):
        there = resample(Volume(blob(source, point, 5.0), source), grid).array
        found = grid.world(center_of_mass(there))
        assert np.linalg.norm(found - point) < 0.1


@sources
def test_a_landmark_comes_back_to_its_source_to_a_tenth_of_a_voxel(source):
    grid = working_grid(source, 1.0)
    for point in landmarks(source):
        there = blob(grid, point, 5.0)
        scores = np.stack([1 - there, there])
        back = to_source(scores, grid, source)
        assert back.shape == (2, *source.shape)
        shift = np.array(center_of_mass(back[1])) - source.index(point)
        assert np.abs(shift).max() < 0.1


@sources
def test_one_voxel_of_a_source_returns_as_that_voxel(source):
    """No mirror, no swap, no shift: a marked corner region comes back where it was."""
    marked = np.zeros(source.shape, np.float32)
    k, i, j = [n // 4 for n in source.shape]
    n_k = max(3, source.shape[0] // 6)
    marked[k : k + n_k, i : i + 12, j : j + 9] = 1.0
    grid = working_grid(source, 1.0)
    on_grid = resample(Volume(marked, source), grid).array
    back = to_source(np.stack([1 - on_grid, on_grid]), grid, source)
    mask = back.argmax(axis=0) == 1
    overlap = 2 * (mask & (marked == 1)).sum() / (mask.sum() + marked.sum())
    assert overlap > 0.9
    np.testing.assert_allclose(center_of_mass(mask), center_of_mass(marked), atol=0.1)


@sources
def test_a_linear_ramp_survives(source):
    """Values that grow evenly along x, y and z are the same on either grid, edges included."""
    grid = working_grid(source, 1.0)

    def ramp(of: Geometry) -> np.ndarray:
        axes = [np.arange(n) for n in of.shape]
        points = of.world(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))
        return (points @ [1.0, -2.0, 0.5] + 3.0).astype(np.float32)

    back = to_source(ramp(grid)[np.newaxis], grid, source)
    inner = (slice(1, -1), slice(2, -2), slice(2, -2))
    np.testing.assert_allclose(back[0][inner], ramp(source)[inner], atol=1e-3)
    # In the outermost half millimetre the grid's last value stands: |(1, -2, 0.5)| / 2 at most.
    np.testing.assert_allclose(back[0], ramp(source), atol=1.2)


def test_scores_are_averaged_over_the_thickness_of_a_slice():
    # grid: six slices of 1 mm, values 0 to 5; target: two of 3 mm, the means of 0 1 2 and 3 4 5
    grid = geometry((6, 2, 2), (0, 0, 1), (0, 1, 0), (1, 0, 0))
    target = geometry((2, 2, 2), (0, 0, 3), (0, 1, 0), (1, 0, 0), (0, 0, 1))
    values = np.arange(6, dtype=np.float32).reshape(1, 6, 1, 1).repeat(2, 2).repeat(2, 3)
    assert to_source(values, grid, target)[0, :, 0, 0].tolist() == [1.0, 4.0]


def test_beyond_the_grid_all_scores_are_nought():
    grid = geometry((2, 2, 2), (0, 0, 1), (0, 1, 0), (1, 0, 0))
    target = geometry((2, 2, 2), (0, 0, 1), (0, 1, 0), (1, 0, 0), (50, 0, 0))
    assert not to_source(np.ones((4, 2, 2, 2), np.float32), grid, target).any()


def test_a_matrix_takes_points_of_the_grid_to_points_of_the_volume():
    source = geometry((3, 3, 5), (0, 0, 1), (0, 1, 0), (1, 0, 0))
    array = np.zeros(source.shape, np.float32)
    array[1, 2, 4] = 7.0
    matrix = np.eye(4)
    matrix[0, 3] = 3.0  # the grid's x = 1 shows the volume's x = 4
    moved = resample(Volume(array, source), source, matrix)
    assert np.argwhere(moved.array == 7.0).tolist() == [[1, 2, 1]]


def test_where_there_is_no_voxel_the_fill_stands():
    source = geometry((2, 2, 2), (0, 0, 1), (0, 1, 0), (1, 0, 0))
    wide = geometry((2, 2, 4), (0, 0, 1), (0, 1, 0), (1, 0, 0), (-1, 0, 0))
    values = resample(Volume(np.ones((2, 2, 2)), source), wide, fill=-5.0).array
    assert values[0, 0].tolist() == [-5.0, 1.0, 1.0, -5.0]


def test_a_checkerboard_is_smoothed_when_the_grid_is_coarser():
    fine = geometry((1, 8, 8), (0, 0, 4), (0, 1, 0), (1, 0, 0))
    coarse = geometry((1, 2, 2), (0, 0, 4), (0, 4, 0), (4, 0, 0), (1.5, 1.5, 0))
    board = (np.indices((1, 8, 8)).sum(axis=0) % 2).astype(np.float32)
    np.testing.assert_allclose(resample(Volume(board, fine), coarse).array, 0.5, atol=0.02)


def test_labels_are_never_smoothed():
    fine = geometry((1, 8, 8), (0, 0, 4), (0, 1, 0), (1, 0, 0))
    coarse = geometry((1, 2, 2), (0, 0, 4), (0, 4, 0), (4, 0, 0), (1, 1, 0))
    labels = np.where(np.indices((1, 8, 8))[2] < 4, 1, 3)
    there = resample(Volume(labels, fine), coarse, order="nearest").array
    assert there.tolist() == [[[1.0, 3.0], [1.0, 3.0]]]


def test_a_grid_as_fine_as_the_source_gives_the_sources_own_values():
    source = SOURCES["axial, thick"]
    array = np.random.default_rng(0).normal(size=source.shape).astype(np.float32)
    np.testing.assert_allclose(resample(Volume(array, source), source).array, array, atol=1e-5)


SERIES = {
    "1 mm, cubic": geometry((80, 80, 80), (0, 0, 1), (0, 1, 0), (1, 0, 0), (-39.2, -41.7, 10.4)),
    "0.5 x 0.5 x 6.5 mm": geometry(
        (13, 160, 160), (0, 0, 6.5), (0, 0.5, 0), (0.5, 0, 0), (-41.3, -38.9, -37.1)
    ),
    "the same, last slice first": geometry(
        (13, 160, 160), (0, 0, -6.5), (0, 0.5, 0), (0.5, 0, 0), (-41.3, -38.9, 40.9)
    ),
    "pixels of 0.5 x 0.9 mm": geometry(
        (20, 160, 90), (0, 0, 4), (0, 0.5, 0), (0.9, 0, 0), (-40.4, -41.2, -37.3)
    ),
    "sagittal, thick": geometry(
        (15, 110, 110), (5.5, 0, 0), (0, 0, -0.75), (0, 0.75, 0), (-38.6, -40.2, 41.7)
    ),
    "coronal, thick": geometry(
        (15, 110, 110), (0, 5.5, 0), (0, 0, -0.75), (0.75, 0, 0), (-40.7, -38.1, 41.3)
    ),
    "oblique, 1 mm": geometry(
        (80, 80, 80), OBLIQUE_NORMAL, OBLIQUE_COLUMN, OBLIQUE_ROW, (-40.4, -41.3, -38.2)
    ),
    "oblique, thick, pixels of 0.5 mm": geometry(
        (13, 160, 160),
        6.5 * OBLIQUE_NORMAL,
        0.5 * OBLIQUE_COLUMN,
        0.5 * OBLIQUE_ROW,
        (-40.4, -41.3, -38.2),
    ),
}
"""Each covers 80 mm or so in every direction."""

series = pytest.mark.parametrize("source", SERIES.values(), ids=SERIES.keys())
working = pytest.mark.parametrize("spacing_mm", [1.0, 2.0])


def ellipsoid(grid: Geometry, centre: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Share of each voxel, of its whole extent, that lies in an ellipsoid; radii in mm, x, y, z."""
    samples = [max(2, round(3 * spacing)) for spacing in grid.spacing]
    reach = radii.max() / np.array(grid.spacing) + 1
    first = np.maximum(np.floor(grid.index(centre) - reach), 0).astype(int)
    last = np.minimum(np.ceil(grid.index(centre) + reach) + 1, grid.shape).astype(int)
    axes = [
        np.arange(one * m, end * m) / m + 0.5 / m - 0.5
        for one, end, m in zip(first, last, samples, strict=True)
    ]
    box = tuple(slice(one, end) for one, end in zip(first, last, strict=True))
    n = last - first
    away = (grid.world(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)) - centre) / radii
    inside = (away * away).sum(axis=-1) < 1.0
    blocks = inside.reshape(n[0], samples[0], n[1], samples[1], n[2], samples[2])
    share = np.zeros(grid.shape, np.float32)
    share[box] = blocks.mean(axis=(1, 3, 5))
    return share


def there_and_back(share: np.ndarray, source: Geometry, spacing_mm: float) -> np.ndarray:
    """Scores on the source, of a network that answers with the image that it is shown."""
    grid = working_grid(source, spacing_mm)
    seen = resample(Volume(share, source), grid).array
    return to_source(np.stack([0.5 - seen, seen - 0.5]), grid, source)


@working
@series
def test_landmarks_come_back_to_a_tenth_of_a_voxel(source, spacing_mm):
    """Small ellipsoids with centres between voxels, as images and as labels."""
    landmarks = [
        ([0.47, 0.52, 0.44], [9.0, 9.0, 9.0]),
        ([0.61, 0.33, 0.58], [8.0, 10.0, 9.0]),
        ([0.38, 0.62, 0.35], [10.0, 8.0, 10.0]),
    ]
    for at, radii in landmarks:
        # 0.37 of a voxel to one side: no symmetry of the source hides a shift of half a voxel.
        index = np.floor(np.array(source.shape) * at) + 0.37
        share = ellipsoid(source, source.world(index), np.array(radii))
        np.testing.assert_allclose(center_of_mass(share), index, atol=0.02)
        scores = there_and_back(share, source, spacing_mm)
        np.testing.assert_allclose(center_of_mass(scores[1] + 0.5), index, atol=0.1)


@working
@series
def test_a_mask_comes_back_as_it_was(source, spacing_mm):
    """A ball that is large against the slices: the same place, and the same extent."""
    index = np.floor(np.array(source.shape) * [0.48, 0.46, 0.53]) + 0.37
    share = ellipsoid(source, source.world(index), np.array([26.0, 26.0, 26.0]))
    was = share > 0.5
    scores = there_and_back(share, source, spacing_mm)
    mask = scores.argmax(axis=0) == 1
    np.testing.assert_allclose(center_of_mass(mask), center_of_mass(was), atol=0.1)
    assert 2 * (mask & was).sum() / (mask.sum() + was.sum()) > 0.97
    assert mask.sum() == pytest.approx(was.sum(), rel=0.02)


def test_a_landmark_that_moved_half_a_voxel_would_be_noticed():
    source = SERIES["0.5 x 0.5 x 6.5 mm"]
    index = np.array([6.37, 80.37, 80.37])
    share = ellipsoid(source, source.world(index), np.array([9.0, 9.0, 9.0]))
    affine = source.affine.copy()
    affine[:3, 3] = source.world([0.5, 0, 0])
    shifted = Geometry(source.shape, affine, "1.2.3")
    grid = working_grid(source, 1.0)
    seen = resample(Volume(share, shifted), grid).array
    back = to_source(np.stack([0.5 - seen, seen - 0.5]), grid, source)
    assert center_of_mass(back[1] + 0.5)[0] == pytest.approx(6.87, abs=0.1)


def test_slabs_are_the_whole_grid_in_order():
    affine = np.array([[0, 0, 2, 5], [0, 3, 0, 6], [4, 0, 0, 7], [0, 0, 0, 1]], float)
    parts = list(slabs(Geometry((5, 2, 3), affine, "1.2"), 12))
    # Two slices of 6 voxels fit: 2 + 2 + 1. A slice is 4 mm along z.
    assert [(here.start, here.stop) for here, _ in parts] == [(0, 2), (2, 4), (4, 5)]
    assert [slab.shape for _, slab in parts] == [(2, 2, 3), (2, 2, 3), (1, 2, 3)]
    assert [slab.affine[:3, 3].tolist() for _, slab in parts] == [[5, 6, 7], [5, 6, 15], [5, 6, 23]]
    assert parts[0][1].frame_of_reference_uid == "1.2"


def test_a_slice_that_is_larger_than_a_slab_is_one():
    whole = Geometry((2, 4, 4), np.eye(4), "1.2")
    assert [slab.shape for _, slab in slabs(whole, 10)] == [(1, 4, 4), (1, 4, 4)]


def test_scores_in_slabs_are_those_of_the_whole():
    """Thick, tilted slices, several samples for each: no seam where a slab ends."""
    grid = Geometry((20, 20, 20), np.diag([1.0, 1.0, 1.0, 1.0]), "1.2")
    turn = np.array([[0.96, 0.28, 0], [-0.28, 0.96, 0], [0, 0, 1.0]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([3.3, 0.9, 1.1])
    affine[:3, 3] = 1.0
    target = Geometry((6, 15, 14), affine, "1.2")
    scores = np.random.default_rng(0).normal(size=(4, 20, 20, 20)).astype(np.float32)
    whole = to_source(scores, grid, target)
    parts = np.concatenate(
        [to_source(scores, grid, slab) for _, slab in slabs(target, 450)], axis=1
    )
    np.testing.assert_allclose(parts, whole, atol=1e-5)
