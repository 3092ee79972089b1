from __future__ import annotations

import numpy as np
import pytest

from dicomseg.diameters import Diameters
from dicomseg.lesions import is_measurable, measure
from study.tissue import Tissue
from study.volume import Geometry, Volume


def volume(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> Volume:
    """Nothing, on a grid along the axes."""
    return Volume(np.zeros(shape, np.uint8), Geometry(shape, np.diag([*spacing, 1.0]), "1.2.3"))


def test_lesions_are_ordered_by_volume_and_measured_one_by_one():
    """10 x 12 x 14 and 20 x 20 x 20 voxels of 1 mm, and one speck of 27 of them."""
    labels = volume((40, 40, 60), (1.0, 1.0, 1.0))
    labels.array[2:12, 2:14, 2:16] = Tissue.ENHANCING
    labels.array[15:35, 15:35, 30:50] = Tissue.ENHANCING
    labels.array[36:39, 2:5, 2:5] = Tissue.ENHANCING
    labels.array[20:25, 2:12, 2:12] = Tissue.EDEMA
    found = measure(labels)
    assert [(x.number, x.slices) for x in found.lesions] == [(1, 20), (2, 10)]
    assert [x.volume_ml for x in found.lesions] == pytest.approx([8.0, 1.68])
    assert (found.specks, found.specks_ml) == (1, pytest.approx(0.027))
    assert found.volumes.tissues[Tissue.ENHANCING] == pytest.approx(9.707)
    assert found.volumes.regions["whole"] == pytest.approx(10.207)
    # Between edge midpoints of 20 x 20 pixels: 20 one way and 19 the other.
    assert found.lesions[0].diameters.longest_mm == pytest.approx((20**2 + 19**2) ** 0.5)
    assert all(x.measurable for x in found.lesions)
    # Where it lies is told in the whole grid, not in the lesion's own box.
    assert found.lesions[0].diameters.slice_index == 15
    ends = np.array(found.lesions[0].diameters.longest)
    assert ends.min(axis=0) == pytest.approx((15, 14.5, 30), abs=0.51)
    assert ends.max(axis=0) == pytest.approx((15, 34.5, 49), abs=0.51)


def test_lesions_that_touch_at_a_corner_are_one():
    """26 neighbours."""
    labels = volume((20, 20, 20), (1.0, 1.0, 1.0))
    labels.array[2:10, 2:10, 2:10] = Tissue.ENHANCING
    labels.array[10:15, 10:15, 10:15] = Tissue.ENHANCING
    (lesion,) = measure(labels).lesions
    assert lesion.volume_ml == pytest.approx(0.637)
    assert lesion.slices == 13


@pytest.mark.parametrize(("voxels", "listed"), [(99, 0), (100, 1)])
def test_a_tenth_of_a_millilitre_is_a_lesion(voxels, listed):
    """100 voxels of 1 mm are 0.1 mL."""
    labels = volume((1, 10, 12), (1.0, 1.0, 1.0))
    labels.array.reshape(-1)[:voxels] = Tissue.ENHANCING
    found = measure(labels)
    assert (len(found.lesions), found.specks) == (listed, 1 - listed)


def test_a_single_voxel_is_no_lesion_however_large():
    """6 x 5 x 5 mm are 0.15 mL."""
    labels = volume((3, 3, 3), (6.0, 5.0, 5.0))
    labels.array[1, 1, 1] = Tissue.ENHANCING
    found = measure(labels)
    assert (found.lesions, found.specks, found.specks_ml) == ((), 1, pytest.approx(0.15))


def test_no_tumour_has_volumes_and_no_lesions():
    """Zero, not missing."""
    found = measure(volume((3, 4, 5), (1.0, 1.0, 1.0)))
    assert (found.lesions, found.specks, found.specks_ml) == ((), 0, 0.0)
    assert dict(found.volumes.regions) == {"enhancing": 0.0, "core": 0.0, "whole": 0.0}


def test_what_is_not_spoken_of_is_not_measured():
    """An outline of necrosis and enhancing tumour has a core and no whole; one of edema neither."""
    labels = volume((4, 10, 10), (1.0, 1.0, 10.0))
    labels.array[1:3] = Tissue.ENHANCING
    found = measure(labels, [Tissue.NECROSIS, Tissue.ENHANCING])
    assert dict(found.volumes.tissues) == pytest.approx(
        {Tissue.NECROSIS: 0.0, Tissue.ENHANCING: 2.0}
    )
    assert dict(found.volumes.regions) == pytest.approx({"enhancing": 2.0, "core": 2.0})
    assert len(found.lesions) == 1
    edema = measure(labels, [Tissue.EDEMA])
    assert (dict(edema.volumes.regions), edema.lesions, edema.specks) == ({}, (), 0)


NOWHERE = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))


@pytest.mark.parametrize(
    ("longest", "perpendicular", "slices", "slice_mm", "expected"),
    [
        (10.0, 10.0, 2, 1.0, True),
        (10.0, 9.9, 5, 1.0, False),
        (30.0, 30.0, 1, 1.0, False),
        (11.9, 11.0, 2, 5.0, True),
        (11.9, 11.9, 2, 6.0, False),
        (12.0, 12.0, 2, 6.0, True),
    ],
)
def test_sizes_that_rano_calls_measurable(longest, perpendicular, slices, slice_mm, expected):
    """10 mm both ways in two slices, and twice the distance of slices that is above 5 mm."""
    diameters = Diameters(0, longest, perpendicular, NOWHERE, NOWHERE)
    assert is_measurable(diameters, slices, slice_mm) is expected
