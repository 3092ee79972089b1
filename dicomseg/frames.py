"""Decoding the frames of a Segmentation, with sizes checked before anything is decoded."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from dicomseg.facts import SegFacts
from study.errors import RefusedError

DEFLATED_FRAMES = UID("1.2.840.10008.1.2.8.1")
"""Deflated Image Frame Compression, which pydicom 3.0 does not know."""
NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
CODESTREAMS = (JPEG2000Lossless, JPEG2000, JPEGLSLossless)

Frame = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


def decode_frames(dataset: Dataset, facts: SegFacts) -> Iterator[Frame]:
    """Frames of a Segmentation, in order.

    Parameters
    ----------
    dataset
        The Segmentation with its pixels.
    facts
        Its checked header.

    Yields
    ------
    numpy.ndarray
        ``(rows, columns)``, stored values.

    Raises
    ------
    RefusedError
        If its transfer syntax is none of ours, or the pixel data does not fit the header.
    """
    syntax = UID(str(dataset.file_meta.get("TransferSyntaxUID", "")))
    bits = dataset.get("BitsAllocated")
    wanted = {"BINARY": {1, 8}, "FRACTIONAL": {8}, "LABELMAP": {8, 16}}[facts.segmentation_type]
    if bits not in wanted or dataset.get("SamplesPerPixel") != 1:
        raise RefusedError(f"a {facts.segmentation_type} Segmentation of {bits} bits is not read")
    if "PixelData" not in dataset:
        raise RefusedError("it has no *Pixel Data*")
    if syntax in NATIVE:
        need = (facts.rows * facts.columns * len(facts.frames) * bits + 7) // 8
        if len(dataset.PixelData) < need:
            raise RefusedError(f"its pixel data has {len(dataset.PixelData)} bytes of {need}")
        return _decoded(dataset, syntax)
    if syntax == DEFLATED_FRAMES or (syntax == RLELossless and bits == 1):
        return _unpacked(dataset, facts, bits, deflated=syntax == DEFLATED_FRAMES)
    if syntax == RLELossless:
        return _decoded(dataset, syntax)
    if syntax in CODESTREAMS:
        for frame in _encapsulated(dataset, facts):
            _check_codestream(frame, facts)
        return _decoded(dataset, syntax)
    raise RefusedError(f"its transfer syntax {syntax or 'without UID'} is not read")


def _decoded(dataset: Dataset, syntax: UID) -> Iterator[Frame]:
    """Frames as pydicom and its plug-ins decode them."""
    try:
        for frame, _ in get_decoder(syntax).iter_array(dataset, raw=True):
            yield np.asarray(frame)
    except (ValueError, RuntimeError, AttributeError, struct.error) as error:
        raise RefusedError(f"its pixel data cannot be decoded ({type(error).__name__})") from error


def _encapsulated(dataset: Dataset, facts: SegFacts) -> list[bytes]:
    """Encoded frames; refused where their number is not that of the header."""
    try:
        frames = list(generate_frames(dataset.PixelData, number_of_frames=len(facts.frames)))
    except (ValueError, struct.error, EOFError) as error:
        raise RefusedError("its encapsulated pixel data is damaged") from error
    if len(frames) != len(facts.frames):
        raise RefusedError(f"its pixel data has {len(frames)} of {len(facts.frames)} frames")
    return frames


def _unpacked(dataset: Dataset, facts: SegFacts, bits: int, *, deflated: bool) -> Iterator[Frame]:
    """Frames that pydicom cannot decode: deflated ones, and RLE of single bits."""
    pixels = facts.rows * facts.columns
    packed = (pixels * bits + 7) // 8
    for encoded in _encapsulated(dataset, facts):
        raw = _inflate(encoded, packed) if deflated else unpack_rle(encoded, pixels)
        if len(raw) < packed:
            raise RefusedError(f"one of its frames has {len(raw)} of {packed} bytes")
        yield _values(raw, bits, pixels, packed).reshape(facts.rows, facts.columns)


def _values(raw: bytes, bits: int, pixels: int, packed: int) -> Frame:
    """Stored values of one frame's bytes, `pixels` of them."""
    if bits == 16:
        return np.frombuffer(raw, "<u2")[:pixels].astype(np.uint16)
    found = np.frombuffer(raw, np.uint8)
    # Writers of single bits in RLE disagree: eight pixels to a byte, or one.
    if bits == 1 and len(raw) <= packed + 1:
        found = np.unpackbits(found, bitorder="little")
    return found[:pixels]


def _inflate(encoded: bytes, most: int) -> bytes:
    """Inflate a frame, no further than its size."""
    try:
        return zlib.decompressobj(-15).decompress(encoded, most + 1)
    except zlib.error as error:
        raise RefusedError("one of its deflated frames is damaged") from error


def unpack_rle(encoded: bytes, most: int) -> bytes:
    """Expand the only segment of an RLE frame (PS3.5 section G.3).

    Parameters
    ----------
    encoded
        One frame: header of 64 bytes, then the segment.
    most
        Expansion ends at this number of bytes.

    Raises
    ------
    RefusedError
        If the header does not announce exactly one segment.
    """
    if len(encoded) < 64 or struct.unpack("<II", encoded[:8]) != (1, 64):
        raise RefusedError("one of its RLE frames has a damaged header")
    found = bytearray()
    at = 64
    while at < len(encoded) - 1 and len(found) < most:
        count = encoded[at]
        if count < 128:
            found += encoded[at + 1 : at + 2 + count]
            at += 2 + count
        elif count > 128:
            found += encoded[at + 1 : at + 2] * (257 - count)
            at += 2
        else:
            at += 1
    return bytes(found[:most])


def _check_codestream(frame: bytes, facts: SegFacts) -> None:
    """Refuse a JPEG 2000 or JPEG-LS frame whose own header declares another size.

    A decoder allocates what the codestream asks for, whatever the DICOM header says.
    """
    size: tuple[int, int] | None = None
    j2k = frame.find(b"\xff\x4f\xff\x51")
    jls = frame.find(b"\xff\xf7")
    if j2k >= 0 and len(frame) >= j2k + 24:
        width, height, left, top = struct.unpack(">IIII", frame[j2k + 8 : j2k + 24])
        size = (height - top, width - left)
    elif frame[:2] == b"\xff\xd8" and jls >= 0 and len(frame) >= jls + 9:
        size = struct.unpack(">HH", frame[jls + 5 : jls + 9])
    if size != (facts.rows, facts.columns):
        raise RefusedError(
            f"one of its frames is encoded as {size} pixels, not {(facts.rows, facts.columns)}"
        )
