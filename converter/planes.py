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

from converter.decode import stored_values
from converter.files import READ_ERRORS, is_uid
from converter.pixels import MAX_VOXELS, check_image
from converter.series import Series
from study.errors import HeldError

MIN_SLICES = 3
"""Fewest slices that make a volume."""

MAX_SLICES = 2048
"""Most slices that make a volume; series of more are time courses, or nonsense."""

SKEW_TOLERANCE = 2e-3
"""How far direction cosines may be from unit length and a right angle; rounded to three decimals,
they are so far."""

MAX_MM = 1e4
"""Largest position or size (mm) that is believed: ten metres."""

MAX_RESCALE = 1e12
"""Largest slope or intercept that is believed."""

MOSAIC = "MOSAIC"
"""Value of (0008,0008) *Image Type* by which Siemens marks slices tiled into one image."""


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


def read_planes(series: Series, where: str) -> list[Plane]:
    """Decoded planes of a series, in the order of its files and frames.

    Parameters
    ----------
    series
        Classic or enhanced multi-frame images.
    where
        How messages name the series.

    Raises
    ------
    HeldError
        With what was found: damaged files, too few or too many slices, no MR image, undecodable or
        missing pixels, missing or non-finite geometry, mosaics.
    """
    _check_instances(series, where)
    try:
        images = _read(series, where)
        uids = [instance.sop_instance_uid for instance in series.instances]
        stored = stored_values(images, uids, where)
        return [
            plane
            for image, frames, one in zip(images, stored, series.instances, strict=True)
            for plane in _planes(image, frames, one.kept, where)
        ]
    except HeldError:
        raise
    except READ_ERRORS as error:
        # The error's own text may quote what it could not read: a name, an identifier.
        raise HeldError(
            f"{where} has a header that cannot be read ({type(error).__name__}); send it again"
        ) from error


def _check_instances(series: Series, where: str) -> None:
    """Refuse by what the headers alone say, before anything is decoded."""
    defects = [i for i in series.instances if i.defect]
    if defects:
        raise HeldError(
            f"{where} has {len(defects)} file(s) that cannot be used; the first is SOP Instance UID"
            f" {defects[0].sop_instance_uid}: {defects[0].defect}; send the series again"
        )
    if series.slices < MIN_SLICES:
        raise HeldError(f"{where} has {series.slices} slice(s); {MIN_SLICES} are needed")
    if series.slices > MAX_SLICES:
        raise HeldError(f"{where} has {series.slices} slices; at most {MAX_SLICES} are accepted")
    mosaics = sum(MOSAIC in instance.image_type for instance in series.instances)
    if mosaics:
        raise HeldError(
            f"{where} has {mosaics} mosaic image(s), slices tiled into one; export it as single"
            " slices or enhanced multi-frame"
        )


def _read(series: Series, where: str) -> list[Dataset]:
    """The series' objects, checked, with their pixels as they are encoded."""
    images: list[Dataset] = []
    voxels = 0
    for instance in series.instances:
        image = dcmread(instance.path)
        voxels += check_image(image, where)
        if voxels > MAX_VOXELS:
            raise HeldError(f"{where} has more than the {MAX_VOXELS} voxels that are accepted")
        images.append(image)
    return images


def _planes(
    image: Dataset, stored: npt.NDArray[np.generic], kept: Sequence[int], where: str
) -> Iterator[Plane]:
    """The planes of one object, classic or enhanced; of the frames kept, if some are said."""
    groups = image.get("PerFrameFunctionalGroupsSequence")
    if groups is None:
        if len(stored) != 1:
            raise HeldError(
                f"{where} has {len(stored)} frames in one object without positions of their own;"
                " export it as single slices or enhanced multi-frame"
            )
        yield _plane(stored[0], [image], where)
        return
    shared = image.get("SharedFunctionalGroupsSequence") or [Dataset()]
    if len(groups) != len(stored):
        raise HeldError(f"{where} describes {len(groups)} frames and holds {len(stored)}")
    for number in kept or range(1, len(groups) + 1):
        one, group = stored[number - 1], groups[number - 1]
        macros = [item for source in (group, shared[0]) for item in _macros(source)]
        yield _plane(one, [*macros, image], where)


def _macros(group: Dataset) -> Iterator[Dataset]:
    """The functional groups that place and scale a frame (PS3.3 section C.7.6.16.2)."""
    for keyword in (
        "PixelMeasuresSequence",
        "PlanePositionSequence",
        "PlaneOrientationSequence",
        "PixelValueTransformationSequence",
    ):
        sequence = group.get(keyword)
        if sequence:
            yield sequence[0]


def _plane(stored: npt.NDArray[np.generic], sources: Sequence[Dataset], where: str) -> Plane:
    """One plane; each attribute is taken from the first source that has it."""
    spacing = _finite(sources, "PixelSpacing", 2, where)
    orientation = _finite(sources, "ImageOrientationPatient", 6, where)
    position = _finite(sources, "ImagePositionPatient", 3, where)
    r, c = orientation[:3], orientation[3:]
    skew = max(abs(float(r @ r) - 1.0), abs(float(c @ c) - 1.0), abs(float(r @ c)))
    if skew > SKEW_TOLERANCE or spacing.min() <= 0:
        raise HeldError(
            f"{where} has (0020,0037) Image Orientation (Patient) {orientation.tolist()} and"
            f" (0028,0030) Pixel Spacing {spacing.tolist()}: no right angle or no size"
        )
    frame = str(_first(sources, "FrameOfReferenceUID") or "")
    if not is_uid(frame):
        raise HeldError(f"{where} has no (0020,0052) Frame of Reference UID")
    slope = _finite_or(sources, "RescaleSlope", 1.0, where)
    intercept = _finite_or(sources, "RescaleIntercept", 0.0, where)
    if slope == 0.0:
        raise HeldError(f"{where} has (0028,1053) Rescale Slope 0: nothing of the image is left")
    size = (float(spacing[0]), float(spacing[1]))
    return Plane(stored, slope, intercept, position, orientation, size, frame)


def _first(sources: Sequence[Dataset], keyword: str) -> object:
    """The attribute of the first source that has it."""
    return next((source[keyword].value for source in sources if keyword in source), None)


def _finite(
    sources: Sequence[Dataset], keyword: str, count: int, where: str, most: float = MAX_MM
) -> npt.NDArray[np.float64]:
    """So many finite numbers of an attribute."""
    value = _first(sources, keyword)
    numbers = np.array([] if value is None or value == "" else value, np.float64).ravel()
    if numbers.size != count or not np.isfinite(numbers).all() or np.abs(numbers).max() > most:
        found = numbers.tolist() if numbers.size else "missing"
        raise HeldError(
            f"{where}: {keyword} is {found}; {count} finite numbers are needed, none beyond"
            f" {most:g}"
        )
    return numbers


def _finite_or(sources: Sequence[Dataset], keyword: str, default: float, where: str) -> float:
    """One finite number of an attribute, or a default where it is absent."""
    if _first(sources, keyword) in (None, ""):
        return default
    return float(_finite(sources, keyword, 1, where, MAX_RESCALE)[0])
