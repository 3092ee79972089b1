"""Corrections as NIfTI masks: research tools write nothing else.

A mask becomes a SEG, so that it goes the way of every correction, and is kept where the images are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from pydicom import Dataset

from converter.nifti import read_nifti
from dicomseg.encode import encode_seg
from dicomseg.identity import Predecessor, ResultIdentity
from study.errors import RefusedError
from study.tissue import BRATS_2023, Tissue, renumber

ENDINGS = (".nii", ".nii.gz")
SERIES_NUMBER = 905


def is_mask_file(path: Path) -> bool:
    """Whether a file is a NIfTI image, by its name."""
    return path.name.lower().endswith(ENDINGS)


def seg_of_mask(
    mask: Path,
    sources: Sequence[Dataset],
    *,
    numbers: Mapping[int, int] | None,
    created: datetime,
    creator: str = "",
    predecessor: Predecessor | None = None,
) -> bytes:
    """Encode a mask as the SEG of a person.

    Parameters
    ----------
    mask
        NIfTI labels on the voxels of the source series; their axes may be reversed or exchanged,
        nothing is interpolated.
    sources
        All instances of the source series, headers suffice.
    numbers
        What the numbers of the mask mean: number to `Tissue`. The SEG speaks of these tissues, also
        where they do not occur: then they were erased. None takes Glioloop's own numbers, and the
        SEG speaks of those that occur.
    created
        When the mask came.
    creator
        (0070,0084) *Content Creator's Name*.
    predecessor
        The SEG that it corrects, where that is known.

    Returns
    -------
    bytes
        A Part 10 file; the same for the same arguments.

    Raises
    ------
    RefusedError
        If it is no NIfTI image, holds other numbers, or lies on other voxels.
    """
    frame = str(sources[0].get("FrameOfReferenceUID", ""))
    volume = read_nifti(mask, frame)
    meaning = dict(BRATS_2023 if numbers is None else numbers) | {0: 0}
    found = {float(value) for value in np.unique(volume.array)}
    if strange := sorted(found - set(meaning)):
        raise RefusedError(
            f"the mask holds {', '.join(f'{value:g}' for value in strange)}, and it is not said"
            " what that is: say it, for instance 1=necrosis,2=edema,4=enhancing"
        )
    labels = renumber(volume.array.astype(np.int64), meaning)
    spoken = set(np.unique(labels)) if numbers is None else set(meaning.values())
    tissues = [tissue for tissue in Tissue if tissue and int(tissue) in spoken]
    if not tissues:
        raise RefusedError(
            "the mask is empty, and it is not said of which tissues: say it, for instance"
            " 3=enhancing, if they are to be erased"
        )
    of = f"{frame} {created.isoformat()} {predecessor.sop_instance_uid if predecessor else ''}"
    digest = hashlib.sha256(mask.read_bytes() + of.encode()).hexdigest()[:32]
    identity = ResultIdentity(
        result_id=digest,
        model_name="a person's mask",
        model_version="1",
        created=created,
        series_number=SERIES_NUMBER,
        predecessor=predecessor,
        kind="mask",
        algorithm_type="MANUAL",
        creator=creator,
        note="correction",
    )
    return encode_seg(volume.with_array(labels), sources, identity, tissues)
