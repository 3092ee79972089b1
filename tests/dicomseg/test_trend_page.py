from __future__ import annotations

from datetime import date, timedelta

import pytest
from burned_in import pixels_of, place_of_text

from dicomseg.page import FAINT, WARNING
from dicomseg.trend_page import TrendPoint, trend
from study.errors import RefusedError


def point(day, enhancing, core, whole, *, corrected=False, head="base"):
    volumes = {"enhancing": enhancing, "core": core, "whole": whole}
    return TrendPoint(date.fromisoformat(day), volumes, corrected=corrected, head=head)


THREE = [
    point("2025-02-17", 0.5, 1.0, 30.0, corrected=True, head="patient-v1"),
    point("2024-11-03", 12.0, 16.0, 80.0),
    point("2026-01-02", 3.0, 4.0, 60.0, head="patient-v2"),
]


@pytest.fixture(scope="module")
def three() -> bytes:
    """The page of `THREE`."""
    return trend(THREE, model_version="0.1.0 head base")


BEST = "best: the smallest enhancing tumour before the latest study"


def row_of(png, text, **look):
    found = place_of_text(png, text, **look)
    assert found is not None, text
    return found[0]


def test_changes_are_burned_in(three):
    """3.0 mL against 12.0 and 0.5 mL, and so on: each on the row of its date."""
    png = three
    for date_, enhancing, core, whole in [
        ("2024-11-03", "−9.0 mL (−75 %)", "−12.0 mL (−75 %)", "−20.0 mL (−25 %)"),
        ("2025-02-17", "+2.5 mL (+500 %)", "+3.0 mL (+300 %)", "+30.0 mL (+100 %)"),
    ]:
        rows = [
            row_of(png, date_),
            row_of(png, enhancing, bold=True),
            row_of(png, core),
            row_of(png, whole),
        ]
        assert max(rows) - min(rows) < 6
    assert row_of(png, "first") < row_of(png, "best and last")


def test_all_studies_are_listed(three):
    """With their volumes, and how the outline was made."""
    png = three
    places = [row_of(png, text) for text in ("head base", "◆ corrected", "head patient-v2")]
    assert places == sorted(places)
    assert place_of_text(png, "head patient-v1") is None
    for text in ("12.0 mL", "16.0 mL", "80.0 mL", "0.5 mL", "30.0 mL", "3.0 mL", "4.0 mL"):
        row_of(png, text)
    row_of(png, "Tumour volumes of 3 studies, 2024-11-03 to 2026-01-02", size=26, bold=True)


def test_one_study_has_nothing_to_compare_with():
    """It is said, and there is neither chart nor comparison."""
    png = trend(THREE[:1], model_version="1")
    text = "Tumour volumes on 2025-02-17: the only study, nothing to compare with"
    row_of(png, text, size=26, bold=True)
    row_of(png, "◆ corrected")
    assert place_of_text(png, "Latest against", bold=True) is None
    assert place_of_text(png, BEST, colour=FAINT) is None
    assert pixels_of(png).shape[0] < 300
    both = trend(THREE[:2], model_version="1")
    assert place_of_text(both, text, size=26, bold=True) is None
    row_of(both, "Latest against", bold=True)
    row_of(both, BEST, colour=FAINT)


def test_title_warnings_and_version_are_burned_in(three):
    """And are not there where they were not given."""
    given = trend(
        THREE, model_version="0.1.0 head v2", title="All results", warnings=["T2 is missing."]
    )
    bare = three
    for text, look in {
        "All results": {"size": 18},
        "Warning: T2 is missing.": {"colour": WARNING},
        "Not for diagnosis - 0.1.0 head v2": {"bold": True},
    }.items():
        row_of(given, text, **look)
        assert place_of_text(bare, text, **look) is None
    row_of(bare, "Not for diagnosis - 0.1.0 head base", bold=True)


def test_the_mark_of_corrections_is_explained_where_there_are_some(three):
    """Not where nobody corrected anything."""
    row_of(three, "◆ corrected by a person", colour=FAINT)
    png = trend(THREE[1:], model_version="1")
    assert place_of_text(png, "◆ corrected by a person", colour=FAINT) is None


def many(count):
    start = date(2016, 1, 1)
    return [
        point((start + timedelta(91 * n)).isoformat(), n + 0.5, n + 1.0, n + 40.0)
        for n in range(count)
    ]


def test_forty_studies_are_listed_side_by_side():
    """Twenty in a column: the second and the twenty-second on one row."""
    png = trend(many(40), model_version="1")
    left = place_of_text(png, "41.0 mL")
    right = place_of_text(png, "61.0 mL")
    assert left[0] == right[0]
    assert right[1] > left[1] + 500
    row_of(png, "79.0 mL")
    assert pixels_of(png).shape[0] < 1600
    assert place_of_text(png, "1 earlier study is in the chart only", colour=FAINT) is None


def test_more_than_forty_are_in_the_chart_only():
    """The earliest ones; it is said."""
    png = trend(many(43), model_version="1")
    row_of(png, "3 earlier studies are in the chart only", colour=FAINT)
    assert place_of_text(png, "2016-07-01") is None
    row_of(png, "2016-09-30")
    row_of(trend(many(41), model_version="1"), "1 earlier study is in the chart only", colour=FAINT)


def test_a_volume_that_is_not_known_is_a_dash(three):
    """A person outlined the enhancing tumour alone."""
    only = TrendPoint(date(2025, 6, 1), {"enhancing": 2.0}, corrected=True, head="base")
    png = trend([only, THREE[2]], model_version="1")
    row_of(png, "–")
    row_of(png, "+1.0 mL (+50 %)", bold=True)
    assert place_of_text(three, "–") is None


@pytest.mark.parametrize("text", ["脳", "\ud800\x00", "W" * 3000, "\u202e"])
def test_any_text_can_be_given(text):
    """Nothing raises, nothing leaves the page."""
    points = [*THREE[:2], point("2026-01-02", 3.0, 4.0, 60.0, head=text)]
    png = trend(points, model_version=text, title=text, warnings=[text])
    assert (pixels_of(png)[:, -10:] == 16).all()


def test_large_volumes_fit():
    """A change of two thousand mL is not cut."""
    png = trend([point("2025-01-01", 1, 1, 1), point("2025-06-01", 999, 999, 1999)],
                model_version="1")  # fmt: skip
    row_of(png, "+998.0 mL (>999 %)", bold=True)
    row_of(png, "+1998.0 mL (>999 %)")


def test_no_study_is_refused():
    """There is nothing to show."""
    with pytest.raises(RefusedError, match="one study at least"):
        trend([], model_version="1")


def test_the_same_arguments_give_the_same_bytes(three):
    """In any order; nothing comes from the clock."""
    assert trend(THREE[::-1], model_version="0.1.0 head base") == three
