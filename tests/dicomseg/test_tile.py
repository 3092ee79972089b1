from __future__ import annotations

import numpy as np
import pytest

from dicomseg.tile import draw_tile
from study.volume import Geometry

ENHANCING, EDEMA, NECROSIS = (213, 94, 0), (240, 228, 66), (0, 114, 178)
WHITE = (255, 255, 255)
WHOLE = (slice(None), slice(None))
# Steps along slices, rows and columns.
AXIAL = ((0, 0, 5), (0, 1, 0), (1, 0, 0))
SAGITTAL = ((-5, 0, 0), (0, 0, -2), (0, 1, 0))
OBLIQUE = ((0, -3, 4), (-5 / 13, 48 / 65, 36 / 65), (12 / 13, 4 / 13, 3 / 13))


def grid(axes, rows, columns):
    affine = np.eye(4)
    affine[:3, :3] = np.array(axes, float).T
    return Geometry((3, rows, columns), affine, "1.2.3")


def place_of(image, colour):
    """Mean (x, y) of the pixels of exactly a colour."""
    hit = (np.array(image) == colour).all(axis=2)
    assert hit.any()
    row, column = np.argwhere(hit).mean(axis=0)
    return column + 0.5, row + 0.5


@pytest.mark.parametrize(
    ("axes", "shape", "size", "place"),
    [
        # 60 columns of 1 mm are 320 pixels, 40 rows are 213. The middle of the mark is 51 columns
        # and 11 rows from the corner.
        (AXIAL, (40, 60), (320, 213), (272.0, 58.7)),
        # 30 rows of 2 mm are 320 pixels, 60 columns too: two rows are four columns.
        (SAGITTAL, (30, 60), (320, 320), (272.0, 117.3)),
        (OBLIQUE, (40, 60), (320, 213), (272.0, 58.7)),
    ],
)
def test_a_marked_voxel_is_where_it_belongs(axes, shape, size, place):
    """Rows 10 and 11, columns 50 and 51, which are the patient's left or back."""
    labels = np.zeros(shape, np.uint8)
    labels[10:12, 50:52] = 3
    black = np.zeros(shape, np.uint8)
    image = draw_tile(black, grid(axes, *shape), 1, WHOLE, labels)
    assert image.size == size
    assert place_of(image, ENHANCING) == pytest.approx(place, abs=1.0)


def test_an_array_that_runs_the_other_way_gives_the_same_place():
    """The same voxel in an array with reversed rows, and in one with rows for columns."""
    labels = np.zeros((40, 60), np.uint8)
    labels[10:12, 50:52] = 3
    reversed_rows = ((0, 0, 5), (0, -1, 0), (1, 0, 0))
    exchanged = ((0, 0, 5), (1, 0, 0), (0, 1, 0))
    for axes, array in [(reversed_rows, labels[::-1]), (exchanged, labels.T)]:
        image = draw_tile(
            np.zeros_like(array), grid(axes, *array.shape), 1, WHOLE, np.ascontiguousarray(array)
        )
        assert image.size == (320, 213)
        assert place_of(image, ENHANCING) == pytest.approx((272.0, 58.7), abs=1.0)


def test_a_box_is_stretched_to_the_tile():
    """Columns 40 to 59 and rows 5 to 14: 16 pixels each; the mark is 11 and 6 from its corner."""
    labels = np.zeros((40, 60), np.uint8)
    labels[10:12, 50:52] = 3
    black = np.zeros_like(labels)
    box = (slice(5, 15), slice(40, 60))
    image = draw_tile(black, grid(AXIAL, 40, 60), 1, box, labels)
    assert image.size == (320, 160)
    assert place_of(image, ENHANCING) == pytest.approx((176.0, 96.0), abs=1.0)


def test_tissues_have_their_colours():
    """30 % of it inside, on black; all of it at the edge."""
    labels = np.zeros((32, 32), np.uint8)
    labels[4:12, 4:12], labels[16:24, 4:12], labels[4:12, 18:26] = 1, 2, 3
    pixels = np.array(draw_tile(np.zeros_like(labels), grid(AXIAL, 32, 32), 0, WHOLE, labels))
    assert pixels[80, 80].tolist() == [0, 34, 53]
    assert pixels[200, 80].tolist() == [72, 68, 20]
    assert pixels[80, 220].tolist() == [64, 28, 0]
    assert pixels[80, 40].tolist() == list(NECROSIS)
    assert pixels[200, 40].tolist() == list(EDEMA)
    assert pixels[80, 180].tolist() == list(ENHANCING)


def test_a_border_between_two_tissues_is_one_line():
    """Enhancing beside edema: the edema has no line along it."""
    labels = np.zeros((32, 32), np.uint8)
    labels[8:24, 4:16], labels[8:24, 16:28] = 2, 3
    pixels = np.array(draw_tile(np.zeros_like(labels), grid(AXIAL, 32, 32), 0, WHOLE, labels))
    assert pixels[160, 160].tolist() == list(ENHANCING)
    assert pixels[160, 157].tolist() != list(EDEMA)


def test_a_correction_is_a_white_line():
    """The labels have no line of their own then, and keep their colour."""
    labels = np.zeros((32, 32), np.uint8)
    labels[8:24, 8:24] = 3
    outline = np.zeros_like(labels)
    outline[4:28, 4:28] = 3
    black, geometry = np.zeros_like(labels), grid(AXIAL, 32, 32)
    pixels = np.array(draw_tile(black, geometry, 0, WHOLE, labels, outline))
    assert pixels[100, 40].tolist() == list(WHITE)
    assert pixels[160, 150].tolist() == [64, 28, 0]
    assert not (pixels == ENHANCING).all(axis=2).any()
    without = np.array(draw_tile(black, geometry, 0, WHOLE, labels))
    assert not (without == WHITE).all(axis=2).any()


def test_without_labels_the_slice_is_as_it_is():
    """Grey 100 in the middle, no colour anywhere."""
    grey = np.full((32, 32), 100, np.uint8)
    pixels = np.array(draw_tile(grey, grid(AXIAL, 32, 32), 0, WHOLE))
    assert pixels[100, 100].tolist() == [100, 100, 100]
    assert (np.ptp(pixels.astype(int), axis=2) == 0).all()


SPOTS = {  # rows and columns of a tile of 320 by 320
    "left": (slice(145, 175), slice(0, 30)),
    "right": (slice(145, 175), slice(290, 320)),
    "top": (slice(0, 30), slice(145, 175)),
    "bottom": (slice(290, 320), slice(145, 175)),
    "corner": (slice(0, 30), slice(0, 90)),
}


@pytest.mark.parametrize("spot", SPOTS)
def test_sides_and_place_are_burned_in(spot):
    """Something stands there, and something else where it is another side or another slice."""
    grey = np.zeros((32, 32), np.uint8)
    coronal = ((0, 5, 0), (0, 0, -1), (1, 0, 0))
    sagittal = ((5, 0, 0), (0, 0, -1), (0, 1, 0))
    tiles = {
        name: np.array(draw_tile(grey, grid(axes, 32, 32), k, WHOLE))[SPOTS[spot]]
        for name, axes, k in [
            ("axial", AXIAL, 0),
            ("next", AXIAL, 1),
            ("coronal", coronal, 0),
            ("sagittal", sagittal, 0),
        ]
    }
    assert (tiles["axial"] == 235).any()
    differs = {name: bool((tile != tiles["axial"]).any()) for name, tile in tiles.items()}
    # R L A P, R L H F, A P H F; and H 0.0 mm, H 5.0 mm, A -31 mm, R 31 mm.
    assert differs == {
        "axial": False,
        "next": spot == "corner",
        "coronal": spot in {"top", "bottom", "corner"},
        "sagittal": True,
    }


def test_nothing_is_written_in_the_middle():
    """The rest of a black slice stays black."""
    pixels = np.array(draw_tile(np.zeros((32, 32), np.uint8), grid(AXIAL, 32, 32), 0, WHOLE))
    for spot in SPOTS.values():
        pixels[spot] = 0
    assert not pixels.any()
