"""Rules as data: read, checked, and asked.

`converter/rules.yaml` says what each key means. A site's file of the same form is put over it: its
lists come first, its numbers replace ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from converter.attributes import LABELS, Attributes
from converter.names import Vocabulary, first_match
from converter.preferences import PREFERENCES
from study.errors import RefusedError

SEQUENCES = ("FLAIR", "T1GD", "T1", "T2", "OTHER")
"""What a series can be."""


@dataclass(frozen=True)
class Rule:
    """Conditions that must all hold, and what that weighs."""

    name: str
    weight: float = 0.0
    text: tuple[str, ...] = ()
    also_text: tuple[str, ...] = ()
    unless_text: tuple[str, ...] = ()
    codes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    not_codes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    pattern: Mapping[str, str] = field(default_factory=dict)
    family: Mapping[str, Sequence[str]] = field(default_factory=dict)
    range: Mapping[str, Sequence[float]] = field(default_factory=dict)
    absent: tuple[str, ...] = ()

    def fires(self, series: Attributes, name: Sequence[str]) -> str | None:
        """What fired, in words, or None.

        Parameters
        ----------
        series
            What is known of the series.
        name
            Words of the series' name (`converter.names.words`).
        """
        said = []
        for seen in self._conditions(series, name):
            if seen is None:
                return None
            said.append(seen)
        seen_what = ", ".join(filter(None, said))
        return f"{self.name} ({seen_what})" if seen_what else self.name

    def _conditions(self, series: Attributes, name: Sequence[str]) -> Iterator[str | None]:
        """What each condition saw, perhaps nothing worth saying; None where it does not hold."""
        for phrases in filter(None, (self.text, self.also_text)):
            phrase = first_match(name, phrases)
            yield None if phrase is None else f"'{phrase}'"
        if self.unless_text and first_match(name, self.unless_text):
            yield None
        for keyword, values in self.codes.items():
            code = next((c for c in series.codes.get(keyword, ()) if c in values), None)
            yield None if code is None else f"{keyword} {code}"
        for keyword, values in self.not_codes.items():
            codes = series.codes.get(keyword, ())
            yield f"{keyword} {codes[0]}" if codes and not set(codes) & set(values) else None
        for keyword, expression in self.pattern.items():
            match = re.search(expression, series.patterns.get(keyword, ""))
            yield None if match is None else f"{keyword} {match.string.strip()}"
        if self.family:
            wanted, unwanted = self.family.get("any", ()), self.family.get("none", ())
            fits = series.family & set(wanted) and not series.family & set(unwanted)
            yield "" if fits else None
        for keyword, (least, most) in self.range.items():
            number = series.numbers.get(keyword)
            within = number is not None and least <= number <= most
            yield f"{keyword} {number:g}" if within else None
        if any(series.numbers.get(keyword) for keyword in self.absent):
            yield None


@dataclass(frozen=True)
class Override:
    """What a site knows of its own scanners: a class for series whose attributes fit patterns.

    Parameters
    ----------
    match
        Shell-style patterns of whole values, in any case, by keyword
        (`converter.attributes.LABELS`); all must fit.
    sequence
        FLAIR, T2, T1 (without contrast), T1GD or OTHER.
    """

    name: str
    match: Mapping[str, str]
    sequence: str

    def fires(self, series: Attributes) -> str | None:
        """What fitted, in words, or None."""
        for keyword, pattern in self.match.items():
            if not fnmatchcase(series.labels.get(keyword, "").upper(), pattern.upper()):
                return None
        said = ", ".join(f"{keyword} {pattern}" for keyword, pattern in self.match.items())
        return f"{self.name} ({said})"


@dataclass(frozen=True)
class Contrast:
    """How contrast is told: words, header attributes, time."""

    accept: float
    without: tuple[str, ...]
    with_: tuple[str, ...]
    agent: tuple[str, ...]
    no_agent: frozenset[str]
    twin_minutes: float


@dataclass(frozen=True)
class Rules:
    """A whole rule set."""

    overrides: tuple[Override, ...]
    vetoes: tuple[Rule, ...]
    unfit: tuple[Rule, ...]
    classes: Mapping[str, tuple[Rule, ...]]
    accept: Mapping[str, float]
    margin: float
    contrast: Contrast
    study_level: tuple[str, ...]
    head: tuple[str, ...]
    elsewhere: tuple[str, ...]
    preferences: tuple[str, ...]
    min_slices: int
    min_coverage_mm: float
    vocabulary: Vocabulary


def load(site: Path | None = None) -> Rules:
    """The shipped rules, with a site's file over them.

    Raises
    ------
    RefusedError
        If the site's file is no rule set; the message names what is wrong.
    """
    if site is None:
        return _shipped()
    try:
        told = yaml.safe_load(site.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RefusedError(f"the site's rules are not YAML that can be read: {error}") from error
    return _rules(_merge(_text(), told or {}))


@lru_cache(maxsize=1)
def _shipped() -> Rules:
    """The rules of this package."""
    return _rules(_text())


def _text() -> dict[str, Any]:
    """The shipped file."""
    content = resources.files("converter").joinpath("rules.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(content)
    return found


def _merge(ours: Any, site: Any) -> Any:
    """Mappings are merged, lists put in front, everything else replaced."""
    if isinstance(ours, dict) and isinstance(site, dict):
        return ours | {k: _merge(ours[k], v) if k in ours else v for k, v in site.items()}
    return [*site, *ours] if isinstance(ours, list) and isinstance(site, list) else site


def _rules(raw: Mapping[str, Any]) -> Rules:
    """A rule set from the file's mapping."""
    try:
        classes = {
            name: tuple(_rule(one) for one in body["rules"])
            for name, body in raw["classes"].items()
        }
        told = raw["contrast"]
        contrast = Contrast(
            accept=float(told["accept"]),
            without=tuple(map(str, told["without"])),
            with_=tuple(map(str, told["with"])),
            agent=tuple(told["agent"]),
            no_agent=frozenset(map(str, told["no_agent"])),
            twin_minutes=float(told["twin_minutes"]),
        )
        vetoes = tuple(_rule(one) for one in raw["vetoes"])
        unfit = tuple(_rule(one) for one in raw["unfit"])
        strange = set(raw) - set(_text())
        if strange:
            raise ValueError(f"there is no section {', '.join(sorted(map(str, strange)))}")
        strange = set(raw["preferences"]) - set(PREFERENCES)
        if strange:
            raise ValueError(f"there is no preference {', '.join(sorted(strange))}")
        every = [*vetoes, *unfit, *(rule for rules in classes.values() for rule in rules)]
        return Rules(
            overrides=tuple(_override(one) for one in raw["overrides"]),
            vetoes=vetoes,
            unfit=unfit,
            classes=classes,
            accept={name: float(body["accept"]) for name, body in raw["classes"].items()},
            margin=float(raw["margin"]),
            contrast=contrast,
            study_level=tuple(raw["names"]["study_level"]),
            head=tuple(map(str, raw["body"]["head"])),
            elsewhere=tuple(map(str, raw["body"]["elsewhere"])),
            preferences=tuple(raw["preferences"]),
            min_slices=int(raw["stack"]["min_slices"]),
            min_coverage_mm=float(raw["stack"]["min_coverage_mm"]),
            vocabulary=_vocabulary(raw["names"], every, contrast, raw["body"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, re.error) as error:
        told_wrong = f"{type(error).__name__}: {error}"
        raise RefusedError(f"this is no rule set for series ({told_wrong})") from error


def _rule(raw: Mapping[str, Any]) -> Rule:
    """One rule; an unknown key raises TypeError."""
    texts = ("text", "also_text", "unless_text", "absent")
    lists = {k: tuple(map(str, raw[k])) for k in texts if k in raw}
    for expression in raw.get("pattern", {}).values():
        re.compile(expression)
    return Rule(**{**raw, **lists})


def _override(raw: Mapping[str, Any]) -> Override:
    """One override; a key, keyword or class that is unknown raises ValueError or TypeError."""
    strange = set(raw) - {"name", "match", "class"}
    strange |= set(raw["match"]) - set(LABELS)
    if strange or not raw["match"]:
        told = f"it has {', '.join(sorted(map(str, strange)))}" if strange else "it matches nothing"
        raise ValueError(f"override '{raw['name']}': {told}; match can hold {', '.join(LABELS)}")
    if raw["class"] not in SEQUENCES:
        raise ValueError(f"override '{raw['name']}': class {raw['class']}, not {SEQUENCES}")
    match = {str(keyword): str(pattern) for keyword, pattern in raw["match"].items()}
    return Override(str(raw["name"]), match, str(raw["class"]))


def _vocabulary(
    names: Mapping[str, Any],
    rules: Sequence[Rule],
    contrast: Contrast,
    body: Mapping[str, Sequence[str]],
) -> Vocabulary:
    """All words that rules know; those of four letters or more may also be glued together."""
    phrases = [p for rule in rules for p in (*rule.text, *rule.also_text, *rule.unless_text)]
    phrases += [*body["head"], *body["elsewhere"]]
    phrases += [*contrast.with_, *contrast.without, *names["replace"], *names["study_level"]]
    known = {word for phrase in phrases for word in phrase.rstrip("*").split()}
    glue = {str(word) for word in names["glue"]} | {word for word in known if len(word) >= 4}
    replace = {str(k): str(v) for k, v in names["replace"].items()}
    telling = frozenset(map(str, names["telling"]))
    return Vocabulary(frozenset(known), frozenset(glue) | telling, telling, replace)
