"""Stored values of images, from every transfer syntax that is accepted.

Uncompressed pixels are read here. Compressed ones are decoded in a child process with limits
(`converter.confined`): JPEG lossless by DCMTK's ``dcmdjpeg``, the others by pydicom and its
plug-ins. A child is given the pixels and their description and nothing else of the file, so that a
patient's name reaches neither a foreign program nor its temporary files.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from converter import confined, plugin_decoder
from converter.files import READ_ERRORS
from study.errors import HeldError

Stored = npt.NDArray[np.generic]

NATIVE: frozenset[UID] = frozenset({ExplicitVRLittleEndian, ImplicitVRLittleEndian})
BY_DCMTK: frozenset[UID] = frozenset({JPEGLossless, JPEGLosslessSV1})
BY_PLUGINS: frozenset[UID] = frozenset({RLELossless, JPEGLSLossless, JPEG2000Lossless, JPEG2000})

SYNTAXES = NATIVE | BY_DCMTK | BY_PLUGINS
"""Transfer syntaxes that are decoded: those in which the listener accepts images."""

END_OF_CODESTREAM = b"\xff\xd9"
"""EOI of JPEG (ITU-T T.81 table B.1) and JPEG-LS, EOC of JPEG 2000 (ITU-T T.800 table A.2)."""

DCMDJPEG = "dcmdjpeg"

FRAMES = "NumberOfFrames"

DESCRIPTION = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    FRAMES,
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
)
"""What a decoder must know of an image (PS3.3 section C.7.6.3)."""

LEAST_S = 30
"""Seconds that a child always has; starting it takes one."""

VOXELS_PER_S = 1_000_000
"""Voxels for which a child has another second: a tenth of what the slowest decoder does."""

LEAST_BYTES = 2**31
"""Address space that a child always has; libraries that are only mapped count, too."""


def stored_values(images: Sequence[Dataset], uids: Sequence[str], where: str) -> list[Stored]:
    """Decode images whose description was checked (`converter.pixels`).

    Parameters
    ----------
    images
        With their (7FE0,0010) *Pixel Data*.
    uids
        (0008,0018) *SOP Instance UID* of each, for messages.
    where
        How messages name the series.

    Returns
    -------
    list of arrays
        ``(frames, rows, columns)`` of stored values for each image.

    Raises
    ------
    HeldError
        If an image cannot be decoded within the limits, or not into the described size; or if the
        program that decodes it is not installed.
    """
    for image, uid in zip(images, uids, strict=True):
        if not _is_ended(image):
            raise HeldError(
                f"{where}: the codestream of SOP Instance UID {uid} has no end: it is truncated;"
                " send the series again, or uncompressed"
            )
    found: dict[int, Stored] = {}
    for places, decode in (
        (_places(images, NATIVE), _decode_natively),
        (_places(images, BY_DCMTK), _decode_by_dcmtk),
        (_places(images, BY_PLUGINS), _decode_by_plugins),
    ):
        if places:
            decoded = decode([images[place] for place in places], where)
            found.update(zip(places, decoded, strict=False))
    for place, image in enumerate(images):
        shape = (_frames(image), int(image.Rows), int(image.Columns))
        if place not in found or found[place].size != np.prod(shape):
            syntax = UID(image.file_meta.TransferSyntaxUID).name
            raise HeldError(
                f"{where}: the pixels of SOP Instance UID {uids[place]} cannot be decoded from"
                f" {syntax} into {shape[0]} frame(s) of {shape[1]} x {shape[2]}: they are damaged;"
                " send the series again, or uncompressed"
            )
        found[place] = found[place].reshape(shape)
    return [found[place] for place in range(len(images))]


def _is_ended(image: Dataset) -> bool:
    """Whether every codestream of an image ends as its standard says, padding apart.

    A decoder may make up what is missing. JPEG, JPEG-LS and JPEG 2000 end with one marker.
    """
    syntax = image.file_meta.TransferSyntaxUID
    if syntax in NATIVE or syntax == RLELossless:
        return True
    with suppress(*READ_ERRORS):
        frames = generate_frames(image.PixelData, number_of_frames=_frames(image))
        return all(frame.rstrip(b"\0").endswith(END_OF_CODESTREAM) for frame in frames)
    return False


def _places(images: Sequence[Dataset], syntaxes: frozenset[UID]) -> list[int]:
    """Which of the images are encoded in one of these transfer syntaxes."""
    return [k for k, image in enumerate(images) if image.file_meta.TransferSyntaxUID in syntaxes]


def _decode_natively(images: Sequence[Dataset], where: str) -> list[Stored]:
    """Uncompressed images; those before the first that cannot be read."""
    del where
    decoded: list[Stored] = []
    with suppress(*READ_ERRORS):
        decoded.extend(pixel_array(image) for image in images)
    return decoded


def _decode_by_plugins(images: Sequence[Dataset], where: str) -> list[Stored]:
    """What pydicom decodes; images before the first that fails."""
    del where
    with TemporaryDirectory(prefix="glioloop-") as name:
        folder = Path(name)
        for k, image in enumerate(images):
            dcmwrite(folder / f"{k:06}.dcm", _bare(image), enforce_file_format=True)
        program = [sys.executable, "-I", str(Path(plugin_decoder.__file__).resolve())]
        confined.run(program, folder, _limits(images))
        decoded: list[Stored] = []
        with suppress(*READ_ERRORS):
            decoded.extend(np.load(folder / f"{k:06}.npy") for k in range(len(images)))
        return decoded


def _decode_by_dcmtk(images: Sequence[Dataset], where: str) -> list[Stored]:
    """What dcmdjpeg decodes; images before the first that fails."""
    program = shutil.which(DCMDJPEG)
    if program is None:
        syntax = UID(images[0].file_meta.TransferSyntaxUID).name
        raise HeldError(
            f"{where} is encoded in {syntax}, which DCMTK's {DCMDJPEG} decodes, and that program is"
            " not installed: install the package dcmtk, or send the series uncompressed"
        )
    with suppress(*READ_ERRORS):  # starting it costs more than decoding: all at once, if they let
        frames = _run_dcmdjpeg(program, _joined(images))
        ends = np.cumsum([_frames(image) for image in images])[:-1]
        return list(np.split(frames.reshape(-1, images[0].Rows, images[0].Columns), ends))
    decoded: list[Stored] = []
    with suppress(*READ_ERRORS):
        decoded.extend(_run_dcmdjpeg(program, image) for image in images)
    return decoded


def _joined(images: Sequence[Dataset]) -> Dataset:
    """Images of one description as one image of all their frames.

    Raises
    ------
    ValueError
        If their descriptions differ.
    """
    whole = _bare(images[0])
    frames: list[bytes] = []
    for image in images:
        differing = [k for k in DESCRIPTION if k != FRAMES and image.get(k) != whole.get(k)]
        if differing or image.file_meta.TransferSyntaxUID != whole.file_meta.TransferSyntaxUID:
            raise ValueError(f"images differ in {differing}")
        frames.extend(generate_frames(image.PixelData, number_of_frames=_frames(image)))
    whole.NumberOfFrames = len(frames)
    whole.PixelData = encapsulate(frames)
    whole["PixelData"].is_undefined_length = True
    return whole


def _run_dcmdjpeg(program: str, image: Dataset) -> Stored:
    """Decode an image in a folder of its own.

    Raises
    ------
    ValueError
        If the program failed, or made something else of it.
    """
    with TemporaryDirectory(prefix="glioloop-") as name:
        packed, plain = Path(name) / "packed.dcm", Path(name) / "plain.dcm"
        dcmwrite(packed, _bare(image), enforce_file_format=True)
        command = [program, "-q", packed.name, plain.name]
        if not confined.run(command, Path(name), _limits([image])):
            raise ValueError(f"{DCMDJPEG} failed")
        result = dcmread(plain)
        # The source's description counts: it says what the stored values mean.
        if result.BitsAllocated != image.BitsAllocated:
            raise ValueError(f"{DCMDJPEG} made {result.BitsAllocated} bits of it")
        for keyword in DESCRIPTION:
            if keyword in image:
                result[keyword] = image[keyword]
        return pixel_array(result)


def _limits(images: Sequence[Dataset]) -> confined.Limits:
    """What a child may use for these images."""
    sizes = [_frames(image) * int(image.Rows) * int(image.Columns) for image in images]
    seconds = LEAST_S + sum(sizes) // VOXELS_PER_S
    return confined.Limits(
        cpu_s=seconds,
        wall_s=2.0 * seconds,
        memory_bytes=LEAST_BYTES + 16 * max(sizes),
        file_bytes=4 * max(sizes) + 2**20,
    )


def _frames(image: Dataset) -> int:
    """How many frames an image says it has."""
    return int(image.get(FRAMES) or 1)


def _bare(image: Dataset) -> Dataset:
    """An image's pixels and their description, and nothing of the patient."""
    bare = Dataset()
    bare.file_meta = FileMetaDataset()
    bare.file_meta.TransferSyntaxUID = image.file_meta.TransferSyntaxUID
    bare.SOPClassUID = SecondaryCaptureImageStorage
    bare.SOPInstanceUID = "2.25.1"
    for keyword in (*DESCRIPTION, "PixelData"):
        if keyword in image:
            bare[keyword] = image[keyword]
    return bare
