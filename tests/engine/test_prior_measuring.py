"""Measuring a prior on generated heads; with the shipped network, which takes a while."""

from __future__ import annotations

import numpy as np
import pytest

from engine.phantom import phantom_map
from engine.prior_measuring import VOXELS, measure_prior
from engine.weights import load, shipped
from study.errors import RefusedError


@pytest.mark.slow
def test_the_same_seed_measures_the_same_prior() -> None:
    maps = [phantom_map(np.random.default_rng(5))]
    told: list[tuple[int, int]] = []
    first, again = (
        measure_prior(shipped("base"), maps, 1, 3, lambda done, of: told.append((done, of)))
        for _ in range(2)
    )
    assert told == [(0, 1), (1, 1)] * 2
    assert np.array_equal(first.fisher, again.fisher)
    assert np.array_equal(first.replay.features, again.replay.features)
    assert np.array_equal(first.replay.target, again.replay.target)
    head = load(shipped("base")).head
    assert first.fisher.shape == (4, 8 + 9 + 1)
    assert (first.fisher > 0).all()
    assert len(first.replay.target) == VOXELS
    assert first.record == {"heads": 1, "seed": 3, "anatomies": 1, "features": 8}
    assert first.dice_of(head)["whole"] > 0.3


def test_no_head_and_no_anatomy_are_refused() -> None:
    maps = [np.zeros((4, 4, 4), np.uint8)]
    with pytest.raises(RefusedError, match="on one head or more"):
        measure_prior(shipped("base"), maps, 0)
    with pytest.raises(RefusedError, match="on one head or more"):
        measure_prior(shipped("base"), [])
    with pytest.raises(RefusedError, match="multi-class tumour model"):
        measure_prior(shipped("brain"), maps, 1)
