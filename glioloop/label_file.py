"""Labels as a file."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from study.volume import Geometry, Volume


def labels_to_bytes(labels: Volume) -> bytes:
    """Labels with their grid, as a compressed npz file."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        labels=labels.array,
        affine=labels.geometry.affine,
        frame_of_reference_uid=labels.geometry.frame_of_reference_uid,
    )
    return buffer.getvalue()


def labels_from_file(path: Path) -> Volume:
    """Undo `labels_to_bytes`; nothing is unpickled."""
    with np.load(path, allow_pickle=False) as file:
        array = file["labels"]
        frame = str(file["frame_of_reference_uid"])
        return Volume(array, Geometry(array.shape, file["affine"], frame))
