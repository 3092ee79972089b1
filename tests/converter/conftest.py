"""Small synthetic MR series, written as files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage

STUDY_UID = "1.2.826.0.1.3680043.10.999.1"
FRAME_UID = "1.2.826.0.1.3680043.10.999.2"


@dataclass
class Writer:
    """Writes series into a folder; UIDs are counted, so that they can be written in a test."""

    folder: Path
    count: int = 0

    def header(self, **attributes: Any) -> Dataset:
        """A plausible MR header without geometry or pixels."""
        image = Dataset()
        image.SOPClassUID = MRImageStorage
        image.StudyInstanceUID = STUDY_UID
        image.FrameOfReferenceUID = FRAME_UID
        image.Modality = "MR"
        image.PatientID = "P1"
        image.ImageType = ["ORIGINAL", "PRIMARY", "M", "NORM"]
        image.SamplesPerPixel = 1
        image.PhotometricInterpretation = "MONOCHROME2"
        image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
        image.PixelRepresentation = 0
        image.PixelSpacing = [1.0, 1.0]
        image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        for keyword, value in attributes.items():
            setattr(image, keyword, value)
        return image

    def series(
        self,
        array: Any = None,
        origin: Sequence[float] = (0.0, 0.0, 0.0),
        step: Sequence[float] = (0.0, 0.0, 1.0),
        change: Callable[[Dataset, int], None] = lambda image, k: None,
        **attributes: Any,
    ) -> list[Path]:
        """Write ``array[k]`` at ``origin + k * step``; ``change`` may spoil the k-th image."""
        self.count += 1
        voxels = np.zeros((20, 4, 4), np.uint16) if array is None else np.asarray(array)
        paths = []
        for k, plane in enumerate(voxels):
            image = self.header(**attributes)
            image.SeriesInstanceUID = f"{STUDY_UID}.{self.count}"
            image.SeriesNumber = self.count
            image.InstanceNumber = k + 1
            image.SOPInstanceUID = f"{STUDY_UID}.{self.count}.{k + 1}"
            image.Rows, image.Columns = plane.shape
            image.PixelRepresentation = 1 if plane.dtype == np.int16 else 0
            image.ImagePositionPatient = [o + k * s for o, s in zip(origin, step, strict=True)]
            image.PixelData = plane.tobytes()
            change(image, k)
            paths.append(self.write(image))
        return paths

    def enhanced(
        self,
        array: Any = None,
        place: Callable[[int], dict[str, Any]] = lambda k: {},
        change: Callable[[Dataset], None] = lambda image: None,
        **attributes: Any,
    ) -> list[Path]:
        """Write one enhanced MR image whose k-th frame is ``array[k]``, 2 mm above the one before.

        ``place(k)`` names attributes of the k-th frame's functional groups that are otherwise; one
        that is None is left out.
        """
        self.count += 1
        voxels = np.zeros((4, 4, 4), np.uint16) if array is None else np.asarray(array)
        image = self.header(SOPClassUID=EnhancedMRImageStorage, **attributes)
        for keyword in ("PixelSpacing", "ImageOrientationPatient"):
            delattr(image, keyword)
        image.SeriesInstanceUID = f"{STUDY_UID}.{self.count}"
        image.SOPInstanceUID = f"{STUDY_UID}.{self.count}.1"
        image.SeriesNumber, image.InstanceNumber = self.count, 1
        image.NumberOfFrames, image.Rows, image.Columns = voxels.shape
        image.PixelRepresentation = 1 if voxels.dtype == np.int16 else 0
        image.PixelData = voxels.tobytes()
        shared = Dataset()
        shared.PixelMeasuresSequence = [_item(PixelSpacing=[1.0, 1.0])]
        image.SharedFunctionalGroupsSequence = [shared]
        image.PerFrameFunctionalGroupsSequence = [
            _frame({"ImagePositionPatient": [0.0, 0.0, 2.0 * k]} | place(k))
            for k in range(len(voxels))
        ]
        change(image)
        return [self.write(image)]

    def write(self, image: Dataset) -> Path:
        """Write one object as a file."""
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        path = self.folder / f"{self.count:03}-{image.InstanceNumber:04}.dcm"
        dcmwrite(path, image, enforce_file_format=True)
        return path


MACROS = {
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "StackID": "FrameContentSequence",
    "InStackPositionNumber": "FrameContentSequence",
    "TemporalPositionIndex": "FrameContentSequence",
    "DimensionIndexValues": "FrameContentSequence",
    "FrameType": "MRImageFrameTypeSequence",
    "EffectiveEchoTime": "MREchoSequence",
    "DiffusionBValue": "MRDiffusionSequence",
}
"""Functional group macro that holds an attribute (PS3.3 section C.7.6.16.2)."""


def _item(**attributes: Any) -> Dataset:
    """A data set of these attributes."""
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


def _frame(attributes: dict[str, Any]) -> Dataset:
    """Functional groups of one frame; axial where nothing else is said."""
    group = Dataset()
    for keyword, value in ({"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]} | attributes).items():
        if value is None:
            continue
        if MACROS[keyword] not in group:
            setattr(group, MACROS[keyword], [Dataset()])
        setattr(group[MACROS[keyword]].value[0], keyword, value)
    return group


@pytest.fixture
def dicom(tmp_path: Path) -> Writer:
    """A writer of series into a folder of its own."""
    folder = tmp_path / "dicom"
    folder.mkdir()
    return Writer(folder)
