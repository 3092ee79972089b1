from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydicom import Dataset

from dicomseg.validate import validate_seg
from dicomseg.write import write_seg
from study.errors import FailedError
from study.volume import Volume


def test_what_was_meant_passes(series, identity):
    """No error on the file as it is."""
    validate_seg(write_seg(series.labels, series.instances, identity), series.labels)


def test_another_voxel_is_found(series, identity):
    """One voxel is enough."""
    encoded = write_seg(series.labels, series.instances, identity)
    other = series.labels.array.copy()
    other[2, 10, 10] = 3
    with pytest.raises(FailedError, match="1 voxels of the encoded Segmentation differ"):
        validate_seg(encoded, series.labels.with_array(other))


def test_another_frame_of_reference_is_found(series, identity):
    """Highdicom itself would not notice."""
    encoded = write_seg(series.labels, series.instances, identity)
    geometry = replace(series.labels.geometry, frame_of_reference_uid="1.2.3")
    with pytest.raises(FailedError, match=r"not in 1\.2\.3"):
        validate_seg(encoded, Volume(series.labels.array, geometry))


@pytest.mark.parametrize(("axis", "mm"), [(0, 0.35), (2, 6.5)])
def test_another_place_is_found(axis, mm, series, identity):
    """Half a voxel aside, and a whole slice aside even if all voxels are empty."""
    nothing = series.labels.with_array(np.zeros_like(series.labels.array))
    encoded = write_seg(nothing, series.instances, identity)
    affine = series.labels.geometry.affine.copy()
    affine[axis, 3] += mm
    moved = Volume(nothing.array, replace(series.labels.geometry, affine=affine))
    with pytest.raises(FailedError, match="lies on other voxels"):
        validate_seg(encoded, moved)


def test_another_label_is_found(series, identity, edit_seg):
    """A reader would take the segment for something else."""

    def rename(ds: Dataset) -> None:
        ds.SegmentSequence[0].SegmentLabel = "Edema"

    encoded = edit_seg(write_seg(series.labels, series.instances, identity), rename)
    with pytest.raises(FailedError, match="describes the segments"):
        validate_seg(encoded, series.labels)


def test_a_file_that_cannot_be_read_is_found(series, identity, edit_seg):
    """Whatever the library says about it."""

    def damage(ds: Dataset) -> None:
        del ds.SegmentSequence

    encoded = edit_seg(write_seg(series.labels, series.instances, identity), damage)
    with pytest.raises(FailedError, match="cannot be read back"):
        validate_seg(encoded, series.labels)
