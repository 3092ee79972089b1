"""What a Segmentation shows, apart from how it is encoded."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from dicomseg.facts import FrameFacts, facts_of
from dicomseg.frames import decode_frames
from dicomseg.opening import open_seg


def content_digest(data: Path | bytes) -> str:
    """Hash of the segments, the geometry and the voxels of a Segmentation file.

    Archives recompress objects, add attributes and write headers anew; the hash stays the same
    then, and differs where anything that is shown does. Frames without a voxel do not count.

    Parameters
    ----------
    data
        The file.

    Returns
    -------
    str
        SHA-256, 64 hexadecimal digits.

    Raises
    ------
    RefusedError
        If the file cannot be read.
    """
    dataset = open_seg(data)
    facts = facts_of(dataset)
    parts = [
        f"segment {s.number} {s.label} {s.type_code}".encode()
        for s in sorted(facts.segments, key=lambda s: s.number)
    ]
    head = f"{facts.frame_of_reference_uid} {facts.segmentation_type} {facts.rows} {facts.columns}"
    shown = []
    for frame, pixels in zip(facts.frames, decode_frames(dataset, facts), strict=True):
        if pixels.any():
            voxels = np.ascontiguousarray(pixels, "<u2").tobytes()
            shown.append(_place(frame) + hashlib.sha256(voxels).digest())
    whole = hashlib.sha256(head.encode())
    for part in (*parts, *sorted(shown)):
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()


def _place(frame: FrameFacts) -> bytes:
    """Segment and plane of a frame, in hundredths of a millimetre."""
    if frame.plane is None:
        return f"{frame.segment} {frame.image_uid}".encode()
    position = np.rint(np.array(frame.plane.position) * 100).astype(int).tolist()
    directions = np.rint(np.array(frame.plane.orientation) * 1000).astype(int).tolist()
    spacing = np.rint(np.array(frame.plane.spacing) * 1000).astype(int).tolist()
    return f"{frame.segment} {position} {directions} {spacing}".encode()
