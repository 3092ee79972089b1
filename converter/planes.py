"""The images of a series as planes in space: decoded, checked, in their order along the normal.

The order is said here once: with ``r`` and ``c`` the direction cosines of (0020,0037) *Image
Orientation (Patient)* (``r`` along a row, towards growing column index; ``c`` along a column,
towards growing row index), slices are counted along ``cross(r, c)``. So ``(column, row, slice)`` is
a right-handed system for every acquisition, and no voxel is ever mirrored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom import Dataset, dcmread
from pydicom.pixels.utils import pixel_array

from converter.series import ORIENTATION_TOLERANCE, READ_ERRORS, Series
from study.errors import HeldError

MIN_SLICES = 3
"""Fewest slices that make a volume."""

MAX_VOXELS = 2**29
"""Most voxels of a series (2 GiB as float32); far above any head, far below a nonsense header."""

POSITION_TOLERANCE_MM = 0.1
"""How far a slice may lie from its place on an even grid: positions are written rounded."""

DUPLICATE_MM = 0.01
"""Slices nearer to one another than this share one position."""

TILT_TOLERANCE_DEG = 0.2
"""Largest angle between stacking direction and normal that rounding of positions explains."""

SPACING_TOLERANCE = 1e-4
"""Relative difference of (0028,0030) *Pixel Spacing* within a series that rounding explains."""


@dataclass(frozen=True, eq=False)
class Plane:
    """One image in space. ``stored`` is ``(rows, columns)`` of stored values as decoded."""

    stored: npt.NDArray[np.generic]
    slope: float
    intercept: float
    position: npt.NDArray[np.float64]
    orientation: npt.NDArray[np.float64]
    spacing: tuple[float, float]
    frame_of_reference_uid: str

    @property
    def normal(self) -> npt.NDArray[np.float64]:
        """Unit vector along which slices are counted."""
        cross: npt.NDArray[np.float64] = np.cross(self.orientation[:3], self.orientation[3:])
        return cross

    def values(self) -> npt.NDArray[np.float64]:
        """Modality values: stored values with slope and intercept applied (PS3.3 C.11.1.1.2)."""
        return self.stored.astype(np.float64) * self.slope + self.intercept


def read_planes(series: Series) -> list[Plane]:
    """Decoded, checked planes of a series in ascending order along their normal.

    Raises
    ------
    HeldError
        With the measured numbers: undecodable or missing pixels, colour or inverted images, missing
        or non-finite geometry, mixed sizes, orientations, spacings or frames of reference, fewer
        than `MIN_SLICES` slices, gantry tilt, duplicate positions, missing slices, uneven spacing.
    """
    where = f"series {series.series_uid}" + (f" ({series.part})" if series.part else "")
    if series.slices < MIN_SLICES:
        raise HeldError(f"{where} has {series.slices} slice(s); {MIN_SLICES} are needed")
    try:
        _check_size(series, where)
        planes = [plane for i in series.instances for plane in _planes(dcmread(i.path), where)]
    except READ_ERRORS as error:
        if isinstance(error, HeldError):
            raise
        # The error's own text may quote what it could not read: a name, an identifier.
        told = f"{type(error).__name__}, transfer syntax {_syntax(series.header)}"
        raise HeldError(f"{where} cannot be decoded ({told}); send it uncompressed") from error
    _check_alike(planes, where)
    normal = planes[0].normal
    planes.sort(key=lambda plane: float(plane.position @ normal))
    _check_stack(planes, where)
    return planes


def _syntax(header: Dataset) -> str:
    """Name of (0002,0010) *Transfer Syntax UID*."""
    uid = header.file_meta.get("TransferSyntaxUID")
    return "unknown" if uid is None else str(uid.name)


def _check_size(series: Series, where: str) -> None:
    """Refuse what would not fit in memory before anything is decoded."""
    rows, columns = int(series.header.Rows), int(series.header.Columns)
    if series.slices * rows * columns > MAX_VOXELS:
        raise HeldError(
            f"{where} has {series.slices} slices of {rows} x {columns}: more than the"
            f" {MAX_VOXELS} voxels that are accepted"
        )


def _planes(image: Dataset, where: str) -> Iterator[Plane]:
    """The planes of one object, classic or enhanced multi-frame."""
    photometric = str(image.get("PhotometricInterpretation", ""))
    if photometric != "MONOCHROME2" or int(image.get("SamplesPerPixel", 1)) != 1:
        raise HeldError(f"{where} is {photometric or 'of unknown photometry'}, not MONOCHROME2")
    stored = pixel_array(image)
    if "PerFrameFunctionalGroupsSequence" not in image:
        if stored.ndim != 2:
            raise HeldError(f"{where} has several frames without positions of their own")
        yield _plane(stored, [image], where)
        return
    shared = image.get("SharedFunctionalGroupsSequence") or [Dataset()]
    frames = stored if stored.ndim == 3 else stored[np.newaxis]
    groups = image.PerFrameFunctionalGroupsSequence
    if len(groups) != len(frames):
        raise HeldError(f"{where} describes {len(groups)} frames and holds {len(frames)}")
    for one, group in zip(frames, groups, strict=True):
        macros = [item[0] for source in (group, shared[0]) for item in _macros(source)]
        yield _plane(one, [*macros, image], where)


def _macros(group: Dataset) -> Iterator[Sequence[Dataset]]:
    """Non-empty sequences of a functional group."""
    return (element.value for element in group if element.VR == "SQ" and len(element.value))


def _plane(stored: npt.NDArray[np.generic], sources: Sequence[Dataset], where: str) -> Plane:
    """One plane; each attribute is taken from the first source that has it."""
    spacing = _finite(sources, "PixelSpacing", 2, where)
    orientation = _finite(sources, "ImageOrientationPatient", 6, where)
    r, c = orientation[:3], orientation[3:]
    skew = max(abs(float(r @ r) - 1.0), abs(float(c @ c) - 1.0), abs(float(r @ c)))
    if skew > 10 * ORIENTATION_TOLERANCE or spacing.min() <= 0:
        raise HeldError(
            f"{where} has (0020,0037) Image Orientation (Patient) {orientation.tolist()} and"
            f" (0028,0030) Pixel Spacing {spacing.tolist()}: no right angle or no size"
        )
    frame = str(_first(sources, "FrameOfReferenceUID") or "")
    if not frame:
        raise HeldError(f"{where} has no (0020,0052) Frame of Reference UID")
    slope = _finite_or(sources, "RescaleSlope", 1.0, where)
    intercept = _finite_or(sources, "RescaleIntercept", 0.0, where)
    position = _finite(sources, "ImagePositionPatient", 3, where)
    size = (float(spacing[0]), float(spacing[1]))
    return Plane(stored, slope, intercept, position, orientation, size, frame)


def _first(sources: Sequence[Dataset], keyword: str) -> object:
    """The attribute of the first source that has it."""
    return next((source[keyword].value for source in sources if keyword in source), None)


def _finite(
    sources: Sequence[Dataset], keyword: str, count: int, where: str
) -> npt.NDArray[np.float64]:
    """So many finite numbers of an attribute."""
    value = _first(sources, keyword)
    numbers = np.array([] if value is None or value == "" else value, np.float64).ravel()
    if numbers.size != count or not np.isfinite(numbers).all():
        raise HeldError(f"{where}: {keyword} is {value}; {count} finite numbers are needed")
    return numbers


def _finite_or(sources: Sequence[Dataset], keyword: str, default: float, where: str) -> float:
    """One finite number of an attribute, or a default where it is absent."""
    if _first(sources, keyword) in (None, ""):
        return default
    return float(_finite(sources, keyword, 1, where)[0])


def _check_alike(planes: Sequence[Plane], where: str) -> None:
    """Refuse a mixture of sizes, spacings, orientations or frames of reference."""
    first = planes[0]
    sizes = sorted({plane.stored.shape for plane in planes})
    if len(sizes) > 1:
        raise HeldError(f"{where} mixes image sizes {sizes}")
    if any(not np.allclose(p.spacing, first.spacing, rtol=SPACING_TOLERANCE) for p in planes):
        spacings = sorted({plane.spacing for plane in planes})
        raise HeldError(f"{where} mixes (0028,0030) Pixel Spacing {spacings} mm")
    turned = max(float(np.abs(p.orientation - first.orientation).max()) for p in planes)
    if turned > ORIENTATION_TOLERANCE:
        raise HeldError(
            f"{where} mixes orientations: direction cosines differ by up to {turned:.4f};"
            f" {ORIENTATION_TOLERANCE} is accepted"
        )
    frames = {plane.frame_of_reference_uid for plane in planes}
    if len(frames) > 1:
        raise HeldError(f"{where} has {len(frames)} frames of reference: {sorted(frames)}")


def _check_stack(planes: Sequence[Plane], where: str) -> None:
    """Refuse duplicate positions, gaps, uneven spacing and gantry tilt; planes are in order."""
    positions = np.stack([plane.position for plane in planes])
    along = positions @ planes[0].normal
    steps = np.diff(along)
    same = int((steps < DUPLICATE_MM).sum())
    if same:
        raise HeldError(
            f"{where} has {same} slice(s) at a position that another slice of it has, too"
            f" ({len(planes)} slices at {len(planes) - same} positions)"
        )
    usual = float(np.median(steps))
    even = along[0] + np.arange(len(along)) * (along[-1] - along[0]) / (len(along) - 1)
    uneven = float(np.abs(along - even).max())
    if uneven > POSITION_TOLERANCE_MM:
        gaps = np.rint(steps / usual)
        if np.abs(steps - gaps * usual).max() <= 2 * POSITION_TOLERANCE_MM and gaps.max() > 1:
            lost = int(gaps.sum()) - len(steps)
            raise HeldError(
                f"{where} lacks {lost} slice(s): steps of {usual:.3f} mm, and"
                f" of {float(steps.max()):.3f} mm; send the series completely"
            )
        raise HeldError(
            f"{where} is spaced unevenly: steps from {float(steps.min()):.3f} to"
            f" {float(steps.max()):.3f} mm, off an even grid by up to {uneven:.3f} mm"
        )
    stacking = positions[-1] - positions[0]
    sideways = np.linalg.norm(stacking - (stacking @ planes[0].normal) * planes[0].normal)
    tilt = float(np.degrees(np.arctan2(sideways, along[-1] - along[0])))
    if tilt > TILT_TOLERANCE_DEG:
        raise HeldError(f"{where} is sheared (gantry tilt) by {tilt:.2f} degrees")
