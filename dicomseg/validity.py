"""What a filled attribute must look like to be carried over."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, time


def single(text: str) -> bool:
    """Whether a text is one value."""
    return "\\" not in text


def valid_date(text: str) -> bool:
    """Whether a DA value is a day of the calendar."""
    if not re.fullmatch(r"\d{8}", text):
        return False
    try:
        date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return False
    return True


def valid_time(text: str) -> bool:
    """Whether a TM value is a time of the day."""
    found = re.fullmatch(r"(\d\d)(?:(\d\d)(?:(\d\d)(?:\.\d{1,6})?)?)?", text)
    if not found:
        return False
    try:
        hour, minute, second = (int(part or 0) for part in found.groups())
        time(hour, minute, second)
    except ValueError:
        return False
    return True


def _positive(text: str) -> bool:
    """Whether a DS value is a number above zero."""
    try:
        return 0 < float(text) < 1000
    except ValueError:
        return False


RULES: Mapping[str, Callable[[str], bool]] = {
    "PatientSex": lambda text: text in {"M", "F", "O"},
    "PatientBirthDate": valid_date,
    "StudyDate": valid_date,
    "StudyTime": valid_time,
    "PatientAge": lambda text: bool(re.fullmatch(r"\d{3}[DWMY]", text)),
    "PatientSize": _positive,
    "PatientWeight": _positive,
}
"""What a filled value must satisfy; other attributes may hold any single text."""
