"""Tests of `engine.outputs`: from logits to labels."""

import numpy as np
import pytest

from engine.outputs import (
    BRAIN_LABELS,
    REGION_LABELS,
    TISSUE_LABELS,
    decode,
    far_logits,
    output_of,
    tumour_probability,
)
from study.errors import RefusedError


def test_the_labels_say_which_kind_of_answer_it_is():
    assert output_of(TISSUE_LABELS) == "multi-class"
    assert output_of(BRAIN_LABELS) == "multi-class"
    assert output_of(list(REGION_LABELS)) == "multi-label"


def test_unknown_labels_are_refused():
    with pytest.raises(RefusedError, match=r"labels \['core', 'whole'\] are unknown; a model has"):
        output_of(("core", "whole"))


def test_of_classes_the_greatest_wins():
    logits = np.array([[0.0, 3.0, 1.0], [2.0, 0.0, 1.0], [1.0, 0.0, 1.0], [0.0, 4.0, 0.0]])
    assert decode(logits, TISSUE_LABELS).tolist() == [1, 3, 0]


def test_of_regions_the_innermost_that_holds_decides():
    # Columns: nothing; whole; whole and core; all three; enhancing alone; none above one half.
    logits = np.array(
        [
            [-1.0, 2.0, 2.0, 2.0, -1.0, 0.0],
            [-1.0, -1.0, 0.5, 2.0, -1.0, 0.0],
            [-1.0, -1.0, -0.5, 2.0, 0.1, 0.0],
        ]
    )
    labels = decode(logits, REGION_LABELS)
    assert labels.tolist() == [0, 2, 1, 3, 3, 0]
    assert labels.dtype == np.uint8


def test_too_few_channels_are_refused():
    with pytest.raises(RefusedError, match="2 channels of logits do not fit"):
        decode(np.zeros((2, 4)), REGION_LABELS)


def test_far_from_any_brain_is_background():
    for labels in (TISSUE_LABELS, REGION_LABELS):
        assert decode(far_logits(labels, 10.0)[:, None], labels).tolist() == [0]
    assert far_logits(TISSUE_LABELS, 10.0).tolist() == [10.0, -10.0, -10.0, -10.0]
    assert far_logits(REGION_LABELS, 10.0).tolist() == [-10.0, -10.0, -10.0]


def test_the_probability_of_any_tumour():
    """Odds 2 : 1 : 1 : 0 leave a half for tumour; a logit of log 3 is three quarters."""
    classes = np.log(np.array([2.0, 1.0, 1.0, 1e-9]))[:, None]
    assert tumour_probability(classes, TISSUE_LABELS)[0] == pytest.approx(0.5)
    regions = np.log(np.array([3.0, 99.0, 99.0]))[:, None]
    assert tumour_probability(regions, REGION_LABELS)[0] == pytest.approx(0.75)
