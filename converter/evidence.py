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

SITE = "site"
"""What a site's own override is about: it decides the class, and no other rule is asked."""


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

    def why(self) -> str:
        """Why it is what it is, in words: what spoke for its class, or against every class."""
        if self.sequence == OTHER:
            near = [r for r in self.rules if r.weight > 0]
            said = "not enough for any class: " + _told(near) if near else "no rule knows it"
            return self.by_site() or self.against() or said
        speaks = {self.sequence, "T1" if self.sequence == "T1GD" else "", "contrast", SITE}
        spoken = [r for r in self.rules if r.about in speaks and (r.weight > 0 or not r.weight)]
        denied = [r for r in self.rules if r.about == "contrast" and r.weight < 0]
        unfit = [f"left out: {self.against()}"] if not self.fit else []
        return "; ".join([_told([*spoken, *denied]), *unfit])

    def by_site(self) -> str:
        """The site's override that decided its class; empty where none did."""
        return next((rule.what for rule in self.rules if rule.about == SITE), "")

    @property
    def held(self) -> bool:
        """Whether a person must say what it is, or whether contrast was given."""
        return not self.certain or not self.contrast_known


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
    for override in rules.overrides:
        what = override.fires(series)
        if what is not None:
            incomplete = _incomplete(series, rules)
            fit = not incomplete and override.sequence != OTHER
            said = (Fired(SITE, what), *incomplete)
            return replace(blank, sequence=override.sequence, fit=fit, rules=said)
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


def _told(rules: Sequence[Fired]) -> str:
    """What fired, in words."""
    return "; ".join(rule.what for rule in rules)


def _unfit(named: Named, rules: Rules) -> list[Fired]:
    """Why a series may not be given to the network, whatever its sequence is."""
    both = (*named.description, "|", *named.protocol)
    fired = _fired("unfit", rules.unfit, named.series, both)
    region = _elsewhere(named, rules)
    fired += [Fired("unfit", f"another body region ('{region}')")] if region else []
    return fired + _incomplete(named.series, rules)


def _elsewhere(named: Named, rules: Rules) -> str | None:
    """The word for another region than the head, of the first text that speaks of any region."""
    study = words(named.series.labels.get("StudyDescription", ""), rules.vocabulary)
    for text in (named.description, named.protocol, study):
        if first_match(text, rules.head):
            return None
        region = first_match(text, rules.elsewhere)
        if region:
            return region
    return None


def _incomplete(series: Attributes, rules: Rules) -> list[Fired]:
    """Why there is not one stack of enough slices over enough of the head."""
    fired = []
    if series.slices is not None and series.slices < rules.min_slices:
        fired.append(Fired("unfit", f"{series.slices} slices; {rules.min_slices} are needed"))
    covered = series.coverage_mm
    if covered is not None and covered < rules.min_coverage_mm:
        what = f"covers {covered:.0f} mm; {rules.min_coverage_mm:.0f} mm are needed"
        fired.append(Fired("unfit", what))
    if series.slices is not None and series.images is not None and series.images > series.slices:
        what = f"{series.images} images at {series.slices} places: repeated in time, or mixed"
        fired.append(Fired("unfit", what))
    return fired
