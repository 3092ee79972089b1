"""Head label maps on disk: NIfTI files, gathered in one small file that needs numpy alone."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from engine.anatomy import HeadMap, head_map
from study.errors import RefusedError


def read_head_map(path: Path) -> HeadMap:
    """Read one NIfTI label map of 1 mm voxels.

    Raises
    ------
    RefusedError
        If it is not three-dimensional, or not on a 1 mm grid.
    """
    image = nib.as_closest_canonical(nib.load(path))  # type: ignore[no-untyped-call]
    zooms = image.header.get_zooms()[:3]
    if image.ndim != 3 or not np.allclose(zooms, 1.0, atol=0.05):
        raise RefusedError(f"{path.name}: a head label map has three axes of 1 mm, not {zooms}")
    return head_map(np.asarray(image.dataobj).astype(np.int32))


def pack(folder: Path, packed: Path) -> int:
    """Gather every ``*.nii.gz`` label map of a folder in one compressed file; returns how many.

    Raises
    ------
    RefusedError
        If the folder holds none.
    """
    maps = {f"head{i:02d}": head for i, head in enumerate(read_all(folder))}
    np.savez_compressed(packed, allow_pickle=False, **maps)
    return len(maps)


def read_all(folder: Path) -> list[HeadMap]:
    """Every ``*.nii.gz`` label map of a folder, in the order of their names.

    Raises
    ------
    RefusedError
        If the folder holds none.
    """
    paths = sorted(folder.glob("*.nii.gz"))
    if not paths:
        raise RefusedError(f"{folder} holds no *.nii.gz head label maps")
    return [_cropped(read_head_map(path)) for path in paths]


def _cropped(head: HeadMap) -> HeadMap:
    """The head without the air around it."""
    found = np.argwhere(head > 0)
    low, high = found.min(0), found.max(0) + 1
    return head[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
