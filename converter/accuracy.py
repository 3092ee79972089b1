"""How right identification is where the truth is known, and how much of it is held.

Precision alone can be bought by holding everything. So the share held stands beside it: of series,
those of which a person must say the class, or whether contrast was given; of studies that have a
series of every role by truth, those of which a person must name one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from converter.rules import SEQUENCES
from converter.table import StudyOfTable, TableIdentification
from study.errors import RefusedError
from study.tissue import Role


@dataclass(frozen=True)
class OfClass:
    """One class: how many by truth, how many found, and shares (None where there are none).

    Parameters
    ----------
    precision
        Of those found, the share that is right.
    recall
        Of those that it is, the share that was found.
    held
        Of those that it is, the share of which a person must decide.
    """

    name: str
    truth: int
    found: int
    precision: float | None
    recall: float | None
    held: float | None


@dataclass(frozen=True)
class OfRole:
    """One role in the studies that have a series of every role: right, held and wrong ones."""

    name: str
    right: int
    held: int
    wrong: int


@dataclass(frozen=True)
class Accuracy:
    """The figures of one table.

    Parameters
    ----------
    series, right
        Number of series with a known truth, and the share of them that is right.
    held
        The share of them of which a person must decide.
    studies
        Number of studies that have a series of every role by truth.
    roles
        One for each role, and one (``all``) for studies as a whole: held where any role is held,
        wrong where any is wrong.
    """

    series: int
    right: float
    held: float
    classes: tuple[OfClass, ...]
    studies: int
    roles: tuple[OfRole, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def measure(found: TableIdentification, truth: Sequence[str]) -> Accuracy:
    """Compare with the truth.

    Parameters
    ----------
    truth
        For each row FLAIR, T1GD, T1, T2 or OTHER, in any case; rows without are left out.

    Raises
    ------
    RefusedError
        If another word occurs, or none at all.
    """
    told = [word.strip().upper() for word in truth]
    strange = sorted(set(told) - {*SEQUENCES, ""})
    if strange:
        known = ", ".join(SEQUENCES)
        raise RefusedError(f"the truth of a series is one of {known}, not {', '.join(strange[:3])}")
    places = [place for place, word in enumerate(told) if word]
    if not places:
        raise RefusedError("the column of the truth is empty")
    right = sum(found.evidence[p].sequence == told[p] for p in places)
    whole = [s for s in found.studies if {role.value for role in Role} <= _of(s, told)]
    return Accuracy(
        series=len(places),
        right=right / len(places),
        held=sum(found.evidence[p].held for p in places) / len(places),
        classes=tuple(_of_class(name, found, told, places) for name in SEQUENCES),
        studies=len(whole),
        roles=_of_roles([_outcomes(study, told) for study in whole]),
    )


def _of(study: StudyOfTable, told: Sequence[str]) -> set[str]:
    """Classes that a study has by truth."""
    return {told[place] for place in study.places}


def _of_class(
    name: str, found: TableIdentification, told: Sequence[str], places: Sequence[int]
) -> OfClass:
    """Figures of one class."""
    true = [p for p in places if told[p] == name]
    called = [p for p in places if found.evidence[p].sequence == name]
    hits = len(set(true) & set(called))
    return OfClass(
        name=name,
        truth=len(true),
        found=len(called),
        precision=hits / len(called) if called else None,
        recall=hits / len(true) if true else None,
        held=sum(found.evidence[p].held for p in true) / len(true) if true else None,
    )


def _outcomes(study: StudyOfTable, told: Sequence[str]) -> Mapping[str, str]:
    """Right, held or wrong, for each role of one study."""
    outcomes = {}
    for role in Role:
        place = study.decision.chosen.get(role)
        if place is None:
            outcomes[role.value] = "held"
        else:
            good = told[study.places[place]] == role.value
            outcomes[role.value] = "right" if good else "wrong"
    return outcomes


def _of_roles(outcomes: Sequence[Mapping[str, str]]) -> tuple[OfRole, ...]:
    """How often each role, and all of them, came out how."""
    worst = ("wrong", "held", "right")
    rows = []
    for name in [*(role.value for role in Role), "all"]:
        came = [
            one[name] if name in one else min(one.values(), key=worst.index) for one in outcomes
        ]
        rows.append(OfRole(name, came.count("right"), came.count("held"), came.count("wrong")))
    return tuple(rows)
