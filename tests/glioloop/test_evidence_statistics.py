"""Tests of `glioloop.evidence_statistics`; expected values are worked out by hand."""

import numpy as np
import pytest

from glioloop.evidence_statistics import dice_of, judged, mean_dice

OVERLAPS = {"enhancing": (2, 3, 5), "core": (40, 50, 50), "whole": (0, 0, 100)}


def test_dice_of_counted_voxels() -> None:
    assert dice_of((2, 3, 5)) == 0.5
    assert dice_of((0, 7, 0)) == 0.0
    assert dice_of((0, 0, 0)) == 1.0


def test_small_regions_of_the_truth_do_not_count() -> None:
    assert mean_dice(OVERLAPS, 5) == pytest.approx((0.5 + 0.8 + 0.0) / 3)
    assert mean_dice(OVERLAPS, 6) == pytest.approx(0.4)
    assert mean_dice(OVERLAPS, 6, "core") == 0.8
    assert np.isnan(mean_dice(OVERLAPS, 6, "enhancing"))


def test_the_error_falls_by_a_part_of_itself() -> None:
    """Errors 0.2, 0.4, 0.4 become 0.1, 0.4, 0.43: 0.93 in all; the fourth has no truth."""
    base = np.array([0.8, 0.6, 0.6, np.nan])
    other = np.array([0.9, 0.6, 0.57, np.nan])
    found = judged(base, other, [1, 1, 2, 2], harmed=0.02, resamples=500, seed=1)
    assert found.dates == 3
    assert found.dice_base == pytest.approx(2.0 / 3)
    assert found.dice == pytest.approx(0.69)
    assert found.error_falls == pytest.approx(0.07)
    assert found.harmed == pytest.approx(1 / 3)
    assert found.worst == pytest.approx(-0.03)


def test_whole_patients_are_drawn() -> None:
    """Of two patients a resample holds both, or one of them twice."""
    base, other = np.array([0.8, 0.6, 0.6]), np.array([0.9, 0.6, 0.57])
    found = judged(base, other, [1, 1, 2], harmed=0.02, resamples=2000, seed=1)
    assert found.low == pytest.approx(-0.03 / 0.4)  # the second twice
    assert found.high == pytest.approx(0.1 / 0.6)  # the first twice


def test_the_same_seed_gives_the_same_interval() -> None:
    rng = np.random.default_rng(0)
    base, other = rng.uniform(size=(2, 30))
    one, two = (judged(base, other, range(30), 0.02, 200, 5) for _ in range(2))
    assert one == two


def test_heads_that_are_alike_gain_nothing() -> None:
    dice = np.array([0.5, 0.7])
    found = judged(dice, dice, [0, 1], 0.02, 100, 0)
    assert (found.error_falls, found.low, found.high, found.harmed, found.worst) == (0, 0, 0, 0, 0)


def test_no_error_cannot_fall() -> None:
    found = judged(np.ones(2), np.ones(2), [0, 1], 0.02, 100, 0)
    assert (found.error_falls, found.low, found.high) == (0, 0, 0)


def test_without_a_date_there_is_nothing_to_say() -> None:
    found = judged(np.array([np.nan]), np.array([1.0]), [0], 0.02, 100, 0)
    assert found.dates == 0
    assert np.isnan(found.error_falls)
