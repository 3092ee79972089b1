"""Voxels that are learnt from, and voxels that are tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from engine.folds import blocked_folds
from engine.sampling import FeatureSample
from study.tissue import TUMOUR_TISSUES

ALL = frozenset(TUMOUR_TISSUES)


def told(target: Sequence[int], block: Sequence[int] | None = None) -> FeatureSample:
    n = len(target)
    return FeatureSample(
        features=np.zeros((n, 1), np.float16),
        target=np.array(target, np.uint8),
        weight=np.ones(n, np.float32),
        block=np.array(block or range(n), np.int16),
        changed=np.zeros(n, bool),
        outlined=ALL,
        backbone_sha256="h",
    )


def of_lesions(
    lesion: Sequence[int], apart: Sequence[float], target: Sequence[int]
) -> FeatureSample:
    """A study whose voxels are near to these lesions."""
    return replace(
        told(target),
        lesion=np.array(lesion, np.int16),
        apart_mm=np.array(apart, np.float32),
    )


def test_slabs_and_gaps_are_those_written_here() -> None:
    """A lesion of 12 blocks (24 mm) between 4 blocks of brain on either side; a gap of 4 mm."""
    target = [0] * 4 + [3] * 12 + [0] * 4
    folds = blocked_folds([told(target)], wanted=4, gap_mm=4.0)
    assert folds.count == 4
    assert folds.gap_mm == 4.0
    assert folds.index.tolist() == [0] * 7 + [1] * 3 + [2] * 3 + [3] * 7
    text = ["".join("." if b else "x" for b in row) for row in folds.barred]
    assert text == [
        "xxxxxxx..xxxxxxxxxxx",
        "xxxxx..xxx..xxxxxxxx",
        "xxxxxxxx..xxx..xxxxx",
        "xxxxxxxxxxx..xxxxxxx",
    ]


def test_the_gap_shrinks_with_the_lesion() -> None:
    folds = blocked_folds([told([3] * 10)], wanted=4, gap_mm=12.0)
    assert folds.gap_mm == pytest.approx(0.2 * 20)


@pytest.mark.parametrize(("blocks", "count"), [(4, 2), (5, 2), (6, 3), (8, 4), (40, 4)])
def test_small_lesions_have_fewer_folds(blocks: int, count: int) -> None:
    assert blocked_folds([told([3] * blocks)], wanted=4, gap_mm=12.0).count == count


@pytest.mark.parametrize("blocks", [1, 3])
def test_a_thin_lesion_alone_cannot_be_divided(blocks: int) -> None:
    target = [0] * 10 + [3] * blocks + [0] * 10
    assert blocked_folds([told(target)], wanted=4, gap_mm=12.0).count == 1


def test_thin_lesions_of_several_studies_are_tested_as_wholes() -> None:
    folds = blocked_folds([told([3]), told([3, 3]), told([0, 3])], wanted=4, gap_mm=12.0)
    assert folds.count == 3
    assert folds.index.tolist() == [0, 1, 1, 2, 2]
    assert not folds.barred.any()


def test_a_thin_lesion_joins_the_folds_of_a_thick_one() -> None:
    folds = blocked_folds([told([3]), told([3] * 8)], wanted=4, gap_mm=0.0)
    assert folds.index.tolist() == [0, 0, 0, 1, 1, 2, 2, 3, 3]
    assert folds.barred.shape == (4, 9)


def test_lesions_are_folds_and_what_is_near_to_a_border_is_learnt_from_by_none() -> None:
    """Background voxels 3 and 4 lie at 4 and 12 mm from what is nearest to the other lesion."""
    sample = of_lesions([0, 0, 0, 0, 1, 1, 1], [20, 20, 14, 4, 12, 14, 20], [3, 3, 3, 0, 0, 3, 2])
    folds = blocked_folds([sample], wanted=4, gap_mm=12.0)
    assert folds.count == 2
    assert folds.gap_mm == 12.0
    assert folds.index.tolist() == [0, 0, 0, 0, 1, 1, 1]
    text = ["".join("." if b else "x" for b in row) for row in folds.barred]
    assert text == ["xxxxxxx", "xxx.xxx"]


def test_lesions_share_folds_that_are_as_large_as_one_another() -> None:
    """Of 5, 3, 3 and 2 voxels in two folds: 5 and 2 beside 3 and 3."""
    lesion = [0] * 3 + [1] * 5 + [2] * 3 + [3] * 2
    folds = blocked_folds([of_lesions(lesion, [50] * 13, [3] * 13)], wanted=2, gap_mm=12.0)
    assert folds.index.tolist() == [1] * 3 + [0] * 5 + [1] * 3 + [0] * 2


def test_a_lesion_that_is_nearly_all_of_the_tumour_is_divided_into_slabs() -> None:
    sample = of_lesions([0] * 8 + [1] * 2, [50] * 10, [3] * 10)
    folds = blocked_folds([sample], wanted=2, gap_mm=0.0)
    assert folds.index.tolist() == [0] * 5 + [1] * 5
