"""Which studies are Glioloop's work."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase

from pydicom import Dataset

from glioloop.settings import Scope


def outside(scope: Scope, headers: Sequence[Dataset], calling_aes: Collection[str]) -> str:
    """Why a study is not worked on; empty when it is.

    Parameters
    ----------
    scope
        The site's rules.
    headers
        One header of each series.
    calling_aes
        Who sent the study.
    """
    if not any(str(h.get("Modality", "")) == "MR" for h in headers):
        return "no MR series"
    if scope.calling_aes and not set(scope.calling_aes) & set(calling_aes):
        return f"none of its senders {sorted(calling_aes)} is in scope.calling_aes"
    described = {str(h.get("StudyDescription", "") or "") for h in headers}
    if not _fits(scope.study_descriptions, described):
        return "its StudyDescription fits no pattern of scope.study_descriptions"
    parts = {str(h.get("BodyPartExamined", "") or "") for h in headers}
    if not _fits(scope.body_parts, parts):
        return "its BodyPartExamined fits no pattern of scope.body_parts"
    return ""


def _fits(patterns: Collection[str], texts: Collection[str]) -> bool:
    """Whether any text fits any pattern, in any case."""
    return any(fnmatchcase(t.strip().upper(), p.upper()) for t in texts for p in patterns)
