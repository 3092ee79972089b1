"""Which voxels of a corrected study are kept."""

from __future__ import annotations

import io

import numpy as np
import pytest

from engine.sampling import FeatureSample, VoxelSample, sample_voxels
from study.errors import RefusedError
from study.tissue import Tissue

SPACING = (1.0, 1.0, 1.0)
ENHANCING = frozenset({Tissue.ENHANCING})
SHAPE = (30, 30, 30)


def cube(low: int, high: int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[low:high, low:high, low:high] = True
    return mask


BRAIN = cube(2, 28)
LABELS = np.where(cube(10, 16), 3, np.where(cube(8, 18), 2, 0)).astype(np.uint8)
CORRECTED = {Tissue.ENHANCING: cube(11, 17)}


def draw(**other: object) -> VoxelSample:
    """The sample of the lesion above, with something else."""
    values: dict[str, object] = {
        "labels_base": LABELS,
        "masks_corrected": CORRECTED,
        "outlined": ENHANCING,
        "brain": BRAIN,
        "spacing": SPACING,
        "budget": 1500,
        **other,
    }
    return sample_voxels(**values)  # type: ignore[arg-type]


def test_a_sample_stands_for_the_whole_brain() -> None:
    sample = draw()
    assert len(sample.voxels) == 1500
    assert sample.weight.sum() == pytest.approx(BRAIN.sum(), rel=1e-5)
    assert sample.weight[sample.target == 3].sum() == pytest.approx(6**3)
    assert sample.weight[sample.changed].sum() == pytest.approx(2 * (6**3 - 5**3))


def test_voxels_lie_in_the_brain_once_each_and_in_the_order_of_the_array() -> None:
    sample = draw()
    k, i, j = sample.voxels.T
    assert BRAIN[k, i, j].all()
    flat = np.ravel_multi_index((k, i, j), SHAPE)
    assert (np.diff(flat) > 0).all()


def test_what_the_correction_speaks_of_is_dense_and_the_rest_thin() -> None:
    sample = draw()
    assert sample.weight[sample.changed].max() == 1
    far = (sample.voxels < 4).any(axis=1)
    assert sample.weight[far].min() > 10


def test_a_voxel_is_changed_where_the_correction_speaks_and_differs() -> None:
    """Claimed and other: changed. Erased: changed. Edema, of which nothing was said: not."""
    sample = draw(budget=10**6)
    k, i, j = sample.voxels.T
    told, base = CORRECTED[Tissue.ENHANCING][k, i, j], LABELS[k, i, j]
    assert np.array_equal(sample.target, np.where(told, 3, 0))
    assert np.array_equal(sample.changed, told != (base == 3))
    assert sample.weight.tolist() == [1.0] * int(BRAIN.sum())


def test_an_outlined_class_without_a_mask_was_erased() -> None:
    sample = draw(outlined=ENHANCING | {Tissue.EDEMA}, budget=10**6)
    k, i, j = sample.voxels.T
    edema = (LABELS == 2)[k, i, j]
    assert sample.changed[edema].all()


def test_enhancing_tumour_wins_where_outlines_overlap() -> None:
    masks = {Tissue.ENHANCING: cube(11, 13), Tissue.EDEMA: cube(10, 14)}
    sample = draw(masks_corrected=masks, outlined=set(masks), budget=10**6)
    assert np.count_nonzero(sample.target == 3) == 8
    assert np.count_nonzero(sample.target == 2) == 64 - 8


def test_blocks_are_two_millimetres_across_the_slices() -> None:
    sample = draw(spacing=(1.5, 1.0, 1.0))
    expected = {0: 0, 2: 1, 3: 2, 4: 3, 8: 6}
    for k, block in expected.items():
        found = sample.block[sample.voxels[:, 0] == k]
        assert set(found.tolist()) <= {block}


def test_the_same_seed_draws_the_same_voxels_and_another_one_others() -> None:
    assert np.array_equal(draw(seed=1).voxels, draw(seed=1).voxels)
    assert not np.array_equal(draw(seed=1).voxels, draw(seed=2).voxels)


@pytest.mark.parametrize("budget", [50, 1000, 5000, 10**6])
def test_no_budget_is_exceeded(budget: int) -> None:
    assert len(draw(budget=budget).voxels) == min(budget, BRAIN.sum())


@pytest.mark.parametrize(
    ("other", "match"),
    [
        ({"masks_corrected": {Tissue.ENHANCING: np.zeros(SHAPE, bool)}}, "holds no voxel"),
        ({"masks_corrected": {}}, "holds no voxel"),
        ({"masks_corrected": {Tissue.ENHANCING: cube(28, 30)}}, "only 0% of the correction lies"),
        ({"masks_corrected": {Tissue.EDEMA: cube(8, 9)}}, "has masks of these alone"),
        ({"outlined": frozenset()}, "outlines tumour classes"),
        ({"outlined": {Tissue.BACKGROUND, Tissue.ENHANCING}}, "outlines tumour classes"),
        ({"masks_corrected": {Tissue.ENHANCING: cube(8, 9)[1:]}}, "mask of ENHANCING has shape"),
        ({"labels_base": LABELS[1:]}, "differ in shape"),
    ],
)
def test_a_bad_correction_is_refused(other: dict[str, object], match: str) -> None:
    with pytest.raises(RefusedError, match=match):
        draw(**other)


def kept(**other: object) -> FeatureSample:
    """A sample of three voxels, with something else."""
    values: dict[str, object] = {
        "features": np.array([[1, 2], [3, 4], [5, 6]], np.float16),
        "target": np.array([0, 3, 0], np.uint8),
        "weight": np.array([1, 2, 3.5], np.float32),
        "block": np.array([-1, 0, 7], np.int16),
        "changed": np.array([False, True, False]),
        "outlined": ENHANCING,
        "backbone_sha256": "a" * 64,
        **other,
    }
    return FeatureSample(**values)  # type: ignore[arg-type]


def test_a_sample_comes_back_from_its_bytes() -> None:
    sample = kept()
    again = FeatureSample.from_npz(sample.to_npz())
    for name in ("features", "target", "weight", "block", "changed"):
        before, after = getattr(sample, name), getattr(again, name)
        assert np.array_equal(before, after)
        assert before.dtype == after.dtype
    assert again.outlined == ENHANCING
    assert again.backbone_sha256 == "a" * 64


def test_voxels_with_features_keep_no_place() -> None:
    sample = draw()
    features = np.ones((len(sample.voxels), 5), np.float32)
    assert not hasattr(sample.with_features(features, "h"), "voxels")


def pickled() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, features=np.array([{}], object))
    return buffer.getvalue()


@pytest.mark.parametrize("data", [b"", b"junk", pickled(), kept().to_npz()[:200]])
def test_bytes_that_are_no_sample_are_refused(data: bytes) -> None:
    with pytest.raises(RefusedError, match="no sample of features"):
        FeatureSample.from_npz(data)


@pytest.mark.parametrize(
    ("other", "match"),
    [
        ({"features": np.full((3, 2), np.nan, np.float16)}, "NaN, infinity"),
        ({"features": np.full((3, 2), np.inf, np.float16)}, "more than 16 bits can hold"),
        ({"features": np.zeros((2, 2), np.float16)}, r"needs \(n, F\) features"),
        ({"features": np.zeros(3, np.float16)}, r"needs \(n, F\) features"),
        ({"weight": np.zeros(3, np.float32)}, "stands for more than none"),
        ({"target": np.array([0, 2, 0], np.uint8)}, "claimed but not outlined"),
    ],
)
def test_a_bad_sample_is_refused(other: dict[str, object], match: str) -> None:
    with pytest.raises(RefusedError, match=match):
        kept(**other)
