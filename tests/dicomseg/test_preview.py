from __future__ import annotations

import numpy as np
import pytest
from burned_in import pixels_of, place_of_text

from dicomseg.display import choose_slices, display_order
from dicomseg.page import WARNING
from dicomseg.preview import montage
from study.volume import Geometry, Volume

ENHANCING = (213, 94, 0)


def place_of(pixels, colour):
    """Mean (row, column) of the pixels of exactly a colour, as parts of the picture."""
    hit = (pixels == np.array(colour)).all(axis=2)
    assert hit.any()
    return np.argwhere(hit).mean(axis=0) / hit.shape


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
        # The slice as it is comes first, and below it with the labels.
        row, column = place_of(pixels_of(png)[320:640, :320], ENHANCING)
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


def test_without_tumour_the_middle_is_shown_and_said(series):
    """Some brain, rather than nothing; with tumour it is not said."""
    nothing = series.labels.with_array(np.zeros_like(series.labels.array))
    assert choose_slices(nothing, None, 8) == [1, 2, 3, 4, 5]
    png = montage(nothing, nothing, model_version="0.1.0")
    assert place_of_text(png, "No tumour was found.", size=20, bold=True)
    assert place_of_text(png, "0 mL")
    some = montage(nothing, series.labels, model_version="0.1.0")
    # Five slices in two rows; four slices in two rows, because each is shown twice.
    assert (pixels_of(png)[600:640, 900:] == 16).all()
    assert (pixels_of(some)[600:640, 900:] != 16).any()
    assert place_of_text(some, "No tumour was found.", size=20, bold=True) is None


def test_each_slice_is_shown_as_it_is_and_with_labels(series):
    """Four slices of 24 by 20 voxels of 0.7 by 0.9 mm: 299 by 320 pixels, in two rows."""
    grey = series.labels.with_array(np.zeros(series.labels.array.shape, np.float32))
    pixels = pixels_of(montage(grey, series.labels, model_version="1"))
    assert pixels.shape[1] == 4 * 299
    plain, labelled = pixels[:320], pixels[320:640]
    assert not (np.ptp(plain.astype(int), axis=2) > 0).any()
    for number in range(4):
        tile = labelled[:, number * 299 : (number + 1) * 299]
        assert (np.ptp(tile.astype(int), axis=2) > 100).any()


def test_more_than_four_slices_take_more_rows(series):
    """Eight of twelve slices: four rows; one slice: two, on a page that is wide enough to read."""
    labels = np.full((12, 20, 24), 3, np.uint8)
    volume = Volume(labels, Geometry((12, 20, 24), series.labels.geometry.affine, "1.2.3"))
    eight = pixels_of(montage(volume, volume, model_version="1"))
    one = pixels_of(montage(volume, volume, model_version="1", slices=1))
    assert eight.shape[0] - one.shape[0] == 640
    assert (eight.shape[1], one.shape[1]) == (4 * 299, 960)


def test_a_correction_is_drawn_as_a_line(series):
    """White pixels appear only with it, and its volumes beside the others."""
    grey = series.labels.with_array(np.zeros(series.labels.array.shape, np.float32))
    smaller = series.labels.array.copy()
    smaller[smaller == 1] = 3
    corrected = series.labels.with_array(smaller)
    plain = montage(grey, series.labels, model_version="1")
    lined = montage(grey, series.labels, model_version="1", outline=corrected)
    assert not (pixels_of(plain)[320:640] == 255).all(axis=2).any()
    assert (pixels_of(lined)[320:640] == 255).all(axis=2).any()
    assert not (pixels_of(lined)[:320] == 255).all(axis=2).any()
    assert place_of_text(plain, "Corrected (white)", bold=True) is None
    assert place_of_text(lined, "Corrected (white)", bold=True)


def test_an_erased_tumour_is_said(series):
    """The labels have none, the correction some; and the other way round."""
    nothing = series.labels.with_array(np.zeros_like(series.labels.array))
    png = montage(nothing, nothing, model_version="1", outline=series.labels)
    assert place_of_text(png, "No tumour was found.", size=20, bold=True)
    assert (pixels_of(png)[320:640] == 255).all(axis=2).any()
    other = montage(nothing, series.labels, model_version="1", outline=nothing)
    assert place_of_text(other, "No tumour was found.", size=20, bold=True) is None
    assert not (pixels_of(other)[320:640] == 255).all(axis=2).any()


def test_a_background_on_another_grid_is_brought_to_the_labels(new_series):
    """A bright left half of the patient is at the right of the picture, dark tissue beside it."""
    labels = new_series(shape=(5, 20, 24)).labels
    coarse = new_series(shape=(7, 30, 30), spacing=(5.0, 1.5, 1.5)).labels
    bright = np.full(coarse.array.shape, 20.0, np.float32)
    bright[:, :, 6:] = 100
    png = montage(coarse.with_array(bright), labels, model_version="1")
    tile = pixels_of(png)[60:240, :299].mean(axis=(0, 2))
    assert tile[240:280].mean() > tile[40:90].mean() + 50


def test_the_air_around_a_head_is_cut_off(new_series):
    """A head of 10 by 10 of 20 by 24 voxels is shown larger, the tumour within it too."""
    labels = new_series(shape=(3, 20, 24), spacing=(5.0, 1.0, 1.0)).labels
    array = np.zeros((3, 20, 24), np.uint8)
    array[1, 9:11, 9:11] = 3
    head = np.zeros((3, 20, 24), np.float32)
    head[:, 5:15, 5:15] = 50
    png = montage(labels.with_array(head), labels.with_array(array), model_version="1")
    # One slice of 10 by 10 voxels and no border, which is less than half a voxel: 32 pixels each.
    tile = pixels_of(png)[320:640, :320]
    assert place_of(tile, ENHANCING) == pytest.approx((0.5, 0.5), abs=0.01)
    wide = np.argwhere((tile == ENHANCING).all(axis=2)).max(axis=0)
    assert wide == pytest.approx((191, 191), abs=1)


@pytest.mark.parametrize("orientation", ["axial", "sagittal", "coronal", "oblique"])
def test_thick_slices_of_many_pixels(orientation, new_series):
    """24 slices of 512 by 512 give a page of the usual size, with the tumour on it."""
    geometry = new_series(orientation, shape=(24, 512, 512), spacing=(6.5, 0.43, 0.43)).labels
    labels = np.zeros((24, 512, 512), np.uint8)
    labels[9:13, 200:240, 300:330] = 3
    grey = np.zeros((24, 512, 512), np.float32)
    pixels = pixels_of(
        montage(geometry.with_array(grey), geometry.with_array(labels), model_version="1")
    )
    assert pixels.shape[1] == 1280
    assert 640 < pixels.shape[0] < 1000
    row, column = place_of(pixels[320:640, :320], ENHANCING)
    assert (row, column) == pytest.approx((220 / 512, 315 / 512), abs=0.01)


def test_every_word_is_burned_in(series):
    """And is not there where it was not given."""
    grey = series.labels.with_array(np.zeros(series.labels.array.shape, np.float32))
    told = {
        "Not for diagnosis - 0.1.0 head v2": {"bold": True},
        "Glioloop 00112233": {"bold": True},
        "Warning: T2 is missing.": {"colour": WARNING},
    }
    full = montage(
        grey,
        series.labels,
        model_version="0.1.0 head v2",
        title="Glioloop 00112233",
        warnings=["T2 is missing."],
    )
    bare = montage(grey, series.labels, model_version="0.1.0 head base")
    for text, look in told.items():
        assert place_of_text(full, text, **look), text
        assert place_of_text(bare, text, **look) is None, text
    assert place_of_text(bare, "Not for diagnosis - 0.1.0 head base", bold=True)


def test_volumes_are_burned_in(new_series):
    """Voxels of 10 mm: 1 mL each; 2 of necrosis, 30 of edema, 4 enhancing."""
    labels = np.zeros((3, 20, 24), np.uint8)
    labels[1, 3:6, 3:13] = 2
    labels[1, 8, 3:7], labels[1, 10, 3:5] = 3, 1
    volume = new_series(shape=(3, 20, 24), spacing=(10.0, 10.0, 10.0)).labels.with_array(labels)
    png = montage(volume, volume, model_version="1")
    below = []
    for name, text in [
        ("Necrosis", "2.0 mL"),
        ("Edema", "30.0 mL"),
        ("Enhancing Lesion", "4.0 mL"),
        ("Tumour core", "6.0 mL"),
        ("Whole tumour", "36.0 mL"),
    ]:
        named, valued = place_of_text(png, name), place_of_text(png, text)
        assert abs(named[0] - valued[0]) < 8, name
        below.append(named[0])
    assert below == sorted(below)
    pixels = pixels_of(png)
    for row, colour in zip(below, [(0, 114, 178), (240, 228, 66), ENHANCING], strict=False):
        assert pixels[row + 5, 30].tolist() == list(colour)


def test_a_long_warning_stays_on_the_page(series):
    """Any number of them makes the page longer."""
    grey = series.labels.with_array(np.zeros(series.labels.array.shape, np.float32))
    short = pixels_of(montage(grey, series.labels, model_version="1"))
    warned = ["The slices are 6.5 mm thick, and small lesions may be missed. " * 5] * 4
    long = pixels_of(montage(grey, series.labels, model_version="1", warnings=warned))
    assert long.shape[0] > short.shape[0] + 100
    assert (long[-20:] == 16).all()
    assert (long[650:, -20:] == 16).all()


def test_the_same_arguments_give_the_same_bytes(series):
    """Nothing comes from the clock."""
    grey = series.labels.with_array(np.zeros(series.labels.array.shape, np.float32))
    pages = {montage(grey, series.labels, model_version="1") for _ in range(2)}
    assert len(pages) == 1
