"""Which series of a study is FLAIR, T1 with contrast, and T2: chosen, ambiguous or missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from converter.attributes import Attributes, of_series
from converter.contrast import tell_contrast
from converter.evidence import Evidence, Fired, classify, read_names
from converter.parts import split
from converter.roles import Decision, decide
from converter.rules import Rules, load
from converter.series import Series
from study.errors import RefusedError
from study.tissue import Role


@dataclass(frozen=True, eq=False)
class Identification:
    """What was found in a study, and why.

    Parameters
    ----------
    parts
        The series, or the parts of those that mix several.
    evidence
        One entry for each part, in the same order.
    decision
        Which of them plays which role.
    """

    parts: tuple[Series, ...]
    evidence: tuple[Evidence, ...]
    decision: Decision

    @property
    def chosen(self) -> Mapping[Role, Series]:
        """The series for each role that is clear."""
        return {role: self.parts[place] for role, place in self.decision.chosen.items()}

    @property
    def ambiguous(self) -> Mapping[Role, tuple[Evidence, ...]]:
        """The series between which a person must choose, for each role that is not clear."""
        among = self.decision.ambiguous
        return {role: tuple(self.evidence[p] for p in places) for role, places in among.items()}

    @property
    def missing(self) -> tuple[Role, ...]:
        """Roles for which there is nothing."""
        return self.decision.missing

    def explain(self) -> str:
        """What a person must decide, and what to do; empty where every role is chosen."""
        return self.decision.explain(self.evidence)

    def as_json(self) -> dict[str, Any]:
        """The whole decision as plain values; ``series`` has one entry for each series."""
        return {
            **self.decision.as_json(self.evidence),
            "series": [
                {"role": self.decision.role(place)} | one.as_json()
                for place, one in enumerate(self.evidence)
            ],
        }


def identify(
    series: Sequence[Series],
    overrides: Mapping[Role, str] = MappingProxyType({}),
    rules: Rules | None = None,
) -> Identification:
    """Find the series of each role in one study.

    Parameters
    ----------
    series
        All series of the study.
    overrides
        A person's decision: SeriesInstanceUID for a role.
    rules
        The shipped rules where None.

    Raises
    ------
    RefusedError
        If the series are of several studies, or an override names none of them.
    """
    rules = rules or load()
    studies = sorted({one.study_uid for one in series})
    if len(studies) > 1:
        raise RefusedError(f"series of {len(studies)} studies are mixed: {', '.join(studies)}")
    parts: list[Series] = []
    known: list[Attributes] = []
    for one in series:
        pieces = split(one)
        parts += pieces
        known += _of_one_series([of_series(piece) for piece in pieces])
    evidence = weigh(known, rules)
    fixed: dict[Role, int] = {}
    for role, series_uid in overrides.items():
        place = _overridden(role, series_uid, evidence)
        by_person = Fired(role.value, "chosen by a person")
        evidence[place] = replace(evidence[place], rules=(*evidence[place].rules, by_person))
        fixed[role] = place
    decision = decide(known, evidence, rules, fixed)
    return Identification(tuple(parts), tuple(evidence), decision)


def weigh(study: Sequence[Attributes], rules: Rules | None = None) -> list[Evidence]:
    """Evidence for each series of one study, in the same order; `identify` without choosing."""
    rules = rules or load()
    named = read_names(study, rules)
    return tell_contrast(named, [classify(one, rules) for one in named], rules)


def _of_one_series(parts: Sequence[Attributes]) -> list[Attributes]:
    """Parts of one series: where one is diffusion-weighted, the part with b = 0 is no T2."""
    weightings = [part.numbers.get("DiffusionBValue", 0.0) for part in parts]
    if not any(weightings):
        return list(parts)
    numbers = {"DiffusionBValue": max(weightings)}
    return [replace(part, numbers={**part.numbers, **numbers}) for part in parts]


def _overridden(role: Role, series_uid: str, evidence: Sequence[Evidence]) -> int:
    """Place of the series that a person named; its part of that role where it has several."""
    places = [p for p, one in enumerate(evidence) if one.series_uid == series_uid]
    if not places:
        raise RefusedError(f"{role}={series_uid} names no series of this study")
    return next((p for p in places if evidence[p].sequence == role), places[0])
