"""The files of the spool: DICOM Part 10, written so that no crash can lose them.

The data set is what came, byte for byte. The file meta information before it (PS3.10 section 7.1)
says how it came: (0002,0017) *Sending Application Entity Title* is who called, (0002,0018)
*Receiving Application Entity Title* is whom.
"""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_file_meta_info
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID

from listener.header import Header

PREAMBLE = bytes(128) + b"DICM"
"""Zero: a file that came from outside must not be a program too (CVE-2019-11687)."""

_GROUP_LENGTH_ELEMENT = 12
"""Bytes of (0002,0000) *File Meta Information Group Length* itself, which it does not count."""


@dataclass(frozen=True)
class Arrival:
    """How a data set came: in which encoding, from whom, to whom, and when (epoch ns)."""

    transfer_syntax_uid: str
    calling_ae: str
    called_ae: str
    at_ns: int

    @classmethod
    def now(cls, transfer_syntax_uid: str, calling_ae: str, called_ae: str) -> Arrival:
        """An arrival at this moment."""
        return cls(transfer_syntax_uid, calling_ae, called_ae, time.time_ns())


def write_part(folder: Path, stem: str, data_set: bytes, header: Header, arrival: Arrival) -> Path:
    """Write a file under a temporary name, see it onto the disk, and return its path.

    Its modification time is that of the arrival.

    Raises
    ------
    OSError
        If it cannot be written. Nothing is left behind.
    """
    meta = FileMetaDataset()
    meta.add(_unjudged("MediaStorageSOPClassUID", header.sop_class_uid))
    meta.add(_unjudged("MediaStorageSOPInstanceUID", header.sop_instance_uid))
    meta.TransferSyntaxUID = UID(arrival.transfer_syntax_uid)
    meta.SendingApplicationEntityTitle = arrival.calling_ae
    meta.ReceivingApplicationEntityTitle = arrival.called_ae
    handle, name = tempfile.mkstemp(prefix=f"{stem}.", suffix=".part", dir=folder)
    part = Path(name)
    with ExitStack() as unless_finished:
        unless_finished.callback(part.unlink)
        with os.fdopen(handle, "wb") as file:
            file.write(PREAMBLE)
            file.write(_encoded(meta))
            file.write(data_set)
            file.flush()
            os.utime(file.fileno(), ns=(arrival.at_ns, arrival.at_ns))
            os.fsync(file.fileno())
        unless_finished.pop_all()
    return part


def _unjudged(keyword: str, uid: str) -> DataElement:
    """Element with a UID as the sender wrote it: pydicom would complain of leading zeros."""
    value = UID(uid, validation_mode=IGNORE)
    return DataElement(keyword, "UI", value, validation_mode=IGNORE)


def _encoded(meta: FileMetaDataset) -> bytes:
    """File meta information with its group length (PS3.10 section 7.1)."""
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, meta, enforce_standard=True)
    return buffer.getvalue()


def data_set_of(path: Path) -> bytes:
    """Bytes of a file of the spool behind its file meta information."""
    start = len(PREAMBLE) + _GROUP_LENGTH_ELEMENT
    start += int(read_file_meta_info(path).FileMetaInformationGroupLength)
    return path.read_bytes()[start:]


def arrival_of(path: Path) -> Arrival:
    """How the instance in a file of the spool came."""
    meta = read_file_meta_info(path)
    return Arrival(
        str(meta.TransferSyntaxUID),
        str(meta.SendingApplicationEntityTitle),
        str(meta.ReceivingApplicationEntityTitle),
        path.stat().st_mtime_ns,
    )


def fsync_folder(folder: Path) -> None:
    """See a folder's entries onto the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
