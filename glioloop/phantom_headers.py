"""How the phantom patient was scanned: protocols, and the DICOM headers that a scanner writes.

The values are those of clinical headers: names as vendors give them (the FLAIR is called *tirm
dark-fluid*, not FLAIR), times in ms, thick axial slices that differ between series.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from study.volume import Geometry

PATIENT_ID, PATIENT_NAME, ISSUER = "PH-204917", "Fantomas^Petra", "GLIOLOOP-PHANTOM"
AXES = np.eye(3)


@dataclass(frozen=True)
class Protocol:
    """One series of the examination: what the scanner was told."""

    description: str
    contrast: str
    """The image of the head that it shows: a key of `PhantomHead.images`."""
    sequence: str
    variant: str
    name: str
    te: float
    tr: float
    ti: float | None = None
    flip: float = 150.0
    agent: str = ""
    image_type: tuple[str, ...] = ("ORIGINAL", "PRIMARY", "M", "ND", "NORM")
    b_value: float | None = None
    shape: tuple[int, int, int] = (1, 256, 256)
    """Slices, rows, columns."""
    spacing: tuple[float, float, float] = (5.0, 1.0, 1.0)
    """Distance in mm between slices, rows, columns."""
    thickness: float = 5.0
    tilt_deg: float = 0.0
    """How far the slices are tipped about the axis from right to left."""
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Where the patient had moved to, against the T1gd, when this was scanned."""
    plane: str = "axial"
    acquisition: str = "2D"


@dataclass(frozen=True)
class Person:
    """Whom the headers name: nobody, and everyone can see it.

    Parameters
    ----------
    key
        UIDs are made of it.
    patient_id, name
        (0010,0020) *Patient ID* and (0010,0010) *Patient's Name*.
    born
        Birth date.
    sex
        ``"F"`` or ``"M"``.
    """

    key: str
    patient_id: str
    name: str
    born: dt.date
    sex: str


@dataclass(frozen=True)
class Vendor:
    """Who built the scanner, and which one it is."""

    manufacturer: str
    model: str
    software: str
    station: str
    serial: str
    tesla: float
    megahertz: float
    """Resonance of protons, as this scanner gives it."""


SKYRA = Vendor("SIEMENS", "Skyra", "syngo MR E11", "MR1", "45001", 3, 123.2)


def petra(seed: int) -> Person:
    """The patient of the demo; another one for each seed."""
    return Person(str(seed), f"{PATIENT_ID}-{seed}", PATIENT_NAME, dt.date(1962, 3, 1), "F")


PROTOCOLS = (
    Protocol(
        "localizer", "T1", "GR", "SP", "*fl2d1", 3.69, 7.6, flip=20.0,
        shape=(3, 128, 128), spacing=(20.0, 2.0, 2.0), thickness=7.0, plane="sagittal",
    ),
    Protocol(
        "t1_tse_tra", "T1", "SE", "SK", "*tse2d1_3", 12.0, 550.0,
        shape=(36, 256, 208), spacing=(4.0, 0.9, 0.9), thickness=4.0,
    ),
    Protocol(
        "ep2d_diff_3scan_trace_TRACEW", "T2", "EP", "SK\\SP", "*ep_b1000t", 89.0, 5200.0, flip=90.0,
        image_type=("ORIGINAL", "PRIMARY", "DIFFUSION", "TRACEW", "ND"), b_value=1000.0,
        shape=(24, 128, 112), spacing=(6.0, 1.8, 1.8),
    ),
    Protocol(
        "t2_tirm_tra_dark-fluid", "FLAIR", "SE\\IR", "SK\\SP\\MP", "*tir2d1_16",
        120.0, 9000.0, 2500.0,
        shape=(29, 256, 224), spacing=(5.0, 0.9, 0.9), thickness=4.5, tilt_deg=6.0,
        shift_mm=(1.2, -0.8, 1.5),
    ),
    Protocol(
        "t2_tse_tra", "T2", "SE", "SK\\SP", "*tse2d1_17", 100.0, 4500.0,
        shape=(36, 288, 240), spacing=(4.0, 0.8, 0.8), thickness=4.0,
    ),
    Protocol(
        "t1_tse_tra +Gd", "T1GD", "SE", "SK", "*tse2d1_3", 12.0, 550.0, agent="Gadovist 7.5 ml",
        shape=(36, 256, 208), spacing=(4.0, 0.9, 0.9), thickness=4.0,
    ),
)  # fmt: skip
"""The examination, in the order in which it was scanned."""


def plan(protocol: Protocol, centre: npt.NDArray[np.float64], frame_uid: str) -> Geometry:
    """Grid of a series, centred on a point of the patient (LPS, mm)."""
    angle = np.deg2rad(protocol.tilt_deg)
    if protocol.plane == "sagittal":  # slices to the left, rows to the feet, columns to the back
        directions = np.stack([AXES[0], -AXES[2], AXES[1]], axis=1)
    else:
        row = np.array([0.0, np.cos(angle), np.sin(angle)])
        slice_axis = np.array([0.0, -np.sin(angle), np.cos(angle)])
        directions = np.stack([slice_axis, row, AXES[0]], axis=1)
    affine = np.eye(4)
    affine[:3, :3] = directions * np.array(protocol.spacing)
    affine[:3, 3] = centre - affine[:3, :3] @ ((np.array(protocol.shape) - 1) / 2)
    return Geometry(protocol.shape, affine, frame_uid)


def uid(*names: object) -> str:
    """A UID that is the same for the same names: making the phantom twice gives the same files."""
    return str(generate_uid(entropy_srcs=["glioloop phantom", *map(str, names)]))


def study_header(
    person: Person, number: int, moment: dt.datetime, vendor: Vendor = SKYRA
) -> Dataset:
    """What all instances of a study share."""
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 100"
    header.SOPClassUID = MRImageStorage
    header.StudyDate = header.AcquisitionDate = header.ContentDate = moment.strftime("%Y%m%d")
    header.StudyTime = moment.strftime("%H%M%S")
    header.AccessionNumber = f"PH{person.key:0>4}{number}"
    header.Modality = "MR"
    header.Manufacturer = vendor.manufacturer
    header.InstitutionName = "Glioloop phantom"
    header.ReferringPhysicianName = ""
    header.StationName = vendor.station
    header.StudyDescription = "MRI brain w/wo contrast"
    header.ManufacturerModelName = vendor.model
    header.PatientName, header.PatientID = person.name, person.patient_id
    header.IssuerOfPatientID = ISSUER
    header.PatientBirthDate, header.PatientSex = person.born.strftime("%Y%m%d"), person.sex
    header.PatientAge = f"{int((moment.date() - person.born).days / 365.25):03d}Y"
    header.PatientWeight = 68
    header.BodyPartExamined = "BRAIN"
    header.MagneticFieldStrength, header.ImagingFrequency = vendor.tesla, vendor.megahertz
    header.DeviceSerialNumber = vendor.serial
    header.SoftwareVersions = vendor.software
    header.PatientPosition = "HFS"
    header.StudyInstanceUID = uid(person.key, number)
    header.StudyID = str(number)
    header.FrameOfReferenceUID = uid(person.key, number, "frame of reference")
    header.PositionReferenceIndicator = ""
    return header


def series_header(study: Dataset, protocol: Protocol, number: int, moment: dt.datetime) -> Dataset:
    """What all instances of a series share, with what their study shares."""
    header = Dataset()
    header.update(study)
    header.ImageType = list(protocol.image_type)
    header.SeriesDate = moment.strftime("%Y%m%d")
    header.SeriesTime = header.AcquisitionTime = header.ContentTime = moment.strftime("%H%M%S")
    header.SeriesInstanceUID = uid(study.StudyInstanceUID, number)
    header.SeriesNumber = header.AcquisitionNumber = number
    header.SeriesDescription = header.ProtocolName = protocol.description
    header.ScanningSequence = protocol.sequence.split("\\")
    header.SequenceVariant = protocol.variant.split("\\")
    header.ScanOptions = ""
    header.MRAcquisitionType = protocol.acquisition
    header.SequenceName = protocol.name
    header.SliceThickness = protocol.thickness
    header.SpacingBetweenSlices = protocol.spacing[0]
    header.RepetitionTime, header.EchoTime = protocol.tr, protocol.te
    header.EchoTrainLength = 1 if protocol.sequence in {"GR", "EP"} else 9
    header.NumberOfAverages, header.FlipAngle = 1, protocol.flip
    header.ImagedNucleus, header.EchoNumbers = "1H", 1
    if protocol.ti is not None:
        header.InversionTime = protocol.ti
    if protocol.agent:
        header.ContrastBolusAgent = protocol.agent
        header.ContrastBolusRoute = "IV"
    if protocol.b_value is not None:
        header.DiffusionBValue = protocol.b_value
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.Rows, header.Columns = protocol.shape[1:]
    header.PixelSpacing = list(protocol.spacing[1:])
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 12, 11
    header.PixelRepresentation = 0
    return header


def instance(
    series: Dataset, geometry: Geometry, k: int, pixels: npt.NDArray[np.uint16]
) -> Dataset:
    """One slice as a scanner writes it."""
    image = Dataset()
    image.update(series)
    image.SOPInstanceUID = uid(series.SeriesInstanceUID, k)
    image.InstanceNumber = k + 1
    position = geometry.world((k, 0, 0))
    normal, rows, columns = (geometry.affine[:3, :3] / geometry.spacing).T
    image.ImagePositionPatient = [round(float(x), 6) for x in position]
    image.ImageOrientationPatient = [round(float(x), 9) for x in (*columns, *rows)]
    image.SliceLocation = round(float(position @ normal), 6)
    image.WindowCenter, image.WindowWidth = 600, 1200
    image.PixelData = pixels.astype("<u2").tobytes()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = MRImageStorage
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    return image
