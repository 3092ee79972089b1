"""What generated cases say about a base head."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lesion_column import BASE, lesion

from engine.adapt import FitSettings, fit_head
from engine.fitting import build
from engine.gate import Trial, regression, replay_objection
from engine.prior import PRIOR_FILE, Prior, information, load_prior, replay_of
from engine.sampling import FeatureSample
from engine.weights import load, shipped
from study.errors import RefusedError
from study.tissue import TUMOUR_TISSUES

TISSUES = ("necrosis", "edema", "enhancing")


def replayed(sample: FeatureSample) -> FeatureSample:
    images = np.zeros((len(sample.target), 3), np.float16)
    kept = {n: getattr(sample, n) for n in ("features", "target", "weight", "block")}
    return replay_of({**kept, "images": images}, "h")


@pytest.fixture
def prior() -> Prior:
    """Generated cases of which the base head is right."""
    sample = lesion(outlined=frozenset(TUMOUR_TISSUES))
    right = BASE.apply(sample.features).argmax(axis=1).astype(np.uint8)
    fisher = np.full((4, 13), 2.0, np.float32)
    return Prior(fisher, replayed(replace(sample, target=right)), {"seed": 3})


def test_the_information_is_that_written_here() -> None:
    """One voxel of equal odds, one that is certain: p (1 - p) is 1/4 and 0."""
    logits = np.array([[0.0, 0.0], [50.0, -50.0]])
    inputs = np.array([[2.0, 3.0, 1.0], [100.0, 100.0, 1.0]])
    np.testing.assert_allclose(information(logits, inputs), [[1, 2.25, 0.25]] * 2, atol=1e-9)


def test_a_prior_is_kept_bit_for_bit(prior: Prior, tmp_path: Path) -> None:
    assert prior.save(tmp_path).name == PRIOR_FILE
    again = load_prior(tmp_path, "h")
    assert again is not None
    assert np.array_equal(again.fisher, prior.fisher)
    assert np.array_equal(again.replay.features, prior.replay.features)
    assert again.record == {"seed": 3}
    assert again.dice_of(BASE) == prior.dice_of(BASE)


def test_a_model_without_a_prior_has_none(tmp_path: Path) -> None:
    assert load_prior(tmp_path, "h") is None


def test_a_prior_of_another_backbone_is_refused(prior: Prior, tmp_path: Path) -> None:
    prior.save(tmp_path)
    with pytest.raises(RefusedError, match="belongs to backbone h, the model has other"):
        load_prior(tmp_path, "other")
    sample = lesion(shift=0.4)
    other = replace(prior, replay=replace(prior.replay, backbone_sha256="other"))
    with pytest.raises(RefusedError, match="the one in use is other"):
        fit_head(BASE, [sample], FitSettings(prior=other))


@pytest.mark.parametrize("at", [4, 100, -1])
def test_a_changed_prior_is_refused(prior: Prior, tmp_path: Path, at: int) -> None:
    path = prior.save(tmp_path)
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(RefusedError, match=r"damaged|was changed|belongs to backbone"):
        load_prior(tmp_path, "h")


def test_a_prior_of_another_shape_is_refused(prior: Prior) -> None:
    with pytest.raises(RefusedError, match="does not fit a head of shape"):
        build(BASE, [lesion()], 3.0, prior.fisher[:, :3])


def test_without_the_images_their_part_of_the_prior_is_left_out(prior: Prior) -> None:
    """2 in units of the head's own parameters; biases last."""
    problem = build(BASE, [lesion()], 3.0, prior.fisher)
    assert problem.precision.shape == (4, 4)
    np.testing.assert_allclose(problem.precision[:, 3], 2.0)
    np.testing.assert_allclose(
        problem.precision[:, :3], np.tile(2 / problem.scale[:3] ** 2, (4, 1))
    )


def test_a_head_that_is_worse_on_generated_cases_is_refused_with_its_numbers(prior: Prior) -> None:
    sample = lesion(shift=0.4)
    assert fit_head(BASE, [sample]).accepted
    fit = fit_head(BASE, [sample], FitSettings(prior=prior, largest_replay_loss=0.0))
    assert not fit.accepted
    assert fit.head is BASE
    assert fit.reason.startswith("stays at base: Dice of ")
    assert " on generated cases falls from 1.000 to 0." in fit.reason
    assert fit.replay_base["enhancing"] == 1.0
    assert fit.replay_fitted["enhancing"] < 1.0


def test_a_head_that_holds_on_generated_cases_is_accepted(prior: Prior) -> None:
    fit = fit_head(BASE, [lesion(shift=0.4)], FitSettings(prior=prior, largest_replay_loss=1.0))
    assert fit.accepted
    assert set(fit.replay_fitted) == {*TISSUES, "core", "whole"}


def test_what_is_held_against_a_replay_is_written_here() -> None:
    base = {"edema": 0.8, "enhancing": 0.7}
    assert replay_objection({"edema": 0.76, "enhancing": 0.9}, base, 0.05) is None
    found = replay_objection({"edema": 0.74, "enhancing": 0.9}, base, 0.05)
    assert found == "Dice of edema on generated cases falls from 0.800 to 0.740"


def test_a_head_in_use_that_lost_against_base_is_told_with_its_numbers() -> None:

    def trial(dice: float) -> Trial:
        return Trial(1.0, {"enhancing": dice, "edema": 0.6}, {}, converged=True)

    assert regression(trial(0.70), trial(0.73), 0.02) is None
    said = regression(trial(0.60), trial(0.73), 0.02)
    assert said is not None
    assert said.endswith("mean Dice falls from 0.665 to 0.600")


def test_the_shipped_prior_belongs_to_the_shipped_model() -> None:
    model = load(shipped("base"))
    prior = load_prior(shipped("base"), model.manifest.backbone_sha256)
    assert prior is not None
    classes, features = model.head.weight.shape
    assert prior.fisher.shape == (classes, features + 9 + 1)
    assert (prior.fisher > 0).all()
    assert set(prior.dice_of(model.head)) == {*TISSUES, "core", "whole"}
    assert (shipped("base") / PRIOR_FILE).stat().st_size < 2_000_000
