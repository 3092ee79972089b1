"""Frames of a Segmentation and what describes them, encoded as they are many.

A result has hundreds of frames, and each is described by the same dozen elements, of which only
place, segment and image differ. They are encoded here by PS3.5 section 7.1.2 (Explicit VR Little
Endian); all else of the object is the encoder's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.charset import convert_encodings, default_encoding
from pydicom.dataelem import RawDataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.tag import BaseTag, Tag

from dicomseg.headers import decimals
from dicomseg.planes import Plane

LONG = frozenset({"SQ", "OB"})
"""Of the VRs used here, those with a length of four bytes."""


def show_frames(
    seg: Dataset,
    model: Dataset,
    array: npt.NDArray[np.uint8],
    instances: Sequence[Dataset],
    planes: Sequence[Plane],
    segments: int,
) -> None:
    """Give a Segmentation of one frame the frames of a whole stack, segment by segment.

    Parameters
    ----------
    seg
        A BINARY Segmentation in Explicit VR Little Endian; it is changed.
    model
        Functional groups of its frame: the codes in them are those of every frame.
    array
        ``(slices, rows, columns)``: segment numbers, 0 for none. A segment has a frame for each
        slice in which it occurs; where none occurs anywhere, each has all.
    instances, planes
        Header and plane of the image of each slice.
    segments
        How many there are.
    """
    shown = np.asarray(array.any(axis=(1, 2)))
    everything = not shown.any()
    depth = np.array([plane.position for plane in planes]) @ planes[0].normal
    # The encoder's order: against the normal of the planes.
    order = [int(at) for at in np.argsort(-depth) if shown[at] or everything]
    frames = [
        (number, place, at)
        for number in range(1, segments + 1)
        for place, at in enumerate(order, start=1)
        if everything or (array[at] == number).any()
    ]
    seg.NumberOfFrames = len(frames)
    seg.PixelData = _bits(array, frames)
    fixed = _FixedParts(model)
    items = [fixed.frame(frame, instances[frame[2]], planes[frame[2]]) for frame in frames]
    _set_raw(seg, "PerFrameFunctionalGroupsSequence", items)
    named = [_reference(instance) for instance in instances]
    _set_raw(seg, "SourceImageSequence", named)
    series = _sequence("ReferencedInstanceSequence", named)
    series += _element("SeriesInstanceUID", "UI", _uid(instances[0].SeriesInstanceUID))
    _set_raw(seg, "ReferencedSeriesSequence", [series])
    seg["PixelData"].VR = "OB"


def declare_encoded(seg: Dataset) -> None:
    """Tell pydicom that what is encoded already is as it will be written.

    Else it would decode and encode it again. To be called when nothing changes any more: it holds
    for a character set.
    """
    named = seg.get("SpecificCharacterSet")
    seg.set_original_encoding(
        is_implicit_vr=False,
        is_little_endian=True,
        character_encoding=convert_encodings(named) if named else default_encoding,
    )


def _bits(array: npt.NDArray[np.uint8], frames: Iterable[tuple[int, int, int]]) -> bytes:
    """Frames of single bits, without gaps between them (PS3.5 section 8.1.1)."""
    masks = ((array[at] == number).reshape(-1) for number, _, at in frames)
    if array[0].size % 8 == 0:
        found = b"".join(np.packbits(mask, bitorder="little").tobytes() for mask in masks)
    else:
        found = np.packbits(np.concatenate(list(masks)), bitorder="little").tobytes()
    return found + b"\x00" * (len(found) % 2)


class _FixedParts:
    """What the functional groups of all frames share, encoded once."""

    def __init__(self, model: Dataset) -> None:
        derivation = model.DerivationImageSequence[0]
        image = derivation.SourceImageSequence[0]
        self._of_image = _encoded(
            image, "SpatialLocationsPreserved", "PurposeOfReferenceCodeSequence"
        )
        self._of_derivation = _encoded(derivation, "DerivationCodeSequence")

    def frame(self, frame: tuple[int, int, int], instance: Dataset, plane: Plane) -> bytes:
        """Functional groups of a frame: (segment, place in the order, slice)."""
        number, place, _ = frame
        position = "\\".join(map(str, decimals(plane.position))).encode("ascii")
        image = _sequence("SourceImageSequence", [_reference(instance) + self._of_image])
        index = _element("DimensionIndexValues", "UL", struct.pack("<2I", number, place))
        segment = _element("ReferencedSegmentNumber", "US", struct.pack("<H", number))
        return (
            _sequence("DerivationImageSequence", [image + self._of_derivation])
            + _sequence("FrameContentSequence", [index])
            + _sequence(
                "PlanePositionSequence",
                [_element("ImagePositionPatient", "DS", position + b" " * (len(position) % 2))],
            )
            + _sequence("SegmentIdentificationSequence", [segment])
        )


def _reference(instance: Dataset) -> bytes:
    """SOP class and instance of an image."""
    return _element("ReferencedSOPClassUID", "UI", _uid(instance.SOPClassUID)) + _element(
        "ReferencedSOPInstanceUID", "UI", _uid(instance.SOPInstanceUID)
    )


def _uid(uid: str) -> bytes:
    """A UID of even length."""
    return uid.encode("ascii") + b"\x00" * (len(uid) % 2)


def _element(keyword: str, vr: str, value: bytes) -> bytes:
    """One element with its tag, VR and length."""
    tag = Tag(keyword)
    head = struct.pack("<HH2s", tag.group, tag.element, vr.encode("ascii"))
    size = struct.pack("<HI", 0, len(value)) if vr in LONG else struct.pack("<H", len(value))
    return head + size + value


def _sequence(keyword: str, items: Sequence[bytes]) -> bytes:
    """A sequence of encoded items."""
    return _element(keyword, "SQ", _items(items))


def _items(items: Sequence[bytes]) -> bytes:
    """Items with tag (FFFE,E000) and length (PS3.5 section 7.5.1)."""
    return b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in items)


def _encoded(item: Dataset, *keywords: str) -> bytes:
    """Some elements of an item, as pydicom encodes them."""
    part = Dataset()
    for keyword in keywords:
        part[keyword] = item[keyword]
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, part)
    return buffer.getvalue()


def _set_raw(seg: Dataset, keyword: str, items: Sequence[bytes]) -> None:
    """Give a dataset a sequence that is encoded already; it is written as it is."""
    tag: BaseTag = Tag(keyword)
    value = _items(items)
    seg[tag] = RawDataElement(
        tag, "SQ", len(value), value, 0, is_implicit_VR=False, is_little_endian=True
    )
