"""What the largest rung of the ladder sees beside features: the images themselves.

The intensities of a voxel, their squares and their products. They are the same in whatever patch
a voxel lies, so that averaging over patches still commutes with the head.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

GREATEST = 4.0
"""Normalised intensities beyond this are taken as this: a bright vessel squared speaks for all."""


def terms_of(channels: int) -> int:
    """Number of terms of so many images: 9 of three."""
    return 2 * channels + channels * (channels - 1) // 2


def terms(images: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Intensities, their squares, and the products of two.

    Parameters
    ----------
    images
        ``(N, C, ...)``, normalised; of single voxels ``(n, C)``.

    Returns
    -------
    numpy.ndarray
        ``(N, T, ...)`` float32: of FLAIR, T1gd and T2 first these, then their squares, then
        FLAIR T1gd, FLAIR T2 and T1gd T2.
    """
    single = np.clip(images.astype(np.float32), -GREATEST, GREATEST)
    channels = single.shape[1]
    first, second = np.triu_indices(channels, k=1)
    return np.concatenate([single, single**2, single[:, first] * single[:, second]], axis=1)
