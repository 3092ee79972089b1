"""Which of several series of one class is given to the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from converter.attributes import Attributes
from converter.names import Vocabulary, first_match, words

NOT_KNOWN = float("inf")

FAT_SATURATED = ("fs", "fatsat", "fat sat", "fat", "spir", "spair")

Preference = Callable[[Attributes, Sequence[str]], float]


def rank(
    series: Attributes, preferences: Sequence[str], vocabulary: Vocabulary
) -> tuple[float, ...]:
    """Place of a candidate among others: the lowest is chosen, the first difference decides.

    Parameters
    ----------
    preferences
        Names of `PREFERENCES`, the most important first.
    """
    name = words(f"{series.description} {series.protocol}", vocabulary)
    return tuple(PREFERENCES[preference](series, name) for preference in preferences)


def _axial(series: Attributes, _: Sequence[str]) -> float:
    """0 for three-dimensional and for axial acquisitions."""
    if "3D" in series.codes.get("MRAcquisitionType", ()) or series.normal is None:
        return 0.0
    return float(abs(series.normal[2]) < 0.8)


def _code(keyword: str, *values: str) -> Preference:
    """Preference for series that have one of the values."""
    return lambda series, _: float(not set(series.codes.get(keyword, ())) & set(values))


def _not_code(keyword: str, *values: str) -> Preference:
    """Preference for series that have none of the values."""
    return lambda series, _: float(bool(set(series.codes.get(keyword, ())) & set(values)))


PREFERENCES: Mapping[str, Preference] = {
    "original": _not_code("ImageType", "DERIVED"),
    "three_dimensional": _code("MRAcquisitionType", "3D"),
    "not_reformatted": _not_code("ImageType", "MPR", "REFORMATTED"),
    "fine_slices": lambda s, _: NOT_KNOWN if s.spacing_mm is None else round(2 * s.spacing_mm),
    "axial": _axial,
    "not_fat_saturated": lambda _, name: float(first_match(name, FAT_SATURATED) is not None),
    "normalised": _code("ImageType", "NORM", "FIL"),
    "covers_more": lambda s, _: 0.0 if s.coverage_mm is None else -round(s.coverage_mm / 10),
    "latest": lambda s, _: 0.0 if s.time is None else -s.time,
    "more_slices": lambda s, _: -float(s.slices or 0),
    "lowest_number": lambda s, _: s.numbers.get("SeriesNumber", NOT_KNOWN),
}
"""What `preferences` in the rules can name: a number for a candidate, the lower the better."""
