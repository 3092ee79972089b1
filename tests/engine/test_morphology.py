"""Tests of `engine.morphology`."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from engine.morphology import blurred, closed, dilated, distance, eroded, opened, shifted


def _point(size: int = 7) -> torch.Tensor:
    mask = torch.zeros(size, size, size, dtype=torch.bool)
    mask[size // 2, size // 2, size // 2] = True
    return mask


@pytest.fixture
def blobs() -> torch.Tensor:
    noise = np.random.default_rng(0).standard_normal((14, 17, 12))
    return torch.from_numpy(ndimage.gaussian_filter(noise, 1.0) > 0.05)


def test_one_step_takes_in_the_six_neighbours_and_two_steps_an_octahedron():
    assert int(dilated(_point()).sum()) == 7
    assert int(dilated(_point(), 2).sum()) == 25


def test_growing_and_shrinking_agree_with_scipy(blobs):
    array = blobs.numpy()
    for steps in (1, 2):
        grown = ndimage.binary_dilation(array, iterations=steps)
        np.testing.assert_array_equal(dilated(blobs, steps).numpy(), grown)
        shrunk = ndimage.binary_erosion(array, iterations=steps)
        np.testing.assert_array_equal(eroded(blobs, steps).numpy(), shrunk)
        without_thin = ndimage.binary_opening(array, iterations=steps)
        np.testing.assert_array_equal(opened(blobs, steps).numpy(), without_thin)
        padded = ndimage.binary_closing(np.pad(array, 5), iterations=steps)[5:-5, 5:-5, 5:-5]
        np.testing.assert_array_equal(closed(blobs, steps).numpy(), padded)


def test_distance_counts_steps_and_stops_at_the_limit():
    found = distance(_point(9), 3)
    assert found[4, 4].tolist() == [4.0, 3.0, 2.0, 1.0, 0.0, 1.0, 2.0, 3.0, 4.0]
    assert float(found[3, 3, 3]) == 2.0  # a corner: one step over corners, the second one


def test_a_blur_keeps_the_sum_and_agrees_with_scipy():
    image = torch.zeros(15, 15, 15)
    image[7, 7, 7] = 8.0
    found = blurred(image, 0.8)
    assert float(found.sum()) == pytest.approx(8.0, rel=1e-5)
    expected = ndimage.gaussian_filter(image.numpy(), 0.8, mode="nearest")
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_no_blur_changes_nothing():
    image = torch.rand(3, 3, 3)
    assert torch.equal(blurred(image, 0.0), image)


def test_an_image_moves_by_whole_and_by_half_voxels():
    line = torch.tensor([0.0, 4.0, 0.0, 0.0]).reshape(1, 1, 4)
    assert shifted(line, (0.0, 0.0, 1.0)).flatten().tolist() == [0.0, 0.0, 4.0, 0.0]
    assert shifted(line, (0.0, 0.0, -0.5)).flatten().tolist() == [2.0, 2.0, 0.0, 0.0]
    assert shifted(line, (0.0, 0.0, 0.25)).flatten().tolist() == [0.0, 3.0, 1.0, 0.0]
