"""`glioloop.seg_tasks` with a decoder that never ends on SEGs whose *Content Label* is BAD."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom import Dataset

from dicomseg import content
from dicomseg.facts import SegFacts
from dicomseg.frames import Frame, decode_frames
from glioloop.seg_tasks import contents, facts, outline

__all__ = ["contents", "facts", "outline"]


def endless(dataset: Dataset, facts: SegFacts) -> Iterator[Frame]:
    """As `dicomseg.frames.decode_frames`."""
    while dataset.ContentLabel == "BAD":
        pass
    return decode_frames(dataset, facts)


content.decode_frames = endless
