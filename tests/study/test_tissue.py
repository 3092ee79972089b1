"""Tests of `study.tissue` and `study.agreement`."""

import numpy as np
import pytest

from study.agreement import centre_of_mass, dice
from study.errors import RefusedError
from study.tissue import BRATS_2013, BRATS_2017, region, renumber
from study.volume import Geometry


def test_brats_2017_numbers_are_translated():
    np.testing.assert_array_equal(renumber(np.array([0, 1, 2, 4]), BRATS_2017), [0, 1, 2, 3])


def test_brats_2013_counts_its_third_class_as_core():
    np.testing.assert_array_equal(renumber(np.array([0, 1, 2, 3, 4]), BRATS_2013), [0, 1, 2, 1, 3])


def test_a_number_outside_the_declared_map_is_refused():
    with pytest.raises(RefusedError, match=r"labels \[3\] occur"):
        renumber(np.array([0, 3]), BRATS_2017)


def test_regions_are_those_of_brats():
    labels = np.array([0, 1, 2, 3])
    np.testing.assert_array_equal(region(labels, "enhancing"), [False, False, False, True])
    np.testing.assert_array_equal(region(labels, "core"), [False, True, False, True])
    np.testing.assert_array_equal(region(labels, "whole"), [False, True, True, True])


def test_dice_of_half_overlap_and_of_nothing():
    a = np.array([True, True, False, False])
    b = np.array([False, True, True, False])
    assert dice(a, b) == 0.5
    assert dice(a, ~a) == 0.0
    assert dice(a & b & False, a & False) == 1.0


def test_centre_of_mass_is_in_mm_and_nan_for_nothing():
    geometry = Geometry((1, 1, 3), np.diag([1.0, 1.0, 2.0, 1.0]), "1.2")
    np.testing.assert_allclose(
        centre_of_mass(np.array([[[True, False, True]]]), geometry), (0.0, 0.0, 2.0)
    )
    assert np.isnan(centre_of_mass(np.zeros((1, 1, 3), bool), geometry)).all()
