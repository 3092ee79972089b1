from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from dicomseg.display import choose_slices, display_order
from dicomseg.preview import montage
from study.volume import Geometry, Volume


def picture(png):
    return np.array(Image.open(BytesIO(png)).convert("RGB")).astype(int)


def place_of(pixels, colour, near=40):
    """Mean (row, column) of the pixels of about a colour, as parts of a 320-pixel tile."""
    hit = np.abs(pixels - np.array(colour)).max(axis=2) < near
    assert hit.any()
    return np.argwhere(hit).mean(axis=0) / 320


# Blend of the grey 0 with the enhancing colour (213, 94, 0) at 45 %.
ENHANCING_ON_BLACK = (95, 42, 0)


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize(
    ("orientation", "spacing", "point", "expected"),
    [
        # A point at the patient's left and front appears at the right and top of an axial slice.
        ("axial", (5.0, 1.0, 1.0), (12.0, -12.0, 0.0), "right top"),
        # At the left and towards the head: right and top of a coronal slice.
        ("coronal", (5.0, 1.0, 1.0), (12.0, 0.0, 12.0), "right top"),
        # At the back and towards the head: right and top of a sagittal slice.
        ("sagittal", (5.0, 1.0, 1.0), (0.0, 12.0, 12.0), "right top"),
        ("axial", (5.0, 1.0, 1.0), (-12.0, 12.0, 0.0), "left bottom"),
        ("coronal", (5.0, 1.0, 1.0), (-12.0, 0.0, -12.0), "left bottom"),
        ("sagittal", (5.0, 1.0, 1.0), (0.0, -12.0, -12.0), "left bottom"),
    ],
)
def test_radiological_convention(orientation, ascending, spacing, point, expected, new_series):
    """Whatever the order of slices and the axes of the array, places in the patient tell."""
    base = new_series(orientation, ascending=ascending, shape=(5, 40, 40), spacing=spacing)
    for flip in (False, True):
        geometry = centred(base.labels.geometry, flip)
        labels = np.zeros(geometry.shape, np.uint8)
        k, i, j = np.rint(geometry.index(point)).astype(int)
        labels[k, i - 2 : i + 3, j - 2 : j + 3] = 3
        grey = Volume(np.zeros(geometry.shape, np.float32), geometry)
        png = montage(grey, Volume(labels, geometry), model_version="1")
        row, column = place_of(picture(png)[:320, :320], ENHANCING_ON_BLACK, 15)
        assert ("right" if column > 0.5 else "left") in expected
        assert ("top" if row < 0.5 else "bottom") in expected


def centred(geometry: Geometry, flip: bool) -> Geometry:
    """The grid with its centre at the origin; flipped: rows exchanged with columns, reversed."""
    affine = geometry.affine.copy()
    if flip:
        affine[:3, 1], affine[:3, 2] = -geometry.affine[:3, 2], -geometry.affine[:3, 1]
    middle = (np.array(geometry.shape) - 1) / 2
    affine[:3, 3] = -affine[:3, :3] @ middle
    return Geometry(geometry.shape, affine, "1.2.3")


def test_order_of_an_axial_series(new_series):
    """Rows run to the back and columns to the left as they are."""
    assert display_order(new_series("axial").labels.geometry) == (False, False, False)
    assert display_order(new_series("oblique").labels.geometry) == (False, False, False)


def test_slices_are_spread_over_the_tumour(series):
    """Slices 1 to 4 show it; the fullest is always shown."""
    assert choose_slices(series.labels, None, 8) == [1, 2, 3, 4]
    assert 1 in choose_slices(series.labels, None, 1)
    assert len(choose_slices(series.labels, None, 2)) == 2
    other = series.labels.with_array(np.roll(series.labels.array, 2, axis=0))
    assert choose_slices(series.labels, other, 8) == [1, 2, 3, 4, 5, 6]


def test_without_tumour_the_middle_is_shown(series):
    """Some brain, rather than nothing."""
    nothing = series.labels.with_array(np.zeros_like(series.labels.array))
    assert choose_slices(nothing, None, 8) == [1, 2, 3, 4, 5]
    png = montage(nothing, nothing, model_version="0.1.0")
    assert picture(png).shape[0] > 100


def test_a_correction_is_drawn_as_a_line(series):
    """White pixels appear only with it."""
    grey = series.labels.with_array(np.zeros(series.labels.array.shape, np.float32))
    plain = picture(montage(grey, series.labels, model_version="1"))[:250, 40:300]
    lined = picture(montage(grey, series.labels, model_version="1", outline=series.labels))
    assert not (plain == 255).all(axis=2).any()
    assert (lined[:250, 40:300] == 255).all(axis=2).any()


def test_a_background_on_another_grid_is_brought_to_the_labels(new_series):
    """A bright half at the patient's left is at the right of the picture."""
    labels = new_series(shape=(5, 20, 24)).labels
    coarse = new_series(shape=(7, 30, 30), spacing=(5.0, 1.5, 1.5)).labels
    bright = np.zeros(coarse.array.shape, np.float32)
    bright[:, :, 6:] = 100
    png = montage(coarse.with_array(bright), labels, model_version="1")
    tile = picture(png)[60:240, :320].mean(axis=(0, 2))
    assert tile[260:310].mean() > tile[40:90].mean() + 50


def test_version_and_disclaimer_are_burned_in(series):
    """Another version is another picture, below the slices."""
    one = picture(montage(series.labels, series.labels, model_version="0.1.0 head base"))
    two = picture(montage(series.labels, series.labels, model_version="0.1.0 head v2"))
    differs = np.argwhere((one != two).any(axis=2))
    assert len(differs)
    assert differs[:, 0].min() > one.shape[0] - 122
