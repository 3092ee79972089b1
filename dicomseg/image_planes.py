"""Images of a series slice by slice: to find the one on which a point lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydicom import Dataset

from dicomseg.attributes import first_item, items_of, text_of
from dicomseg.headers import frame_numbers, is_multiframe
from dicomseg.planes import Plane, plane_of, plane_of_groups
from study.errors import RefusedError

IN_PLANE_MM = 0.1
"""A point lies on a slice when it is no farther from its plane than this."""


@dataclass(frozen=True)
class ImagePlane:
    """One slice of a series."""

    sop_class_uid: str
    sop_instance_uid: str
    frame: int | None
    """Number of the frame from 1; None for a single-frame image."""
    plane: Plane
    shape: tuple[int, int]
    """(rows, columns)."""
    frame_of_reference_uid: str


def in_order(series: Sequence[Dataset]) -> list[Dataset]:
    """Instances by their number, then their UID: the same whatever order they came in."""

    def key(image: Dataset) -> tuple[int, str, str]:
        number = text_of(image, "InstanceNumber")
        return len(number), number, text_of(image, "SOPInstanceUID")

    return sorted(series, key=key)


def image_planes(series: Sequence[Dataset]) -> list[ImagePlane]:
    """Slices of a series whose images say where they lie, in the order of `in_order`."""
    found = []
    for image in in_order(series):
        several = is_multiframe(image)
        numbers: Sequence[int | None] = frame_numbers(image) if several else [None]
        shape = (int(image.get("Rows") or 0), int(image.get("Columns") or 0))
        found += [
            ImagePlane(
                text_of(image, "SOPClassUID"),
                text_of(image, "SOPInstanceUID"),
                number,
                plane,
                shape,
                text_of(image, "FrameOfReferenceUID"),
            )
            for number, plane in zip(numbers, _planes(image), strict=True)
            if plane is not None
        ]
    return found


def by_uid(slices: Sequence[ImagePlane]) -> Mapping[str, Plane]:
    """SOP Instance UID of each single-frame image to its plane."""
    return {s.sop_instance_uid: s.plane for s in slices if s.frame is None}


def pixel_of(point: Sequence[float], image: ImagePlane) -> tuple[float, float, float]:
    r"""Where a point lies on an image.

    Parameters
    ----------
    point
        LPS mm.
    image
        The slice.

    Returns
    -------
    tuple of float
        (column, row) as (0070,0022) *Graphic Data* counts them, 0\0 at the outer corner of the
        first pixel and 0.5\0.5 at its centre (PS3.3 section C.18.6.1.2), and the distance from
        the plane in mm.
    """
    from_first = np.subtract(point, image.plane.position)
    along_row, along_column = image.plane.orientation[:3], image.plane.orientation[3:]
    column = float(from_first @ np.array(along_row)) / image.plane.spacing[1] + 0.5
    row = float(from_first @ np.array(along_column)) / image.plane.spacing[0] + 0.5
    return column, row, float(from_first @ image.plane.normal)


def image_of(
    points: Sequence[Sequence[float]],
    slices: Sequence[ImagePlane],
    frame_of_reference_uid: str,
) -> ImagePlane | None:
    """The first slice on which all points lie; None where there is none."""
    for image in slices:
        if image.frame_of_reference_uid != frame_of_reference_uid:
            continue
        rows, columns = image.shape
        found = [pixel_of(point, image) for point in points]
        if all(
            abs(off) <= IN_PLANE_MM and 0 <= column <= columns and 0 <= row <= rows
            for column, row, off in found
        ):
            return image
    return None


def _planes(image: Dataset) -> list[Plane | None]:
    """Plane of each frame; None where it is not told."""
    if is_multiframe(image):
        shared = first_item(image, "SharedFunctionalGroupsSequence") or Dataset()
        groups = items_of(image, "PerFrameFunctionalGroupsSequence")
        return [_or_none(group, shared) for group in groups]
    return [_or_none(image)]


def _or_none(image: Dataset, shared: Dataset | None = None) -> Plane | None:
    """Plane of an image or of a frame's groups; None where it is missing or no number."""
    try:
        return plane_of(image) if shared is None else plane_of_groups(image, shared)
    except RefusedError:
        return None
