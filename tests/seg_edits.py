"""What viewers do to the segments of a SEG."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pydicom import Dataset


def rename(*labels: str) -> Callable[[Dataset], None]:
    """Give the segments other labels and the code of any tissue."""

    def edit(ds: Dataset) -> None:
        for segment, label in zip(ds.SegmentSequence, labels, strict=True):
            segment.SegmentLabel = label
            code = segment.SegmentedPropertyTypeCodeSequence[0]
            code.CodeValue, code.CodingSchemeDesignator = "85756007", "SCT"
            del segment.TrackingUID

    return edit


def drop_segment(number: int, manufacturer: str = "QIICR") -> Callable[[Dataset], None]:
    """What exporters do to an empty segment: it is gone, and the others are renumbered."""

    def edit(ds: Dataset) -> None:
        ds.Manufacturer = manufacturer
        frames = ds.PerFrameFunctionalGroupsSequence
        pixels = ds.pixel_array
        keep = []
        for at, frame in enumerate(frames):
            identification = frame.SegmentIdentificationSequence[0]
            if identification.ReferencedSegmentNumber != number:
                keep.append(at)
                if identification.ReferencedSegmentNumber > number:
                    identification.ReferencedSegmentNumber -= 1
        ds.PerFrameFunctionalGroupsSequence = [frames[at] for at in keep]
        ds.SegmentSequence = [s for s in ds.SegmentSequence if s.SegmentNumber != number]
        for n, segment in enumerate(ds.SegmentSequence):
            segment.SegmentNumber = n + 1
        ds.NumberOfFrames = len(keep)
        bits = np.packbits(pixels[keep].reshape(-1), bitorder="little").tobytes()
        ds.PixelData = bits + b"\x00" * (len(bits) % 2)

    return edit
