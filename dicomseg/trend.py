"""A patient's volumes over time, and the dates that the latest is compared with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from study.errors import RefusedError
from study.tissue import REGIONS

T = TypeVar("T")

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
    named = first_best_last(in_order(points)[:-1], lambda p: p.volumes_ml.get("enhancing"))
    return tuple(Comparison(names, point) for point, names in named)


def first_best_last(
    ordered: Sequence[T], enhancing_ml: Callable[[T], float | None]
) -> list[tuple[T, tuple[str, ...]]]:
    """What dates are compared with: the first, the best and the last of some, each with what it is.

    Parameters
    ----------
    ordered
        From the earliest to the latest.
    enhancing_ml
        Gives the volume of the enhancing tumour; None where the outline does not speak of it.
    """
    if not ordered:
        return []
    measured = [(ml, n) for n, one in enumerate(ordered) if (ml := enhancing_ml(one)) is not None]
    picks = {"first": 0, "best": min(measured)[1] if measured else -1, "last": len(ordered) - 1}
    named = [tuple(name for name, at in picks.items() if at == n) for n in range(len(ordered))]
    return [(one, names) for one, names in zip(ordered, named, strict=True) if names]


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
