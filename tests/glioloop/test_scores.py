"""Tests of `glioloop.scores`."""

import json
import math

import numpy as np
import pytest

from engine.metrics import LesionCount
from glioloop.cases import Case
from glioloop.scores import CaseScore, RegionScore, Total, compare, mean_dice, plain, totals
from study.tissue import Role
from study.volume import Geometry, Volume

NAN = float("nan")


def region(dice: float, distance: float = 1.0, lesions: LesionCount | None = None) -> RegionScore:
    return RegionScore(dice, distance, 1.0, 1.0, lesions or LesionCount(1, 1, 0))


ALL = CaseScore(
    "a",
    {
        "enhancing": region(0.3, 2.0, LesionCount(2, 1, 3)),
        "core": region(0.6, NAN),
        "whole": region(0.9, 5.0),
    },
    10.0,
)
ENHANCING = CaseScore("b", {"enhancing": region(0.5, 6.0, LesionCount(4, 4, 1))}, 20.0)


def test_a_case_is_scored_on_the_regions_that_are_known() -> None:
    """Of the enhancing voxel and two others of tumour the outline has the first, and one more."""
    geometry = Geometry((2, 3, 4), np.diag([5.0, 2.0, 1.0, 1.0]), "1.2")
    image = Volume(np.ones(geometry.shape, np.float32), geometry)
    enhancing = np.zeros(geometry.shape, bool)
    enhancing[0, 0, 0] = True
    whole = enhancing.copy()
    whole[0, 0, 1:3] = True
    labels = np.zeros(geometry.shape, np.uint8)
    labels[0, 0, 0], labels[1, 0, 0] = 3, 3
    case = Case("x", {Role.T1GD: image}, {"enhancing": enhancing, "whole": whole})
    scores = compare(case, labels)
    assert set(scores) == {"enhancing", "whole"}
    assert scores["enhancing"].dice == pytest.approx(2 / 3)
    assert scores["whole"].dice == pytest.approx(2 / 5)
    assert scores["enhancing"].volume_ml == pytest.approx(0.02)
    assert scores["whole"].truth_ml == pytest.approx(0.03)
    # From the outline's voxels the truth is 0 and 5 mm away: 95 % of the way is 4.75.
    assert scores["enhancing"].hausdorff95_mm == pytest.approx(4.75)


def test_overall_is_the_mean_of_the_regions_that_somebody_outlined() -> None:
    assert ALL.overall_dice == pytest.approx(0.6)
    assert ENHANCING.overall_dice == 0.5
    assert mean_dice([ALL, ENHANCING]) == {
        "overall": pytest.approx(0.55),
        "enhancing": pytest.approx(0.4),
        "core": 0.6,
        "whole": 0.9,
    }


def test_distances_are_averaged_where_there_are_any_and_lesions_summed() -> None:
    found = totals([ALL, ENHANCING])
    assert found["enhancing"] == Total(2, pytest.approx(0.4), 4.0, 2, LesionCount(6, 5, 4))
    assert (found["core"].cases, found["core"].measured) == (1, 0)
    assert math.isnan(found["core"].hausdorff95_mm)


def test_nothing_has_no_mean() -> None:
    assert mean_dice([]) == {}
    assert totals([]) == {}


def test_json_holds_each_case_and_has_null_for_what_is_no_number() -> None:
    answer = plain([ALL, ENHANCING])
    json.dumps(answer, allow_nan=False)
    assert [case["name"] for case in answer["cases"]] == ["a", "b"]
    assert answer["cases"][0]["regions"]["core"]["hausdorff95_mm"] is None
    assert answer["cases"][0]["overall_dice"] == pytest.approx(0.6)
    assert answer["totals"]["enhancing"]["lesions"] == {"lesions": 6, "found": 5, "false": 4}
