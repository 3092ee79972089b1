"""Work of a network, counted by hand."""

from __future__ import annotations

import pytest

from engine.network import NetworkConfig
from engine.network_cost import gflop


def test_two_levels_of_one_filter_counted_by_hand() -> None:
    config = NetworkConfig(channels_in=1, classes=2, filters=(1, 1))
    # Full resolution: stem 27, head 2, two blocks of 1 + 27 + 54 + 1 + 4 = 87, merging 2: 205.
    # An eighth: down 27, one block 87, up 27: 141 / 8 = 17.625. Twice 222.625 a voxel.
    assert gflop(config, 8**3) == pytest.approx(445.25 * 512 / 1e9)


def test_the_reference_network_on_a_patch() -> None:
    # Products a voxel, level by level: 1944 + 96 + 100224 + 1152, (31104 + 400896 + 4608 + 31104)
    # / 8, (124416 + 1603584 + 18432 + 124416) / 64, (497664 + 3207168 + 497664) / 512: 199320.
    assert gflop(NetworkConfig(), 64**3) == pytest.approx(2 * 199320 * 262144 / 1e9)
    assert round(gflop(NetworkConfig(), 64**3), 1) == 104.5
