"""Tests of `glioloop.evidence_corrections`: a column of tissue, four voxels wide."""

import numpy as np
import pytest

from glioloop.evidence_corrections import KINDS, of_labels
from glioloop.evidence_ranges import Reader
from study.tissue import TUMOUR_TISSUES, Tissue


@pytest.fixture
def labels() -> np.ndarray:
    """Edema of 12 slices around enhancing tumour of 4, on a grid of 12 x 9 x 9."""
    made = np.zeros((12, 9, 9), np.uint8)
    made[:, 2:7, 2:7] = Tissue.EDEMA
    made[4:8, 3:6, 3:6] = Tissue.ENHANCING
    return made


def corrected(kind: str, labels: np.ndarray, base: np.ndarray, **reader: float):
    return KINDS[kind](labels, base, 2.0, Reader(**reader), np.random.default_rng(0))


def as_labels(correction) -> np.ndarray:
    made = np.zeros((12, 9, 9), np.uint8)
    for tissue, mask in correction.masks.items():
        assert not made[mask].any()
        made[mask] = tissue
    return made


def test_the_truth_outlines_every_tissue(labels: np.ndarray) -> None:
    correction = corrected("truth", labels, np.zeros_like(labels))
    assert correction.outlined == frozenset(TUMOUR_TISSUES)
    assert not correction.masks[Tissue.NECROSIS].any()
    assert np.array_equal(as_labels(correction), labels)


def test_slices_that_were_left_keep_what_the_base_head_said(labels: np.ndarray) -> None:
    """Slabs of 6 mm are three slices of 2 mm; the base head had said necrosis everywhere."""
    base = np.full_like(labels, Tissue.NECROSIS)
    found = as_labels(corrected("some slices", labels, base))
    left = [bool((one == Tissue.NECROSIS).all()) for one in found]
    text = "".join("b" if one else "t" for one in left)
    assert text in {"tttbbbtttbbb", "ttbbbtttbbbt", "tbbbtttbbbtt", "bbbtttbbbttt",
                    "bbtttbbbtttb", "btttbbbtttbb"}  # fmt: skip
    assert all(np.array_equal(a, b) for a, b, c in zip(found, labels, left, strict=True) if not c)


def test_one_class_is_the_enhancing_tumour(labels: np.ndarray) -> None:
    correction = corrected("one class", labels, labels)
    assert correction.outlined == {Tissue.ENHANCING}
    assert list(correction.masks) == [Tissue.ENHANCING]
    assert correction.masks[Tissue.ENHANCING].sum() == 36


def test_without_enhancement_it_is_the_largest_class(labels: np.ndarray) -> None:
    labels[labels == Tissue.ENHANCING] = Tissue.NECROSIS
    assert corrected("one class", labels, labels).outlined == {Tissue.EDEMA}


def test_an_outline_lies_off_by_the_voxels_that_are_asked_for(labels: np.ndarray) -> None:
    found = as_labels(corrected("a voxel off", labels, labels, off_voxels=2, smooth_voxels=0.0))
    moved = {
        (axis, step) for axis in (1, 2) for step in (-2, 2)
        if np.array_equal(np.roll(labels, step, axis), found)
    }  # fmt: skip
    assert len(moved) == 1


def test_rounding_takes_the_corners_off(labels: np.ndarray) -> None:
    found = as_labels(corrected("a voxel off", labels, labels, off_voxels=0))
    assert labels[6, 2, 2] == Tissue.EDEMA
    assert found[6, 2, 2] == Tissue.BACKGROUND
    assert found[6, 4, 4] == Tissue.ENHANCING


def test_labels_become_masks(labels: np.ndarray) -> None:
    assert {t: int(m.sum()) for t, m in of_labels(labels).masks.items()} == {
        Tissue.NECROSIS: 0, Tissue.EDEMA: 12 * 25 - 36, Tissue.ENHANCING: 36,
    }  # fmt: skip
