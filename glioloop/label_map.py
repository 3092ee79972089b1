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


def numbers(text: str | None) -> dict[int, int] | None:
    """Read what the numbers of a label image mean: ``"1=necrosis,2=edema,4=enhancing"``.

    ``none`` is background, and 0 always is; None where nothing is said.

    Raises
    ------
    RefusedError
        If it is written otherwise, or a tissue is unknown.
    """
    if text is None:
        return None
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(number.strip().isdecimal() for number, _is, _name in pairs):
        raise RefusedError(
            f"labels are numbers and tissues, like 1=necrosis,2=edema,4=enhancing, not {text!r}"
        )
    named = tissues({number.strip(): name.strip() for number, _is, name in pairs})
    return {0: 0} | {int(number): int(tissue or 0) for number, tissue in named.items()}
