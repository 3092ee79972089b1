from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import UID

from dicomseg.frames import unpack_rle
from dicomseg.read import read_seg
from dicomseg.write import write_seg
from study.errors import RefusedError

RLE = "1.2.840.10008.1.2.5"
J2K = "1.2.840.10008.1.2.4.90"
JPEG_LS = "1.2.840.10008.1.2.4.80"
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"

HEADER = struct.pack("<16I", 1, 64, *[0] * 14)


def literal(raw: bytes) -> bytes:
    """An RLE frame of literal runs only."""
    runs = [raw[n : n + 128] for n in range(0, len(raw), 128)]
    return HEADER + b"".join(bytes([len(run) - 1]) + run for run in runs)


def unpacked(raw: bytes) -> bytes:
    """Eight bytes, 0 or 1, for each byte of bits."""
    return np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little").tobytes()


def deflated(raw: bytes) -> bytes:
    """A raw deflate stream, padded to an even length."""
    press = zlib.compressobj(9, zlib.DEFLATED, -15)
    found = press.compress(raw) + press.flush()
    return found + b"\x00" * (len(found) % 2)


@pytest.fixture
def series(new_series):
    """Large enough for JPEG 2000."""
    return new_series(shape=(7, 40, 36))


def read(encoded, series):
    return read_seg(encoded, series.labels.geometry)


@pytest.mark.parametrize(
    ("how", "syntax"),
    [
        (literal, RLE),
        (lambda raw: literal(unpacked(raw)), RLE),
        (deflated, DEFLATED_FRAMES),
    ],
    ids=["1-bit RLE", "1-bit RLE, a byte for a pixel", "deflated frames"],
)
def test_single_bits_that_pydicom_cannot_decode(how, syntax, series, identity, encapsulated):
    """1440 pixels are 180 bytes; every voxel comes back."""
    native = write_seg(series.labels, series.instances, identity)
    found = read(encapsulated(native, how, syntax), series)
    np.testing.assert_array_equal(found.labels(), series.labels.array)


@pytest.mark.parametrize(
    ("kind", "syntax"),
    [
        ("BINARY", "1.2.840.10008.1.2"),
        ("BINARY", J2K),
        ("LABELMAP", "1.2.840.10008.1.2.1"),
        ("LABELMAP", RLE),
        ("LABELMAP", J2K),
        ("LABELMAP", JPEG_LS),
        ("FRACTIONAL", "1.2.840.10008.1.2.1"),
        ("FRACTIONAL", RLE),
        ("FRACTIONAL", JPEG_LS),
    ],
)
def test_every_type_and_compression(kind, syntax, series, foreign_seg):
    """The same voxels whatever the encoding."""
    found = read(foreign_seg(series, kind, syntax), series)
    np.testing.assert_array_equal(found.labels(), series.labels.array)


def test_fractions_count_from_one_half(series, foreign_seg):
    """0.4 is outside, 0.5 and 0.6 are inside, of 255 steps."""
    array = np.zeros((*series.labels.array.shape, 3), np.float32)
    array[2, 4, 4, 1], array[2, 4, 5, 1], array[2, 4, 6, 1] = 0.4, 0.502, 0.6
    found = read(foreign_seg(series, "FRACTIONAL", array=array), series)
    assert [tuple(at) for at in np.argwhere(found.labels())] == [(2, 4, 5), (2, 4, 6)]


def test_runs_of_rle():
    """PS3.5 G.3.1: three literal bytes, a no-operation, four times the same byte."""
    assert unpack_rle(HEADER + b"\x02abc\x80\xfdz", 100) == b"abczzzz"
    assert unpack_rle(HEADER + b"\x02abc\x80\xfdz", 5) == b"abczz"


@pytest.mark.parametrize("frame", [b"", b"\x00" * 63, struct.pack("<2I", 2, 64) + b"\x00" * 60])
def test_a_damaged_rle_header_is_refused(frame):
    """One segment at byte 64 is what a frame of single bits has."""
    with pytest.raises(RefusedError, match="damaged header"):
        unpack_rle(frame, 10)


def refused(series, encoded, match):
    with pytest.raises(RefusedError, match=match):
        read(encoded, series)


def test_too_few_pixels_are_refused(series, identity, edit_seg):
    """Native pixel data shorter than the header says."""

    def cut(ds: Dataset) -> None:
        ds.PixelData = ds.PixelData[:-10]

    encoded = edit_seg(write_seg(series.labels, series.instances, identity), cut)
    refused(series, encoded, "pixel data has 1610 bytes of 1620")


def test_no_pixels_are_refused(series, identity, edit_seg):
    """A header alone is no outline."""

    def cut(ds: Dataset) -> None:
        del ds.PixelData

    refused(
        series,
        edit_seg(write_seg(series.labels, series.instances, identity), cut),
        "no \\*Pixel Data\\*",
    )


def test_too_short_frames_are_refused(series, identity, encapsulated):
    """An RLE frame that ends early, and a damaged deflated one."""
    native = write_seg(series.labels, series.instances, identity)
    refused(series, encapsulated(native, lambda raw: literal(raw[:8]), RLE), "8 of 180 bytes")
    refused(series, encapsulated(native, lambda _: b"\xff\xff", DEFLATED_FRAMES), "damaged")


def test_a_missing_frame_is_refused(series, foreign_seg, edit_seg):
    """As many encoded frames as the header declares."""

    def drop(ds: Dataset) -> None:
        frames = list(generate_frames(ds.PixelData, number_of_frames=int(ds.NumberOfFrames)))
        ds.PixelData = encapsulate(frames[:-1])

    refused(series, edit_seg(foreign_seg(series, "LABELMAP", J2K), drop), "damaged|frames")


def test_a_frame_that_declares_another_size_is_refused(series, foreign_seg, edit_seg):
    """A decoder would allocate what the codestream asks for: here 4 GiB."""

    def lie(ds: Dataset) -> None:
        frames = list(generate_frames(ds.PixelData, number_of_frames=int(ds.NumberOfFrames)))
        at = frames[0].find(b"\xff\x4f\xff\x51") + 8
        frames[0] = frames[0][:at] + struct.pack(">II", 65535, 65535) + frames[0][at + 8 :]
        ds.PixelData = encapsulate(frames)

    encoded = edit_seg(foreign_seg(series, "LABELMAP", J2K), lie)
    refused(series, encoded, r"encoded as \(65535, 65535\) pixels, not \(40, 36\)")


def test_a_deflated_bomb_is_not_inflated(series, identity, encapsulated):
    """A frame of 180 bytes is read from a stream of 5 MB without inflating it."""
    native = write_seg(series.labels, series.instances, identity)
    zeros = b"\x00" * 5_000_000
    encoded = encapsulated(native, lambda raw: deflated(raw + zeros), DEFLATED_FRAMES)
    assert len(encoded) < 100_000
    found = read(encoded, series)
    np.testing.assert_array_equal(found.labels(), series.labels.array)


def test_an_unknown_transfer_syntax_is_refused(series, identity, edit_seg):
    """JPEG baseline is lossy."""

    def rename(ds: Dataset) -> None:
        ds.PixelData = encapsulate([b"\xff\xd8\xff\xd9"] * int(ds.NumberOfFrames))
        ds["PixelData"].is_undefined_length = True
        ds.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.50")

    encoded = edit_seg(write_seg(series.labels, series.instances, identity), rename)
    refused(series, encoded, r"transfer syntax 1\.2\.840\.10008\.1\.2\.4\.50 is not read")


def test_unusual_bits_are_refused(series, identity, edit_seg):
    """Thirty-two bits are no Segmentation."""

    def widen(ds: Dataset) -> None:
        ds.BitsAllocated = 32

    encoded = edit_seg(write_seg(series.labels, series.instances, identity), widen)
    refused(series, encoded, "BINARY Segmentation of 32 bits is not read")
