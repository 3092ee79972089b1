"""File meta information, as pydicom writes it."""

from __future__ import annotations

import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID, ExplicitVRLittleEndian

from listener.part10 import Arrival, file_meta

MR = "1.2.840.10008.5.1.4.1.1.4"


@pytest.mark.parametrize("uid", ["1", "1.23", "1.2.826.0.1.3680043.10.777.4711.1", "0"])
@pytest.mark.parametrize("sop_class", [MR, "1.2.840.10008.5.1.4.1.1.66.4"])
def test_the_bytes_are_those_that_pydicom_writes(uid: str, sop_class: str) -> None:
    arrival = Arrival(ExplicitVRLittleEndian, "SCANNER", "GLIOLOOP", 0)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = UID(uid)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.SendingApplicationEntityTitle = "SCANNER"
    meta.ReceivingApplicationEntityTitle = "GLIOLOOP"
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, meta, enforce_standard=True)

    assert file_meta(sop_class, uid, arrival) == buffer.getvalue()
    other = file_meta(sop_class, uid, Arrival(ExplicitVRLittleEndian, "OTHER", "GLIOLOOP", 0))
    assert b"OTHER" in other
    assert b"SCANNER" not in other
