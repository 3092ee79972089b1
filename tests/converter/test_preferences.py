"""Which of several series of one class is given to the network."""

from __future__ import annotations

from typing import Any

import pytest

from converter.attributes import Attributes
from converter.preferences import ranks
from converter.rules import load

RULES = load()


def candidate(description: str = "T2", **more: Any) -> Attributes:
    codes = {key: tuple(more.pop(key)) for key in ("ImageType", "MRAcquisitionType") if key in more}
    given = {"slices": 24, "spacing_mm": 6.0, "coverage_mm": 144.0, "normal": (0.0, 0.0, 1.0)}
    numbers = {"SeriesNumber": more.pop("number", 1.0)}
    return Attributes("1", "", "1", description, "", codes=codes, numbers=numbers, **(given | more))


def best(*candidates: Attributes) -> int:
    order = ranks(candidates, RULES.preferences, RULES.vocabulary)
    return order.index(min(order))


PLAIN = candidate()


@pytest.mark.parametrize(
    "better",
    [
        candidate(MRAcquisitionType=["3D"]),
        candidate(spacing_mm=3.0, slices=48),
        candidate(number=0.0),
        candidate(time=100.0),
        candidate(slices=30, coverage_mm=180.0, description="T2 other"),
        candidate(ImageType=["ORIGINAL", "PRIMARY", "M", "NORM"]),
    ],
)
def test_each_preference_is_heard(better: Attributes):
    assert best(PLAIN, better) == 1


@pytest.mark.parametrize(
    "worse",
    [
        candidate(ImageType=["DERIVED", "SECONDARY"], MRAcquisitionType=["3D"], spacing_mm=1.0),
        candidate(ImageType=["ORIGINAL", "PRIMARY", "MPR"]),
        candidate("T2 fs", time=100.0),
        candidate(normal=(1.0, 0.0, 0.0), time=100.0),
        candidate(slices=20, coverage_mm=120.0, time=100.0),
        candidate(gaps=1, MRAcquisitionType=["3D"], spacing_mm=1.0),
    ],
)
def test_what_is_worse_is_not_chosen(worse: Attributes):
    assert best(worse, PLAIN) == 1


def test_a_repetition_that_was_broken_off_is_not_the_latest():
    first, second = candidate(time=0.0), candidate(time=300.0)
    broken = candidate(time=600.0, slices=22, coverage_mm=132.0)
    assert best(first, second, broken) == 1


def test_without_positions_the_number_of_slices_tells_what_was_broken_off():
    unknown = {"spacing_mm": None, "coverage_mm": None, "normal": None}
    assert best(candidate(time=0.0, **unknown), candidate(time=9.0, slices=10, **unknown)) == 0


def test_fewer_slices_of_another_protocol_are_not_broken_off():
    fine = candidate("T2 fine", slices=48, spacing_mm=3.0)
    assert best(fine, candidate("T2 thin", slices=40, spacing_mm=3.0, coverage_mm=135.0)) == 0
    assert best(candidate(slices=160, spacing_mm=0.5), candidate(slices=24)) == 0


def test_a_reconstruction_without_normalisation_is_second():
    plain = candidate(ImageType=["ORIGINAL", "PRIMARY", "M", "ND"], number=1.0)
    assert best(plain, candidate(ImageType=["ORIGINAL", "PRIMARY", "M", "NORM"], number=2.0)) == 1
