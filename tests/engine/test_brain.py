"""The first pass over the head."""

from __future__ import annotations

import numpy as np
import pytest

from engine.brain import brain_mask, clean_mask, find_brain, stripped
from study.errors import RefusedError


def test_brain_is_brain_and_the_neighbourhood_of_a_tumour() -> None:
    """Logits log(1), log(2), log(5) of three classes: 7 of 8 parts are brain."""
    sizes: list[tuple[int, ...]] = []

    def run(stack: np.ndarray) -> np.ndarray:
        sizes.append(stack.shape)
        logits = np.zeros((1, 3, *stack.shape[2:]), np.float32)
        logits[:, 1], logits[:, 2] = np.log(2), np.log(5)
        return logits

    probability = find_brain(run, np.zeros((3, 9, 16, 2), np.float32))
    assert sizes == [(1, 3, 16, 16, 8)]
    assert probability.shape == (9, 16, 2)
    assert probability.dtype == np.float32
    np.testing.assert_allclose(probability, 7 / 8, rtol=1e-6)


def test_large_logits_do_not_overflow_and_padding_has_the_value_outside() -> None:
    def run(stack: np.ndarray) -> np.ndarray:
        assert stack[0, 0, -1, -1, -1] == -3
        return np.concatenate([stack, 1000 * stack, stack], axis=1)[:, ::2][:, :3]

    images = np.ones((2, 4, 4, 4), np.float32)
    assert find_brain(run, images, outside=-3.0).tolist() == np.ones((4, 4, 4)).tolist()


@pytest.mark.parametrize("images", [np.zeros((4, 4, 4)), np.full((3, 4, 4, 4), np.nan)])
def test_bad_images_are_refused(images: np.ndarray) -> None:
    with pytest.raises(RefusedError, match="finite images"):
        find_brain(lambda stack: stack, images)


def test_the_largest_part_stays_and_its_holes_are_filled() -> None:
    probability = np.zeros((5, 5, 9))
    probability[:, :, :5] = 0.9
    probability[2, 2, 2] = 0.1
    probability[0, 0, 7] = 0.99
    mask = clean_mask(probability)
    assert mask.dtype == bool
    assert mask[:, :, :5].all()
    assert not mask[:, :, 5:].any()


def test_a_voxel_at_the_threshold_is_brain() -> None:
    assert clean_mask(np.full((1, 1, 1), 0.5)).tolist() == [[[True]]]


def test_no_brain_is_said() -> None:
    with pytest.raises(RefusedError, match=r"no brain was found: the highest probability is 0\.40"):
        clean_mask(np.full((3, 3, 3), 0.4))


def test_what_hangs_on_the_brain_by_a_thin_bridge_is_cut_off():
    probability = np.zeros((20, 20, 40), np.float32)
    probability[4:16, 4:16, 4:16] = 1.0  # brain
    probability[9:11, 9:11, 16:26] = 1.0  # bridge, two voxels thick
    probability[6:14, 6:14, 26:32] = 1.0  # eye
    mask = clean_mask(probability, neck=2)
    assert mask[5:15, 5:15, 5:15].all()
    assert not mask[:, :, 20:].any()
    assert clean_mask(probability)[:, :, 28].any()


def test_a_mask_too_thin_to_be_eroded_is_kept():
    probability = np.zeros((9, 9, 9), np.float32)
    probability[4, 2:7, 2:7] = 1.0
    assert clean_mask(probability, neck=2).sum() == 25


def test_the_brain_in_use_needs_six_tenths_and_is_cut_at_eight_millimetres():
    """A bridge of 4 voxels is 8 mm thick at 2 mm, and cut; at 4 mm it is 16, and stays."""
    probability = np.zeros((20, 20, 40), np.float32)
    probability[4:16, 4:16, 4:16] = 0.6  # brain
    probability[3, 4:16, 4:16] = 0.59  # not likely enough
    probability[8:12, 8:12, 16:26] = 1.0  # bridge
    probability[6:14, 6:14, 26:32] = 1.0  # eye
    fine = brain_mask(probability, 2.0)
    assert fine[5:15, 5:15, 5:15].all()
    assert not fine[3].any()
    assert not fine[:, :, 26:].any()
    assert brain_mask(probability, 4.0)[:, :, 28].any()


def test_a_head_without_brain_is_refused():
    with pytest.raises(RefusedError, match=r"highest probability is 0\.59, 0\.60 is needed"):
        brain_mask(np.full((3, 3, 3), 0.59), 2.0)


def _shell(scalp: float) -> tuple[np.ndarray, np.ndarray]:
    """A brain of 20 voxels in two channels, a gap, and a scalp; the brain as it was found."""
    cube = np.zeros((60, 60, 60), np.float32)
    cube[4:56, 4:56, 4:56] = scalp
    cube[14:46, 14:46, 14:46] = 0.0
    cube[20:40, 20:40, 20:40] = 100.0
    cube[30, 30, 30] = 0.0
    found = np.zeros(cube.shape, bool)
    found[22:38, 22:38, 22:38] = True
    return np.stack([cube, np.full_like(cube, np.nan), cube]), found


def test_of_stripped_images_all_that_they_show_is_brain():
    images, found = _shell(scalp=0.0)
    brain = stripped(images, found, 1.0)
    assert brain is not None
    assert brain[20:40, 20:40, 20:40].all()
    assert brain.sum() == 20**3


def test_with_a_scalp_around_the_brain_nothing_was_stripped():
    images, found = _shell(scalp=50.0)
    assert stripped(images, found, 1.0) is None
