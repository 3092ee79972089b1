"""What the tests of the loop call a lesion in its place."""

from __future__ import annotations

import numpy as np
import pytest

from acceptance.day import is_in_place
from study.tissue import Tissue
from study.volume import Geometry

GRID = Geometry((30, 60, 60), np.diag([1.0, 1.0, 4.0, 1.0])[:, [2, 1, 0, 3]], "1.2.3")
"""Slices of 4 mm, pixels of 1 mm."""


@pytest.mark.parametrize(
    ("moved", "fits"),
    [
        ((0, 0, 0), True),
        ((1, 0, 0), False),  # one slice
        ((-1, 0, 0), False),
        ((0, 6, 7), True),  # 9.2 mm
        ((0, 8, 8), False),  # 11.3 mm
        ((0, 25, 25), True),  # nowhere near: it was not found at all
    ],
)
def test_a_lesion_is_in_place_on_its_slices_and_within_10_mm(
    moved: tuple[int, int, int], fits: bool
) -> None:
    expert = np.zeros(GRID.shape, bool)
    expert[8:20, 5:31, 5:31] = True
    ours = np.roll(expert, moved, axis=(0, 1, 2))
    ours[29, 59, 59] = True  # a speck elsewhere, which is no part of the lesion
    found = {Tissue.ENHANCING: ours}
    assert is_in_place(found, {Tissue.ENHANCING: expert}, GRID) is fits
