"""DICOM files as they lie on a disk: found, opened without harm, and checked to be whole.

pydicom reads past the end of a truncated file without a word, and waits for ever on a named pipe.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydicom import Dataset, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import data_element_generator, read_file_meta_info, read_partial
from pydicom.tag import BaseTag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    MediaStorageDirectoryStorage,
)

from study.errors import RefusedError

READ_ERRORS = (
    InvalidDicomError,
    BytesLengthException,
    OSError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    NotImplementedError,
    RecursionError,
    MemoryError,
    struct.error,
)
"""What pydicom raises on files that are no DICOM or broken; RecursionError: nested too deeply."""
_PASSING = frozenset({errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.ENOLCK})
"""Of `OSError`: the machine has no handle left, or a file server is away."""

UNDEFINED_LENGTH = 0xFFFFFFFF

LARGE_VALUE = 4096
"""Values of more bytes than this are skipped where only their end is looked at."""

UID_PATTERN = re.compile(r"[0-9]+(\.[0-9]+)*")
"""PS3.5 section 9.1, but for the leading zeros that it forbids and some senders write."""

MAX_UID_LENGTH = 64

LAST_UID = 0x0020000E
"""(0020,000E) *Series Instance UID*, the last of the elements that say what a file is."""


@dataclass(frozen=True)
class Reading:
    """A file's data set without pixels, and what is wrong with the file; empty when it is whole."""

    header: Dataset
    defect: str = ""


def is_uid(text: str) -> bool:
    """Whether this text may be shown as a UID: digits and dots, at most 64 characters."""
    return len(text) <= MAX_UID_LENGTH and UID_PATTERN.fullmatch(text) is not None


def find_files(paths: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """The files named, and those inside folders, in a stable order; each with why not, or nothing.

    A folder is not left: a symbolic link out of it is refused, for whoever filled the folder (a CD,
    an upload) must not choose what else of the disk is read.
    """
    for path in paths:
        if not path.is_dir():
            yield path, ""
            continue
        top = path.resolve()
        for folder, folders, names in os.walk(path):
            folders.sort()
            links = [name for name in folders if (Path(folder) / name).is_symlink()]
            for name in sorted([*names, *links]):
                yield Path(folder) / name, _escape(Path(folder) / name, top)


def _escape(path: Path, top: Path) -> str:
    """Why a link inside a folder is not followed."""
    if not path.is_symlink():
        return ""
    if not path.resolve().is_relative_to(top):
        return "a symbolic link out of the folder is not followed; copy the file into it"
    if path.is_dir():
        return "a symbolic link to another folder of the same folder: its files are read there"
    return ""


def read_file(path: Path) -> Reading:
    """Read a file's data set without its pixels, and look whether the file is whole.

    Raises
    ------
    RefusedError
        If it is no regular file, or nothing in it says which image it is. The message is about the
        file and holds nothing of what stands in it.
    """
    try:
        with _open(path) as file:
            return _read(path, file)
    except RefusedError:
        raise
    except READ_ERRORS as error:
        _let_pass(error)
        # The error's own text may quote what it could not read: a name, an identifier.
        raise RefusedError(f"not readable as DICOM ({type(error).__name__})") from error


def _let_pass(error: Exception) -> None:
    """Raise again what says nothing about the file: that is no reason to hold a study."""
    if isinstance(error, OSError) and error.errno in _PASSING:
        raise error


def _open(path: Path) -> BinaryIO:
    """Open a regular file; a named pipe or a device is refused, not waited for."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    file = os.fdopen(handle, "rb")
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        file.close()
        raise RefusedError("no regular file (a pipe, a socket or a device)")
    return file


def _read(path: Path, file: BinaryIO) -> Reading:
    """As `read_file`."""
    size = os.fstat(file.fileno()).st_size
    if size == 0:
        raise RefusedError("an empty file")
    meta = read_file_meta_info(path)
    if meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
        raise RefusedError(
            "a DICOMDIR: it is an index; the files that it lists are read without it"
        )
    if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        # Nothing is inflated: a small file can become any size.
        raise RefusedError("in Deflated Explicit VR Little Endian, which is not accepted")
    try:
        header = dcmread(file, stop_before_pixels=True)
        little_endian = meta.get("TransferSyntaxUID") != ExplicitVRBigEndian
        defect = _shortened(header) or _behind_header(file, size, little_endian=little_endian)
    except READ_ERRORS as error:
        _let_pass(error)
        # Which image it was may stand before the damage.
        file.seek(0)
        header = read_partial(file, stop_when=_behind_uids)
        defect = f"its data set cannot be read to the end ({type(error).__name__})"
    return Reading(header, defect)


def _behind_uids(tag: BaseTag, vr: str | None, length: int) -> bool:
    """Whether the elements that say what a file is have passed."""
    del vr, length
    return int(tag) > LAST_UID


def _shortened(header: Dataset) -> str:
    """Whether the value of an element is cut off by the end of the file."""
    for element in header.values():
        if not isinstance(element, RawDataElement) or element.length == UNDEFINED_LENGTH:
            continue
        if element.value is not None and len(element.value) < element.length:
            return (
                f"it is truncated: {element.tag} should have {element.length} bytes,"
                f" {len(element.value)} are there"
            )
    return ""


def _behind_header(file: BinaryIO, size: int, *, little_endian: bool) -> str:
    """What is wrong with the pixels' element and with what follows it, to the end of the file."""
    end = file.tell()
    if end == size:
        return ""
    implicit_vr = file.read(6)[4:] not in {b"OB", b"OW", b"OF", b"OD"}
    file.seek(end)
    for raw in data_element_generator(file, implicit_vr, little_endian, defer_size=LARGE_VALUE):
        end = file.tell()
        if isinstance(raw, RawDataElement) and raw.length != UNDEFINED_LENGTH:
            end = raw.value_tell + raw.length
        if end > size:
            return f"it is truncated: {raw.tag} ends at byte {end}, the file at byte {size}"
    file.seek(end)
    if file.read(LARGE_VALUE).strip(b"\0"):
        return f"nothing that is DICOM follows byte {end} of {size}"
    return ""
