"""Which series of a study the network gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from converter.identify import Identification, identify
from converter.series import scan
from study.errors import HeldError
from study.tissue import Role


def choose(paths: Sequence[Path], overrides: Mapping[Role, str] | None = None) -> Identification:
    """Which series of a study is FLAIR, T1gd and T2.

    Parameters
    ----------
    paths
        Files or folders of one study.
    overrides
        Role to SeriesInstanceUID, as a person decided.

    Raises
    ------
    HeldError
        If a sequence is missing or ambiguous, or the images belong to several studies.
    """
    found = look(paths, overrides)
    if len(found.chosen) < len(Role):
        raise HeldError(found.explain())
    return found


def look(paths: Sequence[Path], overrides: Mapping[Role, str] | None = None) -> Identification:
    """As `choose`, but an incomplete answer is an answer."""
    scanned = scan(paths)
    studies = {series.study_uid for series in scanned.series}
    if len(studies) > 1:
        raise HeldError(f"these files belong to {len(studies)} studies; give one at a time")
    if not scanned.series:
        reasons = sorted({refusal.reason for refusal in scanned.refused})[:3]
        raise HeldError(f"no readable image was found. {'; '.join(reasons)}".strip())
    return identify(scanned.series, overrides or {})
