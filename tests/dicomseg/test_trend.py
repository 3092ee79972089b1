from __future__ import annotations

from datetime import date

import pytest

from dicomseg.trend import TrendPoint, change_text, comparisons, in_order, volume_text
from study.errors import RefusedError


def point(day: str, enhancing: float, head: str = "base") -> TrendPoint:
    volumes = {"enhancing": enhancing, "core": enhancing + 1, "whole": enhancing + 20}
    return TrendPoint(date.fromisoformat(day), volumes, corrected=False, head=head)


FIVE = [
    point("2026-01-05", 7.0),
    point("2024-03-01", 12.0),
    point("2025-02-01", 0.5),
    point("2025-06-01", 0.5),
    point("2025-09-01", 3.0),
]


def found(points):
    return [(c.names, c.point.date.isoformat()) for c in comparisons(points)]


def test_the_latest_is_compared_with_first_best_and_last():
    """Of two best ones the first; the latest itself is never one of them."""
    assert found(FIVE) == [
        (("first",), "2024-03-01"),
        (("best",), "2025-02-01"),
        (("last",), "2025-09-01"),
    ]
    better = [*FIVE[1:], point("2026-01-05", 0.0)]
    assert found(better)[1] == (("best",), "2025-02-01")


def test_one_study_that_is_several_is_named_once():
    """Two studies: the earlier is first, best and last. Three: whichever it is."""
    assert found(FIVE[:2]) == [(("first", "best", "last"), "2024-03-01")]
    growing = [point("2024-01-01", 1), point("2024-02-01", 2), point("2024-03-01", 3)]
    assert found(growing) == [(("first", "best"), "2024-01-01"), (("last",), "2024-02-01")]
    assert found(FIVE[:1]) == []
    assert found([]) == []


def test_two_studies_of_one_day_keep_their_order():
    """The later of them is the one given last."""
    same = [point("2025-01-01", 4, "a"), point("2025-01-01", 5, "b"), point("2024-01-01", 6)]
    assert [p.head for p in in_order(same)] == ["base", "a", "b"]
    assert found(same) == [(("first",), "2024-01-01"), (("best", "last"), "2025-01-01")]


def test_without_enhancing_tumour_measured_there_is_no_best():
    """A study whose outline does not speak of it is first and last all the same."""
    silent = TrendPoint(date(2025, 1, 1), {"whole": 30.0}, corrected=True, head="base")
    assert found([silent, point("2026-01-01", 1)]) == [(("first", "last"), "2025-01-01")]


@pytest.mark.parametrize(
    "volumes", [{"enhancing": -0.1}, {"core": float("nan")}, {"whole": float("inf")}, {"edema": 1}]
)
def test_what_is_no_volume_of_a_region_is_refused(volumes):
    """Neither negative nor infinite, nor of a tissue."""
    with pytest.raises(RefusedError, match=f"region '{next(iter(volumes))}'"):
        TrendPoint(date(2025, 1, 1), volumes, corrected=False, head="base")


@pytest.mark.parametrize(
    ("volume", "text"),
    [(0, "0"), (0.001, "<0.1"), (0.049, "<0.1"), (0.06, "0.1"), (12.34, "12.3"), (None, "–")],
)
def test_volumes_as_text(volume, text):
    """What is there is never written as nothing."""
    assert volume_text(volume) == text


@pytest.mark.parametrize(
    ("now", "before", "text"),
    [
        (15.0, 12.0, "+3.0 mL (+25 %)"),
        (9.0, 12.0, "−3.0 mL (−25 %)"),
        (12.0, 12.0, "0.0 mL (0 %)"),
        (12.01, 12.0, "0.0 mL (0 %)"),
        (0.0, 12.0, "−12.0 mL (−100 %)"),
        (3.1, 0.0, "+3.1 mL (from 0)"),
        (10.99, 1.0, "+10.0 mL (+999 %)"),
        (11.0, 1.0, "+10.0 mL (>999 %)"),
        (0.0, 0.0, "0.0 mL"),
        (None, 3.0, ""),
        (3.0, None, ""),
    ],
)
def test_changes_as_text(now, before, text):
    """In mL and percent; of nothing there is no percentage."""
    assert change_text(now, before) == text
