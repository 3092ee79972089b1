"""Measurements of a labelled tumour: volumes, and each enhancing lesion on its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from dicomseg.diameters import SAME_MM, Diameters, Mask, diameters_of
from dicomseg.measure import Volumes, volumes_of
from study.tissue import TUMOUR_TISSUES, Tissue
from study.volume import Geometry, Volume

SMALLEST_ML = 0.1
SMALLEST_VOXELS = 2
"""A lesion that is listed has at least this volume, and this many voxels; single voxels and specks
of a network are counted in the volumes, but are no lesions of their own. 0.1 mL is a ball of
5.8 mm, well below what RANO calls measurable."""

MEASURABLE_MM = 10.0
MEASURABLE_SLICES = 2
THICK_MM = 5.0
"""RANO (Wen et al. 2010, J Clin Oncol 28:1963): a lesion is measurable when both diameters have at
least 10 mm and it is seen on two slices or more; where slices are more than 5 mm apart, both
diameters have at least twice that."""


@dataclass(frozen=True)
class Lesion:
    """One enhancing lesion: voxels that touch by faces, edges or corners."""

    number: int
    """From 1, the largest volume first."""
    volume_ml: float
    slices: int
    """In how many slices it is seen."""
    diameters: Diameters
    measurable: bool
    """By RANO's sizes. Whether its margins are clear, a reader must judge."""


@dataclass(frozen=True)
class Measurements:
    """What a labelled tumour measures."""

    volumes: Volumes
    lesions: tuple[Lesion, ...] = ()
    """Enhancing lesions, ordered by volume."""
    specks: int = 0
    """How many enhancing components are too small to be listed."""
    specks_ml: float = 0.0
    """Their volume together; it is part of `volumes`."""


def measure(labels: Volume, tissues: Sequence[Tissue] = TUMOUR_TISSUES) -> Measurements:
    """Volumes in mL, and each enhancing lesion with its diameters.

    Parameters
    ----------
    labels
        `Tissue` values; the first axis counts the slices of the acquisition.
    tissues
        Those that are spoken of, as for `dicomseg.measure.volumes_of`.
    """
    volumes = volumes_of(labels, tissues)
    if Tissue.ENHANCING not in tissues:
        return Measurements(volumes)
    enhancing = labels.array == Tissue.ENHANCING
    component, count = ndimage.label(enhancing, np.ones((3, 3, 3)))
    voxels = np.bincount(component.ravel(), minlength=count + 1)[1:]
    one = labels.geometry.voxel_volume_ml
    # Rounding must not decide about a lesion of exactly the smallest volume.
    listed = (voxels * one >= SMALLEST_ML - 1e-9) & (voxels >= SMALLEST_VOXELS)
    order = [int(n) for n in np.argsort(-voxels, kind="stable") if listed[n]]
    boxes = ndimage.find_objects(component)
    return Measurements(
        volumes,
        tuple(
            _lesion(number, component[boxes[n]] == n + 1, boxes[n], labels.geometry)
            for number, n in enumerate(order, start=1)
        ),
        int(np.count_nonzero(~listed)),
        one * int(voxels[~listed].sum()),
    )


def _lesion(number: int, mask: Mask, box: tuple[slice, ...], whole: Geometry) -> Lesion:
    """Measures of one component, which lies in a box of the whole grid."""
    affine = whole.affine.copy()
    affine[:3, 3] = whole.world([part.start for part in box])
    found = diameters_of(mask, Geometry(mask.shape, affine, whole.frame_of_reference_uid))
    diameters = replace(found, slice_index=found.slice_index + box[0].start)
    slices = int(np.count_nonzero(mask.any(axis=(1, 2))))
    volume = whole.voxel_volume_ml * int(np.count_nonzero(mask))
    measurable = is_measurable(diameters, slices, whole.spacing[0])
    return Lesion(number, volume, slices, diameters, measurable)


def is_measurable(diameters: Diameters, slices: int, slice_mm: float) -> bool:
    """Whether a lesion is measurable by RANO's sizes.

    Parameters
    ----------
    diameters
        Its diameters.
    slices
        In how many slices it is seen.
    slice_mm
        Distance between slices, mm.
    """
    needed = MEASURABLE_MM if slice_mm <= THICK_MM + SAME_MM else 2 * slice_mm
    shorter = min(diameters.longest_mm, diameters.perpendicular_mm)
    return slices >= MEASURABLE_SLICES and shorter >= needed - SAME_MM
