"""Cases with a known answer: BraTS folders, and DICOM studies with an expert's mask beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from converter.nifti import read_nifti
from converter.volume import to_volume
from glioloop.choice import choose
from glioloop.demo_studies import read_studies
from study.errors import RefusedError
from study.tissue import BRATS_2013, BRATS_2017, BRATS_2023, REGIONS, Role, Tissue, region, renumber
from study.volume import Volume

Mask = npt.NDArray[np.bool_]
FRAME = "2.25.1"
"""NIfTI names no frame of reference; all images of a BraTS case share one."""


@dataclass(frozen=True, eq=False)
class Case:
    """Images and the truth about them.

    Parameters
    ----------
    name
        Of its folder.
    volumes
        An image for each role that there is.
    truth
        Region of `REGIONS` to mask on the grid of T1gd; regions that nobody outlined are absent.
    """

    name: str
    volumes: Mapping[Role, Volume]
    truth: Mapping[str, Mask]


@dataclass(frozen=True)
class Layout:
    """Endings of file names of a year of BraTS, and the numbers of its labels."""

    images: Mapping[Role, str]
    truth: str
    label_map: Mapping[int, int]
    brain: str | None = None


LAYOUTS = (
    Layout(
        {Role.FLAIR: "-t2f.nii.gz", Role.T1GD: "-t1c.nii.gz", Role.T2: "-t2w.nii.gz"},
        "-seg.nii.gz",
        BRATS_2023,
    ),
    Layout(
        {Role.FLAIR: "_flair.nii.gz", Role.T1GD: "_t1ce.nii.gz", Role.T2: "_t2.nii.gz"},
        "_seg.nii.gz",
        BRATS_2017,
    ),
    Layout(
        {Role.FLAIR: "flair_subtrmeandivstd.nii.gz", Role.T1GD: "t1c_subtrmeandivstd.nii.gz"},
        "otmulticlass.nii.gz",
        BRATS_2013,
        brain="brainmask.nii.gz",
    ),
)
"""BraTS 2023; 2017 to 2021; 2013 as prepared for DeepMedic. Endings are compared in lower case."""


def read_cases(folder: Path) -> list[Case]:
    """Every case in a folder, in order of name.

    Raises
    ------
    RefusedError
        If there is no folder, or no case with a known answer in it.
    """
    if not folder.is_dir():
        raise RefusedError(f"there is no folder {folder}")
    inside = [folder, *sorted(p for p in folder.rglob("*") if p.is_dir())]
    cases = [case for one in inside if (case := _brats(one)) is not None]
    if not cases:
        cases = _studies([folder])
    if not cases:
        raise RefusedError(
            f"{folder} holds no case with a known answer: neither a BraTS folder with its"
            " segmentation nor a DICOM study with a mask of Secondary Captures"
        )
    return cases


def _brats(folder: Path) -> Case | None:
    """Read a folder as a BraTS case, if it is one."""
    files = {path.name.lower(): path for path in folder.glob("*.nii.gz")}
    for layout in LAYOUTS:
        images = {role: _ending(files, ending) for role, ending in layout.images.items()}
        truth = _ending(files, layout.truth)
        if truth is None or images[Role.FLAIR] is None or images[Role.T1GD] is None:
            continue
        brain = _ending(files, layout.brain) if layout.brain else None
        volumes = {
            role: _masked(read_nifti(path, FRAME), brain)
            for role, path in images.items()
            if path is not None
        }
        outlined = read_nifti(truth, FRAME)
        if not outlined.geometry.same_grid(volumes[Role.T1GD].geometry):
            raise RefusedError(f"{folder.name}: the truth is on another grid than T1gd")
        labels = renumber(np.rint(outlined.array).astype(np.int16), layout.label_map)
        return Case(folder.name, volumes, {name: region(labels, name) for name in REGIONS})
    return None


def _ending(files: Mapping[str, Path], ending: str) -> Path | None:
    """Find the one file with an ending."""
    return next((path for name, path in sorted(files.items()) if name.endswith(ending)), None)


def _masked(volume: Volume, brain: Path | None) -> Volume:
    """Raise z-scores above zero and clear what is outside a given brain mask."""
    if brain is None:
        return volume
    inside = read_nifti(brain, FRAME).array > 0.5
    values = volume.array - float(volume.array[inside].min())
    return volume.with_array(np.where(inside, values, 0.0).astype(np.float32))


def _studies(folders: Sequence[Path]) -> list[Case]:
    """DICOM studies of any number of patients whose enhancing lesion an expert outlined."""
    cases = []
    for folder in _patients(folders):
        for study in read_studies([folder]):
            if study.mask is None:
                continue
            chosen = choose(study.files).chosen
            volumes = {role: to_volume(series) for role, series in chosen.items()}
            mask = study.outlined(volumes[Role.T1GD].geometry)[Tissue.ENHANCING]
            date = str(study.images[0].header.get("StudyDate", ""))
            cases.append(Case(f"{folder.name} {date}", volumes, {"enhancing": mask}))
    return cases


def _patients(folders: Sequence[Path]) -> list[Path]:
    """Folders that hold one patient each: a folder of patients is taken apart."""
    found: list[Path] = []
    for folder in folders:
        try:
            read_studies([folder])
            found.append(folder)
        except RefusedError:
            found += _patients(sorted(p for p in folder.iterdir() if p.is_dir()))
    return found
