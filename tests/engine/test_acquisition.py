"""Tests of `engine.acquisition`: what a scanner may do to an image, and what it may not."""

import numpy as np
import pytest
import torch

from engine.acquisition import Slicing, _ghosted, _through_slices, _truncated, acquired, as_read
from study.tissue import Tissue


def _ball(size: int = 40, radius: float = 9.0) -> torch.Tensor:
    """A bright ball a little off the middle, on darker ground."""
    axes = torch.meshgrid(*(torch.arange(float(size)),) * 3, indexing="ij")
    centre = (21.0, 18.0, 20.0)
    squared = sum((a - c) ** 2 for a, c in zip(axes, centre, strict=True))
    return 100.0 + 900.0 * (squared < radius**2)


def _centre(mask: torch.Tensor) -> torch.Tensor:
    return mask.nonzero().float().mean(0)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("thickness", "axis"), [(1.0, 0), (3.0, 0), (3.0, 2)])
def test_what_is_seen_stays_where_it_is(seed: int, thickness: float, axis: int):
    """An image that holds its own label: half the brightness lies where the label lies."""
    ball = _ball()
    rng = np.random.default_rng(seed)
    image = acquired(ball, thickness, axis, 2.0, rng, move=False)
    assert image.shape == ball.shape
    inside, outside = image[ball > 500].median(), image[ball < 500].median()
    seen = image > 0.5 * (inside + outside)
    near = (slice(8, 34), slice(5, 31), slice(7, 33))  # ghosts and coils reign farther away
    gap = _centre(seen[near]) - _centre((ball > 500)[near])
    assert float(gap.abs().max()) < 1.0


def test_only_what_may_have_moved_moves():
    ball = _ball()
    gaps = []
    for seed in range(12):
        image = acquired(ball, 1.0, 0, 1.0, np.random.default_rng(seed), move=True)
        seen = image > 0.5 * (image.max() + image.median())
        gaps.append(float((_centre(seen) - _centre(ball > 500)).abs().max()))
    assert max(gaps) > 0.5
    assert max(gaps) < 4.0


def test_thick_slices_average_and_thin_ones_change_nothing():
    steps = torch.arange(8.0)[:, None, None].expand(8, 2, 2)
    assert torch.equal(_through_slices(steps, 1.0, 0), steps)
    thick = _through_slices(steps, 2.0, 0)
    # Slices of two voxels: 0.5, 2.5, 4.5, 6.5, then interpolated at quarters.
    assert thick[:, 0, 0].tolist() == [0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 6.5]


def test_enhancement_in_four_tenths_of_a_slice_is_drawn_by_who_favours_it():
    labels = torch.zeros(20, 1, 1, dtype=torch.uint8)
    labels[5:7] = Tissue.ENHANCING  # two of the five voxels of the second slice
    assert as_read(labels, 1.0, 0) is labels
    assert not bool((as_read(labels, 5.0, 0) == Tissue.ENHANCING).any())
    assert bool((as_read(labels, 5.0, 0, favour=2.0) == Tissue.ENHANCING).any())


def test_ringing_keeps_the_mean_and_overshoots_at_an_edge():
    image = torch.ones(2, 32, 32)
    image[:, 8:24, 8:24] = 3.0
    found = _truncated(image, 0.5)
    assert float(found.mean()) == pytest.approx(1.5, rel=1e-3)
    assert float(found.max()) > 3.1


def test_a_ghost_lies_half_a_field_away():
    image = torch.zeros(1, 16, 1)
    image[0, 2, 0] = 1.0
    found = _ghosted(image, 1, np.random.default_rng(1))[0, :, 0]
    assert float(found[2]) == 1.0
    assert 0.0 < float(found[10]) < 0.3


def test_a_study_is_sliced_thick_or_thin_and_a_reader_mostly_draws_on_its_slices():
    drawn = [Slicing.draw(2.0, np.random.default_rng(seed)) for seed in range(200)]
    thickest = max(thickness for s in drawn for thickness, _axis in s.channels)
    assert 3.0 < thickest <= 3.5  # 7 mm in voxels of 2 mm
    shared = sum(len(set(s.channels)) == 1 and s.channels[0][0] > 1.3 for s in drawn)
    assert 40 < shared < 110
    assert 130 < sum(s.read for s in drawn) < 190
