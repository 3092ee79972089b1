"""What of a head moves, and which rung is taken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from lesion_column import BASE, lesion
from scipy.special import softmax

from engine.adapt import Fit, FitSettings, fit_head
from engine.fitting import build, solve
from engine.gate import Trial
from engine.head import Head
from engine.ladder import Way, preferred, ways
from engine.published_fit import descend
from engine.sampling import FeatureSample
from study.errors import RefusedError
from study.tissue import TUMOUR_TISSUES, Tissue


def trial(rung: str, strength: float, score: float) -> Trial:
    return Trial(strength, {"enhancing": score}, {}, converged=True, rung=rung)


TRIALS = [
    trial("bias", 1.0, 0.700),
    trial("bias", 0.1, 0.701),
    trial("head", 1.0, 0.704),
    trial("head", 0.1, 0.712),
    trial("images", 1.0, 0.714),
    trial("images", 0.1, 0.720),
]


@pytest.mark.parametrize(
    ("indifference", "gain", "rung", "strength"),
    [
        (0.002, 0.005, "images", 0.1),
        (0.002, 0.009, "head", 0.1),
        (0.002, 0.050, "bias", 1.0),
        (0.010, 0.005, "images", 1.0),
    ],
)
def test_the_smallest_rung_that_wins_is_taken(
    indifference: float, gain: float, rung: str, strength: float
) -> None:
    first = preferred(TRIALS, indifference, gain)[0]
    assert (first.rung, first.strength) == (rung, strength)


def test_after_the_first_comes_what_moves_the_head_less() -> None:
    found = [(t.rung, t.strength) for t in preferred(TRIALS, 0.002, 0.009)]
    assert found == [("head", 0.1), ("head", 1.0), ("bias", 0.1), ("bias", 1.0)]
    assert preferred([], 0.002, 0.005) == []


def test_ways_go_from_small_and_strong_to_large_and_weak() -> None:
    found = ways(("images", "bias"), (0.1, 1.0), "convex")
    assert found == [
        Way("bias", 1.0),
        Way("bias", 0.1),
        Way("images", 1.0),
        Way("images", 0.1),
    ]
    assert ways(("bias",), (1.0,), "published") == [Way("head", 0.0)]


def seen(sample: FeatureSample, speaks: float) -> FeatureSample:
    """With images, of which T1gd speaks for enhancing tumour."""
    rng = np.random.default_rng(7)
    images = rng.normal(scale=0.3, size=(len(sample.target), 3))
    images[:, 1] += speaks * (sample.target == Tissue.ENHANCING)
    return replace(sample, images=images.astype(np.float16))


@pytest.mark.parametrize(("rung", "moving"), [("bias", 4), ("head", 16), ("images", 52)])
def test_a_rung_moves_its_own_numbers_alone(rung: str, moving: int) -> None:
    problem = build(BASE, [seen(lesion(shift=0.4), 1.0)], 3.0, None)
    way = Way.of(trial(rung, 0.1, 0.5))
    step, converged = way.step(problem)
    assert converged
    assert np.count_nonzero(step) == moving
    head = problem.head(BASE, step)
    assert (head.image_weight is not None) == (rung == "images")
    assert np.array_equal(head.weight, BASE.weight) == (rung == "bias")


def test_what_the_images_show_and_features_do_not_is_learnt_with_the_largest_rung() -> None:
    sample = seen(lesion(shift=1.0), 3.0)
    fit = fit_head(BASE, [sample])
    assert fit.accepted
    assert fit.rung == "images"
    follow_up = seen(lesion(seed=1, shift=1.0), 3.0)
    found = fit.head.apply(follow_up.features, follow_up.images).argmax(axis=1)
    assert ((found == 3) == (follow_up.target == 3)).mean() > 0.95


def test_what_a_bias_can_say_is_said_with_a_bias() -> None:
    """What is true has the base head's odds but for one bias: larger rungs gain nothing."""
    timid = Head(BASE.weight, BASE.bias - np.array([0, 0, 2, 0], np.float32), "h")
    sample = lesion(outlined=frozenset(TUMOUR_TISSUES))
    odds = softmax(BASE.apply(sample.features), axis=1).cumsum(axis=1)
    drawn = np.random.default_rng(4).random((len(odds), 1))
    told = (drawn > odds).sum(axis=1).astype(np.uint8)
    even = replace(sample, target=told, weight=np.ones_like(sample.weight))
    fit = fit_head(timid, [seen(replace(even, changed=np.zeros(len(told), bool)), 0.0)])
    assert fit.accepted
    assert fit.rung == "bias"
    assert np.array_equal(fit.head.weight, BASE.weight)


def test_a_rung_that_is_not_wanted_is_not_tried() -> None:
    sample = seen(lesion(shift=1.0), 3.0)
    fit = fit_head(BASE, [sample], FitSettings(rungs=("bias", "head")))
    assert fit.rung in ("base", "bias", "head")


@pytest.mark.parametrize("rung", ["bias", "head", "images"])
def test_on_every_rung_an_absent_segment_is_not_an_empty_one(rung: str) -> None:
    """Without edema among what was outlined, the voxels that base calls edema stay edema."""
    sample = seen(lesion(shift=0.4), 1.0)
    problem = build(BASE, [sample], 3.0, None)
    said_none = build(BASE, [replace(sample, outlined=frozenset(TUMOUR_TISSUES))], 3.0, None)
    found = {}
    for name, asked in (("absent", problem), ("empty", said_none)):
        step, _ = solve(asked, 0.1, rung=Way.of(trial(rung, 0.1, 0.5)).rung)
        found[name] = asked.logits(step).argmax(axis=0)
    edema = np.tile(np.repeat([0, 2, 3], 20), 20) == 2
    assert (found["absent"][edema] == 2).mean() > 0.8
    assert (found["empty"][edema] == 2).mean() < 0.2


def test_samples_without_images_have_no_rung_of_images() -> None:
    sample = lesion(shift=0.4)
    assert fit_head(BASE, [sample, seen(lesion(seed=2, shift=0.4), 3.0)]).rung != "images"
    with pytest.raises(RefusedError, match="kept without the images"):
        solve(build(BASE, [sample], 3.0, None), 1.0, rung="images")


@pytest.fixture(scope="module")
def published() -> Fit:
    return fit_head(BASE, [lesion(shift=0.4)], FitSettings(method="published"))


def test_the_published_way_passes_the_same_gate(published: Fit) -> None:
    assert published.accepted
    assert published.rung == "head"
    assert published.strength == 0.0
    assert published.dice_fitted["enhancing"] > published.dice_base["enhancing"]


def test_the_published_way_moves_each_number_by_at_most_the_rate_a_step() -> None:
    problem = build(BASE, [lesion(shift=0.4)], 3.0, None)
    moved = problem.head(BASE, descend(problem, steps=3, rate=0.01)).weight - BASE.weight
    assert 0.02 < np.abs(moved).max() <= 0.0301


@pytest.mark.parametrize("rungs", [(), ("head", "all")])
def test_rungs_that_there_are_not_are_refused(rungs: tuple[str, ...]) -> None:
    with pytest.raises(RefusedError, match="one or more rungs"):
        FitSettings(rungs=rungs)  # type: ignore[arg-type]
    with pytest.raises(RefusedError, match="is no way to fit"):
        FitSettings(method="guessed")  # type: ignore[arg-type]
