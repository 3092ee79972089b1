"""What the charts of the trend share: the regions, their colours, and the axes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from dicomseg.codes import STYLES
from study.tissue import Tissue

REGION_NAMES: Mapping[str, str] = {
    "enhancing": "Enhancing tumour",
    "core": "Tumour core",
    "whole": "Whole tumour",
}
"""In the order in which they are shown."""
REGION_COLOURS: Mapping[str, tuple[int, int, int]] = {
    "enhancing": STYLES[Tissue.ENHANCING].rgb,
    "core": (86, 180, 233),
    "whole": STYLES[Tissue.EDEMA].rgb,
}
"""A region is more than a tissue: the core has a colour of its own (Okabe and Ito 2008), the
whole tumour that of its rim."""
LEAST_DAYS = 30
"""Time that is shown at least, so that single days are no axis of their own."""
TICKS = 10
"""Most days that are named below the axis."""
MONTHS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 24000)
"""How far apart they may be where weeks are too near."""
LEAST_ML = 0.1
HEADROOM = 1.5
"""Height of an axis as a multiple of its highest point, with room for the value above it."""


def span(first: date, last: date) -> tuple[date, date]:
    """First and last day that are shown: all points, with some room beside them."""
    length = last - first
    room = max((timedelta(days=LEAST_DAYS) - length) / 2, length * 0.04, timedelta(days=1))
    earliest = max(first.toordinal() - room.days, date.min.toordinal())
    latest = min(last.toordinal() + room.days, date.max.toordinal())
    return date.fromordinal(earliest), date.fromordinal(latest)


def ticks(first: date, last: date) -> list[date]:
    """Days that are named below the axis: a week, some months or some years apart.

    Returns
    -------
    list of datetime.date
        At most `TICKS`, all from `first` to `last`.
    """
    days = (last - first).days
    if days <= 7 * TICKS - 7:
        return [first + timedelta(days=n) for n in range(3, days + 1, 7)]
    starts = [date(n // 12, n % 12 + 1, 1) for n in range(_month(first) + 1, _month(last) + 1)]
    step = next(n for n in MONTHS if len(starts) <= n * (TICKS - 1))
    return [day for day in starts if _month(day) % step == 0]


def _month(day: date) -> int:
    """Months since the year 0."""
    return day.year * 12 + day.month - 1
