from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydicom import Dataset

from dicomseg.wall_clock import on_wall_clock, zone_of

MADE = datetime(2026, 1, 3, 9, 30, tzinfo=UTC)


def source(offset: str | None) -> Dataset:
    ds = Dataset()
    if offset is not None:
        ds.TimezoneOffsetFromUTC = offset
    return ds


@pytest.mark.parametrize(
    ("offset", "shown"),
    [
        ("+0200", "2026-01-03 11:30"),
        ("-1030", "2026-01-02 23:00"),
        ("+0000", "2026-01-03 09:30"),
        ("+1400", "2026-01-03 23:30"),
    ],
)
def test_a_moment_on_the_clock_of_a_zone(offset, shown):
    """09:30 UTC elsewhere."""
    assert on_wall_clock(MADE, source(offset)).strftime("%Y-%m-%d %H:%M") == shown


@pytest.mark.parametrize("offset", [None, "", "+02", "+2:00", "02000", "+1500", "-1201", "+0060"])
def test_what_is_no_zone_changes_nothing(offset):
    """Nothing is guessed, and nothing raises."""
    assert zone_of(source(offset)) is None
    assert on_wall_clock(MADE, source(offset)) == MADE
    assert on_wall_clock(MADE, source(offset)).strftime("%H:%M") == "09:30"


def test_a_moment_without_zone_is_on_that_clock_already():
    """As it is."""
    naive = MADE.replace(tzinfo=None)
    assert on_wall_clock(naive, source("+0200")) == naive
