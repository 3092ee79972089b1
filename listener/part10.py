"""The files of the spool: DICOM Part 10, written so that no crash can lose them.

The data set is what came, byte for byte. The file meta information before it (PS3.10 section 7.1)
says how it came: (0002,0017) *Sending Application Entity Title* is who called, (0002,0018)
*Receiving Application Entity Title* is whom.
"""

from __future__ import annotations

import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
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
_GROUP_LENGTH = b"\x02\x00\x00\x00UL\x04\x00"
_INSTANCE_UID = b"\x02\x00\x03\x00UI"
"""(0002,0000) and (0002,0003), up to the length and the value; little endian, explicit VR."""


_SYNCING = ThreadPoolExecutor(64, thread_name_prefix="fsync")
"""Its threads wait for the disk; they start when they are needed."""


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


def write_part(
    folder: Path, name: tuple[str, str], data_set: bytes, header: Header, arrival: Arrival
) -> Path:
    """Write a file under a temporary name, see it onto the disk, and return its path.

    Its modification time is that of the arrival.

    Parameters
    ----------
    folder
        Where.
    name
        How the temporary name begins and ends.
    data_set, header, arrival
        As for `listener.inbox.Inbox.store`.

    Raises
    ------
    OSError
        If it cannot be written. Nothing is left behind.
    """
    meta = file_meta(header.sop_class_uid, header.sop_instance_uid, arrival)
    handle, path = tempfile.mkstemp(prefix=name[0], suffix=name[1], dir=folder)
    part = Path(path)
    with ExitStack() as unless_finished:
        unless_finished.callback(part.unlink)
        with os.fdopen(handle, "wb", buffering=0) as file:
            _write_all(file.fileno(), PREAMBLE + meta, data_set)
            os.utime(file.fileno(), ns=(arrival.at_ns, arrival.at_ns))
            # Both at once: a disk takes about as long for the two as for one.
            entry = _SYNCING.submit(fsync_folder, folder)
            os.fsync(file.fileno())
            entry.result()
        unless_finished.pop_all()
    return part


def _write_all(handle: int, *parts: bytes) -> None:
    """Write all of some bytes, however many one call takes."""
    left = [memoryview(part) for part in parts]
    while left:
        written = os.writev(handle, left)
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if left:
            left[0] = left[0][written:]


def file_meta(sop_class_uid: str, sop_instance_uid: str, arrival: Arrival) -> bytes:
    """File meta information with its group length (PS3.10 section 7.1)."""
    before, after = _around_instance(
        sop_class_uid, arrival.transfer_syntax_uid, arrival.calling_ae, arrival.called_ae
    )
    uid = sop_instance_uid.encode("ascii")
    uid += b"\0" * (len(uid) % 2)
    element = _INSTANCE_UID + len(uid).to_bytes(2, "little") + uid
    body = before + element + after
    return _GROUP_LENGTH + len(body).to_bytes(4, "little") + body


@lru_cache(maxsize=256)
def _around_instance(
    sop_class_uid: str, transfer_syntax_uid: str, calling_ae: str, called_ae: str
) -> tuple[bytes, bytes]:
    """What stands before and after (0002,0003) *Media Storage SOP Instance UID*.

    Encoded once for all images of a series: for each one it would take longer than to write it.
    """
    meta = FileMetaDataset()
    meta.add(_unjudged("MediaStorageSOPClassUID", sop_class_uid))
    meta.add(_unjudged("MediaStorageSOPInstanceUID", "0"))
    meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    meta.SendingApplicationEntityTitle = calling_ae
    meta.ReceivingApplicationEntityTitle = called_ae
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, meta, enforce_standard=True)
    encoded = buffer.getvalue()[_GROUP_LENGTH_ELEMENT:]
    before, _, after = encoded.partition(_INSTANCE_UID + b"\x02\x000\0")
    return before, after


def _unjudged(keyword: str, uid: str) -> DataElement:
    """Element with a UID as the sender wrote it: pydicom would complain of leading zeros."""
    value = UID(uid, validation_mode=IGNORE)
    return DataElement(keyword, "UI", value, validation_mode=IGNORE)


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
