from __future__ import annotations

import numpy as np
import pytest
from pydicom import Dataset

from dicomseg.planes import plane_of
from dicomseg.read import read_seg
from dicomseg.result_images import result_images
from dicomseg.write import write_seg
from study.volume import Geometry, Volume


@pytest.mark.parametrize("turned", [False, True], ids=["as the series", "from the other end"])
@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("orientation", ["axial", "sagittal", "coronal", "oblique"])
def test_every_image_is_where_it_lies(orientation, ascending, turned, new_series, identity):
    """Those without tumour too, to a thousandth of a millimetre, however the labels' slices run."""
    series = new_series(orientation, ascending=ascending)
    labels = series.labels
    if turned:
        affine = labels.geometry.affine.copy()
        affine[:3, 3] = labels.geometry.world((6, 0, 0))
        affine[:3, 0] *= -1
        grid = Geometry(labels.geometry.shape, affine, labels.geometry.frame_of_reference_uid)
        labels = Volume(np.ascontiguousarray(labels.array[::-1]), grid)
    found = result_images(write_seg(labels, series.instances, identity), labels.geometry)
    assert set(found) == {i.SOPInstanceUID for i in series.instances}
    for instance in series.instances:
        meant = plane_of(instance)
        plane = found[instance.SOPInstanceUID]
        np.testing.assert_allclose(plane.position, meant.position, atol=1e-3)
        np.testing.assert_allclose(plane.orientation, meant.orientation, atol=1e-6)
        assert plane.spacing == pytest.approx(meant.spacing)


def test_a_correction_without_places_is_read_with_them(series, identity, edit_seg):
    """It outlines a slice on which the result has nothing."""
    encoded = write_seg(series.labels, series.instances, identity)
    labels = series.labels.array.copy()
    labels[6, 4:8, 4:8] = 2

    def edit(ds: Dataset) -> None:
        for frame in ds.PerFrameFunctionalGroupsSequence:
            del frame.PlanePositionSequence

    corrected = edit_seg(
        write_seg(series.labels.with_array(labels), series.instances, identity), edit
    )
    grid = series.labels.geometry
    found = read_seg(corrected, grid, images=result_images(encoded, grid))
    np.testing.assert_array_equal(found.labels(), labels)


def test_what_does_not_settle_the_rest_tells_nothing(new_series, series, enhanced, identity):
    """A multi-frame image; another number of slices; tumour in the very middle alone."""
    labels = series.labels
    multi = write_seg(labels, [enhanced(new_series())], identity)
    assert result_images(multi, labels.geometry) == {}
    encoded = write_seg(labels, series.instances, identity)
    assert result_images(encoded, new_series(shape=(8, 20, 24)).labels.geometry) == {}
    middle = np.zeros_like(labels.array)
    middle[3, 4:9, 5:9] = 3
    encoded = write_seg(labels.with_array(middle), series.instances, identity)
    assert result_images(encoded, labels.geometry) == {}


def test_another_grid_tells_nothing(series, identity):
    """Of half the distance between slices: the images would lie beyond it."""
    affine = series.labels.geometry.affine.copy()
    affine[:3, 0] /= 2
    grid = Geometry((7, 20, 24), affine, series.labels.geometry.frame_of_reference_uid)
    assert result_images(write_seg(series.labels, series.instances, identity), grid) == {}
