"""Tests of `study.volume`."""

import numpy as np
import pytest

from study.errors import RefusedError
from study.volume import Geometry, Volume

# Slices 5 mm apart towards the head, rows 2 mm apart towards the back, columns 1 mm to the left.
AFFINE = np.array(
    [[0.0, 0.0, 1.0, -10.0], [0.0, 2.0, 0.0, -20.0], [5.0, 0.0, 0.0, 30.0], [0.0, 0.0, 0.0, 1.0]]
)


def _geometry(frame: str = "1.2.3", affine: np.ndarray = AFFINE) -> Geometry:
    return Geometry((2, 3, 4), affine, frame)


def test_world_of_a_voxel_is_where_dicom_says():
    # Slice 1, row 2, column 3: x = -10 + 3, y = -20 + 4, z = 30 + 5.
    np.testing.assert_allclose(_geometry().world((1, 2, 3)), (-7.0, -16.0, 35.0))


def test_index_undoes_world():
    np.testing.assert_allclose(_geometry().index((-7.0, -16.0, 35.0)), (1.0, 2.0, 3.0))


def test_spacing_and_volume_of_a_voxel():
    assert _geometry().spacing == (5.0, 2.0, 1.0)
    assert _geometry().voxel_volume_ml == pytest.approx(0.01)


def test_the_same_grid_in_another_frame_of_reference_is_another_place():
    assert _geometry().same_grid(_geometry("1.2.4"))
    assert not _geometry().same_place(_geometry("1.2.4"))


def test_a_shifted_or_mirrored_grid_is_not_the_same():
    shifted, mirrored = AFFINE.copy(), AFFINE.copy()
    shifted[0, 3] += 0.01
    mirrored[:, 2] *= -1.0
    assert not _geometry().same_grid(_geometry(affine=shifted))
    assert not _geometry().same_grid(_geometry(affine=mirrored))


def test_the_affine_of_a_geometry_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        _geometry().affine[0, 0] = 1.0


@pytest.mark.parametrize(
    ("shape", "affine", "message"),
    [
        ((2, 3), AFFINE, "three positive sizes"),
        ((2, 0, 4), AFFINE, "three positive sizes"),
        ((2, 3, 4), np.full((4, 4), np.nan), "finite 4x4"),
        ((2, 3, 4), np.diag([1.0, 1.0, 0.0, 1.0]), "singular"),
        ((2, 3, 4), np.diag([1.0, 1.0, 1.0, 2.0]), "last row"),
    ],
)
def test_an_impossible_grid_is_refused(shape, affine, message):
    with pytest.raises(RefusedError, match=message):
        Geometry(shape, affine, "1.2.3")


def test_a_volume_of_another_shape_than_its_grid_is_refused():
    with pytest.raises(RefusedError, match="does not fit"):
        Volume(np.zeros((3, 3, 3)), _geometry())
