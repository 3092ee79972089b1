"""Which of the series of a study plays which role: chosen, ambiguous or missing.

Nothing is guessed. Where several series of one class are left, the preferences of the rules decide;
where the class itself is in doubt, or nothing tells whether contrast was given, the role is
ambiguous and a person decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from converter.attributes import Attributes
from converter.evidence import Evidence
from converter.preferences import ranks
from converter.rules import Rules
from study.tissue import Role


@dataclass(frozen=True)
class Decision:
    """Places, in the sequence of a study's evidence, for each role.

    Parameters
    ----------
    chosen
        The series for each role that is clear.
    ambiguous
        The series between which a person must choose, for each role that is not.
    missing
        Roles for which there is nothing.
    """

    chosen: Mapping[Role, int]
    ambiguous: Mapping[Role, tuple[int, ...]]
    missing: tuple[Role, ...]

    def role(self, place: int) -> str | None:
        """Name of the role for which a series was chosen."""
        return next((role.value for role, at in self.chosen.items() if at == place), None)

    def as_json(self, evidence: Sequence[Evidence]) -> dict[str, Any]:
        """The decision as plain values, its series named by their UIDs."""
        return {
            "chosen": {role.value: evidence[p].series_uid for role, p in self.chosen.items()},
            "ambiguous": {
                role.value: [evidence[p].series_uid for p in among]
                for role, among in self.ambiguous.items()
            },
            "missing": [role.value for role in self.missing],
            "explanation": self.explain(evidence),
        }

    def explain(self, evidence: Sequence[Evidence]) -> str:
        """One sentence or more for each role that a person must decide, with what to do."""
        return " ".join(
            said for role in Role if (said := self.explain_role(role, evidence)) is not None
        )

    def explain_role(self, role: Role, evidence: Sequence[Evidence]) -> str | None:
        """Why a role is held, and what to do; None for one that is chosen."""
        if role in self.ambiguous:
            return _of_ambiguous(role, [evidence[place] for place in self.ambiguous[role]])
        return _of_missing(role, evidence) if role in self.missing else None


def decide(
    known: Sequence[Attributes],
    evidence: Sequence[Evidence],
    rules: Rules,
    fixed: Mapping[Role, int],
) -> Decision:
    """Choose a series of one study for each role.

    Parameters
    ----------
    known, evidence
        What is known of each series, and what was made of it, in the same order.
    fixed
        Places that a person chose.
    """
    chosen: dict[Role, int] = {}
    ambiguous: dict[Role, tuple[int, ...]] = {}
    missing: list[Role] = []
    for role in Role:
        places = [p for p, one in enumerate(evidence) if one.fit and one.sequence == role]
        clear = [p for p in places if evidence[p].certain]
        doubtful = tuple(places) or _doubtful(role, evidence)
        if role in fixed:
            chosen[role] = fixed[role]
        elif clear:
            order = ranks([known[p] for p in clear], rules.preferences, rules.vocabulary)
            chosen[role] = clear[order.index(min(order))]
        elif doubtful:
            ambiguous[role] = doubtful
        else:
            missing.append(role)
    return Decision(chosen, ambiguous, tuple(missing))


def _doubtful(role: Role, evidence: Sequence[Evidence]) -> tuple[int, ...]:
    """Places of T1 series of which nothing tells whether contrast was given."""
    if role is not Role.T1GD:
        return ()
    unknown = [e.fit and e.sequence == "T1" and not e.contrast_known for e in evidence]
    return tuple(place for place, one in enumerate(unknown) if one)


def _called(found: Evidence) -> str:
    """A series as a person finds it again."""
    number = "without a number" if found.number is None else f"{found.number}"
    part = f", {found.part}" if found.part else ""
    return f"series {number} ({found.series_uid}{part})"


def _of_ambiguous(role: Role, among: Sequence[Evidence]) -> str:
    """What must be decided."""
    listed = ", ".join(_called(found) for found in among)
    if any(not found.contrast_known for found in among):
        why = "nothing tells whether contrast was given in"
    else:
        why = "more than one class fits"
    return f"{role} is ambiguous: {why} {listed}; name it with {role}=<SeriesInstanceUID>."


def _of_missing(role: Role, evidence: Sequence[Evidence]) -> str:
    """What is not there, what came nearest, and what to do."""
    said = [
        f"{_called(one)} was left out: {one.against()}."
        for one in evidence
        if one.sequence == role and not one.fit
    ]
    if role is Role.T1GD:
        plain = [_called(one) for one in evidence if one.sequence == "T1" and one.contrast_known]
        said += [f"T1 without contrast: {', '.join(plain)}."] if plain else []
    near = [_called(one) for one in evidence if _nearly(role, one)]
    said += [f"Perhaps, but too little tells: {', '.join(near)}."] if near else []
    todo = f"Send it, or name a series with {role}=<SeriesInstanceUID>."
    return " ".join([f"{role} is missing: none of {len(evidence)} series is one.", *said[:3], todo])


def _nearly(role: Role, found: Evidence) -> bool:
    """Whether something spoke for a role, and nothing against the series itself."""
    about = "T1" if role is Role.T1GD else role.value
    spoken = any(rule.about == about and rule.weight > 0 for rule in found.rules)
    return spoken and found.sequence == "OTHER" and not found.against()
