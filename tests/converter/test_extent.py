"""How far a series reaches."""

from __future__ import annotations

from converter.extent import Extent, measure

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def test_places_spacing_coverage_and_gaps_are_counted():
    heights = [0, 6, 12, 24, 30, 30]
    found = measure([(0.0, 0.0, float(z)) for z in heights], [AXIAL] * 6)
    assert found == Extent((0.0, 0.0, 1.0), slices=5, spacing_mm=6.0, coverage_mm=36.0, gaps=1)


def test_images_at_one_place_are_no_stack():
    assert measure([(0.0, 0.0, 5.0)] * 3, [AXIAL] * 3) == Extent((0.0, 0.0, 1.0), 1, None, 0.0)


def test_of_one_image_nothing_is_known():
    assert measure([(0.0, 0.0, 5.0)], [AXIAL]) == Extent()
