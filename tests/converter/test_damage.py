"""Random damage to files: an error that was foreseen, or the volume that the files describe."""

from __future__ import annotations

import random
import warnings
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from converter.parts import split
from converter.series import scan
from converter.volume import to_volume
from study.errors import RefusedError
from study.volume import Volume

COPIES = 200
SLICES = 6
MOVED_MM = 0.11
"""How far a voxel may move when a digit of one position flips: the tolerance of positions."""

pytestmark = pytest.mark.filterwarnings("ignore")  # pydicom tells odd values of a header


def scaled(image: Dataset, k: int) -> None:
    """Slope, intercept and names for each image."""
    image.RescaleSlope, image.RescaleIntercept = 2, -7
    image.PatientName, image.PatientBirthDate = "SECRET^NAME", "19000101"
    image.PatientID = "SECRET-ID"
    image.BitsStored, image.HighBit = 12, 11


def oblique(dicom) -> list[Path]:
    """A small oblique series, of 12 bits, with slope and intercept."""
    row, column = np.array([0.96, 0.28, 0.0]), np.array([0.0, 0.0, -1.0])
    step = 3.0 * np.cross(row, column)
    array = np.random.default_rng(7).integers(0, 4000, (SLICES, 8, 6)).astype(np.uint16)
    return dicom.series(
        array,
        (11.25, -20.5, 30.75),
        tuple(step),
        scaled,
        ImageOrientationPatient=[*row, *column],
        PixelSpacing=[0.9, 0.8],
    )


def damaged(whole: bytes, seed: int, start: int = 0) -> bytes:
    """The bytes with one to eight bits flipped, at random behind ``start``."""
    chance = random.Random(seed)  # noqa: S311
    content = bytearray(whole)
    for _ in range(chance.choice([1, 1, 2, 8])):
        content[chance.randrange(start, len(content))] ^= 1 << chance.randrange(8)
    return bytes(content)


def as_described(paths: list[Path]) -> np.ndarray:
    """Modality values of the files' slices along the normal, read in the plainest way."""
    images = [dcmread(path) for path in paths]
    normal = np.cross(*np.reshape(images[0].ImageOrientationPatient, (2, 3)).astype(float))
    images.sort(key=lambda image: float(np.array(image.ImagePositionPatient) @ normal))
    slices = []
    for image in images:
        bits = np.frombuffer(image.PixelData, f"<u{image.BitsAllocated // 8}").astype(np.int64)
        bits &= 2**image.BitsStored - 1
        if image.PixelRepresentation:
            bits -= 2 * (bits & 2 ** (image.BitsStored - 1))
        slope, intercept = image.get("RescaleSlope", 1), image.get("RescaleIntercept", 0)
        values = bits * float(slope or 1) + float(intercept or 0)
        slices.append(values.reshape(image.Rows, image.Columns))
    return np.stack(slices).astype(np.float32)


def outcome(paths: list[Path]) -> Volume | str:
    """The volume, or the message of an error that was foreseen."""
    found = scan(paths)
    if found.refused:
        return " ".join(refusal.reason for refusal in found.refused)
    if len(found.series) > 1:
        return "several series"
    try:
        assert len(split(found.series[0])) == 1
        return to_volume(found.series[0])
    except RefusedError as error:
        return str(error)


def test_flipped_bits_are_foreseen_or_change_no_more_than_they_say(dicom):
    paths = oblique(dicom)
    sound = outcome(paths)
    assert isinstance(sound, Volume)
    whole = paths[2].read_bytes()
    volumes = errors = 0
    for seed in range(COPIES):
        # Half of the copies are hit in the data set's header, which is the smaller part.
        start = 0 if seed % 2 else whole.index(b"\x08\x00\x08\x00CS")
        paths[2].write_bytes(damaged(whole, seed, start))
        found = outcome(paths)
        if isinstance(found, str):
            errors += 1
            assert "SECRET" not in found
            assert "1900" not in found
            continue
        volumes += 1
        assert np.array_equal(found.array, as_described(paths)), seed
        moved = np.linalg.norm(found.geometry.corners() - sound.geometry.corners(), axis=1)
        assert moved.max() <= MOVED_MM, seed
        uid = found.geometry.frame_of_reference_uid
        assert uid == sound.geometry.frame_of_reference_uid, seed
    assert volumes >= COPIES // 10
    assert errors >= COPIES // 10


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_flipped_bits_of_compressed_pixels_are_foreseen(dicom, syntax):
    """What a codestream hides nobody can tell; but no decoder brings the service down."""
    array = np.random.default_rng(7).integers(0, 4000, (3, 32, 32)).astype(np.uint16)
    paths = dicom.series(array)
    for path in paths:
        image = dcmread(path)
        image.compress(syntax, generate_instance_uid=False)
        image.save_as(path)
    whole = paths[1].read_bytes()
    for seed in range(5):
        paths[1].write_bytes(damaged(whole, seed, whole.index(b"\xe0\x7f\x10\x00")))
        found = outcome(paths)
        if isinstance(found, Volume):
            assert found.array.shape == (3, 32, 32)
            assert np.array_equal(found.array[[0, 2]], array[[0, 2]])


def test_damage_to_an_enhanced_image_is_foreseen(dicom):
    array = np.random.default_rng(7).integers(0, 4000, (SLICES, 8, 6)).astype(np.uint16)
    (path,) = dicom.enhanced(array, lambda k: {"RescaleSlope": 2, "RescaleIntercept": k})
    whole = path.read_bytes()
    start, end = whole.index(b"\x08\x00\x08\x00CS"), whole.index(b"\xe0\x7f\x10\x00")
    volumes = errors = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(COPIES):
            path.write_bytes(damaged(whole[:end], seed, start) + whole[end:])
            found = outcome([path])
            volumes += isinstance(found, Volume)
            errors += isinstance(found, str)
    assert volumes >= COPIES // 10
    assert errors >= COPIES // 10
