"""Every transfer syntax gives the same voxels; what cannot be decoded is held with its reason."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from converter import confined, decode
from converter.series import Series, read_series
from converter.volume import to_volume
from listener.presentation import KEPT_SYNTAXES
from study.errors import HeldError

Encoder = Callable[[Path], None]


def only(paths: list[Path]) -> Series:
    (series,) = read_series(paths)
    return series


def by_pydicom(path: Path, syntax: UID) -> None:
    """Encode a file in place with pydicom and its plug-ins."""
    image = dcmread(path)
    image.compress(syntax, generate_instance_uid=False)
    image.save_as(path)


def by_dcmtk(path: Path, program: str, *options: str) -> None:
    """Encode a file in place with DCMTK."""
    if shutil.which(program) is None:
        pytest.skip(f"needs DCMTK's {program}: apt-get install dcmtk")
    subprocess.run([program, *options, str(path), f"{path}.out"], check=True, capture_output=True)
    shutil.move(f"{path}.out", path)


def as_implicit(path: Path) -> None:
    """Write a file anew, in implicit VR."""
    image = dcmread(path)
    image.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    image.save_as(path, implicit_vr=True)


ENCODERS: dict[str, tuple[Encoder, UID]] = {
    "explicit": (lambda path: None, ExplicitVRLittleEndian),
    "implicit": (as_implicit, ImplicitVRLittleEndian),
    "rle, pydicom": (partial(by_pydicom, syntax=RLELossless), RLELossless),
    "rle, DCMTK": (partial(by_dcmtk, program="dcmcrle"), RLELossless),
    "jpeg-ls, CharLS": (partial(by_pydicom, syntax=JPEGLSLossless), JPEGLSLossless),
    "jpeg-ls, DCMTK": (partial(by_dcmtk, program="dcmcjpls"), JPEGLSLossless),
    "jpeg 2000, OpenJPEG": (partial(by_pydicom, syntax=JPEG2000Lossless), JPEG2000Lossless),
    "jpeg .70": (partial(by_dcmtk, program="dcmcjpeg"), JPEGLosslessSV1),
}


def jpeg_57(path: Path, selection: int) -> None:
    """Encode as JPEG lossless with any of its seven predictors."""
    by_dcmtk(path, "dcmcjpeg", "+el", "+sv", str(selection))


ENCODERS["jpeg .57"] = (partial(jpeg_57, selection=6), JPEGLossless)

FORMATS = {
    "8 bit": (np.uint8, 8),
    "8 bit signed": (np.int8, 8),
    "12 bit": (np.uint16, 12),
    "12 bit signed": (np.int16, 12),
    "16 bit": (np.uint16, 16),
    "16 bit signed": (np.int16, 16),
}


def picture(dtype: type[np.generic], bits: int) -> np.ndarray:
    """Three slices of 36 x 32 smooth values with noise that use the whole range of the format."""
    rng = np.random.default_rng(bits)
    k, i, j = np.indices((3, 36, 32))
    wave = np.sin(i / 5 + k) * np.cos(j / 4) + rng.normal(0, 0.05, (3, 36, 32))
    lowest = -(2 ** (bits - 1)) if np.issubdtype(dtype, np.signedinteger) else 0
    share = (wave - wave.min()) / (wave.max() - wave.min())
    return (lowest + np.rint(share * (2**bits - 1))).astype(dtype)


def described(dtype: type[np.generic], bits: int) -> Callable[[Dataset, int], None]:
    """A change that describes the format, and gives each slice a slope and an intercept."""

    def change(image: Dataset, k: int) -> None:
        image.BitsAllocated = 8 * np.dtype(dtype).itemsize
        image.BitsStored, image.HighBit = bits, bits - 1
        image.PixelRepresentation = int(np.issubdtype(dtype, np.signedinteger))
        image.RescaleSlope, image.RescaleIntercept = [1, 2, 0.5][k], [0, -10, 3][k]

    return change


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_syntax_gives_the_values_that_were_encoded(dicom, encoder, form):
    encode, syntax = ENCODERS[encoder]
    array = picture(*FORMATS[form])
    paths = dicom.series(array, change=described(*FORMATS[form]))
    for path in paths:
        encode(path)
    assert dcmread(paths[0]).file_meta.TransferSyntaxUID == syntax
    expected = array * np.array([1, 2, 0.5])[:, None, None] + np.array([0, -10, 3])[:, None, None]
    volume = to_volume(only(paths))
    assert volume.array.dtype == np.float32
    assert np.array_equal(volume.array, expected)


@pytest.mark.parametrize("selection", range(1, 8))
def test_all_predictors_of_jpeg_lossless_are_decoded(dicom, selection):
    array = picture(np.int16, 16)
    paths = dicom.series(array)
    for path in paths:
        jpeg_57(path, selection)
    assert np.array_equal(to_volume(only(paths)).array, array)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_frames_of_one_object_are_decoded_in_their_order(dicom, encoder):
    array = picture(np.uint16, 12)
    (path,) = dicom.enhanced(array, BitsStored=12, HighBit=11)
    ENCODERS[encoder][0](path)
    assert np.array_equal(to_volume(only([path])).array, array)


def test_jpeg_2000_that_may_be_lossy_is_what_was_sent(dicom):
    """Some archives name 1.2.840.10008.1.2.4.91 though they compress without loss."""
    array = picture(np.uint16, 12)
    paths = dicom.series(array, BitsStored=12, HighBit=11)
    for path in paths:
        by_pydicom(path, JPEG2000Lossless)
        image = dcmread(path)
        image.file_meta.TransferSyntaxUID = JPEG2000
        image.save_as(path)
    assert np.array_equal(to_volume(only(paths)).array, array)


def test_slices_of_several_syntaxes_and_formats_keep_their_places(dicom):
    array = picture(np.uint16, 12)
    array = np.concatenate([array, array + 1])

    def stored(image: Dataset, k: int) -> None:
        image.BitsStored, image.HighBit = (16, 15) if k == 4 else (13, 12)

    paths = dicom.series(array, change=stored)
    for name, path in zip(["jpeg .70", "rle, pydicom", "jpeg .70"], paths, strict=False):
        ENCODERS[name][0](path)
    ENCODERS["jpeg .70"][0](paths[4])
    assert np.array_equal(to_volume(only(paths)).array, array)


def test_what_the_listener_keeps_is_what_is_decoded():
    assert set(KEPT_SYNTAXES) == decode.SYNTAXES


@pytest.mark.parametrize(
    ("program", "options", "syntax", "name"),
    [
        ("dcmcjpeg", ["+eb"], JPEGBaseline8Bit, "JPEG Baseline"),
        ("dcmcjpeg", ["+ee"], JPEGExtended12Bit, "JPEG Extended"),
        ("dcmcjpls", ["+en"], JPEGLSNearLossless, "JPEG-LS Lossy"),
    ],
)
def test_lossy_pixels_are_held(dicom, program, options, syntax, name):
    paths = dicom.series(picture(np.uint8, 8), change=described(np.uint8, 8))
    for path in paths:
        by_dcmtk(path, program, *options)
    assert dcmread(paths[0]).file_meta.TransferSyntaxUID == syntax
    with pytest.raises(HeldError, match=rf"is encoded in {name}.*which is not accepted"):
        to_volume(only(paths))


def test_without_dcmdjpeg_the_message_says_what_to_install(dicom, monkeypatch):
    paths = dicom.series(picture(np.uint16, 16))
    by_dcmtk(paths[1], "dcmcjpeg")
    monkeypatch.setattr(shutil, "which", lambda program: None)
    with pytest.raises(HeldError, match="is not installed: install the package dcmtk") as caught:
        to_volume(only(paths))
    assert only(paths).series_uid in str(caught.value)


def shorten(path: Path, cut: Callable[[bytes], bytes]) -> None:
    """Spoil the codestream of a file with one frame."""
    image = dcmread(path)
    (frame,) = generate_frames(image.PixelData, number_of_frames=1)
    image.PixelData = encapsulate([cut(frame)])
    image["PixelData"].is_undefined_length = True
    image.save_as(path)


@pytest.mark.parametrize("encoder", [e for e in ENCODERS if e not in {"explicit", "implicit"}])
def test_a_shortened_codestream_is_held_and_not_filled_up(dicom, encoder):
    paths = dicom.series(picture(np.uint16, 16))
    for path in paths:
        ENCODERS[encoder][0](path)
    shorten(paths[1], lambda frame: frame[: int(0.45 * len(frame)) * 2])
    with pytest.raises(HeldError, match=r"truncated|damaged") as caught:
        to_volume(only(paths))
    assert f"{only(paths).series_uid}.2" in str(caught.value)


@pytest.mark.parametrize("encoder", ["jpeg-ls, CharLS", "jpeg 2000, OpenJPEG", "jpeg .70"])
def test_a_codestream_of_another_size_is_held(dicom, encoder):
    paths = dicom.series(picture(np.uint16, 16))
    for path in paths:
        ENCODERS[encoder][0](path)
    image = dcmread(paths[1])
    image.Rows = 30
    image.save_as(paths[1])
    with pytest.raises(HeldError, match=r"cannot be decoded from .* into 1 frame\(s\) of 30 x 32"):
        to_volume(only(paths))


def test_a_decoder_that_never_ends_is_ended(dicom, monkeypatch, tmp_path):
    program = tmp_path / "endless.py"
    program.write_text("while True: pass")
    monkeypatch.setattr(decode.plugin_decoder, "__file__", str(program))
    monkeypatch.setattr(decode, "LEAST_S", 1)
    paths = dicom.series(picture(np.uint16, 16))
    by_pydicom(paths[0], RLELossless)
    with pytest.raises(HeldError, match="cannot be decoded from RLE Lossless"):
        to_volume(only(paths))


@pytest.mark.parametrize("encoder", ["rle, pydicom", "jpeg .70"])
def test_a_decoder_learns_nothing_of_the_patient(dicom, monkeypatch, encoder):
    paths = dicom.series(picture(np.uint16, 16), PatientName="SECRET^NAME", PatientID="SECRET-ID")
    for path in paths:
        ENCODERS[encoder][0](path)
    assert b"SECRET" in paths[0].read_bytes()
    seen = []
    run = confined.run

    def watched(command, folder, limits):
        done = run(command, folder, limits)
        seen.extend(path.read_bytes() for path in folder.rglob("*") if path.is_file())
        return done

    monkeypatch.setattr(confined, "run", watched)
    to_volume(only(paths))
    assert len(seen) >= 2
    assert not any(b"SECRET" in content for content in seen)
