"""Which of several series of one class is given to the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from converter.attributes import Attributes
from converter.names import Vocabulary, first_match, words

NOT_KNOWN = float("inf")

FAT_SATURATED = ("fs", "fatsat", "fat sat", "fat", "spir", "spair")

WHOLE = 0.95
"""Share of the slices of its longest repetition that a series needs not to be one broken off."""

AS_FAR = 0.9
"""Share of the largest coverage that counts as the same."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A series, the words of its name, and all series that it is compared with."""

    series: Attributes
    name: tuple[str, ...]
    others: Sequence[Attributes]


Preference = Callable[[Candidate], float]


def ranks(
    candidates: Sequence[Attributes], preferences: Sequence[str], vocabulary: Vocabulary
) -> list[tuple[float, ...]]:
    """Place of each candidate: the lowest is chosen, the first difference decides.

    Parameters
    ----------
    candidates
        Series of one class, of one study.
    preferences
        Names of `PREFERENCES`, the most important first.
    """
    found = []
    for series in candidates:
        name = words(f"{series.description} {series.protocol}", vocabulary)
        one = Candidate(series, name, candidates)
        found.append(tuple(PREFERENCES[preference](one) for preference in preferences))
    return found


def _complete(one: Candidate) -> float:
    """0 unless slices are missing: inside, or at an end as a longer repetition shows."""
    if one.series.gaps:
        return 1.0
    repetitions = [other for other in one.others if _repeats(one.series, other)]
    longest = max((other.slices or 0 for other in repetitions), default=0)
    return float((one.series.slices or 0) < WHOLE * longest)


def _repeats(one: Attributes, other: Attributes) -> bool:
    """Whether two series are one protocol: the same name, spacing and kind of image."""
    same_kind = one.codes.get("ImageType") == other.codes.get("ImageType")
    if one.description != other.description or not same_kind:
        return False
    if one.spacing_mm is None or other.spacing_mm is None:
        return one.spacing_mm is other.spacing_mm
    return abs(one.spacing_mm - other.spacing_mm) <= 0.05 * other.spacing_mm


def _axial(one: Candidate) -> float:
    """0 for three-dimensional and for axial acquisitions."""
    series = one.series
    if "3D" in series.codes.get("MRAcquisitionType", ()) or series.normal is None:
        return 0.0
    return float(abs(series.normal[2]) < 0.8)


def _fine(one: Candidate) -> float:
    """Distance between slices, in halves of a millimetre."""
    spacing = one.series.spacing_mm
    return NOT_KNOWN if spacing is None else round(2 * spacing)


def _covers_more(one: Candidate) -> float:
    """0 where it reaches about as far as the one that reaches farthest."""
    farthest = max((other.coverage_mm or 0.0 for other in one.others), default=0.0)
    covered = one.series.coverage_mm
    return 0.0 if covered is None else float(covered < AS_FAR * farthest)


def _latest(one: Candidate) -> float:
    """The later, the lower."""
    return 0.0 if one.series.time is None else -one.series.time


def _code(keyword: str, *values: str) -> Preference:
    """Preference for series that have one of the values."""
    return lambda one: float(not set(one.series.codes.get(keyword, ())) & set(values))


def _not_code(keyword: str, *values: str) -> Preference:
    """Preference for series that have none of the values."""
    return lambda one: float(bool(set(one.series.codes.get(keyword, ())) & set(values)))


PREFERENCES: Mapping[str, Preference] = {
    "complete": _complete,
    "original": _not_code("ImageType", "DERIVED"),
    "three_dimensional": _code("MRAcquisitionType", "3D"),
    "not_reformatted": _not_code("ImageType", "MPR", "REFORMATTED"),
    "fine_slices": _fine,
    "axial": _axial,
    "not_fat_saturated": lambda one: float(first_match(one.name, FAT_SATURATED) is not None),
    "normalised": _code("ImageType", "NORM", "FIL"),
    "covers_more": _covers_more,
    "latest": _latest,
    "more_slices": lambda one: -float(one.series.slices or 0),
    "lowest_number": lambda one: one.series.numbers.get("SeriesNumber", NOT_KNOWN),
}
"""What `preferences` in the rules can name: a number for a candidate, the lower the better."""
