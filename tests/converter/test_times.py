"""When a series was acquired."""

from __future__ import annotations

import pytest
from pydicom import Dataset

from converter.times import seconds_of_day, when


def header(**attributes: str) -> Dataset:
    found = Dataset()
    for keyword, value in attributes.items():
        setattr(found, keyword, value)
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("010203.5", 3723.5),
        ("01:02:03", 3723.0),
        ("1530", 55800.0),
        ("", None),
        ("ab", None),
        ("1200nan", None),
    ],
)
def test_times_of_day(text: str, expected: float | None):
    assert seconds_of_day(text) == expected


def test_a_study_that_goes_on_after_midnight_keeps_its_order():
    before = when([header(AcquisitionDate="20200131", AcquisitionTime="235900")])
    after = when([header(AcquisitionDateTime="20200201000100.5")])
    assert before is not None
    assert after is not None
    assert after - before == 120.5


def test_the_series_time_stands_in_and_nothing_is_nothing():
    assert when([header(SeriesTime="000010")]) == 10.0
    assert when([header(StudyDate="20200131")]) is None
