"""What a person says that the segments of a SEG are."""

from __future__ import annotations

from collections.abc import Mapping

from study.errors import RefusedError
from study.tissue import Tissue

LEFT_OUT = "none"
"""This segment is none of ours."""


def tissues(label_map: Mapping[str, str]) -> dict[str, Tissue | None]:
    """A label map as a person writes it: ``{"Seg 2": "edema", "scratch": "none"}``.

    Raises
    ------
    RefusedError
        If a tissue is unknown.
    """
    known = {t.name.lower(): t for t in Tissue if t is not Tissue.BACKGROUND}
    found: dict[str, Tissue | None] = {}
    for label, name in label_map.items():
        if name.lower() not in {*known, LEFT_OUT}:
            raise RefusedError(
                f"{name!r} is no tissue; a segment is one of {', '.join(known)}, or {LEFT_OUT}"
            )
        found[label] = known.get(name.lower())
    return found
