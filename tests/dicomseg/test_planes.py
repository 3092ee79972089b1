from __future__ import annotations

import pytest

from dicomseg.planes import Plane, stack_planes
from study.errors import RefusedError

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def plane(z, x=0.0, orientation=AXIAL, spacing=(1.0, 1.0)):
    return Plane((x, 0.0, z), orientation, spacing)


@pytest.mark.parametrize(
    ("depths", "hints", "slices", "spacing"),
    [
        ([0, 3, 6], [], (0, 1, 2), 3.0),
        ([6, 0, 3], [], (2, 0, 1), 3.0),
        ([0, 6, 12], [3.0], (0, 2, 4), 3.0),
        ([0, 6, 12], [5.0], (0, 1, 2), 6.0),
        ([0, 6, 18], [], (0, 1, 3), 6.0),
        ([0, 0, 3], [], (0, 0, 1), 3.0),
        ([5], [2.5], (0,), 2.5),
        ([0, 5.9999, 12.0001], [6.0], (0, 1, 2), 6.00005),
    ],
)
def test_planes_form_a_stack(depths, hints, slices, spacing):
    """Missing planes are gaps; a hint that does not fit is passed over."""
    stack = stack_planes([plane(z) for z in depths], (4, 4), "1.2.3", hints)
    assert stack.slice_of == slices
    assert stack.geometry.spacing[0] == pytest.approx(spacing)
    assert stack.geometry.shape == (max(slices) + 1, 4, 4)


@pytest.mark.parametrize(
    ("planes", "match"),
    [
        ([plane(0), plane(3), plane(7)], "uneven distances"),
        ([plane(0), plane(3, orientation=(0, 1, 0, -1, 0, 0))], "differ in orientation"),
        ([plane(0), plane(3, spacing=(1.0, 0.9))], "differ in orientation or pixel spacing"),
        ([plane(0), plane(3, x=5.0), plane(6)], "shifted against each other"),
        ([plane(0), plane(3), plane(300000)], "spread over 100001 slices; at most 4096"),
    ],
)
def test_planes_that_form_no_stack_are_refused(planes, match):
    """Nothing is repaired, and nothing allocated."""
    with pytest.raises(RefusedError, match=match):
        stack_planes(planes, (4, 4), "1.2.3")
