"""Is this an image that can become voxels? Asked of its description, before anything is decoded."""

from __future__ import annotations

import re

from pydicom import Dataset
from pydicom.uid import (
    UID,
    EnhancedMRImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    MRImageStorage,
    SecondaryCaptureImageStorage,
)

from converter.decode import NATIVE, SYNTAXES
from converter.files import is_uid
from study.errors import HeldError

IMAGES: frozenset[UID] = frozenset(
    {
        MRImageStorage,
        EnhancedMRImageStorage,
        LegacyConvertedEnhancedMRImageStorage,
        SecondaryCaptureImageStorage,
    }
)
"""SOP classes that are converted. Research tools write masks as Secondary Captures with positions;
`converter.identify` never chooses one."""

MAX_VOXELS = 2**28
"""Most voxels of a series (1 GiB as float32): above any head, below a nonsense header."""

BITS_ALLOCATED = (8, 16)
"""(0028,0100) *Bits Allocated* of MR images (PS3.3 sections C.8.3.1 and C.8.13.2)."""

_FLOATING = ("FloatPixelData", "DoubleFloatPixelData")

_CODE = re.compile(r"[A-Z0-9_ ]{1,16}")


def check_image(image: Dataset, where: str) -> int:
    """Voxels of an image that can be decoded, by its description (PS3.3 section C.7.6.3).

    Parameters
    ----------
    image
        With its pixels, still encoded.
    where
        How messages name the series.

    Raises
    ------
    HeldError
        With what was found and what was needed: no MR image, a transfer syntax that is not
        accepted, colour, inverted or floating-point pixels, odd bits, no size or a size beyond
        `MAX_VOXELS`, pixels of another length than the size needs.
    """
    name = str(image.get("SOPInstanceUID", ""))
    one = f"{where}: SOP Instance UID {name if is_uid(name) else '(malformed)'}"
    _check_kind(image, one)
    _check_format(image, one)
    voxels = 1
    for keyword in ("Rows", "Columns"):
        voxels *= _whole(image, keyword, one, 1, 65535)
    frames = _whole(image, "NumberOfFrames", one, 1, MAX_VOXELS, default=1)
    voxels *= frames
    if voxels > MAX_VOXELS:
        raise HeldError(
            f"{one} claims {frames} frame(s) of {image.Rows} x {image.Columns}: more than the"
            f" {MAX_VOXELS} voxels that are accepted"
        )
    _check_length(image, voxels, one)
    return voxels


def _check_kind(image: Dataset, one: str) -> None:
    """Refuse what is no image, or comes in an encoding that is not accepted."""
    kind = UID(str(image.get("SOPClassUID", "")))
    if kind not in IMAGES:
        raise HeldError(f"{one} is {_name(kind)}, not an MR image; leave it out")
    syntax = UID(str(image.file_meta.get("TransferSyntaxUID", "")))
    if syntax not in SYNTAXES:
        raise HeldError(
            f"{one} is encoded in {_name(syntax)}, which is not accepted; send it uncompressed or"
            " losslessly compressed"
        )
    if any(keyword in image for keyword in _FLOATING):
        raise HeldError(f"{one} holds floating-point pixels; whole numbers are needed")
    if "PixelData" not in image:
        raise HeldError(f"{one} holds no (7FE0,0010) Pixel Data; send it again")
    if image.get("ModalityLUTSequence"):
        raise HeldError(f"{one} has a (0028,3000) Modality LUT Sequence; a slope is needed")


def _check_format(image: Dataset, one: str) -> None:
    """Refuse anything but whole grey values, brighter for more, in 8 or 16 bits."""
    photometric = str(image.get("PhotometricInterpretation") or "")
    if photometric != "MONOCHROME2":
        shown = photometric if _CODE.fullmatch(photometric) else "of unknown photometry"
        raise HeldError(
            f"{one} is {shown}, not MONOCHROME2: a derived or burned-in picture; leave it out"
        )
    _whole(image, "SamplesPerPixel", one, 1, 1, default=1)
    allocated = _whole(image, "BitsAllocated", one, 1, 65535)
    if allocated not in BITS_ALLOCATED:
        raise HeldError(f"{one} has {allocated} bits allocated; 8 or 16 are accepted")
    stored = _whole(image, "BitsStored", one, 1, allocated)
    _whole(image, "HighBit", one, stored - 1, stored - 1)
    _whole(image, "PixelRepresentation", one, 0, 1)


def _check_length(image: Dataset, voxels: int, one: str) -> None:
    """Refuse uncompressed pixels that are not as many as the description says."""
    native = image.file_meta.TransferSyntaxUID in NATIVE
    element = image["PixelData"]
    if native == bool(element.is_undefined_length):
        kind = "encapsulated" if element.is_undefined_length else "native"
        raise HeldError(f"{one} has {kind} pixels, which its transfer syntax contradicts")
    if not native:
        return
    needed = voxels * image.BitsAllocated // 8
    present = len(element.value or b"")
    if present not in {needed, needed + needed % 2}:
        raise HeldError(
            f"{one} has {present} bytes of pixels; its size needs {needed}: it is damaged, send it"
            " again"
        )


def _whole(
    image: Dataset, keyword: str, one: str, least: int, most: int, default: int | None = None
) -> int:
    """A whole number between limits; the default where it is absent or empty."""
    value = image.get(keyword)
    if value is None or value == "":
        value = default
    if isinstance(value, int) and least <= value <= most:
        return int(value)
    found = int(value) if isinstance(value, int) else "missing" if value is None else "no number"
    needed = f"{least}" if least == most else f"{least} to {most}"
    raise HeldError(f"{one} has {keyword} {found}; {needed} is needed")


def _name(uid: UID) -> str:
    """Name of a SOP class or transfer syntax that the Standard knows; else the UID if it is one."""
    if not uid:
        return "of no kind that is said"
    return str(uid.name) if uid.name != uid else str(uid) if is_uid(uid) else "of a malformed kind"
