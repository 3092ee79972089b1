"""A series as a `Volume`: assembled by dicom2nifti, and proved to be the source's voxels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from dicom2nifti.common import create_affine, get_volume_pixeldata, sort_dicoms
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from converter.evenness import in_order
from converter.planes import Plane, read_planes
from converter.series import Series
from study.errors import FailedError
from study.volume import AFFINE_TOLERANCE_MM, Geometry, Volume

NIFTI_TO_DICOM = np.diag([-1.0, -1.0, 1.0, 1.0])
"""World of NIfTI (RAS) to world of DICOM (LPS)."""

BACKWARDS = np.fliplr(np.eye(3))
"""(column, row, slice) indices to (slice, row, column) indices, and back."""


def to_volume(series: Series) -> Volume:
    """Convert a series, without resampling, reordering within slices, or dropping anything.

    Parameters
    ----------
    series
        Classic or enhanced multi-frame MR images of one stack.

    Returns
    -------
    Volume
        float32 modality values: (0028,1053) *Rescale Slope* and (0028,1052) *Rescale Intercept* are
        applied. Slices are counted along the normal (`converter.planes`), whatever the order in
        which they were acquired or sent.

    Raises
    ------
    HeldError
        If the series is no even stack of whole MR images; see `converter.planes.read_planes` and
        `converter.evenness.in_order`.
    FailedError
        If the assembled voxels are not the source's voxels, or not in the source's place.
    """
    where = f"series {series.series_uid}" + (f" ({series.part})" if series.part else "")
    planes = in_order(read_planes(series, where), where)
    geometry = _geometry(planes)
    array, affine = _assemble(planes)
    alike = array.shape == geometry.shape and all(
        np.array_equal(slice_, plane.values()) for slice_, plane in zip(array, planes, strict=True)
    )
    if not alike:
        raise FailedError(f"series {series.series_uid}: assembled voxels are not the source's")
    there = Geometry(geometry.shape, affine, geometry.frame_of_reference_uid)
    if not there.same_grid(geometry):
        apart = np.linalg.norm(there.corners() - geometry.corners(), axis=1).max()
        raise FailedError(
            f"series {series.series_uid}: the assembled volume lies {apart:.3f} mm away from where"
            f" its positions say; {AFFINE_TOLERANCE_MM} mm is accepted"
        )
    return Volume(np.ascontiguousarray(array, np.float32), geometry)


def _geometry(planes: Sequence[Plane]) -> Geometry:
    """Grid of sorted planes (PS3.3 C.7.6.2.1.1), from their positions and orientation alone."""
    first, last = planes[0], planes[-1]
    affine = np.eye(4)
    affine[:3, 0] = (last.position - first.position) / (len(planes) - 1)
    affine[:3, 1] = first.orientation[3:] * first.spacing[0]
    affine[:3, 2] = first.orientation[:3] * first.spacing[1]
    affine[:3, 3] = first.position
    rows, columns = first.stored.shape
    return Geometry((len(planes), rows, columns), affine, first.frame_of_reference_uid)


def _assemble(planes: Sequence[Plane]) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.float64]]:
    """Array (slice, row, column) along the normal, and its LPS affine, by dicom2nifti.

    Its lower-level functions are used, in memory: the functions above them choose a way by vendor,
    drop duplicates and localizers, and refuse three slices. Frames of multi-frame images are given
    to them as single images, for they place frames by (0020,9057) *In-Stack Position Number*, which
    need not follow the position, and apply no rescaling that all frames share.
    """
    images = sort_dicoms([_as_image(plane) for plane in planes])
    nifti, _ = create_affine(images)
    array = np.transpose(get_volume_pixeldata(images), (2, 1, 0))
    affine = NIFTI_TO_DICOM @ nifti
    affine[:3, :3] = affine[:3, :3] @ BACKWARDS
    if affine[:3, 0] @ planes[0].normal < 0:
        affine[:3, 3] += affine[:3, 0] * (len(planes) - 1)
        affine[:3, 0] *= -1
        array = array[::-1]
    return array, affine


def _as_image(plane: Plane) -> Dataset:
    """A plane as the smallest single-frame image, uncompressed, that dicom2nifti assembles."""
    stored = plane.stored
    bits = 8 * stored.dtype.itemsize
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.Rows, image.Columns = stored.shape
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = bits
    image.HighBit = bits - 1
    image.PixelRepresentation = 1 if stored.dtype.kind == "i" else 0
    image.PixelData = np.ascontiguousarray(stored).astype(stored.dtype.newbyteorder("<")).tobytes()
    image.RescaleSlope, image.RescaleIntercept = plane.slope, plane.intercept
    image.ImageOrientationPatient = [float(value) for value in plane.orientation]
    image.ImagePositionPatient = [float(value) for value in plane.position]
    image.PixelSpacing = [float(value) for value in plane.spacing]
    return image
