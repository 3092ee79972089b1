"""The clock on the wall of the place where a study was made."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from pydicom import Dataset

from dicomseg.attributes import text_of


def on_wall_clock(created: datetime, source: Dataset) -> datetime:
    """A moment on the clock of the zone that a source declares.

    Parameters
    ----------
    created
        Any moment. One without a time zone is taken to be on that clock already.
    source
        Header with (0008,0201) *Timezone Offset From UTC*, or without.

    Returns
    -------
    datetime
        The same moment; as it was given where no valid zone is declared.
    """
    zone = zone_of(source)
    return created if created.tzinfo is None or zone is None else created.astimezone(zone)


def zone_of(source: Dataset) -> timezone | None:
    """Zone of (0008,0201) *Timezone Offset From UTC*, ``&ZZXX`` from -1200 to +1400 (PS3.3
    section C.12.1.1.8); None where there is none, or it is no such value.
    """
    found = re.fullmatch(r"([+-])(\d\d)([0-5]\d)", text_of(source, "TimezoneOffsetFromUTC"))
    if not found:
        return None
    minutes = (int(found[2]) * 60 + int(found[3])) * (-1 if found[1] == "-" else 1)
    return timezone(timedelta(minutes=minutes)) if -720 <= minutes <= 840 else None
