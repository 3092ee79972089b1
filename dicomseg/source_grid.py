"""Labels on exactly the slices of their source series."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from dicomseg.attributes import numbers
from dicomseg.headers import plane_of
from dicomseg.lattice import lies_within, onto_same_voxels
from dicomseg.planes import stack_planes
from study.errors import RefusedError
from study.tissue import TUMOUR_TISSUES
from study.volume import Volume


def on_series(
    labels: Volume, sources: Sequence[Dataset]
) -> tuple[list[Dataset], npt.NDArray[np.uint8]]:
    """Sources in the order of their slices, and the labels on exactly these."""
    if not sources:
        raise RefusedError("a Segmentation needs the instances of its source series; none is given")
    _one_series(sources, labels.geometry.frame_of_reference_uid)
    unknown = set(np.unique(labels.array).tolist()) - {0, *map(int, TUMOUR_TISSUES)}
    if unknown:
        raise RefusedError(f"labels {sorted(unknown)} are no tissue")
    planes = [plane_of(source) for source in sources]
    shape = (int(sources[0].Rows), int(sources[0].Columns))
    uid = labels.geometry.frame_of_reference_uid
    stack = stack_planes(planes, shape, uid)
    by_slice: dict[int, Dataset] = {}
    for source, at in zip(sources, stack.slice_of, strict=True):
        # A slice that was sent twice is named once.
        by_slice.setdefault(at, source)
    on_series = onto_same_voxels(labels.array.astype(np.uint8), labels.geometry, stack.geometry)
    same = lies_within(labels.geometry, stack.geometry) and lies_within(
        stack.geometry, labels.geometry
    )
    if on_series is None or not same or len(by_slice) != stack.geometry.shape[0]:
        raise RefusedError(
            f"labels of {labels.geometry.shape} voxels do not lie on the {len(by_slice)} slices of "
            f"{shape[0]}x{shape[1]} of series {sources[0].SeriesInstanceUID}; "
            "they must be brought to its grid first"
        )
    return [by_slice[k] for k in range(len(by_slice))], on_series


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


def slice_spacing(ordered: Sequence[Dataset]) -> float:
    """True distance between slices in mm, rounded to what a DS value can hold."""
    if len(ordered) == 1:
        return float(
            ordered[0].get("SpacingBetweenSlices") or ordered[0].get("SliceThickness") or 1
        )
    first = np.array(numbers(ordered[0], "ImagePositionPatient", 3))
    last = np.array(numbers(ordered[-1], "ImagePositionPatient", 3))
    return round(float(np.linalg.norm(last - first)) / (len(ordered) - 1), 8)
