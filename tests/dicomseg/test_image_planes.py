from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from dicomseg.image_planes import by_uid, image_of, image_planes, in_order, pixel_of


def test_the_image_on_which_a_voxel_lies_is_found(new_series, enhanced):
    """Its centre is half a pixel from the corner of the pixel, column first; classic or not."""
    series = new_series("oblique")
    frame = series.labels.geometry.frame_of_reference_uid
    point = series.labels.geometry.world((3, 4, 9))
    image = image_of([point], image_planes(series.instances), frame)
    assert image is not None
    assert image.sop_instance_uid == series.instances[3].SOPInstanceUID
    assert image.frame is None
    assert pixel_of(point, image) == pytest.approx((9.5, 4.5, 0.0), abs=1e-6)
    # Frames of the enhanced image run from the last slice to the first.
    multi = image_of([point], image_planes([enhanced(series)]), frame)
    assert multi is not None
    assert multi.sop_instance_uid == f"{series.instances[0].SeriesInstanceUID}.900"
    assert multi.frame == 4
    assert pixel_of(point, multi) == pytest.approx((9.5, 4.5, 0.0), abs=1e-6)


@pytest.mark.parametrize("index", [(3.05, 4, 9), (3, 21, 9), (3, 4, -1), (7, 4, 9)])
def test_points_off_the_images_have_none(index, series):
    """0.3 mm off a slice, beside the picture, beyond the stack."""
    geometry = series.labels.geometry
    slices = image_planes(series.instances)
    inside = geometry.world((3, 4, 9))
    assert (
        image_of([inside, geometry.world(index)], slices, geometry.frame_of_reference_uid) is None
    )


def test_another_frame_of_reference_is_another_place(series):
    """The same numbers mean nothing there."""
    geometry = series.labels.geometry
    slices = image_planes(series.instances)
    assert image_of([geometry.world((3, 4, 9))], slices, "1.2.3") is None
    assert image_of([geometry.world((3, 4, 9))], slices, geometry.frame_of_reference_uid)


def test_images_without_a_place_are_left_out(series):
    """The others count."""
    del series.instances[2].ImagePositionPatient
    slices = image_planes(series.instances)
    assert len(slices) == 6
    assert series.instances[2].SOPInstanceUID not in by_uid(slices)
    assert series.instances[3].SOPInstanceUID in by_uid(slices)


def test_the_order_of_arrival_is_none(series):
    """By number, as numbers; what has none comes first."""
    nameless = Dataset()
    nameless.SOPInstanceUID = "1.2"
    shuffled = [*series.instances[3:], nameless, *series.instances[:3]]
    shuffled[1].InstanceNumber = 40
    found = [image.get("InstanceNumber") for image in in_order(shuffled)]
    assert found == [None, 1, 2, 3, 4, 6, 7, 40]
