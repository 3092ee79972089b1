"""The little that the listener reads of a data set: who it is, and whether it is whole.

Nothing is decoded but a few elements; the bytes are kept as they came. pydicom reads past the end
of a truncated data set without a word, so its end is checked here.
"""

from __future__ import annotations

import hashlib
import math
import re
import struct
from dataclasses import dataclass
from io import BytesIO

from pydicom.dataelem import RawDataElement
from pydicom.filereader import data_element_generator
from pydicom.uid import UID

from listener.presentation import KEPT
from study.errors import RefusedError

UID_PATTERN = re.compile(r"[0-9]+(\.[0-9]+)*")
"""PS3.5 section 9.1, but for the leading zeros that it forbids and some senders write."""

MAX_UID_LENGTH = 64

LARGE_VALUE = 4096
"""Values of more bytes than this are skipped, not read."""

MOST_ITEMS = 500_000
"""Sequence items of a data set that is read at all: 20,000 frames have some 400,000. Of a few bytes
each, an item of a sequence of undefined length takes much memory and time to walk through."""

_ITEM = b"\xfe\xff\x00\xe0"
"""(FFFE,E000) *Item*, little endian."""

_SOP_CLASS = (0x00080016, "(0008,0016) *SOP Class UID*")
_SOP_INSTANCE = (0x00080018, "(0008,0018) *SOP Instance UID*")
_STUDY = (0x0020000D, "(0020,000D) *Study Instance UID*")
_SERIES = (0x0020000E, "(0020,000E) *Series Instance UID*")
_UIDS = (_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES)
_MODALITY = 0x00080060
_SAMPLES_PER_PIXEL = 0x00280002
_NUMBER_OF_FRAMES = 0x00280008
_ROWS = 0x00280010
_COLUMNS = 0x00280011
_BITS_ALLOCATED = 0x00280100
_PIXEL_DATA = 0x7FE00010

_EMPTY_ENCAPSULATED = 16
"""Bytes of encapsulated *Pixel Data* without any fragment: empty offset table and delimiter."""


class DamagedError(RefusedError):
    """A data set that is truncated, or lacks what its kind always has."""


@dataclass(frozen=True)
class Header:
    """What is known of a data set without decoding it.

    Of an instance that is not kept, a UID that is missing or malformed is an empty string.

    Parameters
    ----------
    modality
        (0008,0060) *Modality*, empty when missing.
    pixel_sha256
        Digest of the bytes of (7FE0,0010) *Pixel Data* as encoded; empty without any.
    """

    sop_class_uid: str
    sop_instance_uid: str
    study_uid: str
    series_uid: str
    modality: str
    pixel_sha256: str


@dataclass(frozen=True)
class _Element:
    """Where the value of an element lies in the data set, and its bytes unless they are many."""

    start: int
    end: int
    value: bytes
    undefined_length: bool


def is_uid(text: str) -> bool:
    """Whether this text may be used as a UID: digits and dots, at most 64 characters."""
    return len(text) <= MAX_UID_LENGTH and UID_PATTERN.fullmatch(text) is not None


def read_header(data_set: bytes, transfer_syntax_uid: str) -> Header:
    """Read the UIDs of a data set, and check that it is whole.

    Parameters
    ----------
    data_set
        Encoded, without file meta information, little endian and not deflated.
    transfer_syntax_uid
        How it is encoded.

    Raises
    ------
    DamagedError
        If it does not parse to its end; or, of a kind that is kept, if a UID is missing or its
        *Pixel Data* is shorter than its rows, columns and frames need.
    """
    syntax = UID(transfer_syntax_uid)
    elements = _elements(data_set, implicit_vr=syntax.is_implicit_VR)
    uids = {tag: _uid(elements.get(tag)) for tag, _ in _UIDS}
    if uids[_SOP_CLASS[0]] in KEPT:
        for tag, name in _UIDS:
            if not uids[tag]:
                raise DamagedError(f"{name} is missing or is not a UID")
        _check_pixel_data(elements, encapsulated=syntax.is_encapsulated)
    pixels = elements.get(_PIXEL_DATA)
    return Header(
        sop_class_uid=uids[_SOP_CLASS[0]],
        sop_instance_uid=uids[_SOP_INSTANCE[0]],
        study_uid=uids[_STUDY[0]],
        series_uid=uids[_SERIES[0]],
        modality=_code(elements.get(_MODALITY)),
        pixel_sha256=_digest(data_set, pixels) if pixels else "",
    )


def _elements(data_set: bytes, *, implicit_vr: bool) -> dict[int, _Element]:
    """Elements of the outermost level, sequences apart, after a walk to the very end."""
    items = data_set.count(_ITEM)
    if items > MOST_ITEMS:
        raise DamagedError(
            f"the data set holds {items} sequence items; at most {MOST_ITEMS} are read"
        )
    found: dict[int, _Element] = {}
    stream = BytesIO(data_set)
    end = 0
    try:
        for raw in data_element_generator(
            stream, implicit_vr, is_little_endian=True, defer_size=LARGE_VALUE
        ):
            end = stream.tell()
            if not isinstance(raw, RawDataElement):
                continue
            undefined = raw.length == 0xFFFFFFFF
            if not undefined:
                end = raw.value_tell + raw.length
            if end > len(data_set):
                break
            value = raw.value if isinstance(raw.value, bytes) else b""
            found[int(raw.tag)] = _Element(raw.value_tell, end, value, undefined)
    except (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DamagedError(_broken_at(end, data_set, type(error).__name__)) from error
    except (NotImplementedError, RecursionError, struct.error) as error:
        raise DamagedError(_broken_at(end, data_set, type(error).__name__)) from error
    if end > len(data_set):
        raise DamagedError(
            f"the data set is truncated: an element ends at byte {end}, but only {len(data_set)}"
            " bytes came"
        )
    if data_set[end:].strip(b"\x00"):
        raise DamagedError(_broken_at(end, data_set, "no element follows"))
    return found


def _broken_at(end: int, data_set: bytes, why: str) -> str:
    """Where reading stopped; the error's own words might hold a value, so only its kind is told."""
    return f"the data set cannot be read past byte {end} of {len(data_set)}: {why}"


def _check_pixel_data(elements: dict[int, _Element], *, encapsulated: bool) -> None:
    """Raise unless *Pixel Data* is as long as the image needs."""
    frames = _number(elements.get(_NUMBER_OF_FRAMES), 1)
    pixels = frames * _us(elements, _ROWS) * _us(elements, _COLUMNS)
    bits = pixels * _us(elements, _SAMPLES_PER_PIXEL, 1) * _us(elements, _BITS_ALLOCATED)
    needed = math.ceil(bits / 8)
    if needed == 0 and frames > 0:
        raise DamagedError("*Rows*, *Columns* or *Bits Allocated* is missing or zero")
    element = elements.get(_PIXEL_DATA)
    if element is None:
        if needed:
            raise DamagedError(f"(7FE0,0010) *Pixel Data* is missing; {needed} bytes were expected")
        return
    present = element.end - element.start
    if element.undefined_length != encapsulated:
        kind = "encapsulated" if element.undefined_length else "native"
        raise DamagedError(f"(7FE0,0010) *Pixel Data* is {kind}, the transfer syntax is not")
    if encapsulated and needed and present <= _EMPTY_ENCAPSULATED:
        raise DamagedError("(7FE0,0010) *Pixel Data* holds no fragment")
    if not encapsulated and present < needed:
        raise DamagedError(f"(7FE0,0010) *Pixel Data* holds {present} of {needed} bytes")


def _uid(element: _Element | None) -> str:
    """Value of a UID element without its padding, or nothing when it is not one."""
    text = _text(element)
    return text if is_uid(text) else ""


def _code(element: _Element | None) -> str:
    """Value of a code string, or nothing when it is not one (PS3.5 Table 6.2-1)."""
    text = _text(element)
    return text if re.fullmatch(r"[A-Z0-9_ ]{1,16}", text) else ""


def _text(element: _Element | None) -> str:
    """Bytes as text, without padding; what is not ASCII becomes a replacement character."""
    return element.value.decode("ascii", "replace").strip(" \x00") if element else ""


def _number(element: _Element | None, default: int) -> int:
    """Value of an integer string that is not negative."""
    text = _text(element)
    if not text:
        return default
    if not re.fullmatch(r"\+?[0-9]{1,11}", text):
        raise DamagedError("(0028,0008) *Number of Frames* is not a number")
    return int(text)


def _us(elements: dict[int, _Element], tag: int, default: int = 0) -> int:
    """Value of an unsigned short."""
    element = elements.get(tag)
    return int.from_bytes(element.value, "little") if element and element.value else default


def _digest(data_set: bytes, element: _Element) -> str:
    """SHA-256 of an element's value, as encoded."""
    return hashlib.sha256(memoryview(data_set)[element.start : element.end]).hexdigest()
