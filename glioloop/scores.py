"""How well cases were outlined: each by itself, and all together."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.metrics import LesionCount, hausdorff95, lesions
from glioloop.cases import Case
from study.agreement import dice
from study.tissue import REGIONS, Role, region

OVERALL = "overall"
"""Not a region: the mean of the Dice of those regions that somebody outlined in a case."""


@dataclass(frozen=True)
class RegionScore:
    """How well one region was outlined; the distance is NaN where one outline is empty."""

    dice: float
    hausdorff95_mm: float
    volume_ml: float
    truth_ml: float
    lesions: LesionCount


@dataclass(frozen=True)
class CaseScore:
    """How well one case was outlined.

    Parameters
    ----------
    name
        Of the case.
    regions
        Region to its score; regions that nobody outlined are absent.
    seconds
        Of all steps.
    brain_ml
        Volume of the brain mask.
    problem
        Why nothing was outlined, or nothing: such a case counts as an empty outline.
    """

    name: str
    regions: Mapping[str, RegionScore]
    seconds: float
    brain_ml: float = 0.0
    problem: str = ""

    @property
    def overall_dice(self) -> float:
        """Mean Dice over the regions that somebody outlined."""
        return fmean(score.dice for score in self.regions.values())


@dataclass(frozen=True)
class Total:
    """One region over several cases.

    Parameters
    ----------
    cases
        Where somebody outlined it.
    dice
        Mean over these cases.
    hausdorff95_mm
        Mean over `measured` cases; NaN where there are none.
    measured
        Cases of which both outlines are not empty, or both are.
    lesions
        Sums.
    """

    cases: int
    dice: float
    hausdorff95_mm: float
    measured: int
    lesions: LesionCount


def compare(case: Case, labels: npt.NDArray[np.integer]) -> dict[str, RegionScore]:
    """Score labels on the grid of T1gd, region by region of the truth."""
    geometry = case.volumes[Role.T1GD].geometry
    voxel = geometry.voxel_volume_ml
    scores = {}
    for name, truth in case.truth.items():
        outline = region(labels, name)
        scores[name] = RegionScore(
            dice(outline, truth),
            hausdorff95(outline, truth, geometry.spacing),
            float(outline.sum() * voxel),
            float(truth.sum() * voxel),
            lesions(outline, truth, voxel),
        )
    return scores


def totals(scores: Sequence[CaseScore]) -> dict[str, Total]:
    """Each region over the cases that have it, in the order of `REGIONS`."""
    found = {}
    for name in REGIONS:
        each = [score.regions[name] for score in scores if name in score.regions]
        if not each:
            continue
        distances = [s.hausdorff95_mm for s in each if not math.isnan(s.hausdorff95_mm)]
        found[name] = Total(
            len(each),
            fmean(score.dice for score in each),
            fmean(distances) if distances else float("nan"),
            len(distances),
            LesionCount(
                sum(score.lesions.lesions for score in each),
                sum(score.lesions.found for score in each),
                sum(score.lesions.false for score in each),
            ),
        )
    return found


def mean_dice(scores: Sequence[CaseScore]) -> dict[str, float]:
    """Mean Dice over all cases (`OVERALL`), and of each region over those that have it."""
    if not scores:
        return {}
    overall = fmean(score.overall_dice for score in scores)
    return {OVERALL: overall, **{name: total.dice for name, total in totals(scores).items()}}


def plain(scores: Sequence[CaseScore]) -> dict[str, Any]:
    """All numbers as plain values; NaN, which JSON lacks, becomes null."""
    raw = {
        "mean_dice": mean_dice(scores),
        "totals": {name: asdict(total) for name, total in totals(scores).items()},
        "cases": [{**asdict(score), "overall_dice": score.overall_dice} for score in scores],
    }
    return without_nan(raw)


def without_nan(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Values as JSON has them: NaN, which it lacks, becomes null."""
    answer: dict[str, Any] = json.loads(json.dumps(raw), parse_constant=lambda _name: None)
    return answer
