"""Small DICOM objects built by hand, byte for byte, whole or damaged."""

from __future__ import annotations

from pathlib import Path

from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import UID, ExplicitVRLittleEndian
from pynetdicom.dsutils import encode_file_meta

from listener.inbox import Received

MR = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"

PATIENT_NAME = "Phantom^Petra"
PATIENT_ID = "PID-4711"


def make_instance(
    number: int = 1, sop_class: str = MR, study: str = "1.2.3.4", modality: str = "MR"
) -> Dataset:
    """An image of 2 rows, 4 columns, 16 bits: 16 bytes of pixels that hold its number."""
    instance = Dataset()
    instance.SOPClassUID = UID(sop_class)
    instance.SOPInstanceUID = UID(f"{study}.1.{number}")
    instance.Modality = modality
    instance.PatientName = PATIENT_NAME
    instance.PatientID = PATIENT_ID
    instance.StudyInstanceUID = UID(study)
    instance.SeriesInstanceUID = UID(f"{study}.1")
    instance.SamplesPerPixel = 1
    instance.PhotometricInterpretation = "MONOCHROME2"
    instance.Rows = 2
    instance.Columns = 4
    instance.BitsAllocated = 16
    instance.BitsStored = 12
    instance.HighBit = 11
    instance.PixelRepresentation = 0
    instance.PixelData = number.to_bytes(2, "little") * 8
    return instance


def make_label_map(number: int = 1) -> Dataset:
    """A label map segmentation of two frames with one byte a pixel."""
    instance = make_instance(number, LABEL_MAP, modality="SEG")
    instance.NumberOfFrames = 2
    instance.BitsAllocated = 8
    instance.BitsStored = 8
    instance.HighBit = 7
    instance.SegmentationType = "LABELMAP"
    instance.PixelData = bytes(range(16))
    return instance


def encode(instance: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """The data set's bytes, without file meta information."""
    buffer = DicomBytesIO()
    buffer.is_little_endian = True
    buffer.is_implicit_VR = UID(syntax).is_implicit_VR
    write_dataset(buffer, instance)
    return buffer.getvalue()


def write_file(
    path: Path,
    data_set: bytes,
    sop_class: str = MR,
    sop_instance: str = "1.2.3.4.1.1",
    syntax: str = ExplicitVRLittleEndian,
) -> Path:
    """A Part-10 file of any bytes, under any claim of what they are."""
    meta = FileMetaDataset()
    meta.FileMetaInformationGroupLength = 0
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = UID(sop_class)
    claim = UID(sop_instance, validation_mode=IGNORE)
    meta.add(DataElement("MediaStorageSOPInstanceUID", "UI", claim, validation_mode=IGNORE))
    meta.TransferSyntaxUID = UID(syntax)
    meta.ImplementationClassUID = UID("1.2.3.4.5")
    meta.set_original_encoding(is_implicit_vr=False, is_little_endian=True)
    path.write_bytes(bytes(128) + b"DICM" + encode_file_meta(meta) + data_set)
    return path


def write_instance(folder: Path, instance: Dataset, syntax: str = ExplicitVRLittleEndian) -> Path:
    """A proper Part-10 file of an instance, in the named uncompressed transfer syntax."""
    folder.mkdir(exist_ok=True)
    return write_file(
        folder / f"{instance.SOPInstanceUID}.dcm",
        encode(instance, syntax),
        instance.SOPClassUID,
        instance.SOPInstanceUID,
        syntax,
    )


ARRIVED_MR = Received(
    sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
    sop_instance_uid="1.1.1",
    series_uid="1.1",
    study_uid="1",
    modality="MR",
    transfer_syntax_uid="1.2.840.10008.1.2.1",
    calling_ae="SCANNER",
    called_ae="GLIOLOOP",
    received_at=100.0,
    path=Path("a.dcm"),
    sha256="aa",
)
"""An image, as a listener has received it."""

ARRIVED_SEG = Received(
    sop_class_uid="1.2.840.10008.5.1.4.1.1.66.4",
    sop_instance_uid="",
    series_uid="1.7",
    study_uid="1",
    modality="SEG",
    transfer_syntax_uid="1.2.840.10008.1.2.1",
    calling_ae="WORKSTATION",
    called_ae="GLIOLOOP_LEARN",
    received_at=0.0,
    path=None,
    sha256="",
)
"""A SEG in the inbox, as tests of the ledger enter it; it has neither UID nor file."""
