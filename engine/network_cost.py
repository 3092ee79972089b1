"""How much a network computes, counted from its shape."""

from __future__ import annotations

from itertools import pairwise

from engine.network import NetworkConfig

KERNEL = 27
"""Weights of a kernel of 3x3x3 for each pair of channels."""
INCEPTION = 1 + KERNEL + 2 * KERNEL + 1 + 4
"""Weights of a residual-inception block for each pair of its channels: point, near, far twice,
pooled, and the reduction from four times as many channels."""


def gflop(config: NetworkConfig, voxels: int) -> float:
    """Work of all convolutions, the head's among them.

    Parameters
    ----------
    config
        The network's shape.
    voxels
        Of the input, at full resolution.

    Returns
    -------
    float
        10^9 operations; a multiplication and an addition are two.
    """
    filters = config.filters
    products = float(KERNEL * config.channels_in * filters[0] + config.classes * filters[0])
    for level, here in enumerate(filters):
        # All levels but the lowest have a block on the way down and one on the way up.
        blocks = 1 if level == len(filters) - 1 else 2
        merge = 0 if level == len(filters) - 1 else 2 * here * here
        products += (blocks * INCEPTION * here * here + merge) / 8**level
    for level, (above, below) in enumerate(pairwise(filters), 1):
        # Down: 27 for each voxel of the lower level. Up: the same, each of its voxels is spread.
        products += 2 * KERNEL * above * below / 8**level
    return 2.0 * products * voxels / 1e9
