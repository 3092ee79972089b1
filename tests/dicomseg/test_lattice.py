from __future__ import annotations

import numpy as np
import pytest

from dicomseg.lattice import (
    lies_within,
    onto_same_voxels,
    resample_mask,
    voxel_map,
)
from study.volume import Geometry


def grid(shape, spacing=(1.0, 1.0, 1.0), origin=(0.0, 0.0, 0.0)):
    """Axes (slice, row, column) along z, y and x."""
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0, 0, spacing[2]], [0, spacing[1], 0], [spacing[0], 0, 0]])
    affine[:3, 3] = origin
    return Geometry(shape, affine, "1.2.3")


def test_voxels_are_moved_by_exchange_reversal_and_crop():
    """A 2 x 2 slice, seen from the other end with its axes exchanged."""
    array = np.array([[[1, 2], [3, 4]]])
    source = grid((1, 2, 2))
    affine = source.affine.copy()
    # Rows of the target run along +x, columns along -y; it begins at the source's [0, 1, 0].
    affine[:3, 1], affine[:3, 2] = source.affine[:3, 2], -source.affine[:3, 1]
    affine[:3, 3] = source.world((0, 1, 0))
    target = Geometry((1, 2, 2), affine, "1.2.3")
    np.testing.assert_array_equal(onto_same_voxels(array, source, target), [[[3, 1], [4, 2]]])


def test_a_longer_and_a_shorter_grid():
    """Voxels that the source lacks are zero; those that the target lacks are gone."""
    array = np.arange(1, 5).reshape(4, 1, 1)
    source = grid((4, 1, 1))
    target = grid((4, 1, 1), origin=(0, 0, 2.0))
    np.testing.assert_array_equal(onto_same_voxels(array, source, target).ravel(), [3, 4, 0, 0])
    assert not lies_within(target, source)
    assert lies_within(grid((2, 1, 1), origin=(0, 0, 2.0)), source)
    assert not lies_within(grid((2, 1, 1), origin=(0, 0, -1.0)), source)


@pytest.mark.parametrize(
    "other",
    [
        grid((4, 4, 4), origin=(0.3, 0, 0)),
        grid((4, 4, 4), spacing=(1.0, 1.0, 1.1)),
        grid((2, 4, 4), spacing=(2.0, 1.0, 1.0)),
    ],
)
def test_other_voxels_are_not_matched(other):
    """Shifted, stretched or coarser."""
    assert voxel_map(grid((4, 4, 4)), other) is None
    assert onto_same_voxels(np.ones((4, 4, 4)), grid((4, 4, 4)), other) is None


def test_rounded_positions_are_matched():
    """Seven digits, as some writers keep."""
    assert voxel_map(grid((4, 4, 4)), grid((4, 4, 4), origin=(0.004, -0.003, 0.002))) is not None


def test_a_mask_on_a_finer_grid():
    """Two voxels of 2 mm are four of 1 mm between the same planes, by linear interpolation."""
    mask = np.zeros((1, 1, 6), bool)
    mask[0, 0, 2:4] = True
    coarse = grid((1, 1, 6), spacing=(1.0, 1.0, 2.0))
    fine = grid((1, 1, 11))
    found = resample_mask(mask, coarse, fine)
    # Centres 4 and 6 mm are inside; 3 and 7 mm lie half-way to the outside: one half counts.
    np.testing.assert_array_equal(np.flatnonzero(found), [3, 4, 5, 6, 7])


def test_a_mask_outside_the_target_is_lost():
    """Nothing is found, and nothing fails."""
    mask = np.ones((2, 2, 2), bool)
    far = grid((3, 3, 3), origin=(50.5, 0, 0))
    assert not resample_mask(mask, grid((2, 2, 2)), far).any()
    assert not resample_mask(np.zeros((2, 2, 2), bool), grid((2, 2, 2)), grid((3, 3, 3))).any()
