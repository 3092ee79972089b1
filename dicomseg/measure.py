"""Volumes of tissues and regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from study.tissue import REGIONS, TUMOUR_TISSUES, Tissue, region
from study.volume import Volume


@dataclass(frozen=True)
class Volumes:
    """Volumes in mL."""

    tissues: Mapping[Tissue, float]
    regions: Mapping[str, float]
    """Keys as in `study.tissue.REGIONS`."""


def volumes_of(labels: Volume, tissues: Sequence[Tissue] = TUMOUR_TISSUES) -> Volumes:
    """Volume of each tissue and region.

    Parameters
    ----------
    labels
        `Tissue` values.
    tissues
        Those that are spoken of. A person's outline of the enhancing lesion alone says nothing
        of the others, nor of a region that needs them.

    Returns
    -------
    Volumes
        In mL: number of voxels times the volume of one.
    """
    one = labels.geometry.voxel_volume_ml
    spoken = [t for t in TUMOUR_TISSUES if t in tissues]
    return Volumes(
        {t: one * int(np.count_nonzero(labels.array == t)) for t in spoken},
        {
            name: one * int(np.count_nonzero(region(labels.array, name)))
            for name, parts in REGIONS.items()
            if parts <= set(spoken)
        },
    )
