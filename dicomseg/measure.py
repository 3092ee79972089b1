"""Volumes of tissues and regions."""

from __future__ import annotations

from collections.abc import Mapping
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


def volumes_of(labels: Volume) -> Volumes:
    """Volume of each tissue and region.

    Parameters
    ----------
    labels
        `Tissue` values.

    Returns
    -------
    Volumes
        In mL: number of voxels times the volume of one.
    """
    one = labels.geometry.voxel_volume_ml
    return Volumes(
        {t: one * int(np.count_nonzero(labels.array == t)) for t in TUMOUR_TISSUES},
        {name: one * int(np.count_nonzero(region(labels.array, name))) for name in REGIONS},
    )
