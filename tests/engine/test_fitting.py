"""The convex problem."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import check_grad

from engine import fitting
from engine.fitting import Problem, build, soft_target, solve
from engine.head import Head
from engine.sampling import FeatureSample
from study.tissue import Tissue


def sample(seed: int = 0, n: int = 60) -> FeatureSample:
    rng = np.random.default_rng(seed)
    target = np.where(rng.random(n) < 0.4, 3, 0).astype(np.uint8)
    return FeatureSample(
        features=(rng.random((n, 3)) + (target == 3)[:, None] * [0.5, 0, -0.2]).astype(np.float16),
        target=target,
        weight=rng.uniform(1, 5, n).astype(np.float32),
        block=np.zeros(n, np.int16),
        changed=rng.random(n) < 0.2,
        outlined=frozenset({Tissue.ENHANCING}),
        backbone_sha256="h",
    )


BASE = Head(np.random.default_rng(3).normal(size=(4, 3)), np.array([1, 0, 0, 0]), "h")


@pytest.fixture
def problem() -> Problem:
    return build(BASE, [sample()], 3.0, None)


def objective(problem: Problem, strength: float, flat: np.ndarray) -> float:
    """The definition, written plainly: weighted cross-entropy and the prior."""
    step = flat.reshape(problem.precision.shape)
    logits = problem.base_logits + step @ problem.scaled
    log_p = logits - np.log(np.exp(logits).sum(axis=0))
    loss = -(problem.weight * (problem.target * log_p).sum(axis=0)).sum()
    return float(loss + strength / 2 * (problem.precision * step**2).sum())


@pytest.mark.parametrize("strength", [3.0, 0.1])
def test_the_solution_is_the_minimum(problem: Problem, strength: float) -> None:
    step, converged = solve(problem, strength)
    assert converged
    best = objective(problem, strength, step.ravel())
    rng = np.random.default_rng(0)
    for _ in range(50):
        near = step.ravel() + rng.normal(size=step.size) * 1e-2
        assert objective(problem, strength, near) > best


def test_the_minimum_does_not_depend_on_the_start(problem: Problem) -> None:
    start = np.random.default_rng(1).normal(size=(4, 4)) * 3
    np.testing.assert_allclose(solve(problem, 0.3)[0], solve(problem, 0.3, start)[0], atol=2e-4)


def test_the_gradient_is_that_of_the_objective(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {}

    def keep(function, first, **options):  # type: ignore[no-untyped-def]
        seen["function"] = function
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "minimize", keep)
    with pytest.raises(KeyboardInterrupt):
        solve(problem, 0.7)
    at = np.random.default_rng(2).normal(size=16)
    value, _ = seen["function"](at)
    assert value == pytest.approx(objective(problem, 0.7, at))
    error = check_grad(lambda z: seen["function"](z)[0], lambda z: seen["function"](z)[1], at)
    assert error < 1e-4


def test_a_strong_prior_keeps_the_base_head(problem: Problem) -> None:
    step, _ = solve(problem, 1e9)
    head = problem.head(BASE, step)
    np.testing.assert_allclose(head.weight, BASE.weight, atol=1e-6)
    np.testing.assert_allclose(head.bias, BASE.bias, atol=1e-6)


def test_a_moved_head_answers_what_the_fit_promised(problem: Problem) -> None:
    step, _ = solve(problem, 0.1)
    found = problem.head(BASE, step).apply(sample().features).T
    np.testing.assert_allclose(found, problem.logits(step), rtol=1e-4, atol=1e-4)


def test_a_precise_parameter_of_the_prior_moves_least(problem: Problem) -> None:
    fisher = np.full((4, 4), 0.01)
    fisher[3, 0] = 1e6
    tied = build(BASE, [sample()], 3.0, fisher)
    step = solve(tied, 1.0)[0]
    moved = np.abs(tied.head(BASE, step).weight - BASE.weight)
    assert moved[3, 0] < 1e-4
    assert moved[3, 1] > 0.1


def test_targets_are_those_written_here() -> None:
    """Base says 1/8, 1/8, 2/8, 4/8 of the four classes; necrosis and enhancing were outlined."""
    logits = np.log(np.array([1, 1, 2, 4], float))[:, None] * np.ones((4, 3))
    told = FeatureSample(
        features=np.zeros((3, 1), np.float16),
        target=np.array([0, 1, 3], np.uint8),
        weight=np.ones(3, np.float32),
        block=np.zeros(3, np.int16),
        changed=np.zeros(3, bool),
        outlined=frozenset({Tissue.NECROSIS, Tissue.ENHANCING}),
        backbone_sha256="h",
    )
    target = soft_target(told, logits).T
    np.testing.assert_allclose(target[0], [1 / 3, 0, 2 / 3, 0])
    assert target[1:].tolist() == [[0, 1, 0, 0], [0, 0, 0, 1]]


def test_changed_voxels_count_more_and_one_is_the_loss_of_all_tumour() -> None:
    told = FeatureSample(
        features=np.ones((3, 1), np.float16),
        target=np.array([0, 3, 3], np.uint8),
        weight=np.array([10, 2, 2], np.float32),
        block=np.zeros(3, np.int16),
        changed=np.array([False, False, True]),
        outlined=frozenset({Tissue.NECROSIS, Tissue.EDEMA, Tissue.ENHANCING}),
        backbone_sha256="h",
    )
    base = Head(np.ones((4, 1)), np.zeros(4), "h")
    problem = build(base, [told], 3.0, None)
    assert problem.weight.tolist() == [2.5, 0.5, 1.5]
    assert problem.share.tolist() == [0, 0.5, 0.5]


def test_half_of_a_lesion_moves_the_head_as_far_as_the_whole() -> None:
    whole = build(BASE, [sample(), sample()], 3.0, None)
    half = whole.some(np.arange(120) < 60)
    assert half.share.sum() == pytest.approx(1)
    np.testing.assert_allclose(solve(half, 0.3)[0], solve(whole, 0.3)[0], atol=2e-4)


def test_a_feature_that_never_fires_stays(problem: Problem) -> None:
    silent = sample()
    silent.features[:, 1] = 0
    found = build(BASE, [silent], 3.0, None)
    head = found.head(BASE, solve(found, 0.01)[0])
    np.testing.assert_allclose(head.weight[:, 1], BASE.weight[:, 1], atol=1e-5)
