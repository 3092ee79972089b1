"""Tests of `engine.metrics`."""

import math

import numpy as np

from engine.metrics import LesionCount, hausdorff95, lesions


def test_hausdorff_of_two_single_voxels_is_their_distance_in_mm():
    a, b = np.zeros((5, 5, 5), bool), np.zeros((5, 5, 5), bool)
    a[0, 2, 2], b[2, 2, 2] = True, True
    assert hausdorff95(a, b, (3.0, 1.0, 1.0)) == 6.0


def test_hausdorff_of_an_empty_mask_is_not_a_number():
    a = np.zeros((3, 3, 3), bool)
    b = a.copy()
    b[1, 1, 1] = True
    assert math.isnan(hausdorff95(a, b, (1.0, 1.0, 1.0)))
    assert hausdorff95(a, a, (1.0, 1.0, 1.0)) == 0.0


def test_lesions_are_counted_as_found_when_touched_and_false_when_alone():
    truth, outline = np.zeros((1, 6, 10), bool), np.zeros((1, 6, 10), bool)
    truth[0, 0:2, 0:2] = True  # touched
    truth[0, 4:6, 0:2] = True  # missed
    outline[0, 1:3, 1:3] = True
    outline[0, 0:2, 7:9] = True  # invented
    assert lesions(outline, truth, 1.0) == LesionCount(lesions=2, found=1, false=1)


def test_small_lesions_count_on_neither_side():
    truth, outline = np.zeros((1, 3, 9), bool), np.zeros((1, 3, 9), bool)
    truth[0, 0, 0], outline[0, 0, 8] = True, True
    assert lesions(outline, truth, voxel_ml=0.4) == LesionCount(0, 0, 0)
