"""Tests of `engine.normalisations`."""

import numpy as np
import pytest

from engine.normalisations import Z_NORMALISATION, Z_OUTSIDE, normalisation, z_scales
from engine.normalise import DROPPED, NORMALISATION, OUTSIDE, normalise
from study.errors import RefusedError


def _image() -> np.ndarray:
    """Values 1, 3 in the brain and 100 outside, twice; the second channel is missing."""
    image = np.full((2, 1, 1, 4), np.nan, np.float32)
    image[0, 0, 0] = (1, 3, 100, 100)
    return image


BRAIN = np.array([[[True, True, False, False]]])


def test_plain_z_scores_over_the_brain():
    # Mean 2, standard deviation 1.
    result = normalisation(Z_NORMALISATION)(_image(), BRAIN, 1.0)
    assert result[0, 0, 0].tolist() == [-1.0, 1.0, Z_OUTSIDE, Z_OUTSIDE]
    assert (result[1] == DROPPED).all()
    assert result.dtype == np.float32


def test_plain_z_scores_are_not_clipped():
    image = np.zeros((1, 1, 1, 101), np.float32)
    image[0, 0, 0, 0] = 1.0
    # Mean 1 / 101; the one bright voxel is 10 standard deviations above.
    result = normalisation(Z_NORMALISATION)(image, np.ones((1, 1, 101), bool), 1.0)
    assert result.max() == pytest.approx(10.0, abs=1e-4)


def test_the_robust_way_is_found_by_its_name():
    images = np.random.default_rng(0).normal(size=(1, 6, 6, 6)).astype(np.float32)
    brain = np.ones((6, 6, 6), bool)
    way = normalisation(NORMALISATION)
    assert way.outside == OUTSIDE
    np.testing.assert_array_equal(way(images, brain, 1.0), normalise(images, brain, 1.0))


def test_an_unknown_name_is_refused():
    with pytest.raises(RefusedError, match="normalisation 'min-max/1' is unknown"):
        normalisation("min-max/1")


def test_an_empty_brain_and_a_constant_channel_are_refused():
    with pytest.raises(RefusedError, match="no brain was found"):
        z_scales(_image(), np.zeros((1, 1, 4), bool))
    with pytest.raises(RefusedError, match="constant inside the brain"):
        z_scales(np.ones((1, 1, 1, 4), np.float32), BRAIN)
