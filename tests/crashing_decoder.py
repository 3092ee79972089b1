"""`glioloop.seg_tasks` with a decoder that crashes on SEGs whose *Content Label* is BAD."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

from pydicom import Dataset

from dicomseg import content
from dicomseg.facts import SegFacts
from dicomseg.frames import Frame, decode_frames
from glioloop.seg_tasks import contents, facts, outline

__all__ = ["contents", "facts", "outline"]


def crashing(dataset: Dataset, facts: SegFacts) -> Iterator[Frame]:
    """As `dicomseg.frames.decode_frames`."""
    if dataset.ContentLabel == "BAD":
        ctypes.string_at(0)
    return decode_frames(dataset, facts)


content.decode_frames = crashing
