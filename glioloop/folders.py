"""Studies in folders of files."""

from __future__ import annotations

from pathlib import Path

from converter.identify import Identification, identify
from converter.rules import Rules
from converter.series import Series, scan
from study.errors import RefusedError


def studies(path: Path) -> dict[str, list[Series]]:
    """Series below a path by StudyInstanceUID, in order of date.

    Raises
    ------
    RefusedError
        If there is no such path, or nothing in it is a readable DICOM image.
    """
    if not path.exists():
        raise RefusedError(f"there is no file or folder {path}")
    scanned = scan([path])
    if not scanned.series:
        reasons = sorted({refusal.reason for refusal in scanned.refused})[:3]
        raise RefusedError(f"nothing in {path} is a readable DICOM image. {'; '.join(reasons)}")
    found: dict[str, list[Series]] = {}
    for series in sorted(scanned.series, key=_date):
        found.setdefault(series.study_uid, []).append(series)
    return found


def identify_studies(path: Path, rules: Rules | None = None) -> dict[str, Identification]:
    """Which series is what, for each study below a path."""
    return {uid: identify(series, rules=rules) for uid, series in studies(path).items()}


def _date(series: Series) -> tuple[str, str]:
    """When a study was made."""
    header = series.header
    return str(header.get("StudyDate", "")), str(header.get("StudyTime", ""))
