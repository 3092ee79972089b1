"""One patient's head, fitted to a lesion that is made here: a column of 20 blocks, 2 features."""

from __future__ import annotations

import numpy as np
import pytest
from lesion_column import BASE, dice_of_enhancing, lesion

from engine.adapt import FeatureSample, Fit, FitSettings, fit_head, scored
from engine.head import Head
from study.errors import RefusedError
from study.tissue import TUMOUR_TISSUES, Tissue


@pytest.fixture(scope="module")
def fit() -> Fit:
    return fit_head(BASE, [lesion(shift=0.4)])


def test_a_correction_is_learnt_and_helps_on_the_next_study(fit: Fit) -> None:
    follow_up = lesion(seed=1, shift=0.4)
    assert fit.accepted
    assert fit.converged
    assert fit.reason.startswith("accepted: on slices not learnt from, mean Dice")
    assert fit.dice_fitted["enhancing"] > fit.dice_base["enhancing"] + 0.2
    before, after = dice_of_enhancing(BASE, follow_up), dice_of_enhancing(fit.head, follow_up)
    assert after > before + 0.2
    assert after == pytest.approx(fit.dice_fitted["enhancing"], abs=0.05)
    assert fit.head.backbone_sha256 == "h"
    assert fit.folds == 4
    assert fit.gap_mm == pytest.approx(8.0)


def test_classes_that_were_not_outlined_are_left_alone(fit: Fit) -> None:
    sample = lesion(seed=1, shift=0.4)
    kept = (sample.target == 0) & (BASE.apply(sample.features).argmax(axis=1) == 2)
    found = fit.head.apply(sample.features).argmax(axis=1)
    assert (found[kept] == 2).mean() > 0.9
    assert fit.left_alone["edema"] > 0.9
    assert set(fit.dice_base) == {"enhancing"}


def test_the_same_correction_gives_the_same_head(fit: Fit) -> None:
    again = fit_head(BASE, [lesion(shift=0.4)])
    assert np.array_equal(again.head.weight, fit.head.weight)
    assert np.array_equal(again.head.bias, fit.head.bias)


def test_what_is_right_already_stays_at_base() -> None:
    sample = lesion(outlined=frozenset({Tissue.EDEMA}))
    found = BASE.apply(sample.features).argmax(axis=1)
    told = np.where(found == 2, 2, 0).astype(np.uint8)
    right = FeatureSample(**{**sample.__dict__, "target": told, "changed": np.zeros(1200, bool)})
    fit = fit_head(BASE, [right])
    assert not fit.accepted
    assert fit.head is BASE
    assert fit.strength == float("inf")
    assert fit.reason.startswith("stays at base: on slices not learnt from")
    assert fit.dice_base["edema"] == 1.0


def test_a_correction_that_does_not_hold_on_other_slices_is_not_accepted() -> None:
    """The base head is right, and the outlines of the upper half are drawn around the edema."""
    good = Head(BASE.weight, np.array([3, 0, 0, -2], np.float32), "h")
    sample = lesion()
    truth = np.tile(np.repeat([0, 2, 3], 20), 20)
    odd = np.where(sample.block >= 10, np.where(truth == 2, 3, 0), sample.target).astype(np.uint8)
    fit = fit_head(good, [FeatureSample(**{**sample.__dict__, "target": odd})])
    assert not fit.accepted
    assert fit.head is good
    assert "stays at base: on slices not learnt from" in fit.reason


def test_a_single_slice_stays_at_base_and_says_why() -> None:
    fit = fit_head(BASE, [lesion(blocks=1, shift=0.4)])
    assert not fit.accepted
    assert fit.head is BASE
    assert "too thin to be tested on slices not learnt from; it must span 8 mm" in fit.reason
    assert fit.dice_fitted == {}


def test_single_slices_of_several_studies_test_one_another() -> None:
    samples = [lesion(seed=s, blocks=1, shift=0.4, per_block=300) for s in range(3)]
    fit = fit_head(BASE, samples)
    assert fit.folds == 3
    assert fit.accepted


def test_full_corrections_measure_regions() -> None:
    sample = lesion(outlined=frozenset(TUMOUR_TISSUES), shift=0.4)
    fit = fit_head(BASE, [sample])
    assert set(fit.dice_base) == {"edema", "enhancing", "core", "whole"}
    assert fit.left_alone == {}


def test_all_background_is_refused() -> None:
    sample = lesion()
    empty = FeatureSample(**{**sample.__dict__, "target": np.zeros(1200, np.uint8)})
    with pytest.raises(RefusedError, match="no voxel of the corrections is claimed"):
        fit_head(BASE, [empty])


def test_features_of_another_backbone_are_refused() -> None:
    other = Head(BASE.weight, BASE.bias, "another")
    with pytest.raises(RefusedError, match="belongs to backbone another"):
        fit_head(other, [lesion()])


def test_another_number_of_features_is_refused() -> None:
    wide = Head(np.zeros((4, 5), np.float32), np.zeros(4, np.float32), "h")
    with pytest.raises(RefusedError, match="has 3 features, the head takes 5"):
        fit_head(wide, [lesion()])


def test_no_correction_is_refused() -> None:
    with pytest.raises(RefusedError, match="there is none"):
        fit_head(BASE, [])


@pytest.mark.parametrize("other", [{"strengths": ()}, {"strengths": (1.0, 0.0)}, {"folds": 1}])
def test_settings_that_cannot_be_are_refused(other: dict[str, object]) -> None:
    with pytest.raises(RefusedError, match="positive strengths and two or more folds"):
        FitSettings(**other)  # type: ignore[arg-type]


def test_a_multi_label_model_cannot_be_adapted() -> None:
    regions = Head(BASE.weight[1:], BASE.bias[1:], "h")
    with pytest.raises(
        RefusedError, match="answers in 3 channels, not in the 4 tissues of a multi"
    ):
        fit_head(regions, [lesion()])


def test_a_second_correction_that_contradicts_the_first_teaches_nothing_worse_than_base() -> None:
    """The second outlines what the first leaves out, on voxels that look the same."""
    first = lesion(shift=0.4)
    truth = np.tile(np.repeat([0, 2, 3], 20), 20)
    contrary = np.where(truth == 2, 3, 0).astype(np.uint8)
    second = FeatureSample(**{**lesion(seed=1, shift=0.4).__dict__, "target": contrary})
    fit = fit_head(BASE, [first, second])
    if fit.accepted:
        assert fit.dice_fitted["enhancing"] > fit.dice_base["enhancing"]
        assert fit.head is not BASE
    again = fit_head(BASE, [first, second])
    assert again.head.to_json() == fit.head.to_json()
    assert again.reason == fit.reason
    # On the first alone it would have been taken; the contradiction costs most of that.
    alone = fit_head(BASE, [first])
    assert fit.dice_fitted["enhancing"] < alone.dice_fitted["enhancing"] - 0.1


def test_a_head_is_scored_on_what_it_did_not_learn_from() -> None:
    sample = lesion(shift=0.4)
    fit = fit_head(BASE, [lesion(seed=5, shift=0.4)])
    base, mine = scored(BASE, BASE, sample), scored(BASE, fit.head, sample)
    assert mine.score > base.score + 0.2
    assert base.dice["enhancing"] == pytest.approx(dice_of_enhancing(BASE, sample), abs=0.2)
