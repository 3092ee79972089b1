"""Cases with a known answer: BraTS folders, and DICOM studies with an expert's mask beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from converter.volume import to_volume
from glioloop.choice import choose
from glioloop.demo_studies import read_studies
from glioloop.layouts import CaseFiles, find_cases, read_images, read_labels
from study.errors import RefusedError
from study.tissue import REGIONS, Role, Tissue, region
from study.volume import Volume

Mask = npt.NDArray[np.bool_]


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
    patient
        What the cases of one patient share, as far as their folders tell.
    """

    name: str
    volumes: Mapping[Role, Volume]
    truth: Mapping[str, Mask]
    patient: str = ""


def read_cases(folder: Path, label_map: Mapping[int, int] | None = None) -> list[Case]:
    """Every case in a folder, in order of name.

    Parameters
    ----------
    folder
        Searched with the folders below.
    label_map
        Label number of NIfTI segmentations to `Tissue`; None for what their layout declares.

    Raises
    ------
    RefusedError
        If there is no folder, or no case with a known answer in it.
    """
    cases = [_known(files, label_map) for files in find_cases(folder) if files.truth is not None]
    if not cases:
        cases = _studies([folder])
    if not cases:
        raise RefusedError(
            f"{folder} holds no case with a known answer: neither a BraTS folder with its"
            " segmentation nor a DICOM study with a mask of Secondary Captures"
        )
    return cases


def _known(files: CaseFiles, label_map: Mapping[int, int] | None) -> Case:
    """Read a case of NIfTI files."""
    volumes = read_images(files)
    labels = read_labels(files, label_map)
    if not labels.geometry.same_grid(volumes[Role.T1GD].geometry):
        raise RefusedError(f"{files.name}: the truth is on another grid than T1gd")
    truth = {name: region(labels.array, name) for name in REGIONS}
    return Case(Path(files.name).name, volumes, truth, files.patient)


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
            name = f"{folder.name} {date}"
            cases.append(Case(name, volumes, {"enhancing": mask}, str(folder)))
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
