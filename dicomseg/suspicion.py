"""Corrections that are more likely an exporter's mistake than a person's opinion."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from study.agreement import dice
from study.errors import HeldError
from study.tissue import Tissue

MIRROR_GAIN = 0.15
"""A file is held as mirrored if reversing an axis raises the agreement with us by more."""
VOLUME_RATIO = (0.05, 20.0)
"""Least and greatest volume of a correction, as a part of the original's."""
AXES = ("slices", "rows", "columns")


def check_plausible(
    masks: Mapping[Tissue, npt.NDArray[np.bool_]], labels: npt.NDArray[np.uint8]
) -> None:
    """Hold a correction that is mirrored, or far from the original's volume.

    Some generations of a viewer's library write a stack in reverse, consistently enough that
    nothing in the file says so; only our own outline does.

    Parameters
    ----------
    masks
        Of the tissues that were outlined.
    labels
        The original, `Tissue` values of the same shape; only the tissues of `masks` are compared.

    Raises
    ------
    HeldError
        With the figures.
    """
    ours = np.isin(labels, [int(t) for t in masks])
    theirs = np.logical_or.reduce(list(masks.values()))
    if not ours.any() or not theirs.any():
        return
    as_is = dice(theirs, ours)
    for axis, name in enumerate(AXES):
        flipped = dice(np.flip(theirs, axis), ours)
        if flipped > as_is + MIRROR_GAIN:
            raise HeldError(
                f"it looks mirrored: with its {name} reversed it agrees with the result with Dice "
                f"{flipped:.2f} instead of {as_is:.2f}; a person must look at it"
            )
    ratio = np.count_nonzero(theirs) / np.count_nonzero(ours)
    if not VOLUME_RATIO[0] <= ratio <= VOLUME_RATIO[1]:
        raise HeldError(
            f"it outlines {ratio:.2f} times the volume of the result; a person must look at it"
        )
