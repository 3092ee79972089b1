"""Which lesion a voxel is near to."""

from __future__ import annotations

import numpy as np
import pytest

from engine.lesions import near_to, nearest_lesions

SPACING = (2.0, 2.0, 2.0)


def line(*spans: tuple[int, int]) -> np.ndarray:
    """Tumour in spans of a bar of 40 slices of 5 by 5 voxels, 80 mm long."""
    tumour = np.zeros((40, 5, 5), bool)
    for first, end in spans:
        tumour[first:end] = True
    return tumour


def test_what_is_near_is_within_the_distance() -> None:
    near = near_to(line((10, 12)), 4.0, SPACING)
    assert np.flatnonzero(near[:, 2, 2]).tolist() == list(range(8, 14))


def test_two_lesions_share_the_brain_between_them() -> None:
    """Slices 5 to 7 and 30 to 32: the middle lies between slices 18 and 19."""
    lesion, apart = nearest_lesions(line((5, 8), (30, 33)), SPACING)
    assert lesion[:, 0, 0].tolist() == [0] * 19 + [1] * 21
    assert apart[18, 2, 2] == pytest.approx(2.0)
    assert apart[19, 2, 2] == pytest.approx(2.0)
    assert apart[7, 2, 2] == pytest.approx(24.0)


@pytest.mark.parametrize(
    "tumour",
    [
        line((5, 10)),
        line((5, 8), (13, 16)),  # 10 mm of brain between them
        line((5, 10), (30, 32)),  # 0.4 mL
    ],
    ids=["one", "near to one another", "a few voxels far away"],
)
def test_one_lesion_is_apart_from_nothing(tumour: np.ndarray) -> None:
    lesion, apart = nearest_lesions(tumour, SPACING)
    assert not lesion.any()
    assert np.isinf(apart).all()


def test_a_few_voxels_belong_to_the_nearest_lesion() -> None:
    tumour = line((2, 6), (34, 38))
    tumour[24, 2, 2] = True
    lesion, _ = nearest_lesions(tumour, SPACING)
    assert lesion[24, 2, 2] == 1
