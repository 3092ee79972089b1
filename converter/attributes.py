"""What rules look at in a series: names, codes and numbers, by DICOM keyword.

The same value is found whether an image is classic, enhanced multi-frame (in functional groups), or
a row of a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from pydicom import Dataset

from converter.series import Series

NUMBERS = ("EchoTime", "RepetitionTime", "InversionTime", "DiffusionBValue", "SeriesNumber")

CODES = (
    "SOPClassUID",
    "Modality",
    "ImageType",
    "ScanningSequence",
    "SequenceVariant",
    "ScanOptions",
    "AcquisitionContrast",
    "MRAcquisitionType",
    "EchoPlanarPulseSequence",
    "EchoPulseSequence",
    "InversionRecovery",
    "BodyPartExamined",
    "BurnedInAnnotation",
    "VolumetricProperties",
    "ContrastBolusAgent",
    "ContrastBolusRoute",
    "ContrastBolusVolume",
    "ContrastBolusIngredient",
    "ContrastBolusStartTime",
    "ContrastBolusAgentSequence",
)

SYNONYMS = {
    "EffectiveEchoTime": "EchoTime",
    "InversionTimes": "InversionTime",
    "PulseSequenceName": "SequenceName",
}
"""Keywords of enhanced images, and those of classic images that mean the same."""

GE_PULSE_SEQUENCE = (0x0019, 0x109C)
PHILIPS_TECHNIQUE = (0x2001, 0x1020)
"""Private elements that name the pulse sequence, where (0018,0024) *Sequence Name* is missing."""


@dataclass(frozen=True, eq=False)
class Attributes:
    """What is known of one series (or of the part of it that is one stack).

    Parameters
    ----------
    series_uid, part
        As in `converter.series.Series`; ``series_uid`` may be empty for a row of a table.
    study
        What tells its study from others.
    description, protocol
        (0008,103E) *Series Description* and (0018,1030) *Protocol Name*.
    codes
        Values in upper case, by keyword; absent keywords are absent.
    numbers
        Finite numbers, by keyword; milliseconds for times.
    patterns
        Names of sequences in lower case: ``SequenceName``, ``ScanningTechnique``.
    time
        Seconds of acquisition since some midnight, if known.
    slices, coverage_mm, spacing_mm
        Number of slices, extent along the stack, and distance between slices, if known.
    normal
        Direction along which slices are stacked, if known.
    """

    series_uid: str
    part: str
    study: str
    description: str
    protocol: str
    codes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)
    patterns: Mapping[str, str] = field(default_factory=dict)
    time: float | None = None
    slices: int | None = None
    coverage_mm: float | None = None
    spacing_mm: float | None = None
    normal: tuple[float, ...] | None = None

    @property
    def family(self) -> frozenset[str]:
        """Kinds of echo: SE, GR, IR, EP, RM, as in (0018,0020) *Scanning Sequence*."""
        found = set(self.codes.get("ScanningSequence", ()))
        pulse = self.codes.get("EchoPulseSequence", ())
        found |= {"SE"} if {"SPIN", "BOTH"} & set(pulse) else set()
        found |= {"GR"} if {"GRADIENT", "BOTH"} & set(pulse) else set()
        found |= {"IR"} if "YES" in self.codes.get("InversionRecovery", ()) else set()
        found |= {"EP"} if "YES" in self.codes.get("EchoPlanarPulseSequence", ()) else set()
        return frozenset(found)


def of_series(series: Series) -> Attributes:
    """Attributes of a series, from its first header and the positions of its instances."""
    sources = list(_sources(series.header))
    texts = {k: _text(sources, k) for k in ("SeriesDescription", "ProtocolName")}
    codes = {k: found for k in CODES if (found := _codes(sources, k))}
    numbers: dict[str, float] = {}
    for keyword in (*NUMBERS, *(k for k, v in SYNONYMS.items() if v in NUMBERS)):
        value = _number(_first(sources, keyword))
        if value is not None:
            numbers.setdefault(SYNONYMS.get(keyword, keyword), value)
    patterns = {
        "SequenceName": " ".join(
            filter(
                None,
                [
                    _text(sources, "SequenceName"),
                    _text(sources, "PulseSequenceName"),
                    _private(series.header, GE_PULSE_SEQUENCE),
                ],
            )
        ).lower(),
        "ScanningTechnique": _private(series.header, PHILIPS_TECHNIQUE).lower(),
    }
    normal, coverage, spacing = _stack(series)
    return Attributes(
        series_uid=series.series_uid,
        part=series.part,
        study=series.study_uid,
        description=texts["SeriesDescription"],
        protocol=texts["ProtocolName"],
        codes=codes,
        numbers=numbers,
        patterns=patterns,
        time=_time(sources),
        slices=series.slices,
        coverage_mm=coverage,
        spacing_mm=spacing,
        normal=normal,
    )


def of_row(row: Mapping[str, str], number: int) -> Attributes:
    """Attributes of a row of a table whose columns are named by DICOM keywords.

    Parameters
    ----------
    row
        Multi-valued attributes are separated by backslashes; columns that are no keywords used
        here are ignored.
    number
        Place of the row, which names it where there is no SeriesInstanceUID.
    """
    cells = {k: v.strip() for k, v in row.items() if k and v and v.strip()}
    codes = {k: tuple(p.strip().upper() for p in cells[k].split("\\")) for k in CODES if k in cells}
    numbers: dict[str, float] = {}
    for keyword in (*NUMBERS, *SYNONYMS):
        value = _number(cells.get(keyword, "").split("\\")[0])
        if value is not None:
            numbers.setdefault(SYNONYMS.get(keyword, keyword), value)
    names = (cells.get("SequenceName"), cells.get("PulseSequenceName"))
    return Attributes(
        series_uid=cells.get("SeriesInstanceUID", f"row {number}"),
        part="",
        study=cells.get("StudyInstanceUID") or cells.get("StudyID", ""),
        description=cells.get("SeriesDescription", ""),
        protocol=cells.get("ProtocolName", ""),
        codes=codes,
        numbers=numbers,
        patterns={"SequenceName": " ".join(filter(None, names)).lower()},
        time=_seconds(cells.get("AcquisitionTime") or cells.get("SeriesTime") or ""),
    )


def _sources(header: Dataset) -> Iterator[Dataset]:
    """The header and, for enhanced images, the macros of its first frame and of all frames."""
    yield header
    for keyword in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        for group in (header.get(keyword) or [])[:1]:
            for element in group:
                if element.VR == "SQ" and len(element.value):
                    yield element.value[0]


def _first(sources: Sequence[Dataset], keyword: str) -> object:
    """First value that is there and not empty."""
    values = (source[keyword].value for source in sources if keyword in source)
    return next((value for value in values if value not in (None, "")), None)


def _text(sources: Sequence[Dataset], keyword: str) -> str:
    """A value as text."""
    value = _first(sources, keyword)
    return "" if value is None else str(value).strip()


def _codes(sources: Sequence[Dataset], keyword: str) -> tuple[str, ...]:
    """Values in upper case; a sequence that is not empty stands as one value."""
    value = _first(sources, keyword)
    if value is None:
        return ()
    if isinstance(value, Sequence) and not isinstance(value, str):
        if value and isinstance(value[0], Dataset):
            return ("SEQUENCE",)
        return tuple(str(part).strip().upper() for part in value)
    return (str(value).strip().upper(),)


def _number(value: object) -> float | None:
    """A finite number, the first of several, or None."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = value[0] if value else None
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def _private(header: Dataset, tag: tuple[int, int]) -> str:
    """A private element as text, or nothing."""
    if tag not in header:
        return ""
    value = header[tag].value
    return value.decode("ascii", "ignore") if isinstance(value, bytes) else str(value)


def _time(sources: Sequence[Dataset]) -> float | None:
    """When the series was acquired, in seconds of its day."""
    whole = _text(sources, "AcquisitionDateTime")[8:]
    return _seconds(whole or _text(sources, "AcquisitionTime") or _text(sources, "SeriesTime"))


def _seconds(text: str) -> float | None:
    """Seconds of a day from HHMMSS.FFFFFF (PS3.5 table 6.2-1, TM)."""
    digits = text.replace(":", "").split("+")[0].split("-")[0].strip()
    hour, minute, second = _number(digits[:2]), _number(digits[2:4]), _number(digits[4:] or "0")
    if hour is None or minute is None or second is None:
        return None
    return hour * 3600 + minute * 60 + second


def _stack(series: Series) -> tuple[tuple[float, ...] | None, float | None, float | None]:
    """Normal, coverage along it, and distance between slices (mm), where positions are known."""
    known = [(i.position, i.orientation) for i in series.instances if i.position and i.orientation]
    if len(known) < 2:
        return None, None, None
    orientation = np.array(known[0][1])
    normal = np.cross(orientation[:3], orientation[3:])
    along = np.unique(np.round(np.array([position for position, _ in known]) @ normal, 2))
    if len(along) < 2:
        return tuple(normal), 0.0, None
    spacing = float(np.median(np.diff(along)))
    return tuple(normal), float(along[-1] - along[0]) + spacing, spacing
