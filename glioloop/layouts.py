"""How cases with a known answer lie in folders: the years of BraTS, and a site's own.

A layout is recognised by the names of files alone, and its label numbers are declared, never
guessed from those that occur.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from converter.nifti import read_nifti
from study.errors import RefusedError
from study.tissue import BRATS_2013, BRATS_2017, BRATS_2023, Role, renumber
from study.volume import Volume

FRAME = "2.25.1"
"""NIfTI names no frame of reference; all images of a case share one."""
_NIFTI = re.compile(r"(.+)\.nii(\.gz)?")


@dataclass(frozen=True)
class Layout:
    """What the files of a case are called.

    Parameters
    ----------
    name
        For people.
    images
        Role to how the name ends, before ``.nii`` or ``.nii.gz``, in lower case. FLAIR and T1gd
        make a case; T2 may be missing.
    truth
        How the name of the segmentation ends.
    label_map
        Label number to `study.tissue.Tissue`; None where only who has the data knows.
    brain
        How the name of a brain mask ends; None where there is none.
    stripped
        Whether everything outside the brain is 0.
    whole_names
        Whether what is said of endings holds for whole names.
    visit
        What of a case's name tells apart the dates of one patient, as a regular expression.
    """

    name: str
    images: Mapping[Role, str]
    truth: tuple[str, ...]
    label_map: Mapping[int, int] | None
    brain: str | None = None
    stripped: bool = True
    whole_names: bool = False
    visit: str = ""


LAYOUTS = (
    Layout(
        "BraTS 2023",
        {Role.FLAIR: "-t2f", Role.T1GD: "-t1c", Role.T2: "-t2w"},
        ("-seg",),
        BRATS_2023,
        visit=r"-\d{3}$",
    ),
    Layout(
        "BraTS 2017 to 2021",
        {Role.FLAIR: "_flair", Role.T1GD: "_t1ce", Role.T2: "_t2"},
        ("_seg", "_segm"),
        BRATS_2017,
    ),
    Layout(
        "BraTS 2013 for DeepMedic",
        {Role.FLAIR: "flair_subtrmeandivstd", Role.T1GD: "t1c_subtrmeandivstd"},
        ("otmulticlass",),
        BRATS_2013,
        brain="brainmask",
    ),
    Layout(
        "a site's own",
        {Role.FLAIR: "flair", Role.T1GD: "t1gd", Role.T2: "t2"},
        ("seg",),
        None,
        brain="brain",
        stripped=False,
        whole_names=True,
        visit=r"/.*$",
    ),
)
"""In the order in which they are tried."""


@dataclass(frozen=True)
class CaseFiles:
    """The files of one case.

    Parameters
    ----------
    name
        Of its folder, below the folder that was searched.
    layout
        Of its files.
    images
        Role to file; FLAIR and T1gd are there.
    truth
        The segmentation, if there is one.
    brain
        A brain mask, if there is one.
    """

    name: str
    layout: Layout
    images: Mapping[Role, Path]
    truth: Path | None
    brain: Path | None

    @property
    def patient(self) -> str:
        """What the cases of one patient have in common, as far as the layout's names tell."""
        return re.sub(self.layout.visit, "", self.name) if self.layout.visit else self.name

    @property
    def files(self) -> list[Path]:
        """All of them."""
        given = [*self.images.values(), self.truth, self.brain]
        return [path for path in given if path is not None]


def find_cases(folder: Path) -> list[CaseFiles]:
    """Every case in a folder and the folders below, in order of name.

    Raises
    ------
    RefusedError
        If there is no such folder.
    """
    if not folder.is_dir():
        raise RefusedError(f"there is no folder {folder}")
    inside = [folder, *sorted(p for p in folder.rglob("*") if p.is_dir())]
    return [case for one in inside if (case := case_in(one, folder)) is not None]


def case_in(folder: Path, root: Path | None = None) -> CaseFiles | None:
    """The case whose files lie in a folder; None where there is none.

    Parameters
    ----------
    folder
        Looked at alone.
    root
        Folder that the case is named below; None names it by its own folder.
    """
    stems = {
        match[1]: path
        for path in sorted(folder.iterdir())
        if (match := _NIFTI.fullmatch(path.name.lower()))
    }
    name = folder.name if root in {None, folder} else folder.relative_to(root or "").as_posix()
    for layout in LAYOUTS:
        images = {role: _named(stems, layout, (end,)) for role, end in layout.images.items()}
        given = {role: path for role, path in images.items() if path is not None}
        if Role.FLAIR not in given or Role.T1GD not in given:
            continue
        brain = _named(stems, layout, (layout.brain,)) if layout.brain else None
        return CaseFiles(name, layout, given, _named(stems, layout, layout.truth), brain)
    return None


def read_images(case: CaseFiles) -> dict[Role, Volume]:
    """The images of a case.

    Raises
    ------
    RefusedError
        If one of them is no readable NIfTI image.
    """
    masked = case.brain if case.layout.stripped else None
    return {role: _masked(read_nifti(p, FRAME), masked) for role, p in case.images.items()}


def read_labels(case: CaseFiles, label_map: Mapping[int, int] | None = None) -> Volume:
    """The known answer, as `study.tissue.Tissue` values.

    Parameters
    ----------
    case
        With a segmentation.
    label_map
        Number to tissue; None for the layout's own.

    Raises
    ------
    RefusedError
        If there is no segmentation, nobody says what its numbers mean, or one of them is unknown.
    """
    if case.truth is None:
        raise RefusedError(f"{case.name} has no segmentation: nothing is known about it")
    numbers = label_map or case.layout.label_map
    if numbers is None:
        raise RefusedError(
            f"{case.name} is laid out as {case.layout.name}, whose label numbers only you know:"
            " declare them, for instance --labels 1=necrosis,2=edema,4=enhancing"
        )
    outlined = read_nifti(case.truth, FRAME)
    labels = renumber(np.rint(outlined.array).astype(np.int16), numbers)
    return outlined.with_array(labels)


def read_brain(case: CaseFiles) -> Volume:
    """The brain mask that lies beside the images, as 0 and 1.

    Raises
    ------
    RefusedError
        If there is none, or it is unreadable.
    """
    if case.brain is None:
        raise RefusedError(f"{case.name} has no brain mask")
    mask = read_nifti(case.brain, FRAME)
    return mask.with_array((mask.array > 0.5).astype(np.uint8))


def _named(stems: Mapping[str, Path], layout: Layout, names: tuple[str, ...]) -> Path | None:
    """Find the file with one of some endings or names."""
    if layout.whole_names:
        return next((path for stem, path in stems.items() if stem in names), None)
    return next((path for stem, path in stems.items() if stem.endswith(names)), None)


def _masked(volume: Volume, brain: Path | None) -> Volume:
    """Raise z-scores above zero and clear what is outside a given brain mask."""
    if brain is None:
        return volume
    inside = read_nifti(brain, FRAME).array > 0.5
    values = volume.array - float(volume.array[inside].min())
    return volume.with_array(np.where(inside, values, 0.0).astype(np.float32))
