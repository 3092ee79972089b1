"""Tests of `glioloop.evidence_summary`: two patients whose overlaps are written down."""

import pytest

from glioloop.evidence_centre import BIAS_CURVE, CURVES
from glioloop.evidence_followups import BASE, CEILING, OTHER
from glioloop.evidence_heads import BIAS, OURS
from glioloop.evidence_ranges import Centres, Followups
from glioloop.evidence_summary import of_centre, of_followups, plain

RANGES = Followups(resamples=50)


def overlap(dice: float, truth: int = 1000) -> list[int]:
    """An outline as large as the truth."""
    return [round(dice * truth), truth, truth]


def regions(dice: float, truth: int = 1000) -> dict[str, list[int]]:
    return {name: overlap(dice, truth) for name in ("enhancing", "core", "whole")}


def patient(number: int, scanners: list[str], base: float, ours: float) -> dict:
    scored = {BASE: base, OURS: ours, BIAS: base, OTHER: base, CEILING: 1.0}
    date = {name: regions(dice) for name, dice in scored.items()}
    fits = {OURS: {"accepted": number == 1}, BIAS: {"accepted": False}}
    return {
        "patient": number,
        "scanners": scanners,
        "operated": [False, False, True],
        "fits": fits,
        "follow_ups": [date, date],
    }


@pytest.fixture
def answers() -> list[dict]:
    return [patient(1, ["a", "a", "b"], 0.8, 0.9), patient(2, ["a", "a", "a"], 0.7, 0.66)]


def test_arms_are_judged_at_all_dates_and_at_some(answers: list[dict]) -> None:
    """Errors 0.2, 0.2, 0.3, 0.3 become 0.1, 0.1, 0.34, 0.34."""
    arms = of_followups(answers, RANGES)["arms"]
    ours = arms[OURS]
    assert ours["accepted"] == 0.5
    every = ours["parts"]["all"]
    assert every["dates"] == 4
    assert every["error_falls"] == pytest.approx(0.12)
    assert every["harmed"] == 0.5
    assert every["worst"] == pytest.approx(-0.04)
    assert ours["parts"]["another scanner"]["dates"] == 1
    assert ours["parts"]["another scanner"]["error_falls"] == pytest.approx(0.5)
    assert ours["parts"]["the same scanner"]["dates"] == 3
    assert ours["parts"]["after surgery"]["dates"] == 2
    assert ours["regions"]["core"]["dice"] == pytest.approx(0.78)
    assert ours["beside bias"]["error_falls"] == pytest.approx(0.12)
    assert arms[OTHER]["accepted"] is None
    assert arms[CEILING]["parts"]["all"]["error_falls"] == 1.0


def test_regions_of_less_than_half_a_millilitre_do_not_count(answers: list[dict]) -> None:
    """At 2 mm that is 62.5 voxels."""
    for scored in answers[0]["follow_ups"]:
        scored[OURS] = regions(0.5, 62)
    assert of_followups(answers, RANGES)["arms"][OURS]["parts"]["all"]["dates"] == 2


def test_points_of_a_curve_are_judged_beside_base_and_biases() -> None:
    dice = dict(zip(CURVES, (0.9, 0.85, 0.8, 0.7), strict=True))
    answers = [
        {
            "curve": name,
            "corrections": count,
            "fit": {"accepted": True} if count else {},
            "cases": [regions(dice[name] if count else 0.8)] * 3,
        }
        for name in CURVES
        for count in (5, 0)
    ]
    summary = of_centre(answers, Centres())
    assert summary["cases"] == 3
    own = summary["curves"]["its own"]
    assert [point["corrections"] for point in own] == [0, 5]
    assert own[0]["accepted"] is None
    assert own[0]["judged"]["error_falls"] == 0.0
    assert own[1]["judged"]["error_falls"] == pytest.approx(0.5)
    assert own[1]["beside bias"]["error_falls"] == pytest.approx(0.5)
    assert summary["curves"][BIAS_CURVE][1]["judged"]["error_falls"] == 0.0


def test_numbers_are_rounded_and_what_is_none_is_null() -> None:
    assert plain({"a": 1 / 3, "b": {"c": float("nan")}, "d": [3, 0.25001]}) == {
        "a": 0.3333, "b": {"c": None}, "d": [3, 0.25],
    }  # fmt: skip
