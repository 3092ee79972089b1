"""Whether a T1 series was acquired after contrast was given.

Words come first; then the header, where it differs between the series of a study (many scanners
write the agent into every series, the localizer included); then time. Where none of these speaks,
nobody can know, and the evidence says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from converter.attributes import Attributes
from converter.evidence import PERFUSION, Evidence, Fired, Named
from converter.names import first_match, without, words
from converter.rules import Rules

ABOUT = "contrast"
NO, BY_NAME, BY_HEADER, BY_TIME = -6.0, 4.0, 3.0, 3.0


def tell_contrast(
    named: Sequence[Named], evidence: Sequence[Evidence], rules: Rules
) -> list[Evidence]:
    """Turn T1 into T1GD where contrast is shown.

    Parameters
    ----------
    named, evidence
        The series of one study, in the same order.
    """
    texts = [_by_name(one, rules) for one in named]
    agents = [_agent(one.series, rules) for one in named]
    acquired = [
        place
        for place, (one, found) in enumerate(zip(named, evidence, strict=True))
        if _acquired(one.series) and not _localizes(found)
    ]
    informative, why_not = _informative([agents[p] for p in acquired], [texts[p] for p in acquired])
    seen = [
        one.series.time
        for one, found, text, agent in zip(named, evidence, texts, agents, strict=True)
        if one.series.time is not None and _shows(found, text, agent if informative else None)
    ]
    given = min(seen, default=None)
    told = []
    for place, found in enumerate(evidence):
        if found.sequence != "T1" or found.by_site():
            told.append(found)
            continue
        text = texts[place]
        fired = [text] if text is not None else []
        agent = agents[place]
        if agent is not None:
            weight, note = (BY_HEADER, "") if informative else (0.0, f", but {why_not}")
            fired.append(Fired(ABOUT, f"the header names {agent}{note}", weight))
        if not any(rule.weight for rule in fired):
            fired += _by_time(place, named, evidence, given, rules)
        told.append(_decided(found, fired, rules))
    return told


def _decided(found: Evidence, fired: list[Fired], rules: Rules) -> Evidence:
    """T1 or T1GD by the sum of what fired."""
    if not any(rule.weight for rule in fired):
        fired.append(Fired(ABOUT, "nothing tells whether contrast was given"))
        return replace(found, contrast_known=False, rules=(*found.rules, *fired))
    with_contrast = sum(rule.weight for rule in fired) >= rules.contrast.accept
    sequence = "T1GD" if with_contrast else "T1"
    return replace(found, sequence=sequence, rules=(*found.rules, *fired))


def _by_name(one: Named, rules: Rules) -> Fired | None:
    """What the name says: the description, else the protocol; 'without' beats 'with'."""
    for name in (one.description, one.protocol):
        said = without(name, rules.study_level)
        phrase = first_match(said, rules.contrast.without)
        if phrase:
            return Fired(ABOUT, f"no contrast by its name ('{phrase}')", NO)
        phrase = first_match(said, rules.contrast.with_)
        if phrase:
            return Fired(ABOUT, f"contrast by its name ('{phrase}')", BY_NAME)
    return None


def _agent(series: Attributes, rules: Rules) -> str | None:
    """Keyword of the first header attribute that names a contrast agent."""
    for keyword in rules.contrast.agent:
        values = series.codes.get(keyword, ())
        if any(_names_agent(value, rules) for value in values):
            return keyword
    return None


def _names_agent(value: str, rules: Rules) -> bool:
    """Whether a value of an attribute of contrast says more than that there was none."""
    if value in rules.contrast.no_agent or not value.strip("0. "):
        return False
    return first_match(words(value, rules.vocabulary), rules.contrast.without) is None


def _localizes(found: Evidence) -> bool:
    """Whether a series is a localizer: acquired before anyone typed in an agent."""
    return any(r.about == "veto" and "localizer" in r.what.lower() for r in found.rules)


def _acquired(series: Attributes) -> bool:
    """Whether a series came from the scanner: copies and captures lose header attributes."""
    captured = "1.2.840.10008.5.1.4.1.1.7" in series.codes.get("SOPClassUID", ())
    return not captured and "DERIVED" not in series.codes.get("ImageType", ())


def _informative(agents: Sequence[str | None], texts: Sequence[Fired | None]) -> tuple[bool, str]:
    """Whether the header's agent tells series apart, and why not."""
    if all(agents) and len(agents) > 1:
        return False, "so does the header of every other series of the study"
    pairs = zip(agents, texts, strict=True)
    if any(agent and text is not None and text.weight < 0 for agent, text in pairs):
        return False, "so does that of a series without contrast by its name"
    return True, ""


def _shows(found: Evidence, text: Fired | None, agent: str | None) -> bool:
    """Whether a series shows that contrast had been given when it was acquired."""
    if found.by_site():
        return found.sequence == "T1GD"
    if found.sequence == "T1":
        by_name = text is not None and text.weight > 0
        denied = text is not None and text.weight < 0
        return by_name or (agent is not None and not denied)
    return any(rule.about == "veto" and rule.what.startswith(PERFUSION) for rule in found.rules)


def _by_time(
    place: int,
    named: Sequence[Named],
    evidence: Sequence[Evidence],
    given: float | None,
    rules: Rules,
) -> list[Fired]:
    """Evidence from the order of acquisition."""
    series = named[place].series
    if series.time is None:
        return []
    if given is not None:
        if series.time > given:
            return [Fired(ABOUT, "acquired after a series that shows contrast", BY_TIME)]
        return [Fired(ABOUT, "acquired before the first series that shows contrast", NO)]
    wait = 60 * rules.contrast.twin_minutes
    for other, found in zip(named, evidence, strict=True):
        if other is named[place] or found.sequence != "T1" or other.series.time is None:
            continue
        if not _twins(named[place], other):
            continue
        later = series.time - other.series.time
        if later >= wait:
            what = f"acquired {later / 60:.0f} min after the same sequence"
            return [Fired(ABOUT, what, BY_TIME)]
        if -later >= wait:
            what = f"acquired {-later / 60:.0f} min before the same sequence"
            return [Fired(ABOUT, what, NO)]
    return []


def _twins(one: Named, other: Named) -> bool:
    """Whether two series repeat one protocol: same words, orientation and timing."""
    a, b = one.series, other.series
    if one.description != other.description or a.slices != b.slices:
        return False
    if (a.normal is None) != (b.normal is None):
        return False
    timing = ("EchoTime", "RepetitionTime", "InversionTime")
    same_timing = all(
        np.isclose(a.numbers.get(k, 0.0), b.numbers.get(k, 0.0), rtol=0.02) for k in timing
    )
    if a.normal is None or b.normal is None:
        return same_timing
    return same_timing and abs(float(np.dot(a.normal, b.normal))) > 0.99
