"""Which series of a study is FLAIR, T1 with contrast, and T2: chosen, ambiguous or missing.

Nothing is guessed. Where several series of one class are left, the preferences of the rules decide;
where the class itself is in doubt, or nothing tells whether contrast was given, the role is
ambiguous and a person decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from converter.attributes import Attributes, of_series
from converter.contrast import tell_contrast
from converter.evidence import Evidence, Fired, classify, read_names
from converter.preferences import rank
from converter.rules import Rules, load
from converter.series import Series, split
from study.errors import RefusedError
from study.tissue import Role


@dataclass(frozen=True, eq=False)
class Identification:
    """What was found in a study, and why.

    Parameters
    ----------
    chosen
        The series for each role that is clear.
    ambiguous
        The series between which a person must choose, for each role that is not.
    missing
        Roles for which there is nothing.
    evidence
        One entry for each series, or part of a series that mixes several.
    """

    chosen: Mapping[Role, Series]
    ambiguous: Mapping[Role, tuple[Evidence, ...]]
    missing: tuple[Role, ...]
    evidence: tuple[Evidence, ...]

    def explain(self) -> str:
        """One clear sentence for each problem; empty where every role is chosen."""
        problems = [_of_ambiguous(role, found) for role, found in self.ambiguous.items()]
        problems += [_of_missing(role, self.evidence) for role in self.missing]
        return " ".join(problems)

    def as_json(self) -> dict[str, Any]:
        """The whole decision as plain values; ``series`` has one entry for each series."""
        roles = {(s.series_uid, s.part): role.value for role, s in self.chosen.items()}
        return {
            "chosen": {role.value: s.series_uid for role, s in self.chosen.items()},
            "ambiguous": {
                role.value: [found.series_uid for found in among]
                for role, among in self.ambiguous.items()
            },
            "missing": [role.value for role in self.missing],
            "explanation": self.explain(),
            "series": [
                {"role": roles.get((one.series_uid, one.part))} | one.as_json()
                for one in self.evidence
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
    parts = [part for one in series for part in split(one)]
    known = [of_series(part) for part in parts]
    evidence = weigh(known, rules)
    chosen: dict[Role, Series] = {}
    ambiguous: dict[Role, tuple[Evidence, ...]] = {}
    missing: list[Role] = []
    for role in Role:
        if role in overrides:
            place = _overridden(role, overrides[role], evidence)
            by_person = Fired(role.value, "chosen by a person")
            evidence[place] = replace(evidence[place], rules=(*evidence[place].rules, by_person))
            chosen[role] = parts[place]
            continue
        places = [p for p, one in enumerate(evidence) if one.fit and one.sequence == role]
        clear = [p for p in places if evidence[p].certain]
        doubtful = tuple(evidence[p] for p in places) or _doubtful(role, evidence)
        if clear:
            best = min(clear, key=lambda p: rank(known[p], rules.preferences, rules.vocabulary))
            chosen[role] = parts[best]
        elif doubtful:
            ambiguous[role] = doubtful
        else:
            missing.append(role)
    return Identification(chosen, ambiguous, tuple(missing), tuple(evidence))


def weigh(study: Sequence[Attributes], rules: Rules | None = None) -> list[Evidence]:
    """Evidence for each series of one study, in the same order; `identify` without choosing."""
    rules = rules or load()
    named = read_names(study, rules)
    return tell_contrast(named, [classify(one, rules) for one in named], rules)


def _overridden(role: Role, series_uid: str, evidence: Sequence[Evidence]) -> int:
    """Place of the series that a person named; its part of that role where it has several."""
    places = [p for p, one in enumerate(evidence) if one.series_uid == series_uid]
    if not places:
        raise RefusedError(f"{role}={series_uid} names no series of this study")
    return next((p for p in places if evidence[p].sequence == role), places[0])


def _doubtful(role: Role, evidence: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """T1 series of which nothing tells whether contrast was given."""
    if role is not Role.T1GD:
        return ()
    return tuple(e for e in evidence if e.fit and e.sequence == "T1" and not e.contrast_known)


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
    """What is not there, and what came nearest."""
    said = [
        f"{_called(one)} was left out: {one.against()}."
        for one in evidence
        if one.sequence == role and not one.fit
    ]
    if role is Role.T1GD:
        plain = [_called(one) for one in evidence if one.sequence == "T1" and one.contrast_known]
        said += [f"T1 without contrast: {', '.join(plain)}."] if plain else []
    return " ".join([f"{role} is missing: none of {len(evidence)} series is one.", *said[:3]])
