"""Tests of `glioloop.fine_pass`, and of both passes in the pipeline; networks are functions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.head import Head
from engine.network import NetworkConfig
from engine.normalise import NORMALISATION
from engine.outputs import TISSUE_LABELS
from engine.runtime import Run
from engine.weights import Manifest
from glioloop import fine_pass, pipeline
from glioloop.aligned import Aligned
from glioloop.fine_pass import Coarse, box_around, check_passes, closeness, fine_change
from glioloop.networks import Networks, Options, Passes
from study.agreement import dice
from study.errors import RefusedError
from study.tissue import Role
from study.volume import Geometry, Volume

CONFIG = NetworkConfig(3, 4, (4, 8))
BASE = Manifest(
    "base",
    "9",
    CONFIG,
    2.0,
    NORMALISATION,
    TISSUE_LABELS,
    outside_value=-2.5,
    finest_spacing_mm=1.0,
)
BRAIN = Manifest("brain", "9", replace(CONFIG, classes=3), 4.0, "n", ("0", "1", "2"))


def grid(size: int, spacing: float, origin: float = 0.0) -> Geometry:
    """A cube with the patient's axes, as `converter.grid.working_grid` makes them."""
    affine = np.eye(4)
    affine[:3, :3] = np.fliplr(np.eye(3)) * spacing
    affine[:3, 3] = origin
    return Geometry((size, size, size), affine, "1.2")


def brain_network(stack: np.ndarray) -> np.ndarray:
    """Brain is where FLAIR is not dark."""
    likely = np.where(stack[:, :1] > 0.5, 5.0, -5.0)
    return np.concatenate([-likely, likely, -likely], axis=1).astype(np.float32)


def networks(manifest: Manifest = BASE) -> Networks:
    """Enhancing is where T1gd is more than five widths of the brain above its median."""
    weight = np.zeros((4, 3), np.float32)
    weight[3, 1] = 2.0
    head = Head(weight, np.array([0, -9, -9, -5.0], np.float32), "")
    run = Run("numpy", "f32", 1, lambda stack: stack)
    return Networks(manifest, head, run, BRAIN, Run("numpy", "f32", 1, brain_network))


def logits_with(probability: np.ndarray) -> np.ndarray:
    """Logits of background and enhancing with a probability of the latter."""
    odds = np.log(probability / (1 - probability))
    low = np.full_like(odds, -30.0)
    return np.stack([np.zeros_like(odds), low, low, odds]).astype(np.float32)


def test_the_second_look_counts_fully_at_tumour_and_fades_to_nothing() -> None:
    """Along a line of 1 mm: fully to 7 mm, half at 11, nothing from 15 on."""
    probability = np.full((1, 1, 40), 0.01)
    probability[0, 0, 5] = 0.31
    weight = closeness(probability, np.ones((1, 1, 40), bool), 1.0)[0, 0]
    assert weight[[0, 5, 12]].tolist() == [1.0, 1.0, 1.0]
    assert weight[16] == pytest.approx(0.5)
    assert weight[19] == pytest.approx(1 / 8)
    assert not weight[20:].any()


def test_what_is_unlikely_or_outside_the_brain_was_not_seen() -> None:
    probability = np.full((1, 1, 9), 0.29)
    probability[0, 0, 0] = 0.9
    brain = np.ones((1, 1, 9), bool)
    brain[0, 0, 0] = False
    assert not closeness(probability, brain, 1.0).any()


def test_the_box_holds_the_region_with_context_on_voxels_of_the_fine_grid() -> None:
    coarse, fine = grid(100, 2.0), grid(200, 1.0, -0.5)
    weight = np.zeros(coarse.shape, np.float32)
    weight[40:71, 40, 40] = 1.0  # 80 to 140 mm along z, a point on the other axes
    box = box_around(weight, coarse, fine)
    low = fine.index(box.world([0, 0, 0]))
    np.testing.assert_allclose(low, np.round(low), atol=1e-9)
    # 80 mm is fine voxel 80.5; 16 mm before it 64.5, so 64. 140 is 140.5, then 156.5, so 157.
    assert (low[0], box.shape[0]) == (64, 157 - 64 + 1)
    assert box.shape[1:] == (64, 64)
    assert low[1] <= 64
    assert low[1] + 64 >= 98


def test_the_box_ends_with_the_grid() -> None:
    coarse, fine = grid(20, 2.0), grid(40, 1.0, -0.5)
    weight = np.zeros(coarse.shape, np.float32)
    weight[0, 0, 19] = 1.0
    box = box_around(weight, coarse, fine)
    assert box.same_grid(fine)
    larger = box_around(weight, coarse, grid(100, 1.0, -0.5))
    assert larger.shape == (64, 64, 64)
    np.testing.assert_allclose(
        larger.world([0, 0, 0]), [6.5, -0.5, -0.5]
    )  # 38 mm is voxel 38.5: 22 to 55, then 7 to 70


@pytest.mark.parametrize("passes", ["fine", "both"])
@pytest.mark.parametrize(
    ("spacing", "finest", "match"),
    [
        (2.0, 0.0, "model base 9 was trained on 2 mm and coarser: use passes 'coarse'"),
        (2.0, 1.5, r"trained on 1\.5 mm and coarser"),
        (1.0, 0.0, "works at 1 mm: 1 mm is no finer pass"),
    ],
)
def test_a_fine_pass_of_a_model_that_was_not_trained_for_it_is_refused(
    passes: Passes, spacing: float, finest: float, match: str
) -> None:
    manifest = replace(BASE, spacing_mm=spacing, finest_spacing_mm=finest)
    check_passes("coarse", manifest)
    check_passes(passes, BASE)
    with pytest.raises(RefusedError, match=match):
        check_passes(passes, manifest)


@pytest.mark.parametrize(("passes", "part"), [("fine", 1.0), ("both", 0.5)])
def test_the_change_is_a_part_of_the_difference_and_nothing_at_the_rim(
    passes: Passes, part: float
) -> None:
    """T1gd grows by 1 a column of 2 mm; 60 columns have the median 29.5 and the quartiles 14.75.

    At 60 mm, column 30, it is 0.5 above it; the width is (44.25 - 14.75) / 1.349 = 21.87. So the
    fine logit is 2 * 0.5 / 21.87 / 2 - 5 = -4.977; the coarse one was 1.
    """
    coarse_grid = grid(60, 2.0)
    ramp = np.broadcast_to(np.arange(60, dtype=np.float32), (60, 60, 60)).copy()
    volumes = {role: Volume(ramp, coarse_grid) for role in Role}
    aligned = Aligned(volumes, {role: np.eye(4) for role in Role})
    logits = logits_with(np.full((60, 60, 60), 0.01))
    logits[3, 28:33, 28:33, 28:33] = 1.0
    first = Coarse(logits, np.ones((60, 60, 60), bool), coarse_grid)
    made = fine_change(first, aligned, networks(), networks().head, Options(passes=passes))
    assert made is not None
    change, box = made
    k, i, j = np.floor(box.index([60.0, 60.0, 60.0])).astype(int)
    # The fine grid has 60 mm between two of its columns: what lies there is their mean.
    found = change[3, k, i, j : j + 2].mean()
    assert found == pytest.approx(part * (-4.977 - 1.0), abs=0.02)
    rim = np.ones(box.shape, bool)
    rim[1:-1, 1:-1, 1:-1] = False
    assert not change[:, rim].any()


def test_nothing_seen_is_nothing_to_look_at_again() -> None:
    volumes = {role: Volume(np.ones((9, 9, 9), np.float32), grid(9, 2.0)) for role in Role}
    aligned = Aligned(volumes, {role: np.eye(4) for role in Role})
    logits = logits_with(np.full((9, 9, 9), 0.01))
    first = Coarse(logits, np.ones((9, 9, 9), bool), grid(9, 2.0))
    assert fine_change(first, aligned, networks(), networks().head, Options()) is None


def head_with_lesion() -> tuple[dict[Role, Volume], np.ndarray]:
    """A brain of 38 mm radius at 1 mm, and in it a shell of 5 mm that is two voxels thick."""
    geometry = grid(90, 1.0)
    at = np.stack(np.indices(geometry.shape), -1)
    noise = np.random.default_rng(0).normal(0, 8, geometry.shape)
    brain = np.linalg.norm(at - 45.0, axis=-1) < 38
    image = np.where(brain, 100 + noise, 0.0).astype(np.float32)
    radius = np.linalg.norm(at - np.array([45.0, 40.0, 55.0]), axis=-1)
    lesion = (radius < 6) & (radius >= 4)
    bright = np.where(lesion, 200.0, image).astype(np.float32)
    images = {Role.FLAIR: image, Role.T1GD: bright, Role.T2: image}
    return {role: Volume(array, geometry) for role, array in images.items()}, lesion


def test_a_fine_pass_draws_what_is_small_and_leaves_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    volumes, lesion = head_with_lesion()
    monkeypatch.setattr(
        pipeline, "align_volumes", lambda v: Aligned(v, {role: np.eye(4) for role in Role})
    )
    told: list[float] = []
    made = {
        passes: pipeline.segment_volumes(
            volumes, networks(), options=Options(passes=passes), progress=told.append
        )
        for passes in fine_pass.PART
    }
    score = {passes: dice(m.labels.array == 3, lesion) for passes, m in made.items()}
    assert score["coarse"] < score["both"] <= score["fine"]
    assert score["fine"] > 0.95
    far = np.linalg.norm(np.stack(np.indices(lesion.shape), -1) - [45, 40, 55], axis=-1) > 25
    for passes in ("fine", "both"):
        assert np.array_equal(made[passes].labels.array[far], made["coarse"].labels.array[far])
        assert made[passes].kept.to_bytes() == made["coarse"].kept.to_bytes()
    assert told.count(1.0) == 3
    each = np.split(np.array(told), np.flatnonzero(np.array(told) == 1.0) + 1)
    assert all((np.diff(part) >= 0).all() for part in each)


def test_a_study_is_refused_before_any_work_for_a_model_without_a_fine_pass() -> None:
    volumes, _ = head_with_lesion()
    coarse_only = networks(replace(BASE, finest_spacing_mm=0.0))
    with pytest.raises(RefusedError, match="use passes 'coarse'"):
        pipeline.segment_volumes(volumes, coarse_only, options=Options(passes="both"))
