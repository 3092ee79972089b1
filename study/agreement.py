"""How well two outlines agree."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from study.volume import Geometry


def dice(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> float:
    """Dice coefficient of two masks of one shape; 1.0 when both are empty (Dice 1945)."""
    total = int(np.count_nonzero(a)) + int(np.count_nonzero(b))
    return 1.0 if total == 0 else 2.0 * int(np.count_nonzero(a & b)) / total


def centre_of_mass(mask: npt.NDArray[np.bool_], geometry: Geometry) -> npt.NDArray[np.float64]:
    """LPS position, ``(3,)`` in mm, of a mask's centre of mass; NaN for an empty mask."""
    found = np.argwhere(mask)
    if not len(found):
        return np.full(3, np.nan)
    return geometry.world(found.mean(axis=0))
