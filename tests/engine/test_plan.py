"""Tests of `engine.plan`."""

import math

import pytest

from engine.plan import PUBLISHED, Plan, Plateau
from study.errors import RefusedError


def test_the_published_plan_holds_the_published_values():
    assert (PUBLISHED.edge, PUBLISHED.per_volume, PUBLISHED.crops) == (64, 12, 24)
    assert (PUBLISHED.optimiser, PUBLISHED.rate, PUBLISHED.schedule) == ("adam", 1e-3, "plateau")
    assert (PUBLISHED.patience, PUBLISHED.factor) == (10, 0.5)


def test_the_rate_is_halved_after_more_than_ten_epochs_without_a_better_loss():
    state = Plateau(1e-3).after(0.5, PUBLISHED)
    for _ in range(10):
        state = state.after(0.5, PUBLISHED)
    assert (state.rate, state.bad_epochs) == (1e-3, 10)
    state = state.after(0.6, PUBLISHED)
    assert (state.rate, state.bad_epochs, state.best) == (5e-4, 0, 0.5)


def test_a_better_loss_starts_the_count_again():
    state = Plateau(1e-3, 0.5, 9).after(0.4, PUBLISHED)
    assert state == Plateau(1e-3, 0.4, 0)


def test_a_loss_that_is_no_number_is_no_improvement():
    assert Plateau(1e-3, 0.5, 3).after(math.nan, PUBLISHED).bad_epochs == 4
    assert Plateau(1e-3).after(math.nan, PUBLISHED).best is None


def test_regions_need_three_weights_and_get_equal_ones():
    plan = Plan().changed(output="multi-label")
    assert plan.labels == ("whole", "core", "enhancing")
    assert plan.class_weights == (1.0, 1.0, 1.0)
    with pytest.raises(RefusedError, match="4 class weights do not fit"):
        Plan(output="multi-label")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"task": "spine"}, "task 'spine' is none of tumour, brain"),
        ({"output": "multi"}, "output 'multi' is none of multi-class, multi-label"),
        ({"loss": "hinge"}, "loss 'hinge' is none of dice, dice[+]cross-entropy"),
        ({"optimiser": "sgd"}, "optimiser 'sgd' is none of adamw, adam"),
        ({"schedule": "steps"}, "schedule 'steps' is none of cosine, plateau"),
        ({"strategy": "spiral"}, "strategy 'spiral' is none of"),
        ({"crops": 0}, "are positive"),
        ({"rate": 0.0}, "are positive"),
        ({"schedule": "plateau"}, "a plateau is found by validation"),
        ({"task": "brain", "output": "multi-label"}, "it is multi-class"),
    ],
)
def test_what_no_plan_can_be_is_refused(values, sentence):
    with pytest.raises(RefusedError, match=sentence):
        Plan(**values)
