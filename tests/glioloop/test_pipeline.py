"""Tests of `glioloop.pipeline`, `glioloop.aligned` and `glioloop.kept`; networks are functions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.head import Head
from engine.network import NetworkConfig
from engine.normalise import NORMALISATION
from engine.outputs import REGION_LABELS, TISSUE_LABELS
from engine.runtime import Run
from engine.weights import Manifest
from glioloop.aligned import Aligned, align_volumes, brain_of
from glioloop.kept import Kept
from glioloop.networks import Networks
from glioloop.pipeline import labels_on, segment_volumes
from study.errors import RefusedError
from study.tissue import Role, Tissue
from study.volume import Geometry, Volume

CONFIG = NetworkConfig(3, 4, (4, 8))
BASE = Manifest(
    "base", "9", CONFIG, 2.0, NORMALISATION, TISSUE_LABELS, tolerates_missing=("T2", "T1GD"),
    backbone_sha256="a" * 64,
)  # fmt: skip
BRAIN = Manifest("brain", "9", replace(CONFIG, classes=3), 4.0, "n", ("0", "1", "2"))
GEOMETRY = Geometry((20, 24, 28), np.diag([2.0, 2.0, 2.0, 1.0]), "1.2")


def networks() -> Networks:
    """Everything that FLAIR shows is brain."""

    def brain(stack: np.ndarray) -> np.ndarray:
        likely = np.where(stack[:, :1] > 0.5, 5.0, -5.0)
        return np.concatenate([-likely, likely, -likely], axis=1).astype(np.float32)

    head = Head(np.zeros((4, 3), np.float32), np.zeros(4, np.float32), "a" * 64)
    run = Run("numpy", "f32", 1, lambda stack: stack)
    return Networks(BASE, head, run, BRAIN, Run("numpy", "f32", 1, brain))


@pytest.fixture
def volume() -> Volume:
    """A bright block in the middle of nothing."""
    array = np.zeros(GEOMETRY.shape, np.float32)
    array[4:16, 4:20, 4:24] = np.random.default_rng(0).uniform(90, 110, (12, 16, 20))
    return Volume(array, GEOMETRY)


def test_a_model_of_regions_outlines_the_innermost_and_nothing_outside_the_brain(
    volume: Volume,
) -> None:
    """Whole and core hold everywhere, enhancing nowhere: the core's own tissue is necrosis."""
    named = replace(BASE, network=replace(CONFIG, classes=3), labels=REGION_LABELS)
    bias = np.array([5.0, 5.0, -5.0], np.float32)
    head = Head(np.zeros((3, 3), np.float32), bias, "a" * 64)
    found = segment_volumes(
        dict.fromkeys(Role, volume), replace(networks(), manifest=named, head=head)
    )
    assert set(np.unique(found.labels.array)) == {Tissue.BACKGROUND, Tissue.NECROSIS}
    assert (found.labels.array[8:12, 8:16, 8:20] == Tissue.NECROSIS).all()
    assert not found.labels.array[0].any()


@pytest.mark.parametrize(("left_out", "named"), [(Role.FLAIR, "FLAIR"), (Role.T1GD, "T1GD")])
def test_a_sequence_that_the_model_or_the_grid_needs_may_not_be_missing(
    volume: Volume, left_out: Role, named: str
) -> None:
    given = {role: volume for role in Role if role is not left_out}
    with pytest.raises(RefusedError, match=f"^{named} is missing, and the model cannot do without"):
        segment_volumes(given, networks())


def test_a_head_of_another_backbone_is_refused(volume: Volume) -> None:
    other = Head(np.zeros((4, 3), np.float32), np.zeros(4, np.float32), "b" * 64)
    with pytest.raises(RefusedError, match="backbone"):
        segment_volumes(dict.fromkeys(Role, volume), networks(), other)


def test_a_patients_head_is_compared_with_base_in_the_same_pass(volume: Volume) -> None:
    """The patient's says edema everywhere, base necrosis: only the whole tumour is one."""
    calls: list[int] = []

    def count(stack: np.ndarray) -> np.ndarray:
        calls.append(len(stack))
        return stack

    def sure(of: Tissue, images: np.ndarray | None = None) -> Head:
        bias = np.where(np.arange(4) == of, 5, 0).astype(np.float32)
        return Head(np.zeros((4, 3), np.float32), bias, "a" * 64, images)

    given = dict.fromkeys(Role, volume)
    known = replace(networks(), head=sure(Tissue.NECROSIS), backbone=Run("numpy", "f32", 1, count))
    alone = segment_volumes(given, known)
    once = len(calls)
    assert alone.agreement == {}
    found = segment_volumes(given, known, sure(Tissue.EDEMA, np.zeros((4, 9), np.float32)))
    assert len(calls) == 2 * once
    assert found.agreement == {"core": 0.0, "whole": 1.0}
    assert set(np.unique(found.labels.array)) == {Tissue.BACKGROUND, Tissue.EDEMA}
    again = segment_volumes(given, known, sure(Tissue.EDEMA))
    assert np.array_equal(again.labels.array, found.labels.array)


def test_a_missing_image_is_no_number_on_a_grid_and_the_others_lie_where_they_are(
    volume: Volume,
) -> None:
    moved = np.eye(4)
    moved[0, 3] = 4.0  # FLAIR's points lie two voxels farther along the first axis, k
    aligned = Aligned(
        {Role.FLAIR: volume, Role.T1GD: volume}, {Role.FLAIR: moved, Role.T1GD: np.eye(4)}
    )
    images = aligned.on_grid(GEOMETRY)
    assert np.isnan(images[2]).all()
    np.testing.assert_allclose(images[1], volume.array, atol=1e-4)
    np.testing.assert_allclose(images[0, :-2], volume.array[2:], atol=1e-4)


def test_an_image_is_aligned_to_t1gd_with_a_score(volume: Volume) -> None:
    aligned = align_volumes({Role.T1GD: volume, Role.FLAIR: volume})
    np.testing.assert_allclose(aligned.matrices[Role.FLAIR], np.eye(4), atol=0.05)
    np.testing.assert_array_equal(aligned.matrices[Role.T1GD], np.eye(4))
    assert set(aligned.scores) == {Role.FLAIR}


def test_the_brain_is_found_on_the_coarse_grid_and_given_on_the_wanted_one(volume: Volume) -> None:
    aligned = Aligned(dict.fromkeys(Role, volume), {role: np.eye(4) for role in Role})
    brain = brain_of(aligned, GEOMETRY, networks())
    assert brain.shape == GEOMETRY.shape
    assert brain[6:14, 6:18, 6:22].all()
    assert not brain[:2].any()


def test_what_is_kept_comes_back_from_its_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    grid = Geometry((2, 3, 4), np.diag([2.0, 2.0, 2.0, 1.0]), "1.2")
    kept = Kept(
        rng.normal(size=(3, 2, 3, 4)).astype(np.float16),
        rng.random((2, 3, 4)) > 0.5,
        grid,
        GEOMETRY,
    )
    (tmp_path / "kept.npz").write_bytes(kept.to_bytes())
    back = Kept.from_file(tmp_path / "kept.npz")
    np.testing.assert_array_equal(back.images, kept.images)
    np.testing.assert_array_equal(back.brain, kept.brain)
    assert back.grid.same_place(grid)
    assert back.source.same_place(GEOMETRY)


def test_labels_are_decoded_from_the_sum_of_scores_slab_by_slab(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("glioloop.pipeline.SLAB_VOXELS", 3 * 24 * 28)
    logits = np.zeros((4, *GEOMETRY.shape), np.float32)
    logits[2, :11] = 1.0  # edema below slice 11
    more = np.zeros_like(logits)
    more[3, 5:8] = 2.0  # the second look says enhancing there
    found = labels_on(GEOMETRY, [(logits, GEOMETRY), (more, GEOMETRY)], TISSUE_LABELS)
    assert found[:, 12, 14].tolist() == [2] * 5 + [3] * 3 + [2] * 3 + [0] * 9
    assert (found == found[:, 12:13, 14:15]).all()
