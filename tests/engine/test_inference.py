"""Segmentation patch by patch; the network is a function written in the test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from engine.head import Head
from engine.inference import FAR_LOGIT, Patching, features_at, segment
from study.errors import RefusedError

PATCHING = Patching(size=(8, 8, 8), overlap=0.5, batch=3)


def identity_head(features: int = 3) -> Head:
    """Logits that are the features."""
    return Head(np.eye(features, dtype=np.float32), np.zeros(features, np.float32), "")


def random_head(*, images: bool = False) -> Head:
    rng = np.random.default_rng(5)
    weight, bias = rng.normal(size=(4, 3)), rng.normal(size=4)
    return Head(weight, bias, "", rng.normal(size=(4, 9)) if images else None)


def twice(stack: np.ndarray) -> np.ndarray:
    return 2 * stack


def with_context(stack: np.ndarray) -> np.ndarray:
    """Features that depend on where a patch ends, and on which side is which, as a network's do."""
    blurred = ndimage.uniform_filter(stack, (1, 1, 3, 3, 3), mode="constant")
    moved = np.roll(stack, 1, axis=4)
    return np.asarray(blurred + moved**2 + stack.max(axis=(2, 3, 4), keepdims=True), np.float32)


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(3, 20, 18, 22)).astype(np.float32)


@pytest.fixture
def brain() -> np.ndarray:
    mask = np.zeros((20, 18, 22), bool)
    mask[3:15, 2:16, 5:21] = True
    return mask


def test_a_network_without_context_gives_its_answer_whatever_the_patches(
    images: np.ndarray, brain: np.ndarray
) -> None:
    logits = segment(twice, identity_head(), images, brain, PATCHING)
    np.testing.assert_allclose(logits[:, brain], 2 * images[:, brain], rtol=1e-5, atol=1e-5)
    assert logits.dtype == np.float32


def test_where_there_is_no_brain_it_is_background(images: np.ndarray) -> None:
    brain = np.zeros(images.shape[1:], bool)
    brain[:4, :4, :4] = True
    logits = segment(twice, random_head(), images, brain, Patching((8, 8, 8), overlap=0.0))
    assert logits[:, 12, 12, 12].tolist() == [FAR_LOGIT, -FAR_LOGIT, -FAR_LOGIT, -FAR_LOGIT]
    assert (logits[0, ~brain] == FAR_LOGIT).all()
    assert not (logits[0, brain] == FAR_LOGIT).any()


@pytest.mark.parametrize("flips", [((),), ((), (2,)), ((0, 1), (2,), ())])
@pytest.mark.parametrize("kind", ["constant", "gaussian"])
@pytest.mark.parametrize("sees_images", [False, True])
def test_averaging_features_and_then_the_head_is_averaging_logits(
    images: np.ndarray,
    brain: np.ndarray,
    flips: tuple[tuple[int, ...], ...],
    kind: str,
    sees_images: bool,
) -> None:
    head = random_head(images=sees_images)
    voxels = np.argwhere(brain)[::37]
    patching = replace(PATCHING, flips=flips, blending=kind)
    logits = segment(with_context, head, images, brain, patching)
    features = features_at(with_context, images, brain, voxels, patching)
    k, i, j = voxels.T
    found = head.apply(features, images[:, k, i, j].T)
    np.testing.assert_allclose(found, logits[:, k, i, j].T, rtol=1e-4, atol=1e-4)


def test_mirrorings_are_averaged_as_written_here() -> None:
    """Feature: the voxel before, on the last axis. Mirrored, it is the voxel behind."""
    line = np.array([0, 1, 2, 3, 4, 5, 6, 7], np.float32).reshape(1, 1, 1, 8)
    brain = np.ones((1, 1, 8), bool)
    head = Head(np.ones((2, 1), np.float32), np.zeros(2, np.float32), "")

    def before(stack: np.ndarray) -> np.ndarray:
        return np.roll(stack, 1, axis=4)

    size = Patching((1, 1, 8), overlap=0.0)
    plain = segment(before, head, line, brain, size)
    both = segment(before, head, line, brain, replace(size, flips=((), (2,))))
    np.testing.assert_allclose(plain[0].ravel(), [7, 0, 1, 2, 3, 4, 5, 6], atol=1e-5)
    np.testing.assert_allclose(both[0].ravel(), [4, 1, 2, 3, 4, 5, 6, 3], atol=1e-5)


def test_a_volume_smaller_than_a_patch_is_padded_with_the_value_outside() -> None:
    images = np.full((3, 2, 3, 8), 5, np.float32)
    seen: list[np.ndarray] = []

    def keep(stack: np.ndarray) -> np.ndarray:
        seen.append(stack)
        return stack

    patching = Patching((4, 4, 4), outside=-1.0)
    logits = segment(keep, identity_head(), images, np.ones((2, 3, 8), bool), patching)
    assert logits.shape == (3, 2, 3, 8)
    np.testing.assert_allclose(logits, 5, rtol=1e-6)
    assert seen[0][0, 0, 3, 3].tolist() == [-1, -1, -1, -1]
    assert seen[0][0, 0, 0, 0].tolist() == [5, 5, 5, 5]


def test_only_patches_with_one_of_the_voxels_are_computed_for_features(
    images: np.ndarray, brain: np.ndarray
) -> None:
    calls: list[int] = []

    def count(stack: np.ndarray) -> np.ndarray:
        calls.append(len(stack))
        return stack

    features_at(count, images, brain, np.array([[3, 2, 5]]), Patching((8, 8, 8), 0.0))
    assert sum(calls) == 1


def test_progress_goes_up_to_one(images: np.ndarray, brain: np.ndarray) -> None:
    told: list[float] = []
    segment(twice, identity_head(), images, brain, PATCHING, told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("nan", "NaN or infinity"),
        ("shape", r"images \(C, D, H, W\) and a bool brain"),
        ("int", r"images \(C, D, H, W\) and a bool brain"),
        ("empty", "the brain is empty"),
    ],
)
def test_bad_volumes_are_refused(
    images: np.ndarray, brain: np.ndarray, name: str, match: str
) -> None:
    if name == "nan":
        images[1, 0, 0, 0] = np.nan
    brains = {"shape": brain[1:], "int": brain.astype(int), "empty": np.zeros_like(brain)}
    with pytest.raises(RefusedError, match=match):
        segment(twice, identity_head(), images, brains.get(name, brain), PATCHING)


def test_a_voxel_far_from_the_brain_has_no_features(images: np.ndarray) -> None:
    brain = np.zeros(images.shape[1:], bool)
    brain[:4, :4, :4] = True
    voxels = np.array([[0, 0, 0], [19, 17, 21]])
    with pytest.raises(RefusedError, match="1 of 2 voxels lie in no patch"):
        features_at(twice, images, brain, voxels, PATCHING)


@pytest.mark.parametrize("voxels", [np.zeros((0, 3), int), [[20, 0, 0]], [[0, -1, 0]]])
def test_no_voxel_and_a_voxel_outside_the_volume_are_refused(
    images: np.ndarray, brain: np.ndarray, voxels: object
) -> None:
    with pytest.raises(RefusedError, match="one or more voxels inside a volume"):
        features_at(twice, images, brain, np.array(voxels), PATCHING)


def test_a_brain_that_fits_is_computed_in_one_piece() -> None:
    calls: list[tuple[int, ...]] = []

    def keep(stack: np.ndarray) -> np.ndarray:
        calls.append(stack.shape)
        return stack

    brain = np.zeros((40, 30, 30), bool)
    brain[3:23, 5:17, 6:10] = True
    images = np.random.default_rng(0).normal(size=(3, *brain.shape)).astype(np.float32)
    patching = Patching(most_voxels=10_000, multiple=4)
    segment(keep, random_head(), images, brain, patching)
    # 20, 12 and 4 voxels with 4 on each side.
    assert calls == [(1, 3, 28, 20, 12)]


@pytest.mark.parametrize("most", [10_000, 4000, 2000])
def test_features_agree_with_logits_in_patches_of_any_size(most: int) -> None:
    rng = np.random.default_rng(1)
    brain = np.zeros((40, 30, 30), bool)
    brain[3:23, 5:17, 6:26] = True
    images = rng.normal(size=(3, *brain.shape)).astype(np.float32)
    head = random_head()
    patching = Patching(size=(8, 8, 8), overlap=0.5, most_voxels=most, multiple=4, flips=((), (2,)))
    voxels = np.argwhere(brain)[::7]
    logits = segment(with_context, head, images, brain, patching)
    features = features_at(with_context, images, brain, voxels, patching)
    np.testing.assert_allclose(head.apply(features), logits[:, *voxels.T].T, atol=1e-5)
