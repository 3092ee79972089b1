"""Tests of `glioloop.evidence_dates`: a brain of eight voxels, two features."""

import io

import numpy as np
import pytest

from engine.head import Head
from glioloop.evidence_corrections import of_labels
from glioloop.evidence_dates import KeptDate, from_arrays, to_arrays

HEAD = Head(
    np.array([[0, 0], [-9, -9], [-9, -9], [4, 0]], np.float32),
    np.array([0, 0, 0, -2], np.float32),
    "h",
)
"""Enhancing where the first feature is above one half, else background."""


@pytest.fixture
def date() -> KeptDate:
    """Two slices of 2 x 4; the truth is the first row of both and a voxel outside the brain."""
    brain = np.ones((2, 2, 4), bool)
    brain[:, 1, :] = [[True, True, True, False], [False, False, True, True]]
    labels = np.zeros(brain.shape, np.uint8)
    labels[:, 0, :] = 3
    labels[0, 1, 3] = 3
    features = np.zeros((int(brain.sum()), 2), np.float16)
    features[:3, 0] = 1.0  # the first three voxels of the first row
    features[-1, 0] = 1.0  # and the last voxel of the brain
    images = np.arange(len(features) * 3, dtype=np.float16).reshape(-1, 3)
    return KeptDate(features, images, labels, brain, "a scanner", True, "h")


def test_labels_are_those_of_the_head_and_background_outside_the_brain(date: KeptDate) -> None:
    found = date.found(HEAD)
    assert np.argwhere(found).tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 2], [1, 1, 3]]
    assert set(np.unique(found)) == {0, 3}


def test_the_truth_outside_the_brain_counts_as_missed(date: KeptDate) -> None:
    assert date.overlaps(HEAD) == dict.fromkeys(("enhancing", "core", "whole"), (3, 4, 9))


def test_a_file_holds_the_same(date: KeptDate) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **to_arrays(date))
    buffer.seek(0)
    with np.load(buffer, allow_pickle=False) as found:
        again = from_arrays(found)
    for name in ("features", "images", "labels", "brain"):
        assert np.array_equal(getattr(again, name), getattr(date, name))
        assert getattr(again, name).dtype == getattr(date, name).dtype
    assert (again.scanner, again.operated, again.backbone_sha256) == ("a scanner", True, "h")


def test_a_sample_has_the_features_and_images_of_its_voxels(date: KeptDate) -> None:
    """All voxels of the brain are drawn, in the order of the array."""
    sample = date.sample(HEAD, of_labels(date.labels), 2.0, 100, seed=0)
    assert np.array_equal(sample.features, date.features)
    assert np.array_equal(sample.images, date.images)
    assert sample.target.tolist() == date.labels[date.brain].tolist()
    assert sample.changed.tolist() == (date.labels != date.found(HEAD))[date.brain].tolist()
