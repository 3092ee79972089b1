"""When a result says that the patient's head and the base head differ."""

from __future__ import annotations

import numpy as np
import pytest

from glioloop.disagreement import agreement, warning

VOXEL_ML = 0.5


def test_regions_of_a_millilitre_are_compared() -> None:
    """Enhancing 2 and 4 voxels, 2 of them in both; core likewise; edema joins the whole tumour."""
    mine = np.array([[[3, 3, 2, 0, 0, 0]]])
    base = np.array([[[3, 3, 3, 3, 0, 0]]])
    found = agreement(mine, base, VOXEL_ML)
    assert found == {
        "enhancing": pytest.approx(2 / 3),
        "core": pytest.approx(2 / 3),
        "whole": pytest.approx(6 / 7),
    }


def test_of_small_regions_nothing_is_said() -> None:
    mine, base = np.array([[[3, 0, 0]]]), np.array([[[0, 2, 0]]])
    assert agreement(mine, base, VOXEL_ML) == {}
    # One that the base head alone finds counts.
    assert agreement(np.zeros((1, 1, 2)), np.array([[[3, 3]]]), VOXEL_ML)["enhancing"] == 0.0


def test_what_is_told_names_the_regions_and_the_numbers() -> None:
    said = warning({"enhancing": 0.41, "core": 0.6, "whole": 0.59}, 0.6)
    assert said == (
        "The patient's adapted model and the base model differ much on this study (Dice 0.41 of"
        " enhancing tumour, Dice 0.59 of whole tumour): look whether the outline is right."
    )
    assert warning({"enhancing": 0.6}, 0.6) == ""
    assert warning({}, 0.6) == ""
