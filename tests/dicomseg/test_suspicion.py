from __future__ import annotations

import numpy as np
import pytest

from dicomseg.suspicion import check_plausible
from study.errors import HeldError
from study.tissue import Tissue


@pytest.fixture
def labels():
    """Edema in one corner of a cube."""
    labels = np.zeros((10, 10, 10), np.uint8)
    labels[1:4, 1:5, 1:6] = Tissue.EDEMA
    return labels


@pytest.mark.parametrize(("axis", "name"), [(0, "slices"), (1, "rows"), (2, "columns")])
def test_a_mirrored_mask_is_held(axis, name, labels):
    """Reversed, it agrees perfectly; as it is, not at all."""
    mask = np.flip(labels == Tissue.EDEMA, axis)
    with pytest.raises(
        HeldError, match=f"with its {name} reversed .* Dice 1.00 instead of 0.[04]0"
    ):
        check_plausible({Tissue.EDEMA: mask}, labels)


def test_an_edited_mask_passes(labels):
    """Half of it is gone, and a little is added."""
    mask = labels == Tissue.EDEMA
    mask[:, :3] = False
    mask[5, 5, 5] = True
    check_plausible({Tissue.EDEMA: mask}, labels)


def test_another_lesion_passes(labels):
    """It agrees with us neither way."""
    mask = np.zeros((10, 10, 10), bool)
    mask[4:7, 4:7, 4:7] = True
    check_plausible({Tissue.EDEMA: mask}, labels)


@pytest.mark.parametrize(("part", "match"), [(1, "0.02 times"), (-1, "times the volume")])
def test_an_odd_volume_is_held(part, match, labels):
    """A click, or a whole head."""
    mask = np.zeros((10, 10, 10), bool)
    if part > 0:
        mask[2, 2, 2] = True
        with pytest.raises(HeldError, match=match):
            check_plausible({Tissue.EDEMA: mask}, labels)
    else:
        mask[:] = True
        small = np.zeros((10, 10, 10), np.uint8)
        small[4:6, 4:6, 4:6] = Tissue.EDEMA
        with pytest.raises(HeldError, match=r"125\.00 times the volume"):
            check_plausible({Tissue.EDEMA: mask}, small)


def test_erasing_everything_and_drawing_anew_are_opinions(labels):
    """Neither can be compared."""
    nothing = np.zeros((10, 10, 10), bool)
    check_plausible({Tissue.EDEMA: nothing}, labels)
    check_plausible({Tissue.EDEMA: labels == Tissue.EDEMA}, np.zeros_like(labels))


def test_only_what_was_outlined_is_compared(labels):
    """An enhancing outline is not blamed for our edema."""
    labels[7:9, 7:9, 7:9] = Tissue.ENHANCING
    check_plausible({Tissue.ENHANCING: labels == Tissue.ENHANCING}, labels)
