from __future__ import annotations

import math
from itertools import combinations

import pytest

from dicomseg.codes import STYLES, lab_of_rgb
from dicomseg.mapping import SAME_COLOUR
from study.tissue import TUMOUR_TISSUES


def test_every_tissue_has_a_style_and_labels_differ():
    """A viewer that drops the codes leaves labels that still tell tissues apart."""
    assert set(STYLES) == set(TUMOUR_TISSUES)
    assert len({style.label for style in STYLES.values()}) == 3
    assert all(style.label.isascii() for style in STYLES.values())


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((255, 0, 0), (34886, 53484, 50172)),
        ((0, 255, 0), (57498, 10747, 54274)),
        ((255, 255, 0), (63660, 27356, 57178)),
    ],
)
def test_colours_as_another_encoder_writes_them(rgb, lab):
    """Values of a Segmentation that highdicom wrote; a unit is 1/257 of CIELab's."""
    assert math.dist(lab_of_rgb(rgb), lab) < 30


def test_colours_are_far_from_each_other_and_from_the_pure_ones():
    """No tool's red first segment may be taken for ours by its colour."""
    ours = [lab_of_rgb(style.rgb) for style in STYLES.values()]
    assert min(math.dist(a, b) for a, b in combinations(ours, 2)) > 2 * SAME_COLOUR
    for pure in [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255)]:
        assert min(math.dist(lab_of_rgb(pure), own) for own in ours) > SAME_COLOUR
