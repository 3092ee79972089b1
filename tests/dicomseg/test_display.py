from __future__ import annotations

import numpy as np
import pytest

from dicomseg.display import body_box, place_of_slice, sides
from study.volume import Geometry

AXIAL = ((0, 0, 5), (0, 1, 0), (1, 0, 0))
SAGITTAL = ((-5, 0, 0), (0, 0, -1), (0, 1, 0))
CORONAL = ((0, 5, 0), (0, 0, -1), (1, 0, 0))
OBLIQUE = ((0, -3, 4), (-5 / 13, 48 / 65, 36 / 65), (12 / 13, 4 / 13, 3 / 13))


def grid(axes, origin=(-10.0, 20.0, 30.0), shape=(3, 11, 21)) -> Geometry:
    """Axes as steps along slices, rows and columns of the array."""
    affine = np.eye(4)
    affine[:3, :3] = np.array(axes, float).T
    affine[:3, 3] = origin
    return Geometry(shape, affine, "1.2.3")


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        (AXIAL, ("R", "L", "A", "P")),
        (CORONAL, ("R", "L", "H", "F")),
        (SAGITTAL, ("A", "P", "H", "F")),
        # To the right: 0.92 left, 0.31 back, 0.23 up. Down: 0.74 back, 0.55 up, 0.38 right.
        (OBLIQUE, ("RA", "LP", "AFL", "PHR")),
        # Rows run to the front and columns to the right: both are reversed.
        (((0, 0, 5), (0, -1, 0), (-1, 0, 0)), ("R", "L", "A", "P")),
        # Rows exchanged with columns.
        (((0, 0, 5), (1, 0, 0), (0, 1, 0)), ("R", "L", "A", "P")),
    ],
)
def test_sides_of_a_picture(axes, expected):
    """Left, right, top and bottom, whatever the axes of the array."""
    assert sides(grid(axes)) == expected


@pytest.mark.parametrize(
    ("axes", "k", "expected"),
    [
        (AXIAL, 0, "H 30.0 mm"),
        (AXIAL, 2, "H 40.0 mm"),
        (((0, 0, -20), (0, 1, 0), (1, 0, 0)), 2, "F 10.0 mm"),
        (SAGITTAL, 1, "R 15.0 mm"),
        (CORONAL, 2, "P 30.0 mm"),
        # 30 + 4 + 5 * 36/65 + 10 * 3/13: the middle is at row 5 and column 10.
        (OBLIQUE, 1, "H 39.1 mm"),
    ],
)
def test_place_of_a_slice(axes, k, expected):
    """Along the axis that the slices are nearest to, at their middle."""
    assert place_of_slice(grid(axes), k) == expected


def head(rows=slice(20, 70), columns=slice(30, 60)):
    grey = np.zeros((2, 100, 80), np.uint8)
    grey[:, rows, columns] = 90
    return grey


def test_the_box_is_the_body_with_a_border():
    """50 rows and 30 columns, with 4 % around: 2 and 1."""
    nothing = np.zeros((2, 100, 80), bool)
    assert body_box(head(), nothing) == (slice(18, 72), slice(29, 61))


def test_what_is_outlined_is_never_cut_off():
    """Also outside of what is bright: rows 5 to 69, 65 of them, with 3 around."""
    shown = np.zeros((2, 100, 80), bool)
    shown[1, 5, 40] = True
    assert body_box(head(), shown) == (slice(2, 73), slice(29, 61))


def test_specks_are_no_body_and_darkness_is_shown_whole():
    """One bright pixel of 160 in a row is noise."""
    grey = head()
    grey[0, 3, 3] = 255
    nothing = np.zeros((2, 100, 80), bool)
    assert body_box(grey, nothing) == (slice(18, 72), slice(29, 61))
    rows, columns = body_box(np.zeros_like(grey), nothing)
    assert (rows, columns) == (slice(0, 100), slice(0, 80))


def test_a_border_ends_where_the_picture_does():
    """Of a head that fills it."""
    rows, columns = body_box(head(slice(0, 100), slice(0, 80)), np.zeros((2, 100, 80), bool))
    grey = head(slice(0, 100), slice(0, 80))
    assert grey[0][rows, columns].shape == (100, 80)
