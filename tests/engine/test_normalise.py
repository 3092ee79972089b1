"""Tests of `engine.normalise`."""

import numpy as np
import pytest

from engine.normalise import DROPPED, OUTSIDE, Scale, normalise, normalise_head, scaled, scales
from study.errors import RefusedError


def _image() -> np.ndarray:
    """Values 0..26 in a cube; quartiles 6.5, 13, 19.5."""
    return np.arange(27, dtype=np.float32).reshape(1, 3, 3, 3)


def test_half_robust_scores_inside_and_a_constant_outside():
    brain = np.ones((3, 3, 3), bool)
    brain[0, 0, 0] = False
    # Inside are 1..26: median 13.5, quartiles 7.25 and 19.75, scale 12.5 / 1.349 = 9.266.
    result = normalise(_image(), brain, 1.0)
    assert result[0, 0, 0, 0] == OUTSIDE
    assert result[0, 2, 2, 2] == pytest.approx((26 - 13.5) / 9.26612 / 2, abs=1e-4)
    assert np.median(result[0][brain]) == pytest.approx(0.0, abs=1e-6)


def test_scaling_and_shifting_an_image_changes_nothing():
    brain = np.ones((3, 3, 3), bool)
    np.testing.assert_allclose(
        normalise(_image(), brain, 1.0), normalise(_image() * 7.0 + 100.0, brain, 1.0), atol=1e-5
    )


def test_outliers_are_clipped():
    image = _image()
    image[0, 1, 1, 1] = 1e6
    assert normalise(image, np.ones((3, 3, 3), bool), 1.0).max() == 4.0


def test_a_missing_channel_becomes_the_dropped_value_everywhere():
    image = np.concatenate([_image(), np.full((1, 3, 3, 3), np.nan, np.float32)])
    assert (normalise(image, np.ones((3, 3, 3), bool), 1.0)[1] == DROPPED).all()


def test_an_empty_brain_is_refused():
    with pytest.raises(RefusedError, match="no brain was found"):
        normalise(_image(), np.zeros((3, 3, 3), bool), 1.0)


def test_a_constant_channel_is_refused():
    with pytest.raises(RefusedError, match="constant inside the brain"):
        normalise(np.ones((1, 3, 3, 3), np.float32), np.ones((3, 3, 3), bool), 1.0)


def test_head_is_scaled_by_its_median_and_air_stays_near_zero():
    head = np.zeros((1, 4, 4, 4), np.float32)
    head[0, 1:3] = 50.0
    result = normalise_head(head)
    assert result.max() == 1.0
    assert result.min() == 0.0


def test_a_constant_head_is_refused():
    with pytest.raises(RefusedError, match="channel 0 is constant"):
        normalise_head(np.zeros((1, 4, 4, 4), np.float32))


def test_what_was_measured_on_one_grid_scales_the_images_of_another():
    """Values 0..26: median 13, quartiles 6.5 and 19.5, so a width of 13 / 1.349 = 9.637."""
    measured = scales(_image(), np.ones((3, 3, 3), bool), 1.0)
    assert measured == (Scale(13.0, pytest.approx(9.63677, abs=1e-4)),)
    brain = np.array([[[True, True, False]]])
    result = scaled(np.full((1, 1, 1, 3), 22.63677, np.float32), brain, measured)
    np.testing.assert_allclose(result, [[[[0.5, 0.5, OUTSIDE]]]], atol=1e-5)


def test_a_channel_that_was_missing_stays_dropped():
    brain = np.ones((3, 3, 3), bool)
    [measured] = scales(np.full((1, 3, 3, 3), np.nan), brain, 1.0)
    assert measured is None
    assert (scaled(_image(), brain, [None]) == DROPPED).all()
