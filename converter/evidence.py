"""Which sequence each series of a study is, with every rule that fired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from converter.attributes import Attributes
from converter.names import first_match, words
from converter.rules import Rule, Rules

OTHER = "OTHER"
"""Class of a series that is neither FLAIR, T2 nor T1."""

PERFUSION = "perfusion with contrast"
"""Veto that also tells when contrast was given."""


@dataclass(frozen=True)
class Fired:
    """A rule that fired: for (or against) which class, what it saw, and its weight."""

    about: str
    what: str
    weight: float = 0.0


@dataclass(frozen=True)
class Evidence:
    """What one series is, and why.

    Parameters
    ----------
    series_uid, part, number, description
        Which series: UID, part of it, (0020,0011) *Series Number*, (0008,103E) *Series
        Description*. The description is for a person's eyes: it does not belong in a log.
    sequence
        FLAIR, T2, T1GD, T1 or OTHER.
    certain
        Whether no other class comes close.
    fit
        Whether it may be given to the network: of the head, with enough slices.
    contrast_known
        For a T1 series, whether anything tells if contrast was given.
    rules
        Everything that fired.
    """

    series_uid: str
    part: str
    number: int | None
    description: str
    sequence: str
    certain: bool = True
    fit: bool = True
    contrast_known: bool = True
    rules: tuple[Fired, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self) | {"rules": [asdict(rule) for rule in self.rules]}

    def against(self) -> str:
        """Why this series is no candidate, in words; empty where nothing speaks against it."""
        return "; ".join(rule.what for rule in self.rules if rule.about in {"veto", "unfit"})


@dataclass(frozen=True)
class Named:
    """A series with the words of its name, for its class and for its contrast."""

    series: Attributes
    description: tuple[str, ...]
    protocol: tuple[str, ...]
    name: tuple[str, ...]


def read_names(study: Sequence[Attributes], rules: Rules) -> list[Named]:
    """Words of each series' name: of its description, else of its protocol.

    The protocol is asked only where the description says nothing that any rule knows, and never
    where all series of the study share one protocol: then it names the examination.
    """
    shared = len(study) > 1 and len({series.protocol for series in study}) == 1
    every = [*rules.vetoes, *(rule for one in rules.classes.values() for rule in one)]
    phrases = [phrase for rule in every for phrase in rule.text]
    named = []
    for series in study:
        description = words(series.description, rules.vocabulary)
        protocol = () if shared else words(series.protocol, rules.vocabulary)
        speaks = first_match(description, phrases) is not None
        named.append(Named(series, description, protocol, description if speaks else protocol))
    return named


def classify(named: Named, rules: Rules) -> Evidence:
    """Class of one series on its own; T1 is not yet told from T1 with contrast."""
    series, name = named.series, named.name
    number = series.numbers.get("SeriesNumber")
    blank = Evidence(
        series_uid=series.series_uid,
        part=series.part,
        number=None if number is None else int(number),
        description=series.description,
        sequence=OTHER,
    )
    fired = _fired("veto", rules.vetoes, series, name)
    unfit = _unfit(named, rules)
    blank = replace(blank, fit=not unfit and not fired)
    if fired:
        return replace(blank, rules=(*fired, *unfit))
    scores: dict[str, float] = {}
    for about, for_class in rules.classes.items():
        spoken = _fired(about, for_class, series, name)
        fired += spoken
        scores[about] = sum(rule.weight for rule in spoken)
    accepted = {c: score for c, score in scores.items() if score >= rules.accept[c]}
    if not accepted:
        return replace(blank, rules=(*fired, *unfit))
    best = max(accepted, key=lambda c: accepted[c])
    second = max((score for c, score in accepted.items() if c != best), default=None)
    certain = second is None or accepted[best] - second >= rules.margin
    return replace(blank, sequence=best, certain=certain, rules=(*fired, *unfit))


def _fired(
    about: str, rules: Sequence[Rule], series: Attributes, name: Sequence[str]
) -> list[Fired]:
    """Those rules that fire."""
    found = ((rule, rule.fires(series, name)) for rule in rules)
    return [Fired(about, what, rule.weight) for rule, what in found if what is not None]


def _unfit(named: Named, rules: Rules) -> list[Fired]:
    """Why a series may not be given to the network, whatever its sequence is."""
    series = named.series
    fired = _fired("unfit", rules.unfit, series, (*named.description, "|", *named.protocol))
    if series.slices is not None and series.slices < rules.min_slices:
        fired.append(Fired("unfit", f"{series.slices} slices; {rules.min_slices} are needed"))
    covered = series.coverage_mm
    if covered is not None and covered < rules.min_coverage_mm:
        what = f"covers {covered:.0f} mm; {rules.min_coverage_mm:.0f} mm are needed"
        fired.append(Fired("unfit", what))
    return fired
