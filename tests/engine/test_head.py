"""The last layer."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engine.head import Head
from study.errors import RefusedError

HEAD = Head(np.array([[1, 0, 0], [0, 2, 0]], np.float32), np.array([0.5, -1], np.float32), "a" * 64)


def test_voxels_become_logits() -> None:
    logits = HEAD.apply(np.array([[1, 10, 100], [2, 20, 200]], np.float32))
    assert logits.tolist() == [[1.5, 19], [2.5, 39]]
    assert logits.dtype == np.float32


def test_patches_become_logits_with_classes_on_axis_one() -> None:
    patch = np.zeros((2, 3, 1, 1, 2), np.float32)
    patch[0, 0, 0, 0, 1] = 4
    patch[1, 1, 0, 0, 0] = 3
    assert HEAD.apply(patch).tolist() == [
        [[[[0.5, 4.5]]], [[[-1, -1]]]],
        [[[[0.5, 0.5]]], [[[5, -1]]]],
    ]


def test_sixteen_bit_features_become_thirty_two_bit_logits() -> None:
    assert HEAD.apply(np.ones((1, 3), np.float16)).tolist() == [[1.5, 1]]


@pytest.mark.parametrize("shape", [(4, 2), (3,), (2, 4, 3, 3, 3)])
def test_another_number_of_features_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(RefusedError, match="takes 3 features on axis 1"):
        HEAD.apply(np.zeros(shape, np.float32))


def test_json_keeps_every_bit() -> None:
    rng = np.random.default_rng(0)
    head = Head(rng.normal(size=(4, 24)), rng.normal(size=4), "b" * 64)
    again = Head.from_json(head.to_json())
    assert np.array_equal(again.weight, head.weight)
    assert np.array_equal(again.bias, head.bias)
    assert again.backbone_sha256 == "b" * 64


def test_a_head_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        HEAD.weight[0, 0] = 7


def test_a_head_does_not_follow_the_array_it_was_made_from() -> None:
    weight = np.ones((2, 2), np.float32)
    head = Head(weight, np.zeros(2, np.float32), "")
    weight[:] = 9
    assert head.weight.tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(RefusedError, match="only finite numbers"):
        Head(np.array([[bad], [0]], np.float32), np.zeros(2, np.float32), "")


@pytest.mark.parametrize(("weight", "bias"), [((2, 3), (3,)), ((2,), (2,)), ((1, 3), (1,))])
def test_shapes_that_do_not_fit_are_refused(weight: tuple[int, ...], bias: tuple[int, ...]) -> None:
    with pytest.raises(RefusedError, match="a head has"):
        Head(np.zeros(weight, np.float32), np.zeros(bias, np.float32), "")


def test_another_backbone_is_refused() -> None:
    HEAD.check_backbone("a" * 64)
    with pytest.raises(
        RefusedError, match="belongs to backbone aaaaaaaaaaaa, the one in use is cc"
    ):
        HEAD.check_backbone("c" * 64)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "7", "{}", '{"weight": [[1], [1, 2]], "bias": [1], "backbone_sha256": ""}'],
)
def test_text_that_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(RefusedError, match="is no head"):
        Head.from_json(text)


def test_a_head_with_nan_in_its_text_is_refused() -> None:
    text = json.dumps({"weight": [[float("nan")], [1]], "bias": [0, 0], "backbone_sha256": ""})
    with pytest.raises(RefusedError, match="only finite numbers"):
        Head.from_json(text)


SEEING = Head(HEAD.weight, HEAD.bias, "a" * 64, np.array([[0] * 9, [1, 0, 0, 0, 2, 0, 0, 0, 3]]))
"""Adds FLAIR, twice the square of T1gd and three times T1gd T2 to the second class."""


def test_a_head_that_sees_the_images_adds_their_terms() -> None:
    features, images = np.zeros((1, 3), np.float32), np.array([[0.5, 1, 2]], np.float32)
    assert SEEING.apply(features, images).tolist() == [[0.5, -1 + 0.5 + 2 + 6]]
    # Beyond 4 an intensity is 4: 4 + 2 * 16 + 3 * 4 * -4.
    extreme = np.array([[9, 4, -30]], np.float32)
    assert SEEING.apply(features, extreme).tolist() == [[0.5, -1 + 4 + 32 - 48]]
    whole = SEEING.of_images(images.reshape(1, 3, 1, 1, 1))
    assert whole.tolist() == [[[[[0]]], [[[8.5]]]]]


def test_a_head_that_sees_the_images_needs_them() -> None:
    with pytest.raises(RefusedError, match="sees the images too"):
        SEEING.apply(np.zeros((1, 3), np.float32))
    with pytest.raises(RefusedError, match="takes 9 terms of the images on axis 1"):
        SEEING.apply(np.zeros((1, 3), np.float32), np.zeros((1, 2), np.float32))
    with pytest.raises(RefusedError, match="sees features alone"):
        HEAD.of_images(np.zeros((1, 3), np.float32))


def test_image_weights_are_kept_bit_for_bit_and_others_keep_the_text_they_had() -> None:
    again = Head.from_json(SEEING.to_json())
    assert again.image_weight is not None
    assert again.image_weight.tolist() == [[0] * 9, [1, 0, 0, 0, 2, 0, 0, 0, 3]]
    assert set(json.loads(HEAD.to_json())) == {"backbone_sha256", "weight", "bias"}
    assert Head.from_json(HEAD.to_json()).image_weight is None


@pytest.mark.parametrize("images", [np.zeros((3, 9)), np.zeros(2), np.full((2, 9), np.nan)])
def test_image_weights_that_do_not_fit_are_refused(images: np.ndarray) -> None:
    with pytest.raises(RefusedError, match=r"no image weights|only finite numbers"):
        Head(HEAD.weight, HEAD.bias, "a" * 64, images)


def test_two_heads_beside_one_another_answer_as_each_does() -> None:
    both = HEAD.beside(SEEING)
    features = np.array([[1, 2, 3]], np.float32)
    images = np.array([[1, 1, 1]], np.float32)
    assert both.apply(features, images).tolist() == [[1.5, 3, 1.5, 9]]
    other = Head(HEAD.weight, HEAD.bias, "b" * 64)
    with pytest.raises(RefusedError, match="belongs to backbone bbbb"):
        HEAD.beside(other)
