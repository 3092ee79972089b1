"""The curves of a patient's volumes as SVG."""

from __future__ import annotations

from datetime import date
from xml.etree import ElementTree as ET

from dicomseg.trend import TrendPoint
from glioloop.volume_chart import chart

SVG = "{http://www.w3.org/2000/svg}"


def point(day: date, enhancing: float, *, corrected: bool = False) -> TrendPoint:
    return TrendPoint(day, {"enhancing": enhancing}, corrected, "base")


def test_a_larger_volume_lies_higher_and_a_later_day_further_right() -> None:
    drawn = ET.fromstring(chart([point(date(2026, 1, 1), 10.0), point(date(2026, 3, 1), 20.0)]))  # noqa: S314 - our own
    first, second = drawn.iter(f"{SVG}circle")
    # The axis ends at 1.5 times the greatest volume: 110 units are 30 mL, above 136.
    assert (first.get("cy"), second.get("cy")) == ("99.3", "62.7")
    assert float(str(first.get("cx"))) < float(str(second.get("cx")))
    title = drawn.find(f"{SVG}title")
    assert title is not None
    assert title.text == "Enhancing tumour in mL by date. 2026-01-01: 10.0; 2026-03-01: 20.0"


def test_what_a_person_outlined_is_a_diamond() -> None:
    drawn = ET.fromstring(chart([point(date(2026, 1, 1), 10.0, corrected=True)]))  # noqa: S314 - our own
    assert len(list(drawn.iter(f"{SVG}path"))) == 1
    assert list(drawn.iter(f"{SVG}circle")) == []


def test_the_days_stand_below() -> None:
    drawn = ET.fromstring(chart([point(date(2026, 1, 1), 1.0), point(date(2026, 12, 1), 2.0)]))  # noqa: S314 - our own
    days = [text.text for text in drawn.iter(f"{SVG}text") if text.get("class") == "day"]
    assert days[:3] == ["2026-01-01", "2026-03-01", "2026-05-01"]


def test_without_a_study_the_picture_says_so() -> None:
    assert "no volumes yet" in chart([])
