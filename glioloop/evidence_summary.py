"""What came of the experiments, counted up."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from glioloop.evidence_centre import BIAS_CURVE, CURVES
from glioloop.evidence_dates import Overlap
from glioloop.evidence_followups import BASE
from glioloop.evidence_heads import BIAS
from glioloop.evidence_ranges import Centres, Followups
from glioloop.evidence_statistics import Judged, judged, mean_dice
from study.tissue import REGIONS

Answer = Mapping[str, Any]
Overlaps = Mapping[str, Overlap]

PARTS: Mapping[str, Callable[[Answer, int], bool]] = {
    "all": lambda _patient, _place: True,
    "the same scanner": lambda p, place: bool(p["scanners"][place] == p["scanners"][0]),
    "another scanner": lambda p, place: bool(p["scanners"][place] != p["scanners"][0]),
    "before surgery": lambda p, place: not p["operated"][place],
    "after surgery": lambda p, place: bool(p["operated"][place]),
}
"""Which follow-ups are looked at: those of all patients, or some."""


def of_followups(answers: Sequence[Answer], ranges: Followups) -> dict[str, Any]:
    """Every arm beside the base head and beside biases alone.

    Parameters
    ----------
    answers
        From `glioloop.evidence_followups.run`.
    ranges
        What the patients were drawn from.

    Returns
    -------
    dict
        ``arms``: for each, the share of patients whose head was ``accepted``, and a `Judged` of
        each of `PARTS`, of each region, and ``beside bias``: with the head of biases alone in the
        base head's place.
    """
    names = list(answers[0]["follow_ups"][0])
    summary: dict[str, Any] = {}
    for name in names:
        if name == BASE:
            continue
        fits = [a["fits"][name] for a in answers if name in a["fits"]]
        summary[name] = {
            "accepted": float(np.mean([f["accepted"] for f in fits])) if fits else None,
            "parts": {part: _judged(answers, BASE, name, ranges, part=part) for part in PARTS},
            "regions": {r: _judged(answers, BASE, name, ranges, region=r) for r in REGIONS},
            "beside bias": _judged(answers, BIAS, name, ranges),
        }
    return plain({"patients": len(answers), "arms": summary})


def of_centre(answers: Sequence[Answer], centres: Centres) -> dict[str, Any]:
    """Every point of every curve beside the base head.

    Parameters
    ----------
    answers
        From `glioloop.evidence_centre.run`.
    centres
        What was asked.

    Returns
    -------
    dict
        ``curves``: for each, by number of ``corrections``, whether the head was ``accepted``, a
        `Judged` of the cases that are judged, of each region, and ``beside bias``.
    """
    by_point = {(a["curve"], a["corrections"]): a for a in answers}
    curves: dict[str, Any] = {name: [] for name in CURVES}
    for (name, count), answer in sorted(by_point.items(), key=lambda item: item[0][1]):
        before, bias = by_point[name, 0]["cases"], by_point[BIAS_CURVE, count]["cases"]
        after = answer["cases"]
        curves[name].append(
            {
                "corrections": count,
                "accepted": answer["fit"].get("accepted"),
                "judged": _side_by_side(before, after, centres.patients),
                "regions": {r: _side_by_side(before, after, centres.patients, r) for r in REGIONS},
                "beside bias": _side_by_side(bias, after, centres.patients),
            }
        )
    return plain({"cases": len(answers[0]["cases"]), "curves": curves})


def plain(summary: Mapping[str, Any]) -> dict[str, Any]:
    """A summary as JSON has it, to four decimals; NaN becomes null."""

    def value(given: Any) -> Any:
        if isinstance(given, Judged):
            given = asdict(given)
        if isinstance(given, Mapping):
            return {name: value(one) for name, one in given.items()}
        if isinstance(given, list):
            return [value(one) for one in given]
        if isinstance(given, float):
            return round(given, 4) if math.isfinite(given) else None
        return given

    found: dict[str, Any] = json.loads(json.dumps(value(summary)))
    return found


def _judged(
    answers: Sequence[Answer],
    base: str,
    name: str,
    ranges: Followups,
    part: str = "all",
    region: str | None = None,
) -> Judged:
    """One arm beside another, at the follow-ups of a part."""
    chosen = [
        (answer["patient"], scored[base], scored[name])
        for answer in answers
        for place, scored in enumerate(answer["follow_ups"], 1)
        if PARTS[part](answer, place)
    ]
    patients, before, after = zip(*chosen, strict=True) if chosen else ((), (), ())
    return _side_by_side(before, after, ranges, region, patients)


def _side_by_side(
    before: Sequence[Overlaps],
    after: Sequence[Overlaps],
    ranges: Followups,
    region: str | None = None,
    patients: Sequence[int] | None = None,
) -> Judged:
    """Two heads on the same dates; each is of a patient of its own unless it is said."""
    least = ranges.smallest_ml * 1000.0 / ranges.spacing_mm**3
    return judged(
        np.array([mean_dice(one, least, region) for one in before], float),
        np.array([mean_dice(one, least, region) for one in after], float),
        range(len(before)) if patients is None else patients,
        ranges.harmed,
        ranges.resamples,
        ranges.seed,
    )
