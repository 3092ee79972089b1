"""Groups of patients who share a head: a site, a scanner, a trial."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from fnmatch import fnmatchcase

from pydicom import Dataset

from glioloop.settings_models import Group
from study.patient import PatientKey


def key_of_group(name: str) -> PatientKey:
    """The key that a group's models lie under; its name is no secret."""
    return PatientKey(hashlib.sha256(b"group\x00" + name.encode()).hexdigest())


def groups_of(header: Dataset, calling_ae: str, groups: Iterable[Group]) -> list[str]:
    """Names of the groups that a study belongs to, in the order of the settings.

    Parameters
    ----------
    header
        Of an image of the study's T1gd series.
    calling_ae
        Who sent it.
    groups
        From the settings.
    """
    said = {
        "calling_aes": calling_ae,
        # (0008,1010) *Station Name*, (0008,1090) *Manufacturer's Model Name*
        "stations": str(header.get("StationName", "") or ""),
        "scanners": str(header.get("ManufacturerModelName", "") or ""),
        # (0012,0020) *Clinical Trial Protocol ID*
        "trials": str(header.get("ClinicalTrialProtocolID", "") or ""),
    }
    return [
        group.name
        for group in groups
        if all(_fits(text, getattr(group, name)) for name, text in said.items())
    ]


def _fits(text: str, patterns: tuple[str, ...]) -> bool:
    """Whether a text is like one of some patterns, in any case."""
    return any(fnmatchcase(text.strip().upper(), pattern.upper()) for pattern in patterns)
