"""Source series made with pydicom, with their geometry written out beside them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO

import highdicom as hd
import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sr.codedict import codes
from pydicom.uid import UID, ExplicitVRLittleEndian

from dicomseg.identity import ResultIdentity
from study.tissue import Tissue
from study.volume import Geometry, Volume

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
STUDY_UID = "1.2.826.0.1.3680043.8.498.1"
SERIES_UID = "1.2.826.0.1.3680043.8.498.2"
FRAME_UID = "1.2.826.0.1.3680043.8.498.3"

# Directions along a row and along a column of the picture, and across the slices.
ORIENTATIONS = {
    "axial": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "sagittal": ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0), (-1.0, 0.0, 0.0)),
    "coronal": ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0)),
    # Turned by atan(3/4) about x and atan(5/12) about the new z.
    "oblique": (
        (12 / 13, 4 / 13, 3 / 13),
        (-5 / 13, 48 / 65, 36 / 65),
        (0.0, -0.6, 0.8),
    ),
}


@dataclass(frozen=True)
class SourceSeries:
    """Headers of a series, its grid, and labels on it."""

    instances: list[Dataset]
    labels: Volume


def make_series(
    orientation: str = "axial",
    *,
    ascending: bool = True,
    shape: tuple[int, int, int] = (7, 20, 24),
    spacing: tuple[float, float, float] = (6.5, 0.9, 0.7),
) -> SourceSeries:
    """A series of anisotropic voxels; `ascending` says whether slices follow their normal."""
    along_row, along_column, across = (np.array(v) for v in ORIENTATIONS[orientation])
    sign = 1.0 if ascending else -1.0
    affine = np.eye(4)
    affine[:3, 0] = sign * across * spacing[0]
    affine[:3, 1] = along_column * spacing[1]
    affine[:3, 2] = along_row * spacing[2]
    affine[:3, 3] = (-40.25, 31.5, 12.125)
    geometry = Geometry(shape, affine, FRAME_UID)
    instances = [
        make_instance(k, geometry, (*along_row.tolist(), *along_column.tolist()))
        for k in range(shape[0])
    ]
    return SourceSeries(instances, Volume(make_labels(shape), geometry))


def make_labels(shape: tuple[int, int, int]) -> np.ndarray:
    """Three tissues in boxes, symmetric about no axis."""
    labels = np.zeros(shape, np.uint8)
    labels[1:5, 3:12, 4:16] = Tissue.EDEMA
    labels[2:5, 5:9, 6:14] = Tissue.ENHANCING
    labels[3:4, 6:8, 8:11] = Tissue.NECROSIS
    labels[1, 3, 15] = Tissue.ENHANCING
    return labels


def make_instance(k: int, geometry: Geometry, orientation: tuple[float, ...]) -> Dataset:
    """Header of one slice, with a UID that says nothing of its place."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = MR_IMAGE
    ds.SOPInstanceUID = f"{SERIES_UID}.{(k * 5) % 1009 + 1}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = STUDY_UID, SERIES_UID
    ds.FrameOfReferenceUID = FRAME_UID
    ds.PositionReferenceIndicator = ""
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.PatientName, ds.PatientID = "Tester^Müller", "PAT-0001"
    ds.PatientBirthDate, ds.PatientSex = "19610504", "F"
    ds.StudyDate, ds.StudyTime, ds.StudyID = "20260102", "101500", "7"
    ds.AccessionNumber, ds.ReferringPhysicianName = "ACC42", "Referrer^A"
    ds.StudyDescription, ds.SeriesDescription = "MRI brain", "t1_mprage_post"
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "MR", 4, k + 1
    ds.Manufacturer = "ACME"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    ds.Rows, ds.Columns = geometry.shape[1:]
    ds.ImageOrientationPatient = list(orientation)
    ds.ImagePositionPatient = geometry.world((k, 0, 0)).round(10).tolist()
    ds.PixelSpacing = [round(geometry.spacing[1], 10), round(geometry.spacing[2], 10)]
    ds.SliceThickness = 5.0
    return ds


def make_enhanced(classic: SourceSeries) -> Dataset:
    """The same slices as one Enhanced MR Image, its frames from the last slice to the first."""
    image = Dataset()
    image.update(classic.instances[0])
    for keyword in (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "SliceThickness",
    ):
        del image[keyword]
    image.SOPClassUID, image.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.4.1", f"{SERIES_UID}.900"
    shared, orientation, measures = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = classic.instances[0].ImageOrientationPatient
    measures.PixelSpacing = classic.instances[0].PixelSpacing
    measures.SliceThickness = 4.5
    shared.PlaneOrientationSequence = [orientation]
    shared.PixelMeasuresSequence = [measures]
    image.SharedFunctionalGroupsSequence = [shared]
    image.PerFrameFunctionalGroupsSequence = []
    for instance in reversed(classic.instances):
        groups, position = Dataset(), Dataset()
        position.ImagePositionPatient = instance.ImagePositionPatient
        groups.PlanePositionSequence = [position]
        image.PerFrameFunctionalGroupsSequence.append(groups)
    image.NumberOfFrames = len(classic.instances)
    return image


@pytest.fixture
def enhanced() -> Callable[[SourceSeries], Dataset]:
    """`make_enhanced`."""
    return make_enhanced


@pytest.fixture
def series() -> SourceSeries:
    """Axial, ascending."""
    return make_series()


@pytest.fixture
def identity() -> ResultIdentity:
    """An unadapted result."""
    return ResultIdentity(
        "00112233445566778899aabbccddeeff",
        "glioloop-base",
        "0.1.0",
        datetime(2026, 1, 3, 9, 30, 5),  # noqa: DTZ001
    )


@pytest.fixture
def new_series() -> Callable[..., SourceSeries]:
    """`make_series`, for tests that need several."""
    return make_series


def edited(encoded: bytes, edit: Callable[[Dataset], None]) -> bytes:
    """A file with a change in it."""
    ds = dcmread(BytesIO(encoded))
    edit(ds)
    buffer = BytesIO()
    ds.save_as(buffer)
    return buffer.getvalue()


@pytest.fixture
def edit_seg() -> Callable[..., bytes]:
    """`edited`."""
    return edited


def packed_rle(raw: bytes) -> bytes:
    """One RLE frame of one segment, in literal runs and one replicated one where it pays."""
    found, at = bytearray(), 0
    while at < len(raw):
        run = 1
        while run < 128 and at + run < len(raw) and raw[at + run] == raw[at]:
            run += 1
        if run > 1:
            found += bytes([257 - run, raw[at]])
            at += run
        else:
            found += bytes([0, raw[at]])
            at += 1
    if len(found) % 2:
        found += b"\x80"
    return struct.pack("<16I", 1, 64, *[0] * 14) + bytes(found)


def set_frames(ds: Dataset, frames: list[bytes], transfer_syntax: str) -> None:
    """Give a Segmentation encapsulated frames."""
    ds.PixelData = encapsulate(frames)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = UID(transfer_syntax)


@pytest.fixture
def encapsulated() -> Callable[..., bytes]:
    """A function (file, how): the frames of a native BINARY file encoded by ``how(bits)``."""

    def convert(encoded: bytes, how: Callable[[bytes], bytes], transfer_syntax: str) -> bytes:
        ds = dcmread(BytesIO(encoded))
        frames = [
            how(np.packbits(frame.reshape(-1), bitorder="little").tobytes())
            for frame in np.atleast_3d(ds.pixel_array)
        ]
        deflated = transfer_syntax == "1.2.840.10008.1.2.8.1"
        set_frames(ds, frames, "1.2.840.10008.1.2.4.50" if deflated else transfer_syntax)
        buffer = BytesIO()
        ds.save_as(buffer)
        # pydicom does not write the one it does not know; both have 22 bytes.
        known, unknown = b"1.2.840.10008.1.2.4.50", b"1.2.840.10008.1.2.8.1\0"
        found = buffer.getvalue()
        return found.replace(known, unknown, 1) if deflated else found

    return convert


def other_encoding(
    series: SourceSeries,
    kind: str,
    transfer_syntax: str = "1.2.840.10008.1.2.1",
    array: np.ndarray | None = None,
) -> bytes:
    """A Segmentation as highdicom's users write it: codes, no colours, no tracking UIDs."""
    described = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=label,
            segmented_property_category=codes.SCT.Tissue,
            segmented_property_type=codes.SCT.Tissue,
            algorithm_type="MANUAL",
        )
        for number, label in [(1, "NCR"), (2, "ED"), (3, "ET")]
    ]
    seg = hd.seg.Segmentation(
        source_images=series.instances,
        pixel_array=series.labels.array if array is None else array,
        segmentation_type=kind,
        segment_descriptions=described,
        series_instance_uid="1.2.3.10",
        series_number=1,
        sop_instance_uid="1.2.3.11",
        instance_number=1,
        manufacturer="Elsewhere",
        manufacturer_model_name="Tool",
        software_versions="1",
        device_serial_number="1",
        transfer_syntax_uid=transfer_syntax,
    )
    buffer = BytesIO()
    seg.save_as(buffer)
    return buffer.getvalue()


@pytest.fixture
def foreign_seg() -> Callable[..., bytes]:
    """`other_encoding`."""
    return other_encoding
