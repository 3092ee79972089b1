"""Tests of `engine.crops`: where patches lie."""

import numpy as np
import pytest

from engine.crops import Example, appended, crops, stacked, windows
from study.errors import RefusedError


def _example(shape=(12, 12, 12), **classes: tuple[int, int, int]) -> Example:
    """Background, and one voxel of each named class."""
    labels = np.zeros(shape, np.uint8)
    for name, at in classes.items():
        labels[at] = int(name.removeprefix("c"))
    return Example(np.stack([labels] * 3).astype(np.float16), labels, np.ones(shape, bool))


def _centre(window: tuple[slice, slice, slice]) -> tuple[int, ...]:
    return tuple((s.start + s.stop) // 2 for s in window)


def _draw(example: Example, strategy: str, count: int, edge: int = 4, seed: int = 0):
    return windows(example, strategy, count, edge, np.random.default_rng(seed))


def test_random_patches_reach_every_corner_and_stay_inside():
    found = _draw(_example(), "random", 400)
    starts = np.array([[s.start for s in window] for window in found])
    assert (starts.min(axis=0) == 0).all()
    assert (starts.max(axis=0) == 8).all()
    assert {s.stop - s.start for window in found for s in window} == {4}


def test_balanced_patches_have_each_class_that_occurs_equally_often_at_the_centre():
    """One voxel of 1 and one of 3 among 1728: a third of the patches each; no 2 is there."""
    example = _example(c1=(5, 5, 5), c3=(7, 6, 5))
    centres = [_centre(w) for w in _draw(example, "balanced", 600)]
    classes = np.bincount([example.labels[c] for c in centres], minlength=4)
    assert classes[2] == 0
    assert classes.sum() == 600
    # The standard deviation of each count is 12.
    assert np.abs(classes[[0, 1, 3]] - 200).max() < 50


def test_balanced_patches_of_a_class_at_the_border_are_moved_inwards():
    example = _example(c3=(0, 11, 5))
    rims = {tuple(s.start for s in w) for w in _draw(example, "balanced", 100)}
    assert (0, 8, 3) in rims


def test_labelled_patches_are_centred_on_labelled_voxels():
    example = _example(c1=(5, 5, 5), c2=(7, 6, 5))
    centres = {_centre(w) for w in _draw(example, "labelled", 60)}
    assert centres == {(5, 5, 5), (7, 6, 5)}


def test_labelled_patches_of_a_volume_without_labels_lie_anywhere():
    assert len({str(w) for w in _draw(_example(), "labelled", 30)}) > 10


def test_sequential_patches_cover_the_volume_once():
    """Ten voxels by patches of four: 0, 4 and, so that it ends with the volume, 6."""
    found = _draw(_example((10, 4, 8)), "sequential", 1)
    starts = [tuple(s.start for s in window) for window in found]
    assert starts == [(0, 0, 0), (0, 0, 4), (4, 0, 0), (4, 0, 4), (6, 0, 0), (6, 0, 4)]


def test_whole_is_all_of_a_volume():
    assert _draw(_example((10, 4, 8)), "whole", 7) == [(slice(0, 10), slice(0, 4), slice(0, 8))]


def test_five_of_eight_lesion_patches_hold_tumour():
    example = _example((40, 40, 40), c1=(5, 5, 5), c2=(35, 35, 35))
    found = _draw(example, "lesions", 8)
    assert [bool((example.labels[w] == 1).any()) for w in found[:3]] == [True] * 3
    assert [bool(example.labels[w].any()) for w in found[3:5]] == [True] * 2


def test_an_unknown_strategy_is_refused():
    with pytest.raises(RefusedError, match="strategy 'spiral' is none of lesions, random"):
        _draw(_example(), "spiral", 1)


def test_a_small_volume_is_appended_to():
    example = appended(_example((3, 6, 4), c3=(2, 5, 3)), 5, -2.5)
    assert example.labels.shape == (5, 6, 5)
    assert example.labels[2, 5, 3] == 3
    assert example.labels.sum() == 3
    assert (example.images[:, 3:] == -2.5).all()
    assert not example.brain[3:].any()
    assert (example.images[:, 2, 5, 3] == 3).all()


def test_whole_images_of_two_sizes_are_filled_up_to_the_stride():
    rng = np.random.default_rng(0)
    small, large = _example((3, 4, 5)), _example((6, 4, 4))
    taken = [(e, _draw(e, "whole", 1)[0]) for e in (small, large)]
    images, labels = stacked(taken, rng, stride=4, outside=-4.0)
    assert images.shape == (2, 3, 8, 4, 8)
    assert labels.shape == (2, 8, 4, 8)
    assert (images[0, :, 3:] == -4.0).all()
    assert (images[0, :, :3, :, :5] == 0.0).all()
    assert not labels.any()


@pytest.mark.parametrize("strategy", ["random", "balanced", "labelled", "sequential", "whole"])
def test_images_and_labels_stay_together(strategy):
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 4, (9, 10, 11)).astype(np.uint8)
    example = Example(np.stack([labels] * 3).astype(np.float16), labels, labels >= 0)
    images, found = crops([example], 6, 5, rng, strategy)
    np.testing.assert_array_equal(images[:, 1].numpy(), found.numpy())
