"""What happens to a SEG after a tool wrote it: other writers' habits, archives, mistakes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate, generate_frames

FRAMES = "PerFrameFunctionalGroupsSequence"
GEOMETRY = ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")


def edited(encoded: bytes, edit: Callable[[Dataset], None]) -> bytes:
    """A file with a change in it."""
    ds = dcmread(BytesIO(encoded))
    edit(ds)
    buffer = BytesIO()
    ds.save_as(buffer)
    return buffer.getvalue()


def _frames_reversed(ds: Dataset) -> None:
    """From the last to the first: each frame says for itself where it lies."""
    _set_frames(ds, range(ds.NumberOfFrames)[::-1])


def _set_frames(ds: Dataset, order: range) -> None:
    """Keep those frames, in that order."""
    groups = list(ds[FRAMES].value)
    ds.PerFrameFunctionalGroupsSequence = [groups[at] for at in order]
    if ds.file_meta.TransferSyntaxUID.is_encapsulated:
        frames = list(generate_frames(ds.PixelData, number_of_frames=len(groups)))
        ds.PixelData = encapsulate([frames[at] for at in order])
    else:
        pixels = ds.pixel_array[list(order)]
        raw = np.packbits(pixels, bitorder="little") if ds.BitsAllocated == 1 else pixels
        ds.PixelData = raw.tobytes() + b"\x00" * (raw.nbytes % 2)
    ds.NumberOfFrames = len(order)


def _no_frame_content(ds: Dataset) -> None:
    """Nor any dimension index."""
    for frame in ds[FRAMES].value:
        frame.pop("FrameContentSequence", None)
    ds.pop("DimensionIndexSequence", None)


def _no_places(ds: Dataset) -> None:
    """Frames that only name the image on which they were drawn."""
    for groups in (*ds[FRAMES].value, *ds.SharedFunctionalGroupsSequence):
        for macro in GEOMETRY:
            groups.pop(macro, None)


def _in_another_frame(ds: Dataset) -> None:
    """Of another examination, or after a registration that the file does not tell of."""
    ds.FrameOfReferenceUID = "1.2.826.0.1.3680043.8.498.77"


def _in_no_frame(ds: Dataset) -> None:
    ds.pop("FrameOfReferenceUID", None)


def _frame_missing(ds: Dataset) -> None:
    """Fewer frames of pixels than the header describes."""
    ds.NumberOfFrames -= 1


FILE_EDITS: Mapping[str, Callable[[Dataset], None]] = {
    "frames in reverse order": _frames_reversed,
    "no Frame Content": _no_frame_content,
    "no geometry, images known": _no_places,
    "no geometry, images unknown": _no_places,
    "another frame of reference": _in_another_frame,
    "no frame of reference": _in_no_frame,
    "one frame too few": _frame_missing,
}
"""Edits by name, made in the file."""


def in_one_series(files: list[bytes]) -> list[bytes]:
    """The same files as instances of one series."""
    series = str(dcmread(BytesIO(files[0]), stop_before_pixels=True).SeriesInstanceUID)

    def move(ds: Dataset) -> None:
        ds.SeriesInstanceUID = series

    return [edited(file, move) for file in files]
