from __future__ import annotations

import pytest

from dicomseg.trend_change import Earlier, changes, compared


def at(date: str, enhancing: float | None = 5.0, whole: float = 20.0) -> Earlier:
    volumes = {"whole": whole} if enhancing is None else {"enhancing": enhancing, "whole": whole}
    return Earlier(date, f"1.2.{date}", f"1.3.{date}", volumes)


def named(earlier: list[Earlier], date: str = "20260102") -> list[tuple[str, tuple[str, ...]]]:
    return [(e.date, names) for e, names in compared(earlier, date)]


def test_first_best_and_last_are_picked_whatever_the_order():
    """Four results; the third has the least enhancing tumour."""
    earlier = [at("20251101", 4), at("20250501", 9), at("20250901", 1), at("20250701", 6)]
    assert named(earlier) == [
        ("20250501", ("first",)),
        ("20250901", ("best",)),
        ("20251101", ("last",)),
    ]


def test_one_result_may_be_all_three():
    """It is told once."""
    assert named([at("20251101")]) == [("20251101", ("first", "best", "last"))]


def test_of_equal_results_the_first_is_best():
    """Nadir is where it was reached."""
    assert named([at("20251101", 2), at("20250501", 2)]) == [
        ("20250501", ("first", "best")),
        ("20251101", ("last",)),
    ]


def test_later_results_are_not_earlier():
    """Old studies may be worked on after new ones; the same day may be before."""
    earlier = [at("20250501"), at("20260102"), at("20260103")]
    assert [date for date, _ in named(earlier)] == ["20250501", "20260102"]
    assert [date for date, _ in named(earlier, "")] == ["20250501", "20260103"]
    assert named([at("20260103")]) == []


def test_a_result_that_does_not_speak_of_enhancing_tumour_is_never_best():
    """A person's outline of the whole alone."""
    assert named([at("20250501", None), at("20250901", 3), at("20251101", None)]) == [
        ("20250501", ("first",)),
        ("20250901", ("best",)),
        ("20251101", ("last",)),
    ]


def test_change_in_millilitres_and_percent():
    """From 4 to 5 mL is one more, or 25 %; from nothing there are no percent."""
    first, second = changes({"enhancing": 5.0, "whole": 10.0}, [at("20251101", 4, 0)], "20260102")
    assert (first.region, first.change_ml, first.change_percent) == ("enhancing", 1.0, 25.0)
    assert (second.region, second.change_ml, second.change_percent) == ("whole", 10.0, None)
    assert second.compared_as == ("first", "best", "last")


def test_shrinking_is_negative():
    """From 20 to 15 mL."""
    (change,) = changes({"whole": 15.0}, [at("20251101")], "20260102")
    assert (change.change_ml, change.change_percent) == (-5.0, pytest.approx(-25.0))


def test_only_regions_that_both_speak_of_are_compared():
    """Core is in neither, enhancing only now."""
    found = changes({"enhancing": 1.0, "core": 2.0, "whole": 3.0}, [at("20251101", None)], "")
    assert [change.region for change in found] == ["whole"]
