"""Where a patient's head and the base head differ much on a study, its result says so.

Both answers come from one pass of features, so that nothing is computed twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from glioloop import results
from study.agreement import dice
from study.tissue import REGIONS, region

if TYPE_CHECKING:
    from glioloop.site import Site

LEAST_ML = 1.0
"""Of a region in either answer, below which nothing is said of it."""
WORDS: Mapping[str, str] = {
    "enhancing": "enhancing tumour",
    "core": "tumour core",
    "whole": "whole tumour",
}


def agreement(
    mine: npt.NDArray[np.integer], base: npt.NDArray[np.integer], voxel_ml: float
) -> dict[str, float]:
    """Dice between two answers.

    Parameters
    ----------
    mine, base
        ``(D, H, W)`` `study.tissue.Tissue` values of the patient's head and of the base head.
    voxel_ml
        Volume of a voxel in mL.

    Returns
    -------
    dict
        By region of `study.tissue.REGIONS`, those that have `LEAST_ML` in either answer.
    """
    found = {}
    for name in REGIONS:
        both = region(mine, name), region(base, name)
        if max(np.count_nonzero(mask) for mask in both) * voxel_ml >= LEAST_ML:
            found[name] = dice(*both)
    return found


def told(site: Site, result_id: str) -> list[str]:
    """What a result of the service is told, of what was found when it was made."""
    found = json.loads(site.results.path(result_id, results.FACTS).read_text())
    least = site.settings.adaptation.least_agreement
    said = warning(found.get("agreement", {}), least)
    return [said] if said else []


def warning(found: Mapping[str, float], least: float) -> str:
    """What a reader of the result is told; empty where both heads agree.

    Parameters
    ----------
    found
        From `agreement`; empty for a study that the base head alone has seen.
    least
        Dice below which it is told.
    """
    apart = [f"Dice {d:.2f} of {WORDS[name]}" for name, d in found.items() if d < least]
    if not apart:
        return ""
    return (
        f"The patient's adapted model and the base model differ much on this study"
        f" ({', '.join(apart)}): look whether the outline is right."
    )
