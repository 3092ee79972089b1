"""Settings of which studies are worked on, and what is said of them."""

from __future__ import annotations

from pathlib import Path

from glioloop.body_regions import HEAD_REGIONS, OTHER_REGIONS
from glioloop.settings_part import NotNegative, Part


class Completeness(Part):
    """When a study is complete."""

    quiet_seconds: NotNegative = 20
    """s without a new image once all three sequences are there"""
    incomplete_after_minutes: NotNegative = 15
    """min without a new image before a study that lacks a sequence is answered"""


class Scope(Part):
    """Which studies are worked on: those that fit all of it, and those that a person asks for.

    Patterns (`*`, `?`) are compared in any case.
    """

    calling_aes: tuple[str, ...] = ()
    """calling AE titles whose studies are worked on; none: all"""
    study_descriptions: tuple[str, ...] = ("*",)
    """patterns, of which one fits the whole (0008,1030) *Study Description*"""
    other_regions: tuple[str, ...] = OTHER_REGIONS
    """patterns of words; a *Study Description* with such a word and no head is out of scope"""
    head_regions: tuple[str, ...] = HEAD_REGIONS
    """patterns of words that name the head; accents are left out, as in `other_regions`"""
    body_parts: tuple[str, ...] = ("", "*BRAIN*", "*HEAD*", "*SKULL*", "*NEURO*", "*CEREB*")
    """patterns, of which one fits a series' (0018,0015) *Body Part Examined*; "": none is stated"""
    procedure_codes: tuple[str, ...] = ()
    """patterns, of which one fits a code of the procedure, (0008,1032) or (0032,1064); none: all"""
    least_age_years: NotNegative = 0
    """youngest patient, years; one whose age nothing tells fits"""
    greatest_age_years: NotNegative = 150
    """oldest patient, years"""


class Identification(Part):
    """Which series is which."""

    rules_file: Path | None = None
    """the site's rules for series (docs/identification.md), put over those that are shipped"""


class Answers(Part):
    """What the archive is told of studies that are in scope."""

    unsegmented: bool = True
    """whether a study that could not be segmented gets a page, and a report, that say why"""
