"""NIfTI to Volume: for masks and images of research tools, which know no DICOM."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError

from study.errors import RefusedError
from study.volume import Geometry, Volume

MAX_VOXELS = 2**29
"""Most voxels of an image: a small compressed file can claim any number."""

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_nifti(path: Path, frame_of_reference_uid: str) -> Volume:
    """Read a three-dimensional NIfTI image.

    Parameters
    ----------
    path
        ``.nii`` or ``.nii.gz``.
    frame_of_reference_uid
        NIfTI names no frame of reference; whoever reads the file knows which is meant.

    Returns
    -------
    Volume
        Slope and intercept applied; axes (slice, row, column) are NIfTI's (k, j, i), and its RAS
        positions are turned into LPS.

    Raises
    ------
    RefusedError
        If the file is no NIfTI image, not three-dimensional, or has no positions.
    """
    try:
        image: Any = nib.load(path)
        if np.prod(image.shape, dtype=float) > MAX_VOXELS:
            shape = " x ".join(map(str, image.shape))
            raise RefusedError(f"{path.name} has {shape} voxels; {MAX_VOXELS} are accepted")
        array = np.asarray(image.dataobj)
    except (ImageFileError, OSError, ValueError, EOFError) as error:
        raise RefusedError(f"{path.name} is no readable NIfTI image: {error}") from error
    array = array.reshape(array.shape[:3]) if array.size == np.prod(array.shape[:3]) else array
    if array.ndim != 3:
        raise RefusedError(f"{path.name} has {array.ndim} axes; a volume has three")
    if not (image.header["sform_code"] or image.header["qform_code"]):
        raise RefusedError(f"{path.name} says nothing of its position: sform and qform are unset")
    affine = (_RAS_TO_LPS @ image.affine)[:, [2, 1, 0, 3]]
    array = np.ascontiguousarray(array.transpose(2, 1, 0))
    return Volume(array, Geometry(array.shape, affine, frame_of_reference_uid))
