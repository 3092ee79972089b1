from __future__ import annotations

import math

import numpy as np
import pytest

from dicomseg.diameters import diameters_of, outline
from study.volume import Geometry


def axial(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> Geometry:
    """Slices along z, rows along y, columns along x, the first voxel at (100, -50, 20)."""
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2] = spacing
    affine[:, 3] = (100, -50, 20, 1)
    return Geometry(shape, affine, "1.2.3")


def drawn(geometry: Geometry, inside) -> np.ndarray:
    """One slice, the middle one, true where ``inside(x, y)``; mm from the middle of the slice."""
    rows, columns = np.indices(geometry.shape[1:])
    y = (rows - (geometry.shape[1] - 1) / 2) * geometry.spacing[1]
    x = (columns - (geometry.shape[2] - 1) / 2) * geometry.spacing[2]
    mask = np.zeros(geometry.shape, bool)
    mask[geometry.shape[0] // 2] = inside(x, y)
    return mask


def test_a_row_of_pixels_is_as_long_as_its_pixels():
    """Nine columns of 0.5 mm in one row of 2 mm: 4.5 mm between edges, and 2 mm across."""
    geometry = axial((1, 5, 11), (3.0, 2.0, 0.5))
    mask = np.zeros(geometry.shape, bool)
    mask[0, 2, 1:10] = True
    found = diameters_of(mask, geometry)
    assert (found.longest_mm, found.perpendicular_mm) == pytest.approx((4.5, 2.0))
    assert found.product_mm2 == pytest.approx(9.0)
    # Columns 1 to 9 reach from 100.25 to 104.75; row 2 lies at -46 and is 2 mm high.
    assert sorted(found.longest) == [
        pytest.approx((100.25, -46.0, 20.0)),
        pytest.approx((104.75, -46.0, 20.0)),
    ]
    ys = sorted(point[1] for point in found.perpendicular)
    assert ys == pytest.approx([-47.0, -45.0])
    assert found.perpendicular[0][0] == pytest.approx(found.perpendicular[1][0])


def test_a_single_voxel_has_the_size_of_its_pixel():
    """Not zero, as between centres."""
    geometry = axial((3, 3, 3), (5.0, 0.8, 1.1))
    mask = np.zeros(geometry.shape, bool)
    mask[1, 1, 1] = True
    found = diameters_of(mask, geometry)
    assert (found.slice_index, found.longest_mm, found.perpendicular_mm) == (
        1,
        pytest.approx(1.1),
        pytest.approx(0.8),
    )


@pytest.mark.parametrize("pixel", [(1.0, 1.0), (0.4, 0.9), (1.2, 0.3)])
@pytest.mark.parametrize("angle", [0, 30, 75])
def test_axes_of_an_ellipse(angle, pixel):
    """40 and 24 mm, whichever way it lies, in pixels that are square or not."""
    geometry = axial((3, 200, 200), (5.0, *pixel))
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    mask = drawn(
        geometry, lambda x, y: ((c * x + s * y) / 20) ** 2 + ((c * y - s * x) / 12) ** 2 <= 1
    )
    found = diameters_of(mask, geometry)
    assert found.longest_mm == pytest.approx(40, abs=max(pixel))
    assert found.perpendicular_mm == pytest.approx(24, abs=max(pixel))


def test_a_rectangle_turned_by_30_degrees():
    """36 x 15 mm: its diagonal is 39 mm, and 15 / (36 / 39) = 16.25 mm are across that."""
    geometry = axial((1, 300, 300), (5.0, 0.2, 0.2))
    c, s = math.cos(math.pi / 6), 0.5
    mask = drawn(geometry, lambda x, y: (abs(c * x + s * y) <= 18) & (abs(c * y - s * x) <= 7.5))
    found = diameters_of(mask, geometry)
    assert found.longest_mm == pytest.approx(39, abs=0.3)
    assert found.perpendicular_mm == pytest.approx(16.25, abs=0.3)


def test_the_two_are_perpendicular_to_each_other_in_the_patient():
    """Also where pixels are not square."""
    geometry = axial((1, 100, 100), (5.0, 0.4, 0.9))
    mask = drawn(geometry, lambda x, y: (x / 16 + y / 30) ** 2 + ((x - y) / 9) ** 2 <= 1)
    found = diameters_of(mask, geometry)
    a, b = (np.subtract(*pair) for pair in (found.longest, found.perpendicular))
    assert float(a @ b) == pytest.approx(0.0, abs=1e-6)
    assert float(np.linalg.norm(a)) == pytest.approx(found.longest_mm)
    assert float(np.linalg.norm(b)) == pytest.approx(found.perpendicular_mm)


def test_a_ring_is_measured_across():
    """Outer radius 15 mm, inner 11 mm: 30 mm both ways, through what it encloses."""
    geometry = axial((1, 100, 100), (1.0, 0.5, 0.5))
    mask = drawn(geometry, lambda x, y: (x**2 + y**2 <= 225) & (x**2 + y**2 >= 121))
    found = diameters_of(mask, geometry)
    assert found.longest_mm == pytest.approx(30, abs=0.5)
    assert found.perpendicular_mm == pytest.approx(30, abs=0.6)


def test_ends_lie_on_the_lesion_where_it_is_hollow():
    """Half of a ring: 40 mm from tip to tip, and across from the chord to the arc no more than 20.

    Its convex hull would be as deep, but a chord of the hull has ends where no lesion is.
    """
    geometry = axial((1, 200, 200), (1.0, 0.3, 0.3))
    mask = drawn(geometry, lambda x, y: (x**2 + y**2 <= 400) & (x**2 + y**2 >= 256) & (y > 0))
    found = diameters_of(mask, geometry)
    assert found.longest_mm == pytest.approx(40, abs=0.4)
    # Straight up from the inner edge at x = 16 to the outer one: sqrt(400 - 256) = 12 mm.
    assert found.perpendicular_mm == pytest.approx(12, abs=0.5)


def test_the_slice_with_the_longest_diameter_counts():
    """Slice 2 is longer and narrower than slice 1; both diameters are of slice 2."""
    geometry = axial((4, 30, 30), (2.0, 1.0, 1.0))
    mask = np.zeros(geometry.shape, bool)
    mask[1, 5:20, 5:20] = True
    mask[2, 10:13, 2:28] = True
    found = diameters_of(mask, geometry)
    assert found.slice_index == 2
    # From the left edge of one row to the right edge of the next but one: 26 along and 2 across.
    assert found.longest_mm == pytest.approx(26.076810)
    assert {round(point[2], 6) for point in (*found.longest, *found.perpendicular)} == {24.0}


def test_of_equal_slices_the_one_with_the_longer_perpendicular_counts():
    """Both rows are 20 mm long; that of slice 2 is two pixels wider in its middle."""
    geometry = axial((4, 30, 30), (2.0, 1.0, 1.0))
    mask = np.zeros(geometry.shape, bool)
    mask[1, 10, 5:25] = mask[2, 10, 5:25] = True
    mask[2, 9:12, 14:16] = True
    found = diameters_of(mask, geometry)
    assert (found.slice_index, found.longest_mm, found.perpendicular_mm) == (
        2,
        pytest.approx(20.0),
        pytest.approx(3.0),
    )


@pytest.mark.parametrize("turn", ["sagittal", "coronal", "oblique"])
def test_diameters_do_not_hang_on_how_the_slices_lie(turn, new_series):
    """The same pixels measure the same in any orientation, with ends in the plane of the slice."""
    geometry = new_series(turn, shape=(5, 60, 70), spacing=(4.0, 0.9, 0.7)).labels.geometry
    mask = drawn(geometry, lambda x, y: (x / 18) ** 2 + (y / 10) ** 2 <= 1)
    found = diameters_of(mask, geometry)
    flat = axial((5, 60, 70), (4.0, 0.9, 0.7))
    same = diameters_of(mask, flat)
    assert found.longest_mm == pytest.approx(same.longest_mm)
    assert found.perpendicular_mm == pytest.approx(same.perpendicular_mm)
    index = geometry.index([*found.longest, *found.perpendicular])
    np.testing.assert_allclose(index[:, 0], 2.0, atol=1e-6)
    np.testing.assert_allclose(index, flat.index([*same.longest, *same.perpendicular]), atol=1e-6)


def test_pixels_that_touch_at_a_corner_are_outlined_as_one():
    """Four pieces for each pixel alone; two corners are cut off where two of them touch."""
    apart, touching = np.zeros((4, 6), bool), np.zeros((4, 4), bool)
    apart[1, 1] = apart[2, 4] = True
    touching[1, 1] = touching[2, 2] = True
    assert len(outline(apart)) == 8
    pieces = {tuple(map(tuple, piece)) for piece in outline(touching)}
    assert ((1.0, 1.5), (1.5, 2.0)) in pieces
    assert ((2.0, 1.5), (1.5, 1.0)) in pieces
