"""Blocks that were not learnt from."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest

from engine.gate import Trial, judge, objection
from engine.sampling import FeatureSample
from study.tissue import TUMOUR_TISSUES, Tissue

ALL = frozenset(TUMOUR_TISSUES)


def told(
    target: Sequence[int],
    block: Sequence[int] | None = None,
    weight: Sequence[float] | None = None,
    outlined: frozenset[Tissue] = ALL,
) -> FeatureSample:
    n = len(target)
    return FeatureSample(
        features=np.zeros((n, 1), np.float16),
        target=np.array(target, np.uint8),
        weight=np.array(weight or [1] * n, np.float32),
        block=np.array(block or range(n), np.int16),
        changed=np.zeros(n, bool),
        outlined=outlined,
        backbone_sha256="h",
    )


def chosen(labels: Sequence[int]) -> np.ndarray:
    """Logits (4, n) of a head that is sure of these labels."""
    return np.eye(4)[:, list(labels)]


def test_dice_is_weighted_and_regions_need_all_their_classes() -> None:
    """Voxel 1 stands for 3: enhancing 2*3/(3+1 + 3); necrosis missed; core (3+2)*2/(6+5)."""
    sample = told([3, 3, 1, 0], weight=[1, 3, 2, 10])
    logits = chosen([0, 3, 3, 0])
    trial = judge([sample], chosen([3, 3, 1, 0]), logits, 1.0, converged=True)
    assert trial.dice == {
        "necrosis": 0.0,
        "enhancing": pytest.approx(2 * 3 / (4 + 5)),
        "core": pytest.approx(2 * 5 / (6 + 5)),
        "whole": pytest.approx(2 * 5 / (6 + 5)),
    }
    assert trial.score == pytest.approx((0 + 6 / 9) / 2)


def test_partial_corrections_measure_what_they_outline_and_that_the_rest_is_left_alone() -> None:
    sample = told([3, 0, 0, 0], weight=[50] * 4, outlined=frozenset({Tissue.ENHANCING}))
    base = chosen([3, 2, 2, 0])
    trial = judge([sample], base, chosen([3, 2, 0, 0]), 1.0, converged=True)
    assert trial.dice == {"enhancing": 1.0}
    assert trial.left_alone == {"edema": pytest.approx(2 / 3)}


def test_a_few_voxels_of_a_class_that_was_not_outlined_say_nothing_about_drift() -> None:
    sample = told([3, 0, 0], weight=[50, 99, 1], outlined=frozenset({Tissue.ENHANCING}))
    drifted = chosen([3, 0, 0])
    assert judge([sample], chosen([3, 2, 0]), drifted, 1.0, converged=True).left_alone == {}
    full = judge([sample], chosen([3, 2, 2]), drifted, 1.0, converged=True)
    assert full.left_alone == {"edema": 0.0}


def test_a_class_is_measured_only_on_studies_where_it_was_outlined() -> None:
    one = told([3, 3], outlined=frozenset({Tissue.ENHANCING}))
    two = told([2, 2], outlined=frozenset({Tissue.EDEMA}))
    asked = chosen([3, 3, 2, 2])
    trial = judge([one, two], asked, chosen([3, 2, 2, 3]), 1.0, converged=True)
    assert trial.dice == {"enhancing": pytest.approx(2 / 3), "edema": pytest.approx(2 / 3)}


def trial(dice: dict[str, float], left_alone: dict[str, float] | None = None) -> Trial:
    return Trial(1.0, dice, left_alone or {}, converged=True)


@pytest.mark.parametrize(
    ("fitted", "left", "expected"),
    [
        ({"enhancing": 0.8, "edema": 0.7, "whole": 0.7}, 0.95, None),
        ({"enhancing": 0.9, "edema": 0.5, "whole": 0.64}, 0.95, None),
        ({"enhancing": 0.67, "edema": 0.9, "whole": 0.7}, 0.95, "Dice of enhancing .* to 0.670"),
        ({"enhancing": 0.9, "edema": 0.7, "whole": 0.6}, 0.95, "Dice of whole .* falls"),
        ({"enhancing": 0.9, "edema": 0.7, "whole": 0.7}, 0.85, "necrosis, which was not outlined"),
        ({"enhancing": 0.7, "edema": 0.6, "whole": 0.7}, 0.95, "does not rise: from 0.650 to 0.65"),
    ],
)
def test_what_the_gate_objects_to(
    fitted: dict[str, float], left: float, expected: str | None
) -> None:
    base = trial({"enhancing": 0.7, "edema": 0.6, "whole": 0.65}, {"necrosis": 1.0})
    found = objection(trial(fitted, {"necrosis": left}), base, 0.02, 0.10)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert re.search(expected, found)
