"""What the demo is played with: studies of one patient, and what an expert outlined on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from converter.grid import resample
from converter.series import Series, scan
from converter.volume import to_volume
from dicomseg.read import read_seg
from glioloop.phantom import PhantomStudy
from study.errors import RefusedError
from study.tissue import TUMOUR_TISSUES, Tissue
from study.volume import Geometry, Volume

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
"""SOP class, and beginning of the multi-frame ones: masks of experts, never sent as images."""

Masks = Mapping[Tissue, npt.NDArray[np.bool_]]


@dataclass(frozen=True, eq=False)
class Study:
    """One date of the patient."""

    study_uid: str
    images: tuple[Series, ...]
    """What a scanner would send."""
    mask: Series | None = None
    """An expert's outline of the enhancing lesion, beside the images."""
    truth: Volume | None = None
    """`Tissue` values, where everything is known."""

    @property
    def files(self) -> list[Path]:
        """What is sent."""
        return [instance.path for series in self.images for instance in series.instances]

    def series(self, series_uid: str) -> Series:
        """One of the series."""
        for found in self.images:
            if found.series_uid == series_uid:
                return found
        raise RefusedError(f"study {self.study_uid} has no series {series_uid}")

    def outlined(self, grid: Geometry) -> Masks:
        """What is known to be where, on a grid; empty when nothing is known."""
        if self.truth is not None:
            return {t: _mask(self.truth, int(t), grid) for t in TUMOUR_TISSUES}
        if self.mask is not None:
            return {Tissue.ENHANCING: _mask(to_volume(self.mask), None, grid)}
        return {}


def read_studies(folders: Sequence[Path]) -> list[Study]:
    """Studies in folders, by date; Secondary Captures are kept apart as an expert's masks.

    Raises
    ------
    RefusedError
        If nothing is there, or the studies are not those of one patient.
    """
    missing = [folder for folder in folders if not folder.exists()]
    if missing:
        raise RefusedError(f"there is no folder {missing[0]}")
    found: dict[str, list[Series]] = {}
    for series in scan(folders).series:
        found.setdefault(series.study_uid, []).append(series)
    studies = [_study(uid, series) for uid, series in found.items()]
    studies = [study for study in studies if study.images]
    if not studies:
        raise RefusedError(f"no MR images lie in {', '.join(map(str, folders))}")
    if len({str(study.images[0].header.get("PatientID", "")) for study in studies}) > 1:
        raise RefusedError("these studies are of several patients; the demo is about one")
    return sorted(studies, key=_moment)


def phantom_studies(made: Sequence[PhantomStudy]) -> list[Study]:
    """The phantom patient's studies, of which everything is known."""
    return [Study(p.study_uid, scan(p.files).series, truth=p.truth) for p in made]


def read_truth(path: Path, study: Study, grid: Geometry) -> Masks:
    """A correction that was given: a folder of Secondary Capture masks, or a Segmentation.

    Parameters
    ----------
    path
        The folder, which outlines the enhancing lesion, or the file.
    study
        The study it is meant for.
    grid
        Where the masks are wanted.

    Raises
    ------
    RefusedError
        If it is neither, or belongs to another study.
    """
    if path.is_file():
        return read_seg(path, grid).masks
    masks = [series for series in scan([path]).series if _is_capture(series)]
    if len(masks) != 1:
        raise RefusedError(f"{path} holds {len(masks)} series of masks; one is needed")
    if masks[0].study_uid != study.study_uid:
        raise RefusedError(
            f"the masks in {path} are of study {masks[0].study_uid}; "
            f"the first study is {study.study_uid}"
        )
    return {Tissue.ENHANCING: _mask(to_volume(masks[0]), None, grid)}


def _study(study_uid: str, series: Sequence[Series]) -> Study:
    """Images and masks apart."""
    masks = [one for one in series if _is_capture(one)]
    images = [one for one in series if str(one.header.get("Modality", "")) == "MR"]
    sent = tuple(one for one in images if one not in masks)
    return Study(study_uid, sent, masks[0] if len(masks) == 1 else None)


def _is_capture(series: Series) -> bool:
    """Whether a series is no acquired image but a picture that somebody made."""
    return series.instances[0].sop_class_uid.startswith(SECONDARY_CAPTURE)


def _moment(study: Study) -> tuple[str, str]:
    """Date and time of a study, which sort as text."""
    header = study.images[0].header
    return str(header.get("StudyDate", "")), str(header.get("StudyTime", ""))


def _mask(volume: Volume, value: int | None, grid: Geometry) -> npt.NDArray[np.bool_]:
    """Where a volume has a value (None: any but 0), on a grid of the same frame of reference."""
    there = volume.geometry.frame_of_reference_uid
    if there != grid.frame_of_reference_uid:
        raise RefusedError(
            f"the masks lie in frame of reference {there}, the images in "
            f"{grid.frame_of_reference_uid}"
        )
    inside = volume.array != 0 if value is None else volume.array == value
    if volume.geometry.same_grid(grid):
        return np.asarray(inside, bool)
    moved = resample(volume.with_array(inside.astype(np.float32)), grid, order="nearest")
    return np.asarray(moved.array > 0.5, bool)
