"""Substances of a head, and head label maps made of them.

A *head map* is a uint8 array of `Substance` values on a 1 mm grid with axes (slice, row, column)
towards (head, back, left). Twenty of them come from FreeSurfer-style label maps (Billot et al.
2023, SynthSeg); `engine.phantom` makes one from nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt

from study.errors import RefusedError

HeadMap = npt.NDArray[np.uint8]


class Substance(IntEnum):
    """What a voxel is made of, as far as MR contrast goes."""

    AIR = 0
    SOFT = 1
    """Fat and other soft tissue below the skin."""
    CORTICAL_BONE = 2
    MARROW = 3
    MUSCLE = 4
    MUCOSA = 5
    EYE = 6
    CSF = 7
    GREY = 8
    WHITE = 9
    ARTERY = 10
    VEIN = 11
    DEEP_GREY = 12
    CHOROID = 13
    BRAINSTEM = 14
    CORD = 15
    DURA = 16
    EDEMA = 17
    NECROSIS = 18
    ENHANCING = 19
    CAVITY = 20
    """Fluid in a resection cavity."""
    BLOOD = 21
    """Blood products: bright on T1 without gadolinium."""
    LESION_OF_WHITE_MATTER = 22
    """A distractor: bright on FLAIR and T2, no tumour."""
    INFILTRATED = 23
    """Tumour core that does not enhance."""
    SKIN = 24
    """Scalp, and whatever lies at the surface."""


_FREESURFER: dict[Substance, tuple[int, ...]] = {
    Substance.SOFT: (507,),
    Substance.SKIN: (511,),
    Substance.CORTICAL_BONE: (515,),
    Substance.MARROW: (516,),
    Substance.MUSCLE: (508, 530),
    Substance.MUCOSA: (509,),
    Substance.EYE: (506,),
    Substance.CSF: (24, 4, 5, 43, 44, 14, 15, 25, 57, 72, 136, 137, 163, 164),
    Substance.GREY: (3, 42, 8, 47, 17, 53, 18, 54),
    Substance.WHITE: (2, 41, 7, 46, 28, 60, 77, 85),
    Substance.ARTERY: (502,),
    Substance.VEIN: (514, 30, 62),
    Substance.DEEP_GREY: (10, 49, 11, 50, 12, 51, 13, 52, 26, 58),
    Substance.CHOROID: (31, 63),
    Substance.BRAINSTEM: (16,),
    Substance.CORD: (512,),
}
"""FreeSurfer label numbers of each substance; numbers above 500 as in SynthSeg's training maps."""

BRAIN = (
    Substance.CSF,
    Substance.GREY,
    Substance.WHITE,
    Substance.DEEP_GREY,
    Substance.CHOROID,
    Substance.BRAINSTEM,
)
"""Substances whose voxels are brain, before any tumour is drawn."""


def head_map(labels: npt.NDArray[np.integer]) -> HeadMap:
    """Translate FreeSurfer numbers into substances; unknown numbers become soft tissue.

    Parameters
    ----------
    labels
        ``(x, y, z)`` towards (right, front, head), 1 mm: NIfTI's RAS.

    Returns
    -------
    HeadMap
        ``(slice, row, column)`` towards (head, back, left).
    """
    table = np.full(int(labels.max()) + 1, Substance.SOFT, np.uint8)
    table[0] = Substance.AIR
    for substance, numbers in _FREESURFER.items():
        for number in numbers:
            if number < len(table):
                table[number] = substance
    # RAS to (head, back, left): reverse right and front, then order the axes slice, row, column.
    return np.ascontiguousarray(table[labels][::-1, ::-1, :].transpose(2, 1, 0))


def load_pack(packed: Path) -> list[HeadMap]:
    """Head maps of a file written by `pack`, in the order of their names."""
    with np.load(packed, allow_pickle=False) as file:
        return [file[name] for name in sorted(file.files)]


def split(maps: Sequence[HeadMap], held_out: int = 4) -> tuple[list[HeadMap], list[HeadMap]]:
    """Training and held-out anatomies; the last `held_out` maps are never trained on."""
    if not 0 < held_out < len(maps):
        raise RefusedError(f"{held_out} of {len(maps)} head maps cannot be held out")
    return list(maps[:-held_out]), list(maps[-held_out:])
