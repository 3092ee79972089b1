"""A patient's volumes over time, and the dates that the latest is compared with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from study.errors import RefusedError
from study.tissue import REGIONS

SMALLEST_SHOWN_ML = 0.05
"""Less is written as less than a tenth, not as nothing."""

MOST_PERCENT = 999


@dataclass(frozen=True)
class TrendPoint:
    """The volumes of one study.

    Parameters
    ----------
    date
        Of the study.
    volumes_ml
        Key of `study.tissue.REGIONS` to mL; regions that the outline does not speak of are left
        out.
    corrected
        Whether a person corrected the outline that was measured.
    head
        Version of the model's head that made the outline: ``"base"``, or the patient's own.

    Raises
    ------
    RefusedError
        If a volume is negative, no number, or of no known region.
    """

    date: date
    volumes_ml: Mapping[str, float]
    corrected: bool
    head: str

    def __post_init__(self) -> None:
        for region, volume in self.volumes_ml.items():
            if region not in REGIONS or not (math.isfinite(volume) and volume >= 0):
                raise RefusedError(
                    f"the volume of the region {region!r} is {volume} mL; "
                    f"a number from 0 for {', '.join(REGIONS)} is needed"
                )


@dataclass(frozen=True)
class Comparison:
    """An earlier date that the latest is compared with."""

    names: tuple[str, ...]
    """What it is of the earlier ones: ``"first"``, ``"best"``, ``"last"``."""
    point: TrendPoint


def in_order(points: Sequence[TrendPoint]) -> tuple[TrendPoint, ...]:
    """From the earliest to the latest; of one date, in the order given."""
    return tuple(sorted(points, key=lambda point: point.date))


def comparisons(points: Sequence[TrendPoint]) -> tuple[Comparison, ...]:
    """What the latest of some points is compared with.

    The best is the smallest enhancing tumour so far, as in RANO (Wen et al. 2010: progression is
    judged against the smallest measurement since treatment began); of equal ones the first.

    Parameters
    ----------
    points
        In any order.

    Returns
    -------
    tuple of Comparison
        First, best and last of the earlier points; one item where they coincide. None where there
        is no earlier point.
    """
    earlier = in_order(points)[:-1]
    if not earlier:
        return ()
    measured = [point for point in earlier if "enhancing" in point.volumes_ml]
    named = {"first": earlier[0]}
    if measured:
        named["best"] = min(measured, key=lambda point: point.volumes_ml["enhancing"])
    named["last"] = earlier[-1]
    found: dict[int, list[str]] = {}
    for name, point in named.items():
        found.setdefault(id(point), []).append(name)
    by_id = {id(point): point for point in named.values()}
    return tuple(Comparison(tuple(names), by_id[key]) for key, names in found.items())


def volume_text(volume_ml: float | None) -> str:
    """A volume in mL with one decimal; a small one is not rounded to nothing.

    ``"12.3"``, ``"0"``, ``"<0.1"``; a dash where there is none.
    """
    if volume_ml is None:
        return "–"
    if 0 < volume_ml < SMALLEST_SHOWN_ML:
        return "<0.1"
    return f"{volume_ml:.1f}" if volume_ml else "0"


def change_text(now_ml: float | None, before_ml: float | None) -> str:
    """A change in mL and percent: ``"+3.1 mL (+25 %)"``.

    Of nothing there is no percentage: ``"+3.1 mL (from 0)"``; of next to nothing it says little:
    ``"+9.4 mL (>999 %)"``. Empty where either is not known.
    """
    if now_ml is None or before_ml is None:
        return ""
    change = _signed(now_ml - before_ml, 1)
    if before_ml == 0:
        return f"{change} mL (from 0)" if now_ml else "0.0 mL"
    percent = (now_ml - before_ml) / before_ml * 100
    return f"{change} mL ({_signed(percent, 0) if percent <= MOST_PERCENT else '>999'} %)"


def _signed(value: float, decimals: int) -> str:
    """A number with its sign; zero has none."""
    text = f"{abs(value):.{decimals}f}"
    if not float(text):
        return text
    return f"{'+' if value > 0 else '−'}{text}"
