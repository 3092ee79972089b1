"""An expert's mask beside the images: Secondary Captures on the slices of a series."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from pydicom import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from glioloop.phantom_headers import instance, uid
from study.volume import Volume

DESCRIPTION = "Expert mask, enhancing tumour"
NUMBER = 99
_OF_THE_SCANNER = (
    "ScanningSequence", "SequenceVariant", "ScanOptions", "MRAcquisitionType", "SequenceName",
    "RepetitionTime", "EchoTime", "InversionTime", "EchoTrainLength", "NumberOfAverages",
    "FlipAngle", "ImagingFrequency", "ImagedNucleus", "EchoNumbers", "ContrastBolusAgent",
    "ContrastBolusRoute", "MagneticFieldStrength", "AcquisitionDate", "AcquisitionTime",
    "AcquisitionNumber", "ProtocolName",
)  # fmt: skip
"""What a picture that somebody drew does not say."""


def write_masks(folder: Path, image: Path, mask: Volume) -> list[Path]:
    """Write a mask as Secondary Captures, of Modality MR, in the study of an image.

    Parameters
    ----------
    folder
        Where to; one file for each slice.
    image
        A file of the series that the mask lies on.
    mask
        On the voxels of that series; anything but 0 is written as 1.

    Returns
    -------
    list of Path
        As `glioloop.demo_studies.read_studies` recognises them.
    """
    header = _header(pydicom.dcmread(image, stop_before_pixels=True))
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for k, drawn in enumerate(mask.array != 0):
        slice_ = instance(header, mask.geometry, k, drawn.astype(np.uint16))
        slice_.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
        slice_.WindowCenter, slice_.WindowWidth = 0.5, 1
        paths.append(folder / f"{k + 1:03d}.dcm")
        slice_.save_as(paths[-1], enforce_file_format=True)
    return paths


def _header(image: Dataset) -> Dataset:
    """What all slices of the mask share."""
    header = Dataset()
    header.update(image)
    for keyword in _OF_THE_SCANNER:
        if keyword in header:
            delattr(header, keyword)
    header.SOPClassUID = SecondaryCaptureImageStorage
    header.ConversionType, header.PatientOrientation = "WSD", None
    header.ImageType = ["DERIVED", "SECONDARY"]
    header.SeriesInstanceUID = uid(image.StudyInstanceUID, NUMBER)
    header.SeriesNumber, header.SeriesDescription = NUMBER, DESCRIPTION
    return header
