"""Patches over a volume: expected values are written out, on volumes small enough to read."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from engine.patches import average, blending, computed, grown, pad_to, starts, window
from study.errors import RefusedError


def box(size: int, low: int, high: int) -> np.ndarray:
    """A line of voxels along the last axis, of which [low, high) is brain."""
    mask = np.zeros((1, 1, size), bool)
    mask[..., low:high] = True
    return mask


def along(mask: np.ndarray, length: int, overlap: float) -> list[int]:
    """Starts on the last axis."""
    return starts(mask, (1, 1, length), overlap)[:, 2].tolist()


@pytest.mark.parametrize(
    ("size", "low", "high", "length", "overlap", "expected"),
    [
        (10, 0, 10, 5, 0.0, [0, 5]),
        (10, 0, 10, 5, 0.4, [0, 2, 5]),
        (10, 0, 10, 4, 0.0, [0, 3, 6]),
        (10, 0, 10, 10, 0.5, [0]),
        (20, 8, 12, 4, 0.0, [8]),
        (20, 8, 10, 6, 0.0, [6]),
        (20, 0, 2, 6, 0.0, [0]),
        (20, 18, 20, 6, 0.0, [14]),
    ],
)
def test_patches_are_spread_evenly_over_the_box_of_the_brain(
    size: int, low: int, high: int, length: int, overlap: float, expected: list[int]
) -> None:
    assert along(box(size, low, high), length, overlap) == expected


def test_patches_without_brain_are_left_out() -> None:
    mask = box(20, 0, 3)
    mask[..., 18:] = True
    assert along(mask, 5, 0.0) == [0, 15]


def test_an_empty_mask_has_no_patch() -> None:
    assert starts(np.zeros((4, 4, 4), bool), (2, 2, 2), 0.5).shape == (0, 3)


@pytest.mark.parametrize("seed", range(20))
def test_every_voxel_of_any_brain_lies_in_a_patch_and_neighbours_overlap(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(6, 20, 3))
    mask = rng.random(shape) > 0.98
    mask[tuple(n // 2 for n in shape)] = True
    patch, overlap = (4, 6, 5), float(rng.uniform(0, 0.8))
    at = starts(mask, patch, overlap)
    covered = np.zeros(shape, bool)
    for start in at:
        assert mask[window(start, patch)].any()
        assert covered[window(start, patch)].shape == patch
        covered[window(start, patch)] = True
    assert not (mask & ~covered).any()
    whole = starts(np.ones(shape, bool), patch, overlap)
    for axis in range(3):
        for a, b in pairwise(sorted(set(whole[:, axis]))):
            assert b - a <= max(1, int(patch[axis] * (1 - overlap)))


@pytest.mark.parametrize("overlap", [-0.1, 1.0, float("nan")])
def test_an_overlap_that_is_no_part_is_refused(overlap: float) -> None:
    with pytest.raises(RefusedError, match="overlap by a part of 0 to less than 1"):
        starts(np.ones((4, 4, 4), bool), (2, 2, 2), overlap)


def test_a_volume_smaller_than_a_patch_is_refused() -> None:
    with pytest.raises(RefusedError, match="smaller than a patch of"):
        starts(np.ones((4, 4, 4), bool), (2, 8, 2), 0.0)


def test_padding_appends_at_the_end_and_only_where_needed() -> None:
    array = np.ones((2, 1, 2, 3), np.float32)
    padded = pad_to(array, (1, 4, 2), -7)
    assert padded.shape == (2, 1, 4, 3)
    assert padded[1, 0].tolist() == [[1, 1, 1], [1, 1, 1], [-7, -7, -7], [-7, -7, -7]]
    assert pad_to(array, (1, 2, 3), -7) is array


def test_constant_patches_are_averaged_as_written_here() -> None:
    """A 4x4 image, patches of 2x2 that begin at 0, 1 and 2, numbered in reading order."""
    at = np.array([(0, i, j) for i in (0, 1, 2) for j in (0, 1, 2)])
    answers = ((s, np.full((1, 1, 2, 2), n, np.float32)) for n, s in enumerate(at))
    mean, covered = average(answers, blending((1, 2, 2), "constant"), (1, 4, 4))
    assert mean[0, 0].tolist() == [
        [0.0, 0.5, 1.5, 2.0],
        [1.5, 2.0, 3.0, 3.5],
        [4.5, 5.0, 6.0, 6.5],
        [6.0, 6.5, 7.5, 8.0],
    ]
    assert covered.all()


def test_hann_weights_are_those_written_here() -> None:
    """Two patches of 4 that share two voxels: sin2 of 22.5 and 67.5 degrees, over the latter."""
    low, high = 0.1464466 / 0.8535534, 1.0
    weight = blending((1, 1, 4), "hann")
    np.testing.assert_allclose(weight[0, 0], [low, high, high, low], rtol=1e-6)
    answers = iter(
        [
            (np.array([0, 0, 0]), np.full((1, 1, 1, 4), 1, np.float32)),
            (np.array([0, 0, 2]), np.full((1, 1, 1, 4), 3, np.float32)),
        ]
    )
    mean, _ = average(answers, weight, (1, 1, 6))
    third = (high * 1 + low * 3) / (high + low)
    fourth = (low * 1 + high * 3) / (high + low)
    np.testing.assert_allclose(mean[0, 0, 0], [1, 1, third, fourth, 3, 3], rtol=1e-6)


def test_voxels_without_a_patch_are_zero_and_said_not_to_be_covered() -> None:
    answers = iter([(np.array([0, 0, 1]), np.full((1, 1, 1, 2), 5, np.float32))])
    mean, covered = average(answers, blending((1, 1, 2), "constant"), (1, 1, 4))
    assert mean[0, 0, 0].tolist() == [0, 5, 5, 0]
    assert covered[0, 0].tolist() == [False, True, True, False]


@pytest.mark.parametrize("kind", ["constant", "hann", "gaussian"])
@pytest.mark.parametrize("patch", [(64, 64, 64), (1, 1, 1), (3, 8, 5)])
def test_every_weight_is_positive_symmetric_and_at_most_one(
    kind: str, patch: tuple[int, int, int]
) -> None:
    weight = blending(patch, kind)  # type: ignore[arg-type]
    assert weight.min() > 0
    assert weight.max() == 1
    np.testing.assert_allclose(weight, weight[::-1, ::-1, ::-1], rtol=1e-5)


def test_no_patch_at_all_is_refused() -> None:
    with pytest.raises(RefusedError, match="there is no patch to average"):
        average(iter(()), blending((1, 1, 2), "constant"), (1, 1, 4))


def test_a_callable_sees_batches_and_progress_ends_with_one() -> None:
    image = np.arange(10, dtype=np.float32).reshape(1, 1, 1, 10)
    at = np.array([[0, 0, 0], [0, 0, 2], [0, 0, 8]])
    seen: list[list[float]] = []
    told: list[float] = []

    def double(stack: np.ndarray) -> np.ndarray:
        seen.append(stack.ravel().tolist())
        return 2 * stack

    found = [(s[2], a.ravel().tolist()) for s, a in
             computed(double, image, at, (1, 1, 2), batch=2, progress=told.append)]  # fmt: skip
    assert found == [(0, [0, 2]), (2, [4, 6]), (8, [16, 18])]
    assert seen == [[0, 1, 2, 3], [8, 9]]
    assert told == [pytest.approx(2 / 3), 1.0]


@pytest.mark.parametrize(
    ("box", "most", "expected"),
    [
        # 10 and a margin of 2 on each side are 14, which 16 hold.
        ((10, 10, 10), 16**3, (16, 16, 16)),
        # 14, 14 and 30 would be 16, 16 and 32; cut in two, with 4 shared, 34 / 2 = 17 is 24.
        ((10, 10, 26), 16 * 16 * 24, (16, 16, 24)),
        # Cut in three: 38 / 3 is 16.
        ((10, 10, 26), 16**3, (16, 16, 16)),
        # So small that they could not overlap: it takes what it must.
        ((10, 10, 10), 1, (8, 8, 8)),
    ],
)
def test_patches_grow_until_memory_ends(
    box: tuple[int, int, int], most: int, expected: tuple[int, int, int]
) -> None:
    mask = np.zeros((30, 30, 30), bool)
    mask[tuple(slice(2, 2 + n) for n in box)] = True
    assert grown(mask, 8, 4, most, 2) == expected
