from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from dicomseg.trend import TrendPoint
from dicomseg.trend_axes import span, ticks
from dicomseg.trend_chart import chart


def point(day, volumes, *, corrected=False):
    return TrendPoint(day, volumes, corrected=corrected, head="base")


def volumes(enhancing, core, whole):
    return {"enhancing": float(enhancing), "core": float(core), "whole": float(whole)}


ENHANCING, CORE, WHOLE = (213, 94, 0), (86, 180, 233), (240, 228, 66)


def marked(picture, colour):
    """Columns where a colour fills at least 6 pixels below one another: a point, not a line."""
    hit = (picture == colour).all(axis=2)
    return hit.sum(axis=0) >= 6


def middles(columns):
    """Middle of each run."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], columns.astype(int), [0]])))
    return [(a + b) / 2 for a, b in edges.reshape(-1, 2)]


def test_time_is_true_to_scale():
    """Days 0, 100 and 400: the second distance is three times the first."""
    start = date(2024, 1, 1)
    days = [start, start + timedelta(100), start + timedelta(400)]
    picture = chart([point(day, volumes(5, 5, 5)) for day in days], 1280)
    # Below the titles, whose letters have the same colours, is the curve of the core.
    places = middles(marked(picture[290:400], CORE))
    assert len(places) == 3
    assert (places[2] - places[1]) / (places[1] - places[0]) == pytest.approx(3.0, abs=0.02)


def test_each_region_has_a_scale_of_its_own():
    """1, 10 and 100 mL at the same part of three heights: none is pressed to the floor."""
    days = [date(2024, 1, 1), date(2025, 1, 1)]
    picture = chart([point(day, volumes(1, 10, 100)) for day in days], 1280)
    rows = []
    for colour in (ENHANCING, CORE, WHOLE):
        line = (picture[:, 500:520] == colour).all(axis=(1, 2))
        rows.append(float(np.flatnonzero(line).mean()))
    assert rows == sorted(rows)
    assert rows[1] - rows[0] > 100
    assert rows[2] - rows[1] > 100


def test_a_corrected_point_is_marked():
    """A white edge that the others have not."""
    days = [date(2024, 1, 1), date(2025, 1, 1)]
    plain = chart([point(day, volumes(1, 2, 3)) for day in days], 1280)
    first = point(days[0], volumes(1, 2, 3), corrected=True)
    corrected = chart([first, point(days[1], volumes(1, 2, 3))], 1280)
    differs = np.flatnonzero((plain != corrected).any(axis=(0, 2)))
    assert len(differs)
    assert differs.max() < 200


def test_values_are_written_while_there_is_room():
    """Beside 14 points, not beside 15."""
    start = date(2024, 1, 1)
    ink = []
    for count in (14, 15):
        points = [point(start + timedelta(30 * n), volumes(5, 5, 5)) for n in range(count)]
        ink.append(int((chart(points, 1280)[40:200, 120:] == 235).all(axis=2).sum()))
    assert ink[0] > 50
    assert ink[1] == 0


def test_a_region_that_is_not_known_has_a_gap():
    """One date speaks of the enhancing tumour alone: the others' curves go on without it."""
    days = [date(2024, 1, 1), date(2024, 7, 1), date(2025, 1, 1)]
    points = [point(day, volumes(5, 5, 5)) for day in days]
    points[1] = point(days[1], {"enhancing": 5.0}, corrected=True)
    picture = chart(points, 1280)
    assert len(middles(marked(picture[290:400], CORE))) == 2
    unknown = [point(day, {"enhancing": 5.0}) for day in days]
    assert not marked(chart(unknown, 1280)[290:400], CORE).any()


def test_forty_points_can_be_told_apart():
    """One every three months."""
    start = date(2016, 1, 1)
    points = [point(start + timedelta(91 * n), volumes(n % 2 * 5 + 2, 9, 50)) for n in range(40)]
    picture = chart(points, 1280)
    assert len(middles(marked(picture[290:400], CORE))) == 40


def test_nothing_at_all_is_drawn_at_the_floor():
    """No tumour on any date: there is still an axis."""
    days = [date(2024, 1, 1), date(2025, 1, 1)]
    assert chart([point(day, volumes(0, 0, 0)) for day in days], 1280).shape == (560, 1280, 3)


def test_two_days_are_not_the_whole_width():
    """At least a month is shown; a year with 4 % beside it."""
    day = date(2025, 6, 15)
    assert span(day, day + timedelta(2)) == (date(2025, 6, 1), date(2025, 7, 1))
    assert span(date.min, date.max) == (date.min, date.max)
    assert span(date(2025, 1, 1), date(2026, 1, 1)) == (date(2024, 12, 18), date(2026, 1, 15))


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("2025-06-01", "2025-07-01",
         ["2025-06-04", "2025-06-11", "2025-06-18", "2025-06-25"]),
        ("2024-12-18", "2025-06-15",
         ["2025-01-01", "2025-02-01", "2025-03-01", "2025-04-01", "2025-05-01", "2025-06-01"]),
        ("2023-11-20", "2025-03-10",
         ["2024-01-01", "2024-03-01", "2024-05-01", "2024-07-01", "2024-09-01", "2024-11-01",
          "2025-01-01", "2025-03-01"]),
        ("2019-08-01", "2023-02-01",
         ["2020-01-01", "2020-07-01", "2021-01-01", "2021-07-01", "2022-01-01", "2022-07-01",
          "2023-01-01"]),
        ("2011-05-05", "2026-05-05",
         ["2012-01-01", "2014-01-01", "2016-01-01", "2018-01-01", "2020-01-01", "2022-01-01",
          "2024-01-01", "2026-01-01"]),
    ],
)  # fmt: skip
def test_days_below_the_axis(first, last, expected):
    """Weeks, months, half years, years: evenly, and never more than ten."""
    found = ticks(date.fromisoformat(first), date.fromisoformat(last))
    assert [day.isoformat() for day in found] == expected


@pytest.mark.parametrize("days", [0, 1, 29, 62, 63, 64, 90, 365, 1000, 4000, 20000, 36500])
def test_there_are_some_and_not_too_many_days_below_the_axis(days):
    """Two to ten, for spans of months to a century."""
    first, last = span(date(1920, 2, 29), date(1920, 2, 29) + timedelta(days))
    found = ticks(first, last)
    assert 2 <= len(found) <= 10
    assert all(first <= day <= last for day in found)
