"""When a series was acquired."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from math import isfinite

from pydicom import Dataset

from converter.frames import value_of

DAY_S = 86_400


def when(sources: Sequence[Dataset]) -> float | None:
    """Seconds of acquisition, so that series of one study can be put in order.

    Counted from a midnight long ago where the date is known, so that a study that goes on after
    midnight keeps its order.

    Parameters
    ----------
    sources
        The header and its functional groups (`converter.frames.sources`).
    """
    for moment, day, time in (
        ("AcquisitionDateTime", "", ""),
        ("FrameAcquisitionDateTime", "", ""),
        ("", "AcquisitionDate", "AcquisitionTime"),
        ("", "SeriesDate", "SeriesTime"),
    ):
        whole = _text(sources, moment)
        told_day, told_time = (whole[:8], whole[8:]) if whole else ("", "")
        seconds = seconds_of_day(told_time or _text(sources, time))
        if seconds is not None:
            return _days(told_day or _text(sources, day) or _text(sources, "StudyDate")) + seconds
    return None


def seconds_of_day(text: str) -> float | None:
    """Seconds of a day from HHMMSS.FFFFFF (PS3.5 table 6.2-1, TM)."""
    digits = text.replace(":", "").split("+")[0].split("-")[0].strip()
    try:
        hour, minute, second = int(digits[:2]), int(digits[2:4]), float(digits[4:] or "0")
    except ValueError:
        return None
    whole = hour * 3600 + minute * 60 + second
    return whole if isfinite(whole) else None


def _days(text: str) -> float:
    """Seconds from a fixed day to a date YYYYMMDD; 0 where it is none."""
    try:
        return float(date(int(text[:4]), int(text[4:6]), int(text[6:8])).toordinal() * DAY_S)
    except ValueError:
        return 0.0


def _text(sources: Sequence[Dataset], keyword: str) -> str:
    """The first value that is there, as text."""
    values = (str(value_of(source, keyword) or "") for source in sources if keyword)
    return next((value.strip() for value in values if value.strip()), "")
