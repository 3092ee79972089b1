"""Tissue classes, tumour regions, and the sequences that show them.

Numbers and regions are those of BraTS 2023 (Baid et al. 2021, arXiv:2107.02314, renumbered there
in 2023).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum

import numpy as np
import numpy.typing as npt

from study.errors import RefusedError


class Role(StrEnum):
    """What a series is to the network. The order is that of the network's channels."""

    FLAIR = "FLAIR"
    T1GD = "T1GD"
    T2 = "T2"


class Tissue(IntEnum):
    """Value of a voxel in a label array."""

    BACKGROUND = 0
    NECROSIS = 1
    """Necrotic or non-enhancing tumour core."""
    EDEMA = 2
    ENHANCING = 3


TUMOUR_TISSUES = (Tissue.NECROSIS, Tissue.EDEMA, Tissue.ENHANCING)

REGIONS: Mapping[str, frozenset[Tissue]] = {
    "enhancing": frozenset({Tissue.ENHANCING}),
    "core": frozenset({Tissue.NECROSIS, Tissue.ENHANCING}),
    "whole": frozenset(TUMOUR_TISSUES),
}
"""The regions that results are measured on: enhancing tumour, tumour core, whole tumour."""

BRATS_2023 = {0: 0, 1: 1, 2: 2, 3: 3}
"""Label map of data numbered as Glioloop numbers it."""
BRATS_2017 = {0: 0, 1: 1, 2: 2, 4: 3}
"""Label map of BraTS 2017 to 2021: 1 necrotic core, 2 edema, 4 enhancing."""
BRATS_2013 = {0: 0, 1: 1, 2: 2, 3: 1, 4: 3}
"""Label map of BraTS 2013: 1 necrosis, 2 edema, 3 non-enhancing, 4 enhancing."""


def region(labels: npt.NDArray[np.integer], name: str) -> npt.NDArray[np.bool_]:
    """Mask of a region of `REGIONS` in an array of `Tissue` values, of the same shape."""
    return np.isin(labels, [int(t) for t in REGIONS[name]])


def renumber(
    labels: npt.NDArray[np.integer], label_map: Mapping[int, int]
) -> npt.NDArray[np.uint8]:
    """Translate foreign label numbers into `Tissue` values.

    Parameters
    ----------
    labels
        Any shape, foreign numbers.
    label_map
        Foreign number to `Tissue` value. It is declared by whoever knows the data, never guessed
        from the numbers that occur.

    Raises
    ------
    RefusedError
        If a number occurs that the map does not name.
    """
    found = {int(v) for v in np.unique(labels)}
    unknown = found - set(label_map)
    if unknown:
        raise RefusedError(
            f"labels {sorted(unknown)} occur, but the label map names {sorted(label_map)}"
        )
    result = np.zeros(labels.shape, np.uint8)
    for foreign, tissue in label_map.items():
        result[labels == foreign] = tissue
    return result
