"""What rules look at in a series: names, codes and numbers, by DICOM keyword.

The same value is found whether an image is classic, enhanced multi-frame (in functional groups), or
a row of a table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from pydicom import Dataset

from converter.extent import Extent, measure
from converter.frames import Frames, read_frames, sources, value_of
from converter.private import b_value, pulse_sequence, scanning_technique
from converter.series import Series
from converter.times import seconds_of_day, when

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
    "ContrastBolusAgentAdministered",
    "DiffusionDirectionality",
)

LABELS = (
    "Manufacturer",
    "ManufacturerModelName",
    "StationName",
    "DeviceSerialNumber",
    "SoftwareVersions",
    "InstitutionName",
    "StudyDescription",
    "SeriesDescription",
    "ProtocolName",
    "SequenceName",
    "PulseSequenceName",
    "BodyPartExamined",
    "ImageType",
)
"""What a site's own rules can look at, as text."""

SYNONYMS = {
    "EffectiveEchoTime": "EchoTime",
    "InversionTimes": "InversionTime",
    "PulseSequenceName": "SequenceName",
}
"""Keywords of enhanced images, and those of classic images that mean the same."""


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
    labels
        Texts that a site's own rules can look at, by keyword (`LABELS`).
    time
        Seconds of acquisition since some midnight, if known.
    images
        Number of images, or of frames, if known.
    slices, coverage_mm, spacing_mm
        Number of places with an image, extent along the stack, and distance between slices, if
        known.
    gaps
        How many slices are missing between the first and the last.
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
    labels: Mapping[str, str] = field(default_factory=dict)
    time: float | None = None
    images: int | None = None
    slices: int | None = None
    coverage_mm: float | None = None
    spacing_mm: float | None = None
    gaps: int = 0
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
    header = series.header
    found = list(sources(header))
    codes = {k: code for k in CODES if (code := _codes(found, k))}
    numbers: dict[str, float] = {}
    for keyword in (*NUMBERS, *(k for k, v in SYNONYMS.items() if v in NUMBERS)):
        value = _number(_first(found, keyword))
        if value is not None:
            numbers.setdefault(SYNONYMS.get(keyword, keyword), value)
    frames = read_frames(header)
    if frames.diffusion:
        codes["DiffusionDirectionality"] = ("DIRECTIONAL",)
    weightings = [b_value(header), numbers.get("DiffusionBValue"), *frames.b_values]
    weightings += [instance.b_value for instance in series.instances]
    known = [b for b in weightings if b is not None]
    if known:
        numbers["DiffusionBValue"] = max(known)
    names = [_text(found, k) for k in ("SequenceName", "PulseSequenceName")]
    patterns = {
        "SequenceName": " ".join(filter(None, [*names, pulse_sequence(header)])).lower(),
        "ScanningTechnique": scanning_technique(header).lower(),
    }
    extent = _extent(series, frames)
    return Attributes(
        series_uid=series.series_uid,
        part=series.part,
        study=series.study_uid,
        description=_text(found, "SeriesDescription"),
        protocol=_text(found, "ProtocolName"),
        codes=codes,
        numbers=numbers,
        patterns=patterns,
        labels={k: label for k in LABELS if (label := _text(found, k))},
        time=when(found),
        images=series.slices,
        slices=extent.slices or series.slices,
        coverage_mm=extent.coverage_mm,
        spacing_mm=extent.spacing_mm,
        gaps=extent.gaps,
        normal=extent.normal,
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
        labels={k: cells[k] for k in LABELS if k in cells},
        time=seconds_of_day(cells.get("AcquisitionTime") or cells.get("SeriesTime") or ""),
    )


def _first(sources: Sequence[Dataset], keyword: str) -> object:
    """First value that is there and not empty."""
    values = (value_of(source, keyword) for source in sources)
    return next((value for value in values if value not in (None, "")), None)


def _text(sources: Sequence[Dataset], keyword: str) -> str:
    """A value as text."""
    value = _first(sources, keyword)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "\\".join(str(part).strip() for part in value)
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


def _extent(series: Series, frames: Frames) -> Extent:
    """Where the slices lie, as the frames or the instances say."""
    if frames.positions:
        return measure(frames.positions, frames.orientations)
    known = [(i.position, i.orientation) for i in series.instances if i.position and i.orientation]
    return measure([position for position, _ in known], [at for _, at in known])
