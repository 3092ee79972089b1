"""Which studies are Glioloop's work."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from datetime import date
from fnmatch import fnmatchcase

import pydicom
from pydicom import Dataset

from converter.evidence import Evidence
from glioloop.settings_studies import Scope

PROCEDURE_SEQUENCES = ("ProcedureCodeSequence", "RequestedProcedureCodeSequence")
"""(0008,1032) and (0032,1064): what was done, and what was asked for."""

YEARS_OF = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}
"""Units of (0010,1010) *Patient's Age* (PS3.5 table 6.2-1, AS), in years."""

OLDEST = 120.0
"""Years; a birth date that makes anybody older is a placeholder, and tells nothing."""

OTHER_REGION = "another body region"
"""Name of the rules in `converter/rules.yaml` by which a series is not of a head."""


def outside(
    scope: Scope,
    headers: Sequence[Dataset],
    calling_aes: Collection[str],
    evidence: Sequence[Evidence] = (),
) -> str:
    """Why a study is not worked on; empty when it is.

    Parameters
    ----------
    scope
        The site's rules.
    headers
        One header of each series.
    calling_aes
        Who sent the study.
    evidence
        What its series were found to be (`converter.identify`). A study all of whose series are
        excluded, each for itself, is none of ours; one with a series that nothing is known of may
        be, and is answered.
    """
    images = [h for h in headers if str(h.get("Modality", "")) == "MR"]
    if not images:
        return "no MR series"
    if scope.calling_aes and not set(scope.calling_aes) & set(calling_aes):
        return f"none of its senders {sorted(calling_aes)} is in scope.calling_aes"
    rules = (_of_description, _of_body_part, _of_procedure, _of_age)
    if against := next(filter(None, (rule(scope, images) for rule in rules)), ""):
        return against
    if evidence and all(_excluded(one) for one in evidence):
        return f"each of its {len(evidence)} series is excluded by a rule for series"
    return ""


def _of_description(scope: Scope, images: Sequence[Dataset]) -> str:
    """What its (0008,1030) *Study Description* says against a study."""
    described = {str(h.get("StudyDescription", "") or "") for h in images}
    if not _fits(scope.study_descriptions, described):
        return "its StudyDescription fits no pattern of scope.study_descriptions"
    words = {word for text in described for word in _words(text)}
    if _fits(scope.other_regions, words) and not _fits(scope.head_regions, words):
        return "its StudyDescription names another region (scope.other_regions) and no head"
    return ""


def _of_body_part(scope: Scope, images: Sequence[Dataset]) -> str:
    """What (0018,0015) *Body Part Examined* says; a series that states none tells nothing."""
    parts = [str(h.get("BodyPartExamined", "") or "").strip() for h in images]
    stated = [part for part in parts if part]
    # What few series say does not speak for the many that say nothing.
    if _fits(scope.body_parts, stated if 2 * len(stated) >= len(parts) else parts):
        return ""
    return "its BodyPartExamined fits no pattern of scope.body_parts"


def _of_procedure(scope: Scope, images: Sequence[Dataset]) -> str:
    """What the codes of its procedures say."""
    if not scope.procedure_codes:
        return ""
    codes = {code for header in images for code in _procedure_codes(header)}
    if _fits(scope.procedure_codes, codes):
        return ""
    return "none of its procedure codes fits scope.procedure_codes"


def _of_age(scope: Scope, images: Sequence[Dataset]) -> str:
    """What the patient's age says; one that nothing tells says nothing."""
    ages = [age for header in images if (age := _age_years(header)) is not None]
    if not ages or scope.least_age_years <= ages[0] <= scope.greatest_age_years:
        return ""
    return "the patient's age is outside scope.least_age_years to scope.greatest_age_years"


def _excluded(one: Evidence) -> bool:
    """Whether a series is known to be none of a head's FLAIR, T1 and T2."""
    return any(
        rule.about == "veto" or (rule.about == "unfit" and rule.what.startswith(OTHER_REGION))
        for rule in one.rules
    )


def _fits(patterns: Collection[str], texts: Collection[str]) -> bool:
    """Whether any text fits any pattern, in any case."""
    return any(fnmatchcase(t.strip().upper(), p.upper()) for t in texts for p in patterns)


def _words(text: str) -> list[str]:
    """Words of a text in capital letters, without accents."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return re.findall(r"[A-Z0-9]+", plain.upper())


def _procedure_codes(header: Dataset) -> Iterator[str]:
    """(0008,0100) *Code Value* of each procedure."""
    for keyword in PROCEDURE_SEQUENCES:
        found = header.get(keyword)
        for item in found if isinstance(found, pydicom.Sequence) else ():
            if value := str(item.get("CodeValue", "") or ""):
                yield value


def _age_years(header: Dataset) -> float | None:
    """Age at the time of the study; None where nothing tells."""
    stated = re.fullmatch(r"(\d{1,3})([DWMY])", str(header.get("PatientAge", "") or "").strip())
    if stated:
        return int(stated[1]) * YEARS_OF[stated[2]]
    born, made = (_date(header.get(k)) for k in ("PatientBirthDate", "StudyDate"))
    if born is None or made is None:
        return None
    age = (made - born).days / 365.25
    return age if 0.0 <= age <= OLDEST else None


def _date(value: object) -> date | None:
    """A DICOM date; None for what is none."""
    try:
        return date.fromisoformat(str(value or "").strip())
    except ValueError:
        return None
