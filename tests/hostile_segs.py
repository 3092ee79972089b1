"""SEGs that mean harm, or are badly damaged, each made from a good one."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO

from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import RLELossless

Edit = Callable[[Dataset], None]
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
MARK = [123.456789, 123.456789]
"""A *Pixel Spacing* that occurs nowhere else; 21 bytes with its backslash, and one of padding."""


def edited(encoded: bytes, edit: Edit) -> bytes:
    """A file with a change in it."""
    ds = dcmread(BytesIO(encoded))
    edit(ds)
    buffer = BytesIO()
    ds.save_as(buffer)
    return buffer.getvalue()


def measures(ds: Dataset) -> Dataset:
    """Its pixel measures."""
    found: Dataset = ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    return found


def spacing_of(text: bytes) -> Callable[[bytes], bytes]:
    """A *Pixel Spacing* that pydicom would not write."""

    def damage(encoded: bytes) -> bytes:
        marked = edited(encoded, lambda ds: setattr(measures(ds), "PixelSpacing", MARK))
        before = b"123.456789\\123.456789 "
        assert marked.count(before) == 1
        return marked.replace(before, text.ljust(len(before)))

    return damage


def orientation_of(*values: float) -> Callable[[bytes], bytes]:
    """Another *Image Orientation (Patient)*."""

    def turn(ds: Dataset) -> None:
        plane = ds.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
        plane.ImageOrientationPatient = list(values)

    return lambda encoded: edited(encoded, turn)


def far_away(mm: float) -> Callable[[bytes], bytes]:
    """One frame far from the others: the grid between them would be huge."""

    def move(ds: Dataset) -> None:
        plane = ds.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0]
        plane.ImagePositionPatient = [*plane.ImagePositionPatient[:2], mm]

    return lambda encoded: edited(encoded, move)


def label_map_bomb(encoded: bytes, side: int = 2048, frames: int = 300) -> bytes:
    """A label map in RLE: a few hundred KiB that stand for a GiB of pixels."""
    packed = bytes([129, 0]) * (side * side // 128)  # -127: the next byte, 128 times
    frame = struct.pack("<16I", 1, 64, *[0] * 14) + packed

    def fill(ds: Dataset) -> None:
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = LABEL_MAP
        ds.SegmentationType = "LABELMAP"
        ds.Rows = ds.Columns = side
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
        first = ds.PerFrameFunctionalGroupsSequence[0]
        ds.PerFrameFunctionalGroupsSequence = [first] * frames
        ds.NumberOfFrames = frames
        ds.PixelData = encapsulate([frame] + [frame[:66]] * (frames - 1))
        ds["PixelData"].VR = "OB"
        ds["PixelData"].is_undefined_length = True
        ds.file_meta.TransferSyntaxUID = RLELossless

    return edited(encoded, fill)


def nested(levels: int, *, undefined: bool) -> Callable[[bytes], bytes]:
    """A sequence in a sequence, and so on, at the end of the file, written by hand."""

    def damage(encoded: bytes) -> bytes:
        inner = b""
        for _ in range(levels):
            # (0040,A730) *Content Sequence*, one item.
            if undefined:
                item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + inner + b"\xfe\xff\x0d\xe0\0\0\0\0"
                end, length = b"\xfe\xff\xdd\xe0\0\0\0\0", b"\xff\xff\xff\xff"
            else:
                item = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(inner)) + inner
                end, length = b"", struct.pack("<I", len(item))
            inner = b"\x40\x00\x30\xa7SQ\0\0" + length + item + end
        # (0008,1115) *Referenced Series Sequence* is walked for UIDs, to its depths.
        ds = dcmread(BytesIO(encoded))
        del ds.ReferencedSeriesSequence
        buffer = BytesIO()
        ds.save_as(buffer)
        whole = buffer.getvalue()
        later = whole.index(b"\x10\x00\x10\x00PN")  # (0010,0010), the first of the next group
        item = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(inner)) + inner
        series = b"\x08\x00\x15\x11SQ\0\0" + struct.pack("<I", len(item)) + item
        return whole[:later] + series + whole[later:]

    return damage


def many_segments(ds: Dataset) -> None:
    """As many as numbers of 16 bits allow."""
    item = Dataset()
    item.SegmentNumber, item.SegmentLabel = 1, "Edema"
    ds.SegmentSequence = Sequence([item] * 65535)


def numbered(*numbers: int) -> Edit:
    """Other numbers than 1, 2, 3 for the segments, and for the frames that show them."""

    def renumber(ds: Dataset) -> None:
        for segment, number in zip(ds.SegmentSequence, numbers, strict=True):
            segment.SegmentNumber = number
        for frame in ds.PerFrameFunctionalGroupsSequence:
            shown = frame.SegmentIdentificationSequence[0]
            shown.ReferencedSegmentNumber = numbers[shown.ReferencedSegmentNumber - 1]

    return renumber


def set_to(**values: object) -> Callable[[bytes], bytes]:
    """Other values of attributes."""

    def change(ds: Dataset) -> None:
        for keyword, value in values.items():
            setattr(ds, keyword, value)

    return lambda encoded: edited(encoded, change)


HOSTILE: Mapping[str, tuple[Callable[[bytes], bytes], str]] = {
    "a label map of a GiB": (label_map_bomb, "1258291200 pixels; at most 1073741824 are read"),
    "65535 rows": (set_to(Rows=65535), r"\*Rows\* is 65535"),
    "pixels for rows that are not there": (set_to(Rows=2048, Columns=2048), "bytes of"),
    "a billion frames": (set_to(NumberOfFrames=10**9), r"\*NumberOfFrames\* is 1000000000"),
    "fewer frames than described": (set_to(NumberOfFrames=2), "declares 2 frames and describes"),
    "65535 segments": (lambda e: edited(e, many_segments), "describes 65535 segments"),
    "a spacing of zero": (spacing_of(b"0\\0"), "not above zero"),
    "a negative spacing": (spacing_of(b"-1\\1"), "not above zero"),
    "a spacing that is no number": (spacing_of(b"NaN\\NaN"), "2 plain numbers"),
    "an infinite spacing": (spacing_of(b"inf\\inf"), "2 plain numbers"),
    "a spacing too fine": (spacing_of(b"0.001\\0.001"), "0.2 is the finest"),
    "no orientation at all": (orientation_of(0, 0, 0, 0, 0, 0), "no pair of unit vectors"),
    "an orientation in one line": (orientation_of(1, 0, 0, 1, 0, 0), "no pair of unit vectors"),
    "a frame nine kilometres away": (far_away(9_000_000.0), "spread over|uneven distances"),
    "a frame beyond all numbers": (far_away(1e300), "3 plain numbers"),
    "2000 levels, open": (nested(2000, undefined=True), "cannot be parsed"),
    "2000 levels, of stated length": (nested(2000, undefined=False), "cannot be parsed"),
}
"""What is done to a good SEG, and what is said of it."""


def damaged(encoded: bytes, copies: int, seed: int) -> Iterator[bytes]:
    """Copies with some bits turned, some of them cut short; the preamble is left alone."""
    chance = random.Random(seed)  # noqa: S311 - it must be the same each time
    for copy in range(copies):
        found = bytearray(encoded)
        for _ in range(chance.choice((1, 2, 5, 20))):
            found[chance.randrange(132, len(found))] ^= 1 << chance.randrange(8)
        yield bytes(found[: chance.randrange(132, len(found))] if copy % 5 == 0 else found)
