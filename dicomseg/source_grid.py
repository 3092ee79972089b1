"""Labels on exactly the slices of their source series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from dicomseg.attributes import first_item, items_of, maybe_number
from dicomseg.headers import is_multiframe
from dicomseg.lattice import lies_within, onto_same_voxels
from dicomseg.planes import Plane, plane_of, plane_of_groups, stack_planes
from study.errors import RefusedError
from study.tissue import TUMOUR_TISSUES
from study.volume import Volume


@dataclass(frozen=True, eq=False)
class SourceSlices:
    """Labels, slice by slice of the source."""

    instances: list[Dataset]
    """One for each slice, or one multi-frame image."""
    planes: list[Plane]
    """Where each slice lies."""
    labels: npt.NDArray[np.uint8]
    """``(slices, rows, columns)``."""
    spacing: float
    """True distance between slices in mm, rounded to what a DS value can hold."""
    thickness: float
    """Thickness of a slice in mm."""


def on_source(labels: Volume, sources: Sequence[Dataset]) -> SourceSlices:
    """Bring labels onto the slices of their series; refused where these are others."""
    if not sources:
        raise RefusedError("a Segmentation needs the instances of its source series; none is given")
    uid = labels.geometry.frame_of_reference_uid
    _one_series(sources, uid)
    array = labels.array.astype(np.uint8)
    if array.max() > max(TUMOUR_TISSUES) or not np.array_equal(array, labels.array):
        raise RefusedError(f"labels {np.unique(labels.array).tolist()} are not all tissues")
    places = _places(sources)
    planes = [plane for plane, _ in places]
    shape = (int(sources[0].Rows), int(sources[0].Columns))
    stack = stack_planes(planes, shape, uid)
    chosen: dict[int, tuple[Plane, Dataset]] = {}
    for place, at in zip(places, stack.slice_of, strict=True):
        # A slice that was sent twice is named once.
        chosen.setdefault(at, place)
    moved = onto_same_voxels(array, labels.geometry, stack.geometry)
    same = lies_within(labels.geometry, stack.geometry) and lies_within(
        stack.geometry, labels.geometry
    )
    if moved is None or not same or len(chosen) != stack.geometry.shape[0]:
        raise RefusedError(
            f"labels of {labels.geometry.shape} voxels do not lie on the {len(chosen)} slices of "
            f"{shape[0]}x{shape[1]} of series {sources[0].SeriesInstanceUID}; "
            "they must be brought to its grid first"
        )
    spacing = round(stack.geometry.spacing[0], 8)
    thickness = _thickness(sources[0]) or spacing
    if is_multiframe(sources[0]):
        if len(places) != len(chosen):
            raise RefusedError(
                f"multi-frame image {sources[0].SOPInstanceUID} shows some slice more than once"
            )
        order = list(stack.slice_of)
        return SourceSlices([sources[0]], planes, moved[order], spacing, thickness)
    slices = [chosen[k] for k in range(len(chosen))]
    return SourceSlices([s for _, s in slices], [p for p, _ in slices], moved, spacing, thickness)


def _places(sources: Sequence[Dataset]) -> list[tuple[Plane, Dataset]]:
    """Plane of each slice, and the instance that holds it."""
    if not is_multiframe(sources[0]):
        return [(plane_of(source), source) for source in sources]
    if len(sources) > 1:
        raise RefusedError(f"{len(sources)} multi-frame images are no one stack; one is needed")
    shared = first_item(sources[0], "SharedFunctionalGroupsSequence") or Dataset()
    frames = items_of(sources[0], "PerFrameFunctionalGroupsSequence")
    planes = [plane for plane in (plane_of_groups(f, shared) for f in frames) if plane is not None]
    if len(planes) != len(frames) or not planes:
        raise RefusedError(
            f"multi-frame image {sources[0].SOPInstanceUID} does not say where its frames lie"
        )
    return [(plane, sources[0]) for plane in planes]


def _thickness(source: Dataset) -> float | None:
    """Thickness of a source's slices, wherever it is told."""
    shared = first_item(source, "SharedFunctionalGroupsSequence") or Dataset()
    measures = first_item(shared, "PixelMeasuresSequence") or Dataset()
    return maybe_number(source, "SliceThickness") or maybe_number(measures, "SliceThickness")


def _one_series(sources: Sequence[Dataset], frame_of_reference_uid: str) -> None:
    """Refuse instances of several series, sizes or frames of reference."""
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "Rows", "Columns"):
        found = {str(source.get(keyword, "")) for source in sources}
        if len(found) != 1 or "" in found:
            raise RefusedError(f"the source instances need one common *{keyword}*, found {found}")
    frames = {str(source.get("FrameOfReferenceUID", "")) for source in sources}
    if frames != {frame_of_reference_uid} or not frame_of_reference_uid:
        raise RefusedError(
            f"the labels lie in frame of reference {frame_of_reference_uid or 'without UID'}, "
            f"the source series in {sorted(frames)}; they must be the same"
        )
