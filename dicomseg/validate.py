"""Reading back what was encoded, by another way than it was written."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import highdicom as hd
import numpy as np

from dicomseg.codes import STYLES
from dicomseg.lattice import lies_within, onto_same_voxels
from study.errors import FailedError
from study.tissue import TUMOUR_TISSUES, Tissue
from study.volume import Geometry, Volume


def validate_seg(
    encoded: bytes, labels: Volume, tissues: Sequence[Tissue] = TUMOUR_TISSUES
) -> None:
    """Compare an encoded Segmentation with the labels that it shall hold.

    Parameters
    ----------
    encoded
        The Part 10 file.
    labels
        What was meant: `Tissue` values, their grid and frame of reference.

    tissues
        Those that have a segment, in the order of their numbers.

    Raises
    ------
    FailedError
        If frame of reference, segments, grid or any voxel differ.

    Notes
    -----
    highdicom 0.28 matches volumes without comparing their frames of reference, so the UIDs are
    compared here.
    """
    try:
        seg = hd.seg.segread(BytesIO(encoded))
        volume = seg.get_volume(combine_segments=True, skip_overlap_checks=False)
    except (RuntimeError, ValueError, AttributeError, TypeError) as error:
        raise FailedError(f"the encoded Segmentation cannot be read back: {error}") from error
    meant = labels.geometry.frame_of_reference_uid
    if str(seg.FrameOfReferenceUID) != meant:
        raise FailedError(
            f"the encoded Segmentation lies in frame of reference {seg.FrameOfReferenceUID}, "
            f"not in {meant}"
        )
    numbered = {int(s.SegmentNumber): str(s.SegmentLabel) for s in seg.SegmentSequence}
    # A label map may describe its background, as segment 0.
    found = {number: label for number, label in numbered.items() if number}
    if found != {number: STYLES[t].label for number, t in enumerate(tissues, start=1)}:
        raise FailedError(f"the encoded Segmentation describes the segments {found}")
    slices, rows, columns = volume.spatial_shape
    geometry = Geometry((slices, rows, columns), volume.affine, meant)
    by_number = np.array([0, *tissues], np.uint8)
    array = onto_same_voxels(by_number[volume.array], geometry, labels.geometry)
    if array is None or not lies_within(geometry, labels.geometry):
        raise FailedError("the encoded Segmentation lies on other voxels than the labels")
    differing = int(np.count_nonzero(array != labels.array))
    if differing:
        raise FailedError(f"{differing} voxels of the encoded Segmentation differ from the labels")
